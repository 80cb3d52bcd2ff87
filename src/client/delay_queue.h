// SPDX-License-Identifier: Apache-2.0
// Keys that wait for a moment; the earliest moment of a key wins. Pure, so that tests move time by hand.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <map>
#include <optional>
#include <string>

#include "base/clock.h"

namespace knarr::client {

class DelayQueue {
 public:
  // True when the earliest moment of the queue changed.
  bool add(const std::string& key, MonoTime due) {
    auto [at, fresh] = due_of_.try_emplace(key, due);
    if (!fresh) {
      if (at->second <= due) return false;
      erase_pair(key, at->second);
      at->second = due;
    }
    auto where = by_due_.emplace(due, key);
    return where == by_due_.begin();
  }
  std::optional<MonoTime> next_due() const {
    if (by_due_.empty()) return std::nullopt;
    return by_due_.begin()->first;
  }
  // One key whose moment has come, the earliest first.
  std::optional<std::string> pop(MonoTime now) {
    if (by_due_.empty() || by_due_.begin()->first > now) return std::nullopt;
    std::string key = std::move(by_due_.begin()->second);
    by_due_.erase(by_due_.begin());
    due_of_.erase(key);
    return key;
  }
  size_t size() const { return by_due_.size(); }

 private:
  void erase_pair(const std::string& key, MonoTime due) {
    auto [from, to] = by_due_.equal_range(due);
    for (auto at = from; at != to; ++at) {
      if (at->second != key) continue;
      by_due_.erase(at);
      return;
    }
  }
  std::multimap<MonoTime, std::string> by_due_;
  absl::flat_hash_map<std::string, MonoTime> due_of_;
};

}  // namespace knarr::client
