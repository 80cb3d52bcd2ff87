// SPDX-License-Identifier: Apache-2.0
// Pods that want a node, in three places: ready to be tried, waiting out a back-off, and waiting for the cluster to change.
//
// Order among the ready: priority, then the time of the first try. A pod that did not fit waits until an event that one of the plugins that
// refused it named, then until its back-off (1 s doubling to 10 s) is over; after five minutes it is tried again whatever happened. One executor.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/string_map.h"
#include "base/task.h"
#include "scheduler/cache.h"

namespace knarr::scheduler {

struct QueuedPod {
  PodPtr pod;
  int attempts = 0;
  MonoTime since{};               // joined the ready pods first
  MonoTime retry_at{};            // end of the back-off
  uint32_t wake_events = 0;       // of the plugins that refused it
  uint64_t moves_seen = 0;        // PodQueue::moves() when its last try began
};

class PodQueue {
 public:
  PodQueue(Executor executor, const Clock& clock);

  // New or changed pod without a node. A change that may matter to scheduling makes a waiting pod ready again. True when it is new.
  bool set(const PodPtr& pod);
  void remove(std::string_view uid);
  // The next pod to try; null once closed. It is out of the queue until put_back() or set().
  Task<std::shared_ptr<QueuedPod>> pop();
  // A pod that did not fit, with the events that may change that; `error` asks for a retry after the back-off alone.
  void put_back(std::shared_ptr<QueuedPod> pod, uint32_t wake_events, bool error);
  // Something happened: pods that wait for it move to the back-off or to the ready ones.
  void on_event(uint32_t events);
  // Moves what is due. Returns the time until the next is, or the longest duration.
  Duration advance();
  void close();

  size_t ready() const { return ready_.size(); }
  size_t backing_off() const { return backoff_.size(); }
  size_t waiting() const { return unschedulable_.size(); }

 private:
  using Entry = std::shared_ptr<QueuedPod>;
  struct ReadyOrder {
    bool operator()(const Entry& a, const Entry& b) const;
  };
  struct BackoffOrder {
    bool operator()(const Entry& a, const Entry& b) const;
  };
  void make_ready(Entry entry);
  void requeue(Entry entry);
  bool take(std::string_view uid, Entry* taken);

  const Clock& clock_;
  Notifier changed_;
  std::set<Entry, ReadyOrder> ready_;
  std::set<Entry, BackoffOrder> backoff_;
  StringMap<std::pair<Entry, MonoTime>> unschedulable_;   // and since when
  StringMap<Entry> known_;                                // everything above, and what was popped
  uint64_t moves_ = 0;                                    // counts on_event() calls, so that none is lost on a pod in flight
  uint32_t recent_events_ = 0;                            // since the pod in flight was popped
  bool closed_ = false;
};

}  // namespace knarr::scheduler
