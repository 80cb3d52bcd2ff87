// SPDX-License-Identifier: Apache-2.0
// The waiting primitives of this module, cheaper than base's Notifier: no timer and no allocation
// until somebody waits. Everything happens on the executor of the waiting coroutine.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "base/task.h"

namespace knarr::net {

// set() wakes whoever waits, or makes the next wait() return at once; wait() resets. Made for one
// waiter; several are all woken, so waiting loops look at their condition again. Waiters are
// resumed through the executor's queue, never inside set(), so set() may be called from within
// callbacks of nghttp2.
class Event {
 public:
  struct Waiter {
    virtual ~Waiter() = default;
    virtual void resume() = 0;  // posts
    std::unique_ptr<Waiter> next;
  };
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void set();
  Task<void> wait();

 private:
  friend struct EventInitiation;
  bool set_ = false;
  std::unique_ptr<Waiter> waiters_;  // a list, newest first
};

// Lets one coroutine at a time through, in order of arrival. The holder leaves before it ends.
class Gate {
 public:
  Task<void> enter();
  void leave();

 private:
  bool held_ = false;
  std::deque<Event*> waiting_;  // in the frames of their coroutines
};

// Calls back once after a time, on its executor, unless cancelled, armed anew or destroyed.
class Alarm {
 public:
  explicit Alarm(Executor executor);
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  void arm(Duration after, std::function<void()> callback);
  void cancel();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Runs `callback` later, from the executor's queue. Any thread.
void post(const Executor& executor, std::function<void()> callback);

}  // namespace knarr::net
