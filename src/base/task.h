// SPDX-License-Identifier: Apache-2.0
// Coroutines: the one way in which the program waits.
//
// Task<T> is a lazily started coroutine bound to an executor; it runs nowhere else unless it says so.
// Rules that g++ 12 imposes: a coroutine is a function, never a capturing lambda; name every argument before
// a co_await; a detached coroutine takes its parameters by value (or pointers that outlive it); no co_await
// inside a condition, ?: or an initialiser list.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace knarr {

template <class T = void>
using Task = boost::asio::awaitable<T>;
using Executor = boost::asio::any_io_executor;

// Starts `task` on `executor` and forgets it. An exception that leaves it is logged and ends the process
// (tasks return Status; an exception is a bug).
void spawn(Executor executor, Task<void> task);

// The executor of the running coroutine.
Task<Executor> this_executor();

// Continues after `duration` of real time.
Task<void> sleep_for(Duration duration);

// Moves the running coroutine to the back of its executor's queue.
Task<void> yield_now();

// Runs `work` on the process' small pool of blocking threads and continues here when it is done: for calls that may
// block long (fsync of many files, mount, waitpid). Not for locks held across.
Task<void> run_blocking(std::function<void()> work);

// A condition that coroutines of one executor wait for: notify() wakes every waiter of that moment.
// All calls come from that executor; to notify from another thread post() there.
class Notifier {
 public:
  explicit Notifier(Executor executor);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;
  void notify();
  Task<void> wait();
  // False when `timeout` passed first.
  Task<bool> wait_for(Duration timeout);
  const Executor& executor() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// A value that arrives once, from any thread; one coroutine awaits it. set() after the first is ignored.
// Copies share the same slot.
class Completion {
 public:
  explicit Completion(Executor executor);
  void set() const;
  Task<void> wait() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

template <class T>
class Promise {
 public:
  explicit Promise(Executor executor)
      : completion_(std::move(executor)), value_(std::make_shared<std::optional<T>>()) {}
  void set(T value) const {
    *value_ = std::move(value);
    completion_.set();
  }
  Task<T> get() const {
    co_await completion_.wait();
    co_return std::move(**value_);
  }

 private:
  Completion completion_;
  std::shared_ptr<std::optional<T>> value_;
};

// Tells detached work that its owner is gone. Copies share one flag; on_cancel callbacks run once, on the cancelling thread.
class CancelToken {
 public:
  CancelToken();
  bool cancelled() const;
  void cancel() const;
  void on_cancel(std::function<void()> callback) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace knarr
