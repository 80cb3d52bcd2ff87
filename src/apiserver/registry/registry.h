// SPDX-License-Identifier: Apache-2.0
// The generic write path: the order of a create, update or delete, the same for every resource (upstream: registry/generic/registry/store.go).
//
// Everything here works on the storage version of a kind (`resource` is the storage version's record); conversion happens at the edge, in handlers/.
// Results are what the watch cache holds: shared, immutable, encoded.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "apiserver/server.h"
#include "apiserver/strategy.h"
#include "schema/type.h"

namespace knarr::api::meta_v1 {
struct DeleteOptions;
struct ObjectMeta;
}

namespace knarr::apiserver {

struct RequestContext;
class CachedObject;
using CachedPtr = std::shared_ptr<const CachedObject>;

// Of any kind: its metadata.
api::meta_v1::ObjectMeta& metadata_of(const schema::Type& type, void* object);
const api::meta_v1::ObjectMeta& metadata_of(const schema::Type& type, const void* object);

// For subresources inside the server (binding, eviction, ...): reads the latest object, lets `mutate` change it and writes it, again when another
// writer was faster. Strategy, validation and admission do not run; metadata's generation does not move. `mutate` may refuse.
// Answers the written object, decoded.
Task<Result<std::shared_ptr<const schema::Object>>> modify_stored(ApiServer& server, const schema::Resource& resource, std::string ns, std::string name,
                                                                  std::function<Status(void* object)> mutate, bool dry_run = false);
// The same delete as the API's, for eviction: options as decoded from a DeleteOptions body.
Task<Status> delete_stored(ApiServer& server, const schema::Resource& resource, std::string ns, std::string name, User user,
                           const api::meta_v1::DeleteOptions* options);

// Admission of what is posted to a subresource with a kind of its own (an Eviction, a TokenRequest); `object` is of kind.type and may be changed.
Task<Status> admit_posted(RequestContext& context, const schema::KindInfo& kind, void* object);
template <class T>
Task<Status> admit_posted(RequestContext& context, T& object) {
  return admit_posted(context, T::kind_info(), &object);
}

}  // namespace knarr::apiserver
