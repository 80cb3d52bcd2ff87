// SPDX-License-Identifier: Apache-2.0
// What an aggregated ClusterRole consists of. Pure.
#pragma once

#include <memory>
#include <vector>

#include "api/rbac_v1.h"
#include "base/status.h"

namespace knarr::controller {

// The rules of all roles that the selectors of `role` choose, in the order of selectors and names, each once. `role` has an aggregation rule.
Result<schema::List<api::rbac_v1::PolicyRule>> aggregate_rules(const api::rbac_v1::ClusterRole& role,
                                                               std::vector<std::shared_ptr<const api::rbac_v1::ClusterRole>> all);

}  // namespace knarr::controller
