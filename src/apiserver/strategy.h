// SPDX-License-Identifier: Apache-2.0
// What is particular about one resource: a constant record of optional functions. The generic registry (registry/) owns the order of a write:
//
//   decode -> defaults -> admission (mutating) -> prepare -> validate -> warnings -> admission (validating) -> before_write -> store
//
// A ConfigMap needs twenty lines here. Functions are written typed and erased by the ERASE_* helpers below; nothing else casts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/field_errors.h"
#include "apiserver/user.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/task.h"
#include "schema/resource.h"

namespace knarr::apiserver {

class ApiServer;  // apiserver/server.h: reading other objects, allocators

struct WriteContext {
  ApiServer& server;
  const schema::Resource& resource;
  const User& user;
  const Clock& clock;
  std::string namespace_, name;
  std::string subresource;
  bool dry_run = false;
  std::vector<std::string> warnings;  // become Warning headers
};

struct Strategy {
  std::string_view group, plural;   // of every version of the resource

  // Whether this user may write this object at all, after mutating admission and before validation; old_object null on create.
  Task<Status> (*may_write)(WriteContext& context, const void* object, const void* old_object) = nullptr;
  // Fills unset fields as upstream's versioned defaulting does, on every decode from a client (create, update, patch result).
  void (*defaults)(void* object) = nullptr;
  void (*prepare_create)(WriteContext& context, void* object) = nullptr;
  void (*prepare_update)(WriteContext& context, void* object, const void* old_object) = nullptr;
  // `metadata` is validated and immutable metadata checked by the registry.
  void (*validate)(const void* object, FieldErrors& errors) = nullptr;
  void (*validate_update)(const void* object, const void* old_object, FieldErrors& errors) = nullptr;   // upstream's ValidateXUpdate, which includes validate where it does upstream
  void (*warnings)(WriteContext& context, const void* object, const void* old_object) = nullptr;

  // The status subresource. The registry has already kept everything but `status` (and labels, annotations, finalizers...) from the old object.
  void (*prepare_status)(WriteContext& context, void* object, const void* old_object) = nullptr;
  void (*validate_status)(const void* object, const void* old_object, FieldErrors& errors) = nullptr;

  // Last step before the write, and undone by after_failure when the write does not happen: allocations (cluster IPs, node ports). old_object null on create.
  Task<Status> (*before_write)(WriteContext& context, void* object, const void* old_object) = nullptr;
  void (*after_failure)(WriteContext& context, void* object, const void* old_object) = nullptr;
  void (*after_delete)(WriteContext& context, const void* object) = nullptr;

  // Graceful deletion: seconds to grant when the request says `requested` (-1 = nothing); 0 deletes at once. Null: always at once.
  int64_t (*grace_period)(const void* object, int64_t requested) = nullptr;
  // Name rule: "" when valid, else upstream's message. Null: DNS subdomain.
  std::vector<std::string> (*name_problems)(std::string_view name, bool prefix) = nullptr;

  bool has_generation = false;               // metadata.generation starts at 1 and grows with spec changes
  bool has_status = false;                   // PUT/POST on the main resource never touch status
  bool allow_create_on_update = false;
  bool allow_unconditional_update = true;    // an update without resourceVersion
  bool returns_deleted_object = false;
  bool orphan_by_default = false;            // core/v1 RC and batch/v1 Job
};

// Every strategy there is, looked up by group and plural; a default record for resources without one.
const Strategy& find_strategy(std::string_view group, std::string_view plural);

// Typed function -> erased pointer: `.defaults = erase_defaults<&default_pod>`, where `void default_pod(Pod&)`.
namespace detail {
template <class> struct Arg;
template <class T> struct Arg<void (*)(T&)> { using type = T; };
template <class T> struct Arg<void (*)(WriteContext&, T&)> { using type = T; };
template <class T> struct Arg<void (*)(WriteContext&, T&, const T&)> { using type = T; };
template <class T> struct Arg<void (*)(WriteContext&, const T&)> { using type = T; };
template <class T> struct Arg<void (*)(WriteContext&, const T&, const T*)> { using type = T; };
template <class T> struct Arg<void (*)(WriteContext&, T&, const T*)> { using type = T; };
template <class T> struct Arg<Task<Status> (*)(WriteContext&, T&, const T*)> { using type = T; };
template <class T> struct Arg<void (*)(const T&, FieldErrors&)> { using type = T; };
template <class T> struct Arg<void (*)(const T&, const T&, FieldErrors&)> { using type = T; };
template <class T> struct Arg<int64_t (*)(const T&, int64_t)> { using type = T; };
template <auto F> using arg = typename Arg<decltype(F)>::type;
}  // namespace detail
template <auto F> void erase_defaults(void* o) { F(*static_cast<detail::arg<F>*>(o)); }
template <auto F> void erase_create(WriteContext& c, void* o) { F(c, *static_cast<detail::arg<F>*>(o)); }
template <auto F> void erase_update(WriteContext& c, void* o, const void* old) {
  F(c, *static_cast<detail::arg<F>*>(o), *static_cast<const detail::arg<F>*>(old));
}
template <auto F> void erase_validate(const void* o, FieldErrors& e) { F(*static_cast<const detail::arg<F>*>(o), e); }
template <auto F> void erase_validate_update(const void* o, const void* old, FieldErrors& e) {
  F(*static_cast<const detail::arg<F>*>(o), *static_cast<const detail::arg<F>*>(old), e);
}
template <auto F> void erase_warnings(WriteContext& c, const void* o, const void* old) {
  F(c, *static_cast<const detail::arg<F>*>(o), static_cast<const detail::arg<F>*>(old));
}
template <auto F> Task<Status> erase_before_write(WriteContext& c, void* o, const void* old) {
  return F(c, *static_cast<detail::arg<F>*>(o), static_cast<const detail::arg<F>*>(old));
}
template <auto F> void erase_failure(WriteContext& c, void* o, const void* old) {
  F(c, *static_cast<detail::arg<F>*>(o), static_cast<const detail::arg<F>*>(old));
}
template <auto F> void erase_after_delete(WriteContext& c, const void* o) { F(c, *static_cast<const detail::arg<F>*>(o)); }
template <auto F> int64_t erase_grace(const void* o, int64_t requested) { return F(*static_cast<const detail::arg<F>*>(o), requested); }

}  // namespace knarr::apiserver
