// SPDX-License-Identifier: Apache-2.0
// How often rules may be written: the first change goes at once, a burst of changes goes together after the interval. A bucket of two tokens that
// gets one back each interval, as upstream's.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace knarr::proxy {

class BurstLimiter {
 public:
  explicit BurstLimiter(Duration interval) : interval_(interval) {}
  // How long a write has to wait; zero takes a token.
  Duration take(MonoTime now) {
    if (interval_ <= Duration::zero()) return Duration::zero();
    full_at_ = std::max(full_at_, now);
    // Each token that is missing moves the time at which the bucket is full by one interval.
    Duration wait = full_at_ + interval_ - (now + kTokens * interval_);
    if (wait > Duration::zero()) return wait;
    full_at_ += interval_;
    return Duration::zero();
  }

 private:
  static constexpr int kTokens = 2;
  const Duration interval_;
  MonoTime full_at_{};
};

}  // namespace knarr::proxy
