// SPDX-License-Identifier: Apache-2.0
// Admission: what may still change or refuse a write after its sender was let in. Plugins run in upstream's order.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "apiserver/strategy.h"
#include "schema/type.h"

namespace knarr::apiserver::admission {

enum class Operation : uint8_t { kCreate, kUpdate, kDelete, kConnect };

struct Attributes {
  WriteContext& context;           // resource, namespace, name, subresource, user, dry run, warnings
  Operation operation;
  const schema::KindInfo& kind;    // of `object`
  void* object = nullptr;          // of kind.type; null on delete
  const schema::Type* type = nullptr;
  const void* old_object = nullptr;
};

struct Plugin {
  std::string_view name;           // "NamespaceLifecycle"
  bool on_by_default = true;
  Task<Status> (*mutate)(Attributes& attributes) = nullptr;
  Task<Status> (*validate)(Attributes& attributes) = nullptr;
};

// All known plugins in upstream's order.
std::span<const Plugin> plugins();

}  // namespace knarr::apiserver::admission
