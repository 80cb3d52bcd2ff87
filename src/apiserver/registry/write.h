// SPDX-License-Identifier: Apache-2.0
// Create, update and delete of any resource: the inside of registry.h, for handlers.
//
// Objects are of the storage version throughout; `asked` is the record of the version in the request's path, for messages.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/meta_v1.h"
#include "apiserver/core.h"
#include "apiserver/registry/registry.h"
#include "apiserver/storage/watch_cache.h"
#include "apiserver/strategy.h"
#include "apiserver/subresource_handlers.h"

namespace knarr::apiserver {

inline constexpr std::string_view kOptimisticLock =
    "the object has been modified; please apply your changes to the latest version and try again";

// One write on its way: what the functions below share. Lives in the handler's frame.
struct Write {
  Core& core;
  WatchCache& cache;
  const schema::Resource& asked;
  const Strategy& strategy;
  WriteContext& context;
};

struct WriteResult {
  CachedPtr object;
  bool created = false;
  bool deleted = false;
  WallTime checked{};   // of a create: when all was admitted and valid, and the store was next
};

// `object` has been decoded, defaulted and cleared of system fields. Its name may still have to be generated.
Task<Result<WriteResult>> create(Write& write, schema::Object object);

// Which part of the object an update may touch.
struct Door {
  enum Kind : uint8_t { kMain, kStatus, kSubresource, kRaw } kind = kMain;
  const SubresourceHandler* handler = nullptr;  // of kSubresource
};

struct Update {
  Door door;
  // The new object made from the stored one (null when there is none). Called again for every attempt; may refuse.
  std::function<Result<schema::Object>(const schema::Object* old)> make;
  std::string uid;                 // the object must have it, unless ""
  bool admission = true;
  bool may_create = false;         // what is not there is created (server-side apply)
};
// Reads, makes, checks and writes, again while other writers are faster.
Task<Result<WriteResult>> update(Write& write, Update update);

// `options` may be changed (the grace period that was granted).
Task<Result<WriteResult>> remove(Write& write, api::meta_v1::DeleteOptions& options);

// ---- parts ----------------------------------------------------------------------------------------------------------------
enum class AdmissionPhase : uint8_t { kMutate, kValidate };
Task<Status> admit(Write& write, AdmissionPhase phase, admission::Operation operation, schema::Object* object, const schema::Object* old);

// Puts `object` when the key is at `expected` (0 = absent). A null pointer means that it was not. Sets nothing in the object.
Task<Result<CachedPtr>> commit(Write& write, std::shared_ptr<schema::Object> object, int64_t expected);
// What would have been written: for dry runs and answers about objects that are gone.
Result<CachedPtr> uncommitted(Write& write, std::shared_ptr<schema::Object> object, int64_t revision, int64_t create_revision);
// Everything of a create but the store: also of an update that creates.
Task<Status> prepare_create(Write& write, schema::Object& object);
Task<Result<WriteResult>> finish_create(Write& write, schema::Object object);

// Copies one member ("status") from another object of the type; clears it when `from` is null.
void set_member(const schema::Type& type, std::string_view name, void* object, const void* from);
bool same_but(const schema::Type& type, const void* a, const void* b, std::initializer_list<std::string_view> but);
inline api::meta_v1::ObjectMeta& metadata_of(schema::Object& object) { return metadata_of(object.type(), object.data()); }
inline const api::meta_v1::ObjectMeta& metadata_of(const schema::Object& object) { return metadata_of(object.type(), object.data()); }

}  // namespace knarr::apiserver
