// SPDX-License-Identifier: Apache-2.0
// The five conditions of a namespace that is going away, in upstream's words. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/core_v1.h"

namespace knarr::controller {

struct NamespaceContent {
  std::string discovery_failure;                    // "" = none
  std::vector<std::string> delete_failures;
  std::map<std::string, int64_t> remaining;         // "pods." -> how many
  std::map<std::string, int64_t> finalizers;        // finalizer -> objects that wait for it
};

// True when a condition changed.
bool update_conditions(api::core_v1::NamespaceStatus& status, const NamespaceContent& content, schema::Time now);

}  // namespace knarr::controller
