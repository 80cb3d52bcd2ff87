// SPDX-License-Identifier: Apache-2.0
#include "scheduler/metrics.h"

#include <gtest/gtest.h>

namespace knarr::scheduler {
namespace {

using namespace std::chrono_literals;

TEST(SchedulerMetrics, CountsUnderUpstreamsNames) {
  SchedulerMetrics counted("default-scheduler");
  counted.algorithm(1500us);
  counted.attempt(SchedulerMetrics::kScheduled, 3ms);
  counted.attempt(SchedulerMetrics::kUnschedulable, 1ms);
  counted.bound(2, 50ms);
  std::string text = counted.text({3, 2, 1, 0}, 4, 5);
  for (const char* line : {"scheduler_pending_pods{queue=\"active\"} 3\n", "scheduler_pending_pods{queue=\"unschedulable\"} 1\n",
                           "scheduler_schedule_attempts_total{profile=\"default-scheduler\",result=\"scheduled\"} 1\n",
                           "scheduler_schedule_attempts_total{profile=\"default-scheduler\",result=\"error\"} 0\n",
                           "scheduler_scheduling_attempt_duration_seconds_bucket{profile=\"default-scheduler\",result=\"scheduled\",le=\"0.002\"} 0\n",
                           "scheduler_scheduling_attempt_duration_seconds_bucket{profile=\"default-scheduler\",result=\"scheduled\",le=\"0.004\"} 1\n",
                           "scheduler_scheduling_algorithm_duration_seconds_count 1\n", "scheduler_pod_scheduling_attempts_bucket{le=\"1\"} 0\n",
                           "scheduler_pod_scheduling_attempts_bucket{le=\"+Inf\"} 1\n", "scheduler_scheduler_cache_size{type=\"nodes\"} 4\n"})
    EXPECT_NE(text.find(line), text.npos) << line << "\n" << text;
}

}  // namespace
}  // namespace knarr::scheduler
