// SPDX-License-Identifier: Apache-2.0
// Exponential delays by key, client-go's flowcontrol.Backoff: doubling from `initial` to `max`, forgotten after twice `max` of calm. The
// same object serves image pulls (10 s to 5 min) and container restarts. One executor.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace knarr::kubelet {

class Backoff {
 public:
  Backoff(const Clock& clock, Duration initial, Duration max) : clock_(clock), initial_(initial), max_(max) {}

  // The delay of `key`, zero when it has none.
  Duration delay(std::string_view key) const;
  // How much longer to wait when the failure was at `event`; zero when free to go.
  Duration remaining(std::string_view key, WallTime event) const;
  Duration remaining_since_update(std::string_view key) const;
  // Notes an attempt that follows a failure at `event`.
  void next(const std::string& key, WallTime event);
  void reset(std::string_view key);
  void collect_garbage();

 private:
  struct Entry {
    Duration delay;
    WallTime updated;
  };
  bool expired(WallTime event, const Entry& entry) const { return event - entry.updated > max_ * 2; }

  const Clock& clock_;
  Duration initial_, max_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace knarr::kubelet
