// SPDX-License-Identifier: Apache-2.0
// What an object counts against a ResourceQuota, and which quotas it concerns: upstream's evaluators for pods, services, claims and plain
// counts. Pure functions; the controller adds them up, admission compares them with what is left.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "base/status.h"
#include "schema/quantity.h"
#include "schema/resource.h"

namespace knarr::quota {

using api::core_v1::Pod;
using api::core_v1::ResourceQuota;
using Amounts = std::map<std::string, schema::QuantityValue>;  // "requests.cpu" -> 2

Amounts from_map(const schema::Map<schema::Quantity>& map);
schema::Map<schema::Quantity> to_map(const Amounts& amounts);
void add(Amounts& sum, const Amounts& more);
bool equal(const Amounts& a, const Amounts& b);

// "count/deployments.apps"; the core group has no suffix.
std::string count_name(std::string_view group, std::string_view plural);
// Group and plural that an amount's name belongs to: ("", "pods") of "requests.cpu". nullopt for a name that nothing counts.
struct GroupResource {
  std::string group, plural;
  friend auto operator<=>(const GroupResource&, const GroupResource&) = default;
};
std::optional<GroupResource> counted_resource(std::string_view amount_name);

// What one object of the resource counts, by all names. Typed for pods, services and persistentvolumeclaims; others count as one.
Amounts usage_of(const GroupResource& resource, const schema::Object& object, schema::Time now);
Amounts pod_usage(const Pod& pod, schema::Time now);
// False once a pod no longer holds resources: ended, or its grace period has passed.
bool pod_counts(const Pod& pod, schema::Time now);

// Whether the object falls under all scopes of the quota (those of pods; any other object matches only a quota without scopes).
bool matches_scopes(const ResourceQuota& quota, const GroupResource& resource, const schema::Object& object);
bool pod_matches_scopes(const ResourceQuota& quota, const Pod& pod);

// For admission: with these amounts limited, every container must say how much it needs. 403 "must specify limits.cpu for: c".
Status check_pod_constraints(const std::vector<std::string>& limited, const Pod& pod);

}  // namespace knarr::quota
