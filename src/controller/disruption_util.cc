// SPDX-License-Identifier: Apache-2.0
#include "controller/disruption_util.h"

#include <algorithm>

#include "controller/deployment_util.h"
#include "schema/time.h"

namespace knarr::controller {

bool needs_scale(const PodDisruptionBudget& budget) {
  return budget.spec.max_unavailable || (budget.spec.min_available && budget.spec.min_available->is_string);
}

Result<int32_t> desired_healthy(const PodDisruptionBudget& budget, int32_t expected) {
  const auto& most = budget.spec.max_unavailable;
  const auto& least = budget.spec.min_available;
  if (!most && !least) return 0;
  const schema::IntOrString& value = most ? *most : *least;
  std::optional<int32_t> count = scaled_value(value, expected, true);
  if (!count) return Status::error("invalid value for IntOrString: invalid type: string is not a percentage");
  return most ? std::max(0, expected - *count) : *count;
}

Disrupted disrupted_pods(const PodDisruptionBudget& budget, const std::vector<PodPtr>& pods, WallTime now) {
  Disrupted found;
  for (const PodPtr& pod : pods) {
    const schema::Time* since = budget.status.disrupted_pods.find(pod->metadata.name);
    if (since == nullptr || pod->metadata.deletion_timestamp) continue;
    WallTime due = schema::to_wall(*since) + kDeletionTimeout;
    if (due < now) {
      found.not_deleted.push_back(pod);
      continue;
    }
    found.pods[pod->metadata.name] = *since;
    if (!found.recheck || due < *found.recheck) found.recheck = due;
  }
  return found;
}

int32_t healthy_pods(const std::vector<PodPtr>& pods, const schema::Map<schema::Time>& disrupted, WallTime now) {
  return static_cast<int32_t>(std::count_if(pods.begin(), pods.end(), [&](const PodPtr& pod) {
    if (pod->metadata.deletion_timestamp || !is_pod_ready(*pod)) return false;
    const schema::Time* since = disrupted.find(pod->metadata.name);
    return since == nullptr || schema::to_wall(*since) + kDeletionTimeout <= now;
  }));
}

namespace {

constexpr std::string_view kDisruptionAllowed = "DisruptionAllowed";

void set_condition(PodDisruptionBudgetStatus& status, std::string_view value, std::string_view reason, std::string_view message,
                   schema::Time now) {
  api::meta_v1::Condition* condition = nullptr;
  for (auto& each : status.conditions)
    if (each.type == kDisruptionAllowed) condition = &each;
  if (condition == nullptr) {
    condition = &status.conditions.emplace_back();
    condition->type = kDisruptionAllowed;
  }
  if (!(condition->status == value)) condition->last_transition_time = now;
  condition->status = value;
  condition->reason = reason;
  condition->message = message;
  condition->observed_generation = status.observed_generation;
}

void set_condition(PodDisruptionBudgetStatus& status, schema::Time now) {
  if (status.disruptions_allowed > 0) {
    set_condition(status, "True", "SufficientPods", "", now);
  } else {
    set_condition(status, "False", "InsufficientPods", "", now);
  }
}

bool condition_is_current(const PodDisruptionBudgetStatus& status) {
  bool allowed = status.disruptions_allowed > 0;
  return std::any_of(status.conditions.begin(), status.conditions.end(), [allowed](const api::meta_v1::Condition& condition) {
    return condition.type == kDisruptionAllowed && condition.status == (allowed ? "True" : "False") &&
           condition.reason == (allowed ? "SufficientPods" : "InsufficientPods");
  });
}

}  // namespace

std::optional<PodDisruptionBudgetStatus> new_status(const PodDisruptionBudget& budget, int32_t healthy, int32_t desired, int32_t expected,
                                                    schema::Map<schema::Time> disrupted, schema::Time now) {
  PodDisruptionBudgetStatus status;
  status.current_healthy = healthy;
  status.desired_healthy = desired;
  status.expected_pods = expected;
  status.disruptions_allowed = expected <= 0 ? 0 : std::max(0, healthy - desired);
  status.disrupted_pods = std::move(disrupted);
  status.observed_generation = budget.metadata.generation;
  PodDisruptionBudgetStatus before = budget.status;
  before.conditions = status.conditions;
  if (before == status && condition_is_current(budget.status)) return std::nullopt;
  set_condition(status, now);
  return status;
}

PodDisruptionBudgetStatus failed_status(const PodDisruptionBudget& budget, std::string_view why, schema::Time now) {
  PodDisruptionBudgetStatus status = budget.status;
  status.disruptions_allowed = 0;
  set_condition(status, "False", "SyncFailed", why, now);
  return status;
}

std::optional<WallTime> stale_disruption(const api::core_v1::Pod& pod) {
  constexpr Duration kBelieved = std::chrono::minutes(2);
  if (pod.metadata.deletion_timestamp || is_pod_terminal(pod)) return std::nullopt;
  const auto* condition = pod_condition(pod, "DisruptionTarget");
  if (condition == nullptr || !(condition->status == "True") || condition->reason == "TerminationByKubelet") return std::nullopt;
  return schema::to_wall(condition->last_transition_time) + kBelieved;
}

std::string selector_text(const api::meta_v1::LabelSelector* selector) {
  if (selector == nullptr) return "nil";
  std::string text = "&LabelSelector{MatchLabels:map[string]string{";
  for (const auto& [key, value] : selector->match_labels) text += key.str() + ": " + value.str() + ",";
  text += "},MatchExpressions:[]LabelSelectorRequirement{";
  for (const auto& each : selector->match_expressions) {
    text += "LabelSelectorRequirement{Key:" + each.key.str() + ",Operator:" + each.operator_.str() + ",Values:[";
    for (size_t i = 0; i < each.values.size(); ++i) text += (i == 0 ? "" : " ") + each.values[i].str();
    text += "],},";
  }
  return text + "},}";
}

}  // namespace knarr::controller
