// SPDX-License-Identifier: Apache-2.0
// The edge between a request's version and the store's: what create, update and patch share.
#pragma once

#include "apiserver/conversion.h"
#include "apiserver/fieldmanager/field_manager.h"
#include "apiserver/handlers/options.h"
#include "apiserver/registry/write.h"
#include "schema/codec.h"

namespace knarr::apiserver {

// Everything that a write of one request needs, checked and in one place. Lives in the handler's frame.
struct WriteRequestEdge {
  RequestContext& request;
  WatchCache& cache;
  const schema::Resource& asked;
  const schema::KindInfo& kind;  // of the version asked for
  WriteContext context;
  Write write;
  WriteRequestEdge(RequestContext& r, WatchCache& c, bool dry_run);
  // Notes in the object's managedFields what this request makes of it; `old` is null for a create.
  void own(const schema::Object* old, schema::Object& object, const WriteOptions& options) const;
  FieldManager fields() const { return {asked, cache.resource(), request.info.subresource, request.core.clock()}; }
  std::string manager(const WriteOptions& options) const;
  // Of a created pod: its first two steps. It is known by its UID, which it has only now.
  void trace_created(const WriteResult& result) const;
  // Warnings gathered by the write move to the answer.
  void collect_warnings();
};

// From an object of the version asked for to the stored one, with defaults.
schema::Object to_storage(const WriteRequestEdge& edge, schema::Object object);
schema::Object from_storage(const WriteRequestEdge& edge, const void* object);
// Null for the main resource; of a subresource the door it is, or a failure when it is not one for updates.
Result<Door> door_of(const RequestContext& context);

}  // namespace knarr::apiserver
