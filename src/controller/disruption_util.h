// SPDX-License-Identifier: Apache-2.0
// The arithmetic of PodDisruptionBudgets, as pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/policy_v1.h"
#include "base/clock.h"
#include "controller/pod_util.h"

namespace knarr::controller {

using api::policy_v1::PodDisruptionBudget;
using api::policy_v1::PodDisruptionBudgetStatus;

// A pod that was let go and is still there after this long stays after all.
inline constexpr Duration kDeletionTimeout = std::chrono::minutes(2);

// Whether the owners' scales must be known: all but a plain minAvailable are shares of them.
bool needs_scale(const PodDisruptionBudget& budget);
// How many pods are to be healthy of `expected`; an error when a percentage cannot be read.
Result<int32_t> desired_healthy(const PodDisruptionBudget& budget, int32_t expected);

struct Disrupted {
  schema::Map<schema::Time> pods;   // let go and expected to vanish
  std::vector<PodPtr> not_deleted;  // expected to, but did not
  std::optional<WallTime> recheck;  // when the next one is overdue
};
Disrupted disrupted_pods(const PodDisruptionBudget& budget, const std::vector<PodPtr>& pods, WallTime now);
int32_t healthy_pods(const std::vector<PodPtr>& pods, const schema::Map<schema::Time>& disrupted, WallTime now);

// The budget's status with its condition; nullopt when it says so already.
std::optional<PodDisruptionBudgetStatus> new_status(const PodDisruptionBudget& budget, int32_t healthy, int32_t desired, int32_t expected,
                                                    schema::Map<schema::Time> disrupted, schema::Time now);
// When the status cannot be known nothing may be disrupted.
PodDisruptionBudgetStatus failed_status(const PodDisruptionBudget& budget, std::string_view why, schema::Time now);

// Until when the pod's DisruptionTarget condition is believed although nobody deletes the pod; nullopt when it has none to drop.
std::optional<WallTime> stale_disruption(const api::core_v1::Pod& pod);

// As Go prints a *LabelSelector.
std::string selector_text(const api::meta_v1::LabelSelector* selector);

}  // namespace knarr::controller
