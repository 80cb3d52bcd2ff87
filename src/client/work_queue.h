// SPDX-License-Identifier: Apache-2.0
// Keys to be reconciled: a key waits once, is handed to one worker at a time, and comes back later after a failure.
// client-go's semantics and delays (5 ms doubling to 1000 s per key). One executor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics_text.h"
#include "base/task.h"

namespace knarr::client {

// What client-go counts of a queue (workqueue_*).
struct WorkQueueCounts {
  static const std::span<const double> kBounds;
  uint64_t adds = 0, retries = 0;
  metrics::Histogram waited{kBounds}, worked{kBounds};  // seconds
};

class WorkQueue {
 public:
  WorkQueue(Executor executor, std::string name);
  // The delay doubles with each failure of a key.
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
  const std::string& name() const;
  const WorkQueueCounts& counts() const;
  // How long each key that a worker has now has been with it.
  std::vector<Duration> unfinished() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// The reason of a failure that is nobody's fault: the key comes back later, as after any failure, without a line in the log.
inline constexpr std::string_view kWaiting = "Waiting";

// Runs `workers` loops: get, reconcile, then forget or add_rate_limited by the Status. A failure is logged with `name`. `reconcile` is a plain
// function object that returns the task (not a capturing coroutine lambda).
using Reconcile = std::function<Task<Status>(std::string key)>;
void run_workers(Executor executor, std::shared_ptr<WorkQueue> queue, std::string name, int workers, Reconcile reconcile);

// workqueue_* of these queues; those of one name count together.
void write_work_queue_metrics(std::string& out, std::span<const std::shared_ptr<WorkQueue>> queues);

}  // namespace knarr::client
