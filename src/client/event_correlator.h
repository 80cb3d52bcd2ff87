// SPDX-License-Identifier: Apache-2.0
// Which events are written, and how: client-go's EventCorrelator. Ten different messages of one object and reason within ten minutes are
// combined; an event seen before is counted up; more than 25 about one object, refilled one each five minutes, are dropped.
// Pure apart from the clock; one executor.
#pragma once

#include <list>
#include <set>
#include <string>

#include "api/core_v1.h"
#include "base/clock.h"

namespace knarr::client {

// A map that forgets what was used least recently.
template <class V>
class LruCache {
 public:
  explicit LruCache(size_t most) : most_(most) {}
  V* find(const std::string& key) {
    auto at = where_.find(key);
    if (at == where_.end()) return nullptr;
    order_.splice(order_.begin(), order_, at->second);
    return &order_.front().second;
  }
  V& operator[](const std::string& key) {
    if (V* found = find(key)) return *found;
    order_.emplace_front(key, V());
    where_[key] = order_.begin();
    if (order_.size() > most_) {
      where_.erase(order_.back().first);
      order_.pop_back();
    }
    return order_.front().second;
  }

 private:
  using Order = std::list<std::pair<std::string, V>>;
  size_t most_;
  Order order_;
  absl::flat_hash_map<std::string, typename Order::iterator> where_;
};

class EventCorrelator {
 public:
  explicit EventCorrelator(const Clock& clock) : clock_(clock) {}
  struct Outcome {
    bool skip = false;
    // Present: patch the event of this name in place of creating it.
    std::string patch;
    api::core_v1::Event event;
  };
  Outcome correlate(api::core_v1::Event event);
  // What the server made of it.
  void written(const api::core_v1::Event& event);

 private:
  static constexpr size_t kEntries = 4096;
  static constexpr size_t kMaxDifferent = 10;
  static constexpr int64_t kIntervalSeconds = 600;
  static constexpr double kBurst = 25, kPerSecond = 1.0 / 300;
  struct Group {
    std::set<std::string> messages;
    int64_t last_seconds = 0;
  };
  struct Seen {
    int32_t count = 0;
    schema::Time first;
    std::string name, resource_version;
  };
  struct Bucket {
    bool fresh = true;
    double tokens = kBurst;
    MonoTime at{};
  };
  std::string aggregate(api::core_v1::Event& event);  // the key to observe it by
  bool accept(const api::core_v1::Event& event);

  const Clock& clock_;
  LruCache<Group> groups_{kEntries};
  LruCache<Seen> seen_{kEntries};
  LruCache<Bucket> buckets_{kEntries};
};

// NAME.HEX of the moment, as client-go names events.
std::string event_name(std::string_view object, WallTime now);

}  // namespace knarr::client
