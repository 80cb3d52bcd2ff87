// SPDX-License-Identifier: Apache-2.0
#include "client/work_queue.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <boost/asio/steady_timer.hpp>
#include <deque>

#include "base/log.h"
#include "client/delay_queue.h"

namespace knarr::client {
namespace {

constexpr Duration kFirstDelay = std::chrono::milliseconds(5);
constexpr Duration kMostDelay = std::chrono::seconds(1000);

}  // namespace

// A key is in `dirty` while it needs work, in `processing` while a worker has it, and in `order` while it is dirty and nobody has it.
struct WorkQueue::Impl : std::enable_shared_from_this<Impl> {
  Impl(Executor e, std::string n, Duration first, Duration most)
      : name(std::move(n)), first_retry(first), most_retry(most), executor(e), arrived(e), timer(e) {}
  std::string name;
  const Duration first_retry, most_retry;
  Executor executor;
  std::deque<std::string> order;
  absl::flat_hash_set<std::string> dirty, processing;
  absl::flat_hash_map<std::string, int> failures;
  DelayQueue delayed;
  Notifier arrived;
  boost::asio::steady_timer timer;
  bool shut_down = false;

  void add(std::string key) {
    if (shut_down || !dirty.insert(key).second || processing.contains(key)) return;
    order.push_back(std::move(key));
    arrived.notify();
  }
  void arm() {
    auto due = delayed.next_due();
    if (!due || shut_down) return;
    timer.expires_at(*due);
    timer.async_wait([weak = weak_from_this()](boost::system::error_code error) {
      auto self = weak.lock();
      if (error || self == nullptr || self->shut_down) return;
      while (auto key = self->delayed.pop(Clock::real().mono())) self->add(std::move(*key));
      self->arm();
    });
  }
  static Task<std::optional<std::string>> get(std::shared_ptr<Impl> self) {
    while (self->order.empty() && !self->shut_down) co_await self->arrived.wait();
    if (self->order.empty()) co_return std::nullopt;
    std::string key = std::move(self->order.front());
    self->order.pop_front();
    self->dirty.erase(key);
    self->processing.insert(key);
    co_return key;
  }
};

WorkQueue::WorkQueue(Executor executor, std::string name)
    : WorkQueue(std::move(executor), std::move(name), kFirstDelay, kMostDelay) {}
WorkQueue::WorkQueue(Executor executor, std::string name, Duration first_retry, Duration most_retry)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(name), first_retry, most_retry)) {}
WorkQueue::~WorkQueue() { shut_down(); }

void WorkQueue::add(std::string key) { impl_->add(std::move(key)); }

void WorkQueue::add_after(std::string key, Duration delay) {
  if (delay <= Duration::zero()) return impl_->add(std::move(key));
  if (impl_->shut_down) return;
  if (impl_->delayed.add(key, Clock::real().mono() + delay)) impl_->arm();
}

void WorkQueue::add_rate_limited(std::string key) {
  int& failures = impl_->failures[key];
  Duration delay = impl_->most_retry;
  if (failures < 18) delay = std::min(impl_->first_retry * (int64_t{1} << failures), impl_->most_retry);
  ++failures;
  add_after(std::move(key), delay);
}

void WorkQueue::forget(const std::string& key) { impl_->failures.erase(key); }

int WorkQueue::requeues(const std::string& key) const {
  auto at = impl_->failures.find(key);
  return at == impl_->failures.end() ? 0 : at->second;
}

Task<std::optional<std::string>> WorkQueue::get() {
  std::shared_ptr<Impl> impl = impl_;
  return Impl::get(std::move(impl));
}

void WorkQueue::done(const std::string& key) {
  impl_->processing.erase(key);
  if (!impl_->dirty.contains(key)) return;
  impl_->order.push_back(key);
  impl_->arrived.notify();
}

void WorkQueue::shut_down() {
  impl_->shut_down = true;
  impl_->timer.cancel();
  impl_->arrived.notify();
}

size_t WorkQueue::depth() const { return impl_->order.size(); }

namespace {

Task<void> worker(std::shared_ptr<WorkQueue> queue, std::string name, Reconcile reconcile) {
  while (true) {
    auto key = co_await queue->get();
    if (!key) co_return;
    std::string argument = *key;
    Status status = co_await reconcile(std::move(argument));
    if (status.ok()) {
      queue->forget(*key);
    } else {
      // A conflict only says that the cache was behind: the retry sees the newer object.
      if (status.code() != 409)
        log_error("Reconciling failed", {{"controller", name}, {"key", *key}, {"err", status.message()}});
      queue->add_rate_limited(*key);
    }
    queue->done(*key);
  }
}

}  // namespace

void run_workers(Executor executor, std::shared_ptr<WorkQueue> queue, std::string name, int workers, Reconcile reconcile) {
  for (int i = 0; i < workers; ++i) spawn(executor, worker(queue, name, reconcile));
}

}  // namespace knarr::client
