// SPDX-License-Identifier: Apache-2.0
// What the scheduler counts, under upstream's names (scheduler_*). One executor.
#pragma once

#include <array>
#include <string>

#include "base/clock.h"
#include "base/metrics_text.h"

namespace knarr::scheduler {

class SchedulerMetrics {
 public:
  enum Result { kScheduled, kUnschedulable, kError, kResults };
  explicit SchedulerMetrics(std::string profile);
  // One cycle: `algorithm` is its filtering and scoring, `whole` goes on until the pod is bound or put back.
  void attempt(Result result, Duration whole);
  void algorithm(Duration elapsed);
  // A pod that was bound, at its nth try, this long after it was first seen.
  void bound(int attempts, Duration since_first_seen);
  struct Pending {
    size_t active = 0, backoff = 0, unschedulable = 0, gated = 0;
  };
  std::string text(const Pending& pending, size_t nodes, size_t pods) const;

 private:
  const std::string profile_;
  std::array<uint64_t, kResults> attempts_{};
  std::array<metrics::Histogram, kResults> durations_;
  metrics::Histogram algorithm_, tries_, end_to_end_;
};

}  // namespace knarr::scheduler
