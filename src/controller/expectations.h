// SPDX-License-Identifier: Apache-2.0
// What a controller has done and not seen yet: while creates or deletes are outstanding its cache is behind, and counting by it would make
// too many pods. Expectations lapse after five minutes, in case an event was lost. One executor.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <string>

#include "base/clock.h"

namespace knarr::controller {

class Expectations {
 public:
  explicit Expectations(const Clock& clock) : clock_(clock) {}
  void expect_creations(const std::string& key, int count) {
    Entry& entry = entries_[key];
    entry = Entry{};
    entry.creations = count;
    entry.since = clock_.mono();
  }
  // `pods` are keys of the objects whose deletion was asked for.
  template <class Keys>
  void expect_deletions(const std::string& key, const Keys& pods) {
    expect(key, 0, pods);
  }
  template <class Keys>
  void expect(const std::string& key, int creations, const Keys& pods) {
    Entry& entry = entries_[key];
    entry = Entry{};
    entry.creations = creations;
    entry.deletions.insert(pods.begin(), pods.end());
    entry.since = clock_.mono();
  }
  void creation_observed(const std::string& key) {
    auto at = entries_.find(key);
    if (at != entries_.end() && at->second.creations > 0) --at->second.creations;
  }
  void deletion_observed(const std::string& key, const std::string& pod) {
    auto at = entries_.find(key);
    if (at != entries_.end()) at->second.deletions.erase(pod);
  }
  bool satisfied(const std::string& key) const {
    constexpr Duration kLapse = std::chrono::minutes(5);
    auto at = entries_.find(key);
    if (at == entries_.end()) return true;
    const Entry& entry = at->second;
    return (entry.creations <= 0 && entry.deletions.empty()) || clock_.mono() - entry.since > kLapse;
  }
  void forget(const std::string& key) { entries_.erase(key); }

 private:
  struct Entry {
    int creations = 0;
    absl::flat_hash_set<std::string> deletions;
    MonoTime since{};
  };
  const Clock& clock_;
  absl::flat_hash_map<std::string, Entry> entries_;
};

}  // namespace knarr::controller
