// SPDX-License-Identifier: Apache-2.0
#include "controller/hpa_replicas.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "schema/quantity.h"
#include "schema/time.h"

namespace knarr::controller {

using api::autoscaling_v2::HorizontalPodAutoscalerBehavior;
using api::autoscaling_v2::HPAScalingRules;
using std::chrono::seconds;

namespace {

constexpr double kTolerance = 0.1;
constexpr Duration kCpuInitialization = std::chrono::minutes(5), kReadinessDelay = seconds(30);
constexpr std::string_view kWithinRange = "the desired count is within the acceptable range";

using Names = std::set<std::string>;

int32_t to_count(double number) {
  constexpr double kMost = std::numeric_limits<int32_t>::max();
  return static_cast<int32_t>(std::clamp(number, -kMost, kMost));
}
bool is_small_change(double ratio) { return std::abs(1.0 - ratio) <= kTolerance; }

struct Groups {
  int32_t ready = 0;
  Names unready, missing, ignored;
};

// Right after its start a pod burns time that says nothing about its load.
bool is_cpu_sample_useless(const api::core_v1::Pod& pod, const PodMetric& metric, WallTime now) {
  const auto* ready = pod_condition(pod, "Ready");
  if (ready == nullptr || !pod.status.start_time) return true;
  WallTime start = schema::to_wall(*pod.status.start_time), changed = schema::to_wall(ready->last_transition_time);
  bool is_unready = ready->status == "False";
  if (start + kCpuInitialization > now) return is_unready || metric.timestamp < changed + metric.window;
  return is_unready && start + kReadinessDelay > changed;
}

Groups group_pods(const std::vector<PodPtr>& pods, const PodMetrics& metrics, std::string_view resource, WallTime now) {
  Groups groups;
  for (const PodPtr& pod : pods) {
    std::string name = pod->metadata.name.str();
    auto metric = metrics.find(name);
    if (pod->metadata.deletion_timestamp || pod->status.phase == "Failed") {
      groups.ignored.insert(name);
    } else if (pod->status.phase == "Pending") {
      groups.unready.insert(name);
    } else if (metric == metrics.end()) {
      groups.missing.insert(name);
    } else if (resource == "cpu" && is_cpu_sample_useless(*pod, metric->second, now)) {
      groups.unready.insert(name);
    } else {
      ++groups.ready;
    }
  }
  return groups;
}

struct Usage {
  double ratio = 0;  // to the target
  int64_t average = 0;
  int32_t utilization = 0;
};
using Measure = std::function<Result<Usage>(const PodMetrics&)>;

// `missing_value`: what a pod without metrics is taken to use when there might be too many pods. When there might be too few it, and a pod
// that is not ready, are taken to use nothing: a change of size must hold even so.
Result<Proposal> propose(const std::vector<PodPtr>& pods, PodMetrics metrics, std::string_view resource, int32_t current, WallTime now,
                         const Measure& measure, const std::function<int64_t(const std::string&)>& missing_value) {
  Groups groups = group_pods(pods, metrics, resource, now);
  for (const Names* useless : {&groups.ignored, &groups.unready})
    for (const std::string& name : *useless) metrics.erase(name);
  if (metrics.empty()) return Status::error("did not receive metrics for targeted pods (pods might be unready)");
  TRY_ASSIGN(Usage usage, measure(metrics));
  Proposal proposal{current, usage.average, usage.utilization};
  bool up_with_unready = !groups.unready.empty() && usage.ratio > 1.0;
  if (!up_with_unready && groups.missing.empty()) {
    if (!is_small_change(usage.ratio)) proposal.replicas = to_count(std::ceil(usage.ratio * groups.ready));
    return proposal;
  }
  for (const std::string& name : groups.missing)
    if (usage.ratio != 1.0) metrics[name].value = usage.ratio < 1.0 ? missing_value(name) : 0;
  if (up_with_unready)
    for (const std::string& name : groups.unready) metrics[name].value = 0;
  TRY_ASSIGN(Usage careful, measure(metrics));
  bool turned = (usage.ratio < 1.0 && careful.ratio > 1.0) || (usage.ratio > 1.0 && careful.ratio < 1.0);
  if (is_small_change(careful.ratio) || turned) return proposal;
  int32_t replicas = to_count(std::ceil(careful.ratio * static_cast<double>(metrics.size())));
  bool wrong_way = (careful.ratio < 1.0 && replicas > current) || (careful.ratio > 1.0 && replicas < current);
  if (!wrong_way) proposal.replicas = replicas;
  return proposal;
}

Status no_pods() { return Status::error("no pods returned by selector while calculating replica count"); }

Result<std::map<std::string, int64_t>> requests_of(const std::vector<PodPtr>& pods, std::string_view container, std::string_view resource) {
  std::map<std::string, int64_t> requests;
  for (const PodPtr& pod : pods) {
    int64_t sum = 0;
    for (const auto& one : pod->spec.containers) {
      if (!container.empty() && one.name != container) continue;
      const auto* request = one.resources.requests.find(resource);
      if (request == nullptr)
        return Status::error(
            fmt::format("missing request for {} in container {} of Pod {}", resource, one.name.view(), pod->metadata.name.view()));
      sum += schema::QuantityValue::of(*request).milli_value();
    }
    requests[pod->metadata.name.str()] = sum;
  }
  return requests;
}

}  // namespace

Result<Proposal> replicas_by_utilization(const std::vector<PodPtr>& pods, PodMetrics metrics, std::string_view resource,
                                         std::string_view container, int32_t current, int32_t target_percent, WallTime now) {
  if (pods.empty()) return no_pods();
  // Upstream misses metrics before it misses requests.
  Groups groups = group_pods(pods, metrics, resource, now);
  bool any = std::any_of(metrics.begin(), metrics.end(),
                         [&](const auto& one) { return !groups.ignored.contains(one.first) && !groups.unready.contains(one.first); });
  if (!any) return Status::error("did not receive metrics for targeted pods (pods might be unready)");
  TRY_ASSIGN(auto requests, requests_of(pods, container, resource));
  auto measure = [&](const PodMetrics& known) -> Result<Usage> {
    int64_t used = 0, requested = 0, count = 0;
    for (const auto& [name, metric] : known) {
      auto request = requests.find(name);
      if (request == requests.end()) continue;
      used += metric.value;
      requested += request->second;
      ++count;
    }
    if (requested == 0) return Status::error("no metrics returned matched known pods");
    Usage usage;
    usage.utilization = static_cast<int32_t>(used * 100 / requested);
    usage.ratio = static_cast<double>(usage.utilization) / target_percent;
    usage.average = used / count;
    return usage;
  };
  auto missing = [&](const std::string& name) { return requests[name] * std::max(100, target_percent) / 100; };
  return propose(pods, std::move(metrics), resource, current, now, measure, missing);
}

Result<Proposal> replicas_by_average(const std::vector<PodPtr>& pods, PodMetrics metrics, std::string_view resource, int32_t current,
                                     int64_t target, WallTime now) {
  if (pods.empty()) return no_pods();
  auto measure = [&](const PodMetrics& known) -> Result<Usage> {
    int64_t used = 0;
    for (const auto& [name, metric] : known) used += metric.value;
    Usage usage;
    usage.average = used / static_cast<int64_t>(known.size());
    usage.ratio = static_cast<double>(usage.average) / static_cast<double>(target);
    return usage;
  };
  return propose(pods, std::move(metrics), resource, current, now, measure, [&](const std::string&) { return target; });
}

Result<Proposal> replicas_by_value(const std::vector<PodPtr>& pods, int32_t current, int64_t usage, int64_t target) {
  double ratio = static_cast<double>(usage) / static_cast<double>(target);
  if (current == 0) return Proposal{to_count(std::ceil(ratio)), usage, 0};
  if (is_small_change(ratio)) return Proposal{current, usage, 0};
  if (pods.empty()) return no_pods().with_context("unable to calculate ready pods");
  auto is_ready = [](const PodPtr& pod) { return pod->status.phase == "Running" && is_pod_ready(*pod); };
  auto ready = std::count_if(pods.begin(), pods.end(), is_ready);
  return Proposal{to_count(std::ceil(ratio * static_cast<double>(ready))), usage, 0};
}

Proposal replicas_by_value_per_pod(int32_t status_replicas, int64_t usage, int64_t target) {
  double total = static_cast<double>(usage), wanted = static_cast<double>(target);
  Proposal proposal{status_replicas, 0, 0};
  if (status_replicas == 0 || !is_small_change(total / (wanted * status_replicas))) proposal.replicas = to_count(std::ceil(total / wanted));
  if (status_replicas != 0) proposal.usage = static_cast<int64_t>(std::ceil(total / status_replicas));
  return proposal;
}

// ---- how fast --------------------------------------------------------------------------------------------------------------

Limited limit_without_behavior(int32_t current, int32_t desired, int32_t min, int32_t max) {
  int32_t up_limit = to_count(std::max(2.0 * current, 4.0));
  if (desired < min) return {min, "TooFewReplicas", "the desired replica count is less than the minimum replica count"};
  if (desired > std::min(max, up_limit)) {
    if (max > up_limit) return {up_limit, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"};
    return {max, "TooManyReplicas", "the desired replica count is more than the maximum replica count"};
  }
  return {desired, "DesiredWithinRange", kWithinRange};
}

void ScaleHistory::begin(int32_t current, WallTime now) {
  if (recommendations_.empty()) recommendations_.push_back({current, now});
}

int32_t ScaleHistory::stabilize(int32_t desired, Duration window, WallTime now) {
  std::erase_if(recommendations_, [&](const Entry& one) { return one.at < now - window; });
  int32_t highest = desired;
  for (const Entry& one : recommendations_) highest = std::max(highest, one.replicas);
  recommendations_.push_back({desired, now});
  return highest;
}

Limited ScaleHistory::stabilize(int32_t current, int32_t desired, const HorizontalPodAutoscalerBehavior& behavior, WallTime now) {
  WallTime up_from = now - seconds(behavior.scale_up->stabilization_window_seconds.value_or(0));
  WallTime down_from = now - seconds(behavior.scale_down->stabilization_window_seconds.value_or(300));
  std::erase_if(recommendations_, [&](const Entry& one) { return one.at < up_from && one.at < down_from; });
  int32_t lowest = desired, highest = desired;
  for (const Entry& one : recommendations_) {
    if (one.at > up_from) lowest = std::min(lowest, one.replicas);
    if (one.at > down_from) highest = std::max(highest, one.replicas);
  }
  recommendations_.push_back({desired, now});
  int32_t replicas = std::min(std::max(current, lowest), highest);
  if (desired >= current)
    return {replicas, "ScaleUpStabilized", "recent recommendations were lower than current one, applying the lowest recent recommendation"};
  return {replicas, "ScaleDownStabilized",
          "recent recommendations were higher than current one, applying the highest recent recommendation"};
}

int32_t ScaleHistory::changed_within(const std::vector<Entry>& events, int32_t period, WallTime now) {
  int32_t sum = 0;
  for (const Entry& event : events)
    if (event.at > now - seconds(period)) sum += event.replicas;
  return sum;
}

int32_t ScaleHistory::up_limit(int32_t current, const HPAScalingRules& rules, WallTime now) const {
  std::string_view select = rules.select_policy.value_or("Max");
  if (select == "Disabled") return current;
  bool lowest = select == "Min";
  int32_t limit = lowest ? std::numeric_limits<int32_t>::max() : std::numeric_limits<int32_t>::min();
  for (const auto& policy : rules.policies) {
    int32_t start = current - changed_within(ups_, policy.period_seconds, now) + changed_within(downs_, policy.period_seconds, now);
    double proposal = policy.type == "Pods" ? double(start) + policy.value : std::ceil(start * (1 + policy.value / 100.0));
    int32_t proposed = to_count(proposal);
    limit = lowest ? std::min(limit, proposed) : std::max(limit, proposed);
  }
  return limit;
}

int32_t ScaleHistory::down_limit(int32_t current, const HPAScalingRules& rules, WallTime now) const {
  std::string_view select = rules.select_policy.value_or("Max");
  if (select == "Disabled") return current;
  bool least = select == "Min";  // change: the higher number
  int32_t limit = least ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max();
  for (const auto& policy : rules.policies) {
    int32_t start = current - changed_within(ups_, policy.period_seconds, now) + changed_within(downs_, policy.period_seconds, now);
    int32_t proposed = policy.type == "Pods" ? start - policy.value : to_count(start * (1 - policy.value / 100.0));
    limit = least ? std::max(limit, proposed) : std::min(limit, proposed);
  }
  return limit;
}

Limited ScaleHistory::limit_rate(int32_t current, int32_t desired, int32_t min, int32_t max,
                                 const HorizontalPodAutoscalerBehavior& behavior, WallTime now) const {
  if (desired > current) {
    int32_t limit = std::max(up_limit(current, *behavior.scale_up, now), current);
    if (desired > std::min(max, limit)) {
      if (max > limit) return {limit, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"};
      return {max, "TooManyReplicas", "the desired replica count is more than the maximum replica count"};
    }
  } else if (desired < current) {
    int32_t limit = std::min(down_limit(current, *behavior.scale_down, now), current);
    if (desired < std::max(min, limit)) {
      if (min < limit) return {limit, "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"};
      return {min, "TooFewReplicas", "the desired replica count is less than the minimum replica count"};
    }
  }
  return {desired, "DesiredWithinRange", kWithinRange};
}

void ScaleHistory::scaled(int32_t before, int32_t after, const HorizontalPodAutoscalerBehavior& behavior, WallTime now) {
  bool up = after > before;
  const HPAScalingRules* rules = up ? behavior.scale_up.get() : behavior.scale_down.get();
  if (rules == nullptr) return;
  int32_t longest = 0;
  for (const auto& policy : rules->policies) longest = std::max(longest, policy.period_seconds);
  std::vector<Entry>& events = up ? ups_ : downs_;
  std::erase_if(events, [&](const Entry& one) { return one.at < now - seconds(longest); });
  events.push_back({up ? after - before : before - after, now});
}

}  // namespace knarr::controller
