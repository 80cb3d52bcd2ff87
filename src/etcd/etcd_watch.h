// SPDX-License-Identifier: Apache-2.0
// A cursor over changes: from the ring of recent ones while that reaches back far enough, before that from etcd's own history.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "etcd/changes.h"
#include "store/event_ring.h"

namespace knarr::etcd {

// Reads changes in (after, until] of a key range from etcd, and keeps them for one reader. Made and filled on the members' executor, read from
// any thread. What waits is bounded by what etcd keeps of the past (two compaction intervals).
class History final : public ChangeSink {
 public:
  History(std::string start, std::string end, int64_t after, int64_t until, std::function<void()> wake);

  struct Batch {
    std::vector<store::Event> events;
    int64_t through = 0;  // everything up to here has been taken
    bool done = false;    // ... which is as far as it goes
    Status status;
  };
  Batch take(size_t max);
  // The reader is gone: wake is neither running nor called again.
  void abandon();
  void finish(Status status);
  int64_t after() const { return after_; }
  int64_t progress() const;

  void changes(std::vector<store::Event> events) override;
  bool enough() const override;

 private:
  void call_wake();
  const std::string start_, end_;
  const int64_t after_, until_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::deque<store::Event> waiting_;
  int64_t arrived_, taken_;
  bool finished_ = false, abandoned_ = false, starved_ = true;
  Status status_;
  std::mutex wake_mutex_;  // held while wake_ runs
  std::function<void()> wake_;
};

// Starts to read; the store's part of it. Fails when the store is closing.
using ReadHistory = std::function<Status(std::shared_ptr<History>)>;

class EtcdWatch final : public store::Watch {
 public:
  EtcdWatch(std::shared_ptr<store::EventRing> ring, ReadHistory read_history, std::string start, std::string end, int64_t after,
            std::function<void()> wake);
  ~EtcdWatch() override;
  Result<std::vector<store::Event>> poll(size_t max) override;
  int64_t progress() const override;

 private:
  Status fail(Status status);
  const std::shared_ptr<store::EventRing> ring_;
  const ReadHistory read_history_;
  const std::function<void()> wake_;
  const std::shared_ptr<store::EventRing::Subscriber> subscriber_;
  std::shared_ptr<History> history_;
  Status failed_;
};

}  // namespace knarr::etcd
