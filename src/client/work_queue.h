// SPDX-License-Identifier: Apache-2.0
// Keys to be reconciled: a key waits once, is handed to one worker at a time, and comes back later after a failure.
// client-go's semantics and delays (5 ms doubling to 1000 s per key). One executor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/task.h"

namespace knarr::client {

class WorkQueue {
 public:
  WorkQueue(Executor executor, std::string name);
  WorkQueue(Executor executor, std::string name, Duration first_retry, Duration most_retry);
  ~WorkQueue();
  void add(std::string key);
  void add_after(std::string key, Duration delay);
  void add_rate_limited(std::string key);
  void forget(const std::string& key);
  int requeues(const std::string& key) const;
  Task<std::optional<std::string>> get();  // nullopt once shut down
  void done(const std::string& key);
  void shut_down();
  size_t depth() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Runs `workers` loops: get, reconcile, then forget or add_rate_limited by the Status. A failure is logged with `name`. `reconcile` is a plain
// function object that returns the task (not a capturing coroutine lambda).
using Reconcile = std::function<Task<Status>(std::string key)>;
void run_workers(Executor executor, std::shared_ptr<WorkQueue> queue, std::string name, int workers, Reconcile reconcile);

}  // namespace knarr::client
