// SPDX-License-Identifier: Apache-2.0
// Arithmetic of the HorizontalPodAutoscaler: from metrics of pods to a number of replicas, and how fast that number may change. Pure;
// the formulas, tolerances and texts are upstream's (v1.28). Amounts are in thousandths of a unit.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/autoscaling_v2.h"
#include "base/clock.h"
#include "base/status.h"
#include "controller/pod_util.h"

namespace knarr::controller {

struct PodMetric {
  int64_t value = 0;
  WallTime timestamp;
  Duration window{};
};
using PodMetrics = std::map<std::string, PodMetric>;  // by name of the pod

struct Proposal {
  int32_t replicas = 0;
  int64_t usage = 0;        // average of a pod, or the value itself
  int32_t utilization = 0;  // in percent of what was requested
};

// `container` "" means all of them. Fails when pods request nothing, or nothing is known about them.
Result<Proposal> replicas_by_utilization(const std::vector<PodPtr>& pods, PodMetrics metrics, std::string_view resource,
                                         std::string_view container, int32_t current, int32_t target_percent, WallTime now);
Result<Proposal> replicas_by_average(const std::vector<PodPtr>& pods, PodMetrics metrics, std::string_view resource, int32_t current,
                                     int64_t target, WallTime now);
// Of one value for all pods, against a target for all of them, or for each.
Result<Proposal> replicas_by_value(const std::vector<PodPtr>& pods, int32_t current, int64_t usage, int64_t target);
Proposal replicas_by_value_per_pod(int32_t status_replicas, int64_t usage, int64_t target);

struct Limited {
  int32_t replicas = 0;
  std::string_view reason, message;
};

// What an autoscaler has recommended and done lately.
class ScaleHistory {
 public:
  // The first look: nobody may shrink right after a restart.
  void begin(int32_t current, WallTime now);
  // The highest recommendation of the last `window`.
  int32_t stabilize(int32_t desired, Duration window, WallTime now);
  // Between the lowest of the window upwards and the highest of the one downwards.
  Limited stabilize(int32_t current, int32_t desired, const api::autoscaling_v2::HorizontalPodAutoscalerBehavior& behavior, WallTime now);
  Limited limit_rate(int32_t current, int32_t desired, int32_t min, int32_t max,
                     const api::autoscaling_v2::HorizontalPodAutoscalerBehavior& behavior, WallTime now) const;
  void scaled(int32_t before, int32_t after, const api::autoscaling_v2::HorizontalPodAutoscalerBehavior& behavior, WallTime now);

 private:
  struct Entry {
    int32_t replicas;  // recommended, or by how many it changed
    WallTime at;
  };
  static int32_t changed_within(const std::vector<Entry>& events, int32_t seconds, WallTime now);
  int32_t up_limit(int32_t current, const api::autoscaling_v2::HPAScalingRules& rules, WallTime now) const;
  int32_t down_limit(int32_t current, const api::autoscaling_v2::HPAScalingRules& rules, WallTime now) const;

  std::vector<Entry> recommendations_, ups_, downs_;
};

// Without .spec.behavior: at most doubled, or 4.
Limited limit_without_behavior(int32_t current, int32_t desired, int32_t min, int32_t max);

}  // namespace knarr::controller
