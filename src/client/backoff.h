// SPDX-License-Identifier: Apache-2.0
// Exponential back-off with full jitter, as client-go's reflector: doubles from `first` to `most`, starts over after two quiet minutes.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace knarr::client {

uint64_t random_below(uint64_t bound);  // [0, bound)

class Backoff {
 public:
  Backoff(Duration first, Duration most) : first_(first), most_(most), current_(first) {}
  Duration next(MonoTime now);

 private:
  const Duration first_, most_;
  Duration current_;
  MonoTime last_{};
};

}  // namespace knarr::client
