// SPDX-License-Identifier: Apache-2.0
// The most recent events, each once in memory, and the cursors of those who follow them.
//
// A subscriber that has seen everything is *armed*: it costs nothing until an event in its range is
// published, and counts as being up to date all the while. The event disarms it, moves its cursor
// to just before that event, and wakes it once. Revisions never fall; those of other writers may be
// missing, and one may have several events, which no poll and no limit tears apart. One mutex, held
// for a scan of at most the ring; publish() and restart() are called by one thread alone, everything
// else by any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "store/store.h"

namespace knarr::store {

class EventRing {
 public:
  using EventPtr = std::shared_ptr<const Event>;
  struct Limits {
    size_t events = 4096;
    size_t bytes = size_t{4} << 20;  // of keys and values
  };

  // One reader's place. The ring owns what its mutex guards; the rest is constant.
  class Subscriber {
   public:
    const std::string start, end;

   private:
    friend class EventRing;
    Subscriber(std::string s, std::string e, int64_t after, std::function<void()> w)
        : start(std::move(s)), end(std::move(e)), cursor_(after), wake_(std::move(w)) {}
    int64_t cursor_;          // guarded by the ring's mutex
    bool armed_ = false;      // guarded by the ring's mutex
    size_t armed_index_ = 0;  // guarded by the ring's mutex
    std::mutex wake_mutex_;   // held while wake_ runs, so that unsubscribe() can wait for it
    std::function<void()> wake_;
  };

  // What poll() found. When `behind`, the events after `cursor` up to `until` are no longer here:
  // read them from the log, then advance().
  struct Batch {
    std::vector<EventPtr> events;
    bool closed = false;
    bool behind = false;
    int64_t cursor = 0;
    int64_t until = 0;
  };

  EventRing(Limits limits, int64_t revision);

  int64_t revision() const { return revision_.load(std::memory_order_acquire); }
  // Wakes after the events are visible. The revision becomes the last event's, or `revision` when that is higher: what
  // changed up to there concerns nobody.
  void publish(std::vector<EventPtr> events, int64_t revision = 0);
  // Events up to `revision` have been missed: whoever has not been told of them by another way is `behind`. Wakes the armed.
  void restart(int64_t revision);
  // Events after `revision` are dropped by no limit: the log does not have them yet.
  void set_logged(int64_t revision);
  // The value put at `revision`, null when the ring has dropped it.
  Bytes value_at(int64_t revision) const;
  // Every poll from now on is `closed`; wakes everyone.
  void close();

  std::shared_ptr<Subscriber> subscribe(std::string start, std::string end, int64_t after,
                                        std::function<void()> wake);
  // After it, wake is neither running nor called again. Not to be called by wake itself.
  void unsubscribe(const std::shared_ptr<Subscriber>& subscriber);
  Batch poll(const std::shared_ptr<Subscriber>& subscriber, size_t max);
  void advance(Subscriber& subscriber, int64_t cursor);
  int64_t progress(const Subscriber& subscriber) const;

 private:
  void append(EventPtr event);
  // The first event after `revision`.
  std::deque<EventPtr>::const_iterator after(int64_t revision) const;
  void trim();
  void arm(const std::shared_ptr<Subscriber>& subscriber);
  void disarm(Subscriber& subscriber);
  static void call_wake(Subscriber& subscriber);

  const Limits limits_;
  std::atomic<int64_t> revision_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::deque<EventPtr> events_;
  size_t bytes_ = 0;
  int64_t floor_;  // every event after it is here
  int64_t logged_;
  bool closed_ = false;
  std::vector<std::shared_ptr<Subscriber>> armed_;
};

}  // namespace knarr::store
