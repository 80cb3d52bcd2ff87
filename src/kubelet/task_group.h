// SPDX-License-Identifier: Apache-2.0
// Several tasks at once, then a wait for all of them. One executor.
#pragma once

#include <memory>
#include <utility>

#include "base/task.h"

namespace knarr::kubelet {

class TaskGroup {
 public:
  explicit TaskGroup(Executor executor) : state_(std::make_shared<State>(std::move(executor))) {}
  // Starts the task at once. What it refers to must live until wait() has returned.
  void add(Task<void> task) {
    ++state_->running;
    spawn(state_->changed.executor(), run(state_, std::move(task)));
  }
  bool done() const { return state_->running == 0; }
  Task<void> wait() { return wait_all(state_); }
  // Also wakes when somebody else notifies `changed`, for callers that watch two things.
  Notifier& changed() { return state_->changed; }

 private:
  struct State {
    explicit State(Executor executor) : changed(std::move(executor)) {}
    Notifier changed;
    int running = 0;
  };
  static Task<void> run(std::shared_ptr<State> state, Task<void> task) {
    co_await std::move(task);
    --state->running;
    state->changed.notify();
  }
  static Task<void> wait_all(std::shared_ptr<State> state) {
    while (state->running > 0) co_await state->changed.wait();
  }
  std::shared_ptr<State> state_;
};

// Lets one coroutine at a time through, in order of arrival within a wake-up.
class AsyncMutex {
 public:
  explicit AsyncMutex(Executor executor) : free_(std::move(executor)) {}
  Task<void> lock() {
    while (held_) co_await free_.wait();
    held_ = true;
  }
  void unlock() {
    held_ = false;
    free_.notify();
  }

 private:
  Notifier free_;
  bool held_ = false;
};

}  // namespace knarr::kubelet
