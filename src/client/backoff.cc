// SPDX-License-Identifier: Apache-2.0
#include "client/backoff.h"

#include <algorithm>
#include <random>

namespace knarr::client {

uint64_t random_below(uint64_t bound) {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return bound == 0 ? 0 : generator() % bound;
}

Duration Backoff::next(MonoTime now) {
  constexpr Duration kReset = std::chrono::minutes(2);
  if (last_ != MonoTime{} && now - last_ > kReset) current_ = first_;
  last_ = now;
  Duration step = current_;
  current_ = std::min(current_ * 2, most_);
  return step + Duration(static_cast<int64_t>(random_below(static_cast<uint64_t>(step.count()))));
}

}  // namespace knarr::client
