// SPDX-License-Identifier: Apache-2.0
// What was written to slices and is not in the cache yet: a plan made on a stale cache would make the same slices twice. One executor.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/discovery_v1.h"
#include "base/clock.h"

namespace knarr::controller {

class SliceTracker {
 public:
  using Slice = api::discovery_v1::EndpointSlice;
  // An event may have passed before its expectation was noted, so these lapse.
  static constexpr Duration kLapse = std::chrono::seconds(30);
  explicit SliceTracker(const Clock& clock) : clock_(clock) {}

  void expect(const std::string& key, const Slice& written) { put(key, written, written.metadata.generation); }
  void expect_deletion(const std::string& key, const Slice& slice) { put(key, slice, kGone); }
  void forget(const std::string& key) { unseen_.erase(key); }
  void deleted(const std::string& key, const Slice& slice) {
    auto at = unseen_.find(key);
    if (at != unseen_.end()) at->second.erase(slice.metadata.uid.str());
  }
  bool is_stale(const std::string& key, const std::vector<std::shared_ptr<const Slice>>& present) {
    auto at = unseen_.find(key);
    if (at == unseen_.end()) return false;
    MonoTime now = clock_.mono();
    std::erase_if(at->second, [&](const auto& entry) {
      const auto& [uid, expected] = entry;
      if (now - expected.since > kLapse) return true;
      for (const auto& slice : present)
        if (slice->metadata.uid == uid) return expected.generation != kGone && slice->metadata.generation >= expected.generation;
      return expected.generation == kGone;  // a slice that was made and is not here yet stays unseen
    });
    if (!at->second.empty()) return true;
    unseen_.erase(at);
    return false;
  }

 private:
  static constexpr int64_t kGone = -1;
  struct Expected {
    int64_t generation;
    MonoTime since;
  };
  void put(const std::string& key, const Slice& slice, int64_t generation) {
    unseen_[key][slice.metadata.uid.str()] = {generation, clock_.mono()};
  }
  const Clock& clock_;
  std::map<std::string, std::map<std::string, Expected>> unseen_;  // by service, by UID
};

}  // namespace knarr::controller
