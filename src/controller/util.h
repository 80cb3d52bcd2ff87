// SPDX-License-Identifier: Apache-2.0
// Small things that several controllers share.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/meta_v1.h"
#include "base/task.h"
#include "base/together.h"

namespace knarr::controller {

// "ns/name" -> {ns, name}; "name" -> {"", name}.
std::pair<std::string, std::string> split_key(std::string_view key);

// The owner that manages the object, or null.
const api::meta_v1::OwnerReference* controller_of(const api::meta_v1::ObjectMeta& metadata);

// The reference that makes `owner` the controller of what carries it.
template <class T>
api::meta_v1::OwnerReference controller_ref(const T& owner) {
  api::meta_v1::OwnerReference reference;
  reference.api_version = T::kind_info().api_version;
  reference.kind = T::kind_info().kind;
  reference.name = owner.metadata.name;
  reference.uid = owner.metadata.uid;
  reference.controller = true;
  reference.block_owner_deletion = true;
  return reference;
}

// Writes into a namespace that is going away are refused with this cause; nobody needs to hear of it.
bool is_namespace_terminating(const Status& status);

// As upstream's slow start: batches of 1, 2, 4, ... of the same job; a batch with a failure is the last.
struct BatchResult {
  int successes = 0;
  Status first_error;
};
Task<BatchResult> slow_start(int count, Job job);

// The lines of several failures as one Status, worded as upstream's aggregate: "a", or "[a, b]".
Status aggregate(const std::vector<Status>& failures);

// FNV-1a, 32 bits.
uint32_t fnv32a(std::string_view bytes, uint32_t hash = 2166136261u);
// Digits as upstream's SafeEncodeString: no vowels, so that no words appear.
std::string safe_encode(std::string_view text);
// A JSON string with quotes.
std::string quote(std::string_view text);

}  // namespace knarr::controller
