// SPDX-License-Identifier: Apache-2.0
// Strategy of poddisruptionbudgets.
#include <set>

#include "api/policy_v1.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/workloads.h"

namespace knarr::apiserver {

namespace {

using Budget = api::policy_v1::PodDisruptionBudget;

void validate_spec(const api::policy_v1::PodDisruptionBudgetSpec& spec, bool allow_invalid,
                   FieldErrors& errors) {
  Path path("spec");
  if (spec.min_available && spec.max_unavailable)
    errors.invalid(path, "policy.PodDisruptionBudgetSpec",
                   "minAvailable and maxUnavailable cannot be both set");
  auto amount = [&](const Opt<schema::IntOrString>& value, std::string_view field) {
    if (!value) return;
    validate_int_or_percent(*value, path / field, errors);
    validate_at_most_100_percent(*value, path / field, errors);
  };
  amount(spec.min_available, "minAvailable");
  amount(spec.max_unavailable, "maxUnavailable");
  validate_label_selector(spec.selector.get(), path / "selector", errors, allow_invalid);
  if (spec.unhealthy_pod_eviction_policy)
    validate_supported(*spec.unhealthy_pod_eviction_policy, {"AlwaysAllow", "IfHealthyBudget"},
                       path / "unhealthyPodEvictionPolicy", errors);
}
void validate(const Budget& budget, FieldErrors& errors) {
  validate_spec(budget.spec, false, errors);
}
void validate_update(const Budget& budget, const Budget& old, FieldErrors& errors) {
  FieldErrors before;
  validate_label_selector(old.spec.selector.get(), Path(), before);
  validate_spec(budget.spec, !before.empty(), errors);
}
void validate_status(const Budget& budget, const Budget&, FieldErrors& errors) {
  Path path("status");
  std::set<std::string_view> types;
  for (size_t i = 0; i < budget.status.conditions.size(); ++i) {
    Path at = (path / "conditions").index(i);
    const Str& type = budget.status.conditions[i].type;
    if (!types.insert(type.view()).second) errors.duplicate(at / "type", quoted(type));
    validate_condition(budget.status.conditions[i], at, errors);
  }
  validate_nonnegative(budget.status.disruptions_allowed, path / "disruptionsAllowed", errors);
  validate_nonnegative(budget.status.current_healthy, path / "currentHealthy", errors);
  validate_nonnegative(budget.status.desired_healthy, path / "desiredHealthy", errors);
  validate_nonnegative(budget.status.expected_pods, path / "expectedPods", errors);
}

constexpr Strategy kStrategies[] = {
    {.group = "policy",
     .plural = "poddisruptionbudgets",
     .validate = erase_validate<&validate>,
     .validate_update = erase_validate_update<&validate_update>,
     .validate_status = erase_validate_update<&validate_status>,
     .has_generation = true,
     .has_status = true,
     .allow_unconditional_update = false},
};

}  // namespace

std::span<const Strategy> policy_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
