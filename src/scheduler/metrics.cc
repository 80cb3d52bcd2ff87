// SPDX-License-Identifier: Apache-2.0
#include "scheduler/metrics.h"

namespace knarr::scheduler {
namespace {

constexpr double kSeconds[] = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384};
constexpr double kTries[] = {1, 2, 4, 8, 16};
constexpr double kLongSeconds[] = {0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36, 1310.72, 2621.44, 5242.88};
constexpr const char* kNames[] = {"scheduled", "unschedulable", "error"};

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

SchedulerMetrics::SchedulerMetrics(std::string profile)
    : profile_(std::move(profile)),
      durations_{metrics::Histogram(kSeconds), metrics::Histogram(kSeconds), metrics::Histogram(kSeconds)},
      algorithm_(kSeconds),
      tries_(kTries),
      end_to_end_(kLongSeconds) {}

void SchedulerMetrics::attempt(Result result, Duration whole) {
  ++attempts_[result];
  durations_[result].observe(seconds(whole));
}
void SchedulerMetrics::algorithm(Duration elapsed) { algorithm_.observe(seconds(elapsed)); }
void SchedulerMetrics::bound(int attempts, Duration since_first_seen) {
  tries_.observe(attempts);
  end_to_end_.observe(seconds(since_first_seen));
}

std::string SchedulerMetrics::text(const Pending& pending, size_t nodes, size_t pods) const {
  std::string out;
  auto gauge = [&out](std::string_view name, std::string_view label, std::string_view value, size_t count) {
    metrics::write_sample(out, name, metrics::label(label, value), static_cast<double>(count));
  };
  metrics::write_head(out, "scheduler_pending_pods", "gauge", "Pods without a node, by where they wait.");
  gauge("scheduler_pending_pods", "queue", "active", pending.active);
  gauge("scheduler_pending_pods", "queue", "backoff", pending.backoff);
  gauge("scheduler_pending_pods", "queue", "gated", pending.gated);
  gauge("scheduler_pending_pods", "queue", "unschedulable", pending.unschedulable);
  metrics::write_head(out, "scheduler_scheduler_cache_size", "gauge", "Objects in the scheduler's view of the cluster.");
  gauge("scheduler_scheduler_cache_size", "type", "nodes", nodes);
  gauge("scheduler_scheduler_cache_size", "type", "pods", pods);
  std::string profile = metrics::label("profile", profile_) + ",";
  metrics::write_head(out, "scheduler_schedule_attempts_total", "counter", "Tries to place a pod, by what became of them.");
  for (int result = 0; result < kResults; ++result)
    metrics::write_sample(out, "scheduler_schedule_attempts_total", profile + metrics::label("result", kNames[result]), static_cast<double>(attempts_[result]));
  metrics::write_head(out, "scheduler_scheduling_attempt_duration_seconds", "histogram", "How long a try took, with binding, in seconds.");
  for (int result = 0; result < kResults; ++result) {
    if (durations_[result].count() == 0) continue;
    durations_[result].write(out, "scheduler_scheduling_attempt_duration_seconds", profile + metrics::label("result", kNames[result]));
  }
  metrics::write_head(out, "scheduler_scheduling_algorithm_duration_seconds", "histogram", "How long filtering and scoring took, in seconds.");
  algorithm_.write(out, "scheduler_scheduling_algorithm_duration_seconds", "");
  metrics::write_head(out, "scheduler_pod_scheduling_attempts", "histogram", "Tries that a pod which was placed needed.");
  tries_.write(out, "scheduler_pod_scheduling_attempts", "");
  metrics::write_head(out, "scheduler_pod_scheduling_duration_seconds", "histogram", "From a pod's first appearance to its binding, in seconds.");
  end_to_end_.write(out, "scheduler_pod_scheduling_duration_seconds", "");
  return out;
}

}  // namespace knarr::scheduler
