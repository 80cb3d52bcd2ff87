// SPDX-License-Identifier: Apache-2.0
// What an object costs a ResourceQuota, and which quotas count it (upstream: pkg/quota/v1). Pure functions, also for the quota controller.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "base/clock.h"
#include "schema/quantity.h"

namespace knarr::apiserver::quota {

namespace core = api::core_v1;
using Usage = std::map<std::string, schema::QuantityValue, std::less<>>;

// "count/pods", "count/deployments.apps".
std::string count_name(std::string_view group, std::string_view plural);
// Whether objects of the resource are counted under this name of a quota.
bool counts(std::string_view group, std::string_view plural, std::string_view name);

// What one object uses; object is of the resource's storage version.
Usage usage_of(std::string_view group, std::string_view plural, const schema::Object& object, WallTime now);
// All scopes of the quota hold for the object. Only pods have scopes.
bool matches_scopes(const core::ResourceQuotaSpec& spec, const core::Pod* pod);
// "" or `must specify cpu for: c; ...`: resources that the quota bounds and a container leaves open.
std::string missing_resources(const core::Pod& pod, const std::vector<std::string>& names);

}  // namespace knarr::apiserver::quota
