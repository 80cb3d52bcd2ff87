// SPDX-License-Identifier: Apache-2.0
#include "client/work_queue.h"

#include <absl/container/flat_hash_map.h>

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>

#include "base/log.h"
#include "client/delay_queue.h"

namespace knarr::client {
namespace {

constexpr double kSeconds[] = {1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10};
constexpr Duration kFirstDelay = std::chrono::milliseconds(5), kMostDelay = std::chrono::seconds(1000);

}  // namespace

const std::span<const double> WorkQueueCounts::kBounds = kSeconds;

// A key is in `dirty` while it needs work, in `processing` while a worker has it, and in `order` while it is dirty and nobody has it.
struct WorkQueue::Impl : std::enable_shared_from_this<Impl> {
  Impl(Executor e, std::string n, Duration first, Duration most)
      : name(std::move(n)), first_retry(first), most_retry(most), executor(e), arrived(e), timer(e) {}
  std::string name;
  const Duration first_retry, most_retry;
  Executor executor;
  std::deque<std::string> order;
  absl::flat_hash_map<std::string, MonoTime> dirty, processing;  // since when
  absl::flat_hash_map<std::string, int> failures;
  DelayQueue delayed;
  Notifier arrived;
  boost::asio::steady_timer timer;
  bool shut_down = false;
  WorkQueueCounts counts;

  void add(std::string key) {
    if (shut_down || !dirty.try_emplace(key, Clock::real().mono()).second) return;
    ++counts.adds;
    if (processing.contains(key)) return;
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
    MonoTime now = Clock::real().mono();
    if (auto since = self->dirty.find(key); since != self->dirty.end()) {
      self->counts.waited.observe(std::chrono::duration<double>(now - since->second).count());
      self->dirty.erase(since);
    }
    self->processing[key] = now;
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
  ++impl_->counts.retries;
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
  if (auto since = impl_->processing.find(key); since != impl_->processing.end()) {
    impl_->counts.worked.observe(std::chrono::duration<double>(Clock::real().mono() - since->second).count());
    impl_->processing.erase(since);
  }
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
const std::string& WorkQueue::name() const { return impl_->name; }
const WorkQueueCounts& WorkQueue::counts() const { return impl_->counts; }
std::vector<Duration> WorkQueue::unfinished() const {
  std::vector<Duration> ages;
  MonoTime now = Clock::real().mono();
  for (const auto& [key, since] : impl_->processing) ages.push_back(now - since);
  return ages;
}

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
      if (status.code() != 409 && !status.is(kWaiting))
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

void write_work_queue_metrics(std::string& out, std::span<const std::shared_ptr<WorkQueue>> queues) {
  struct Sum {
    WorkQueueCounts counts;
    double depth = 0, unfinished = 0, longest = 0;
  };
  std::map<std::string, Sum> sums;
  for (const auto& queue : queues) {
    Sum& sum = sums[queue->name()];
    sum.counts.adds += queue->counts().adds;
    sum.counts.retries += queue->counts().retries;
    sum.counts.waited.add(queue->counts().waited);
    sum.counts.worked.add(queue->counts().worked);
    sum.depth += static_cast<double>(queue->depth());
    for (Duration age : queue->unfinished()) {
      double seconds = std::chrono::duration<double>(age).count();
      sum.unfinished += seconds;
      sum.longest = std::max(sum.longest, seconds);
    }
  }
  auto family = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
    metrics::write_head(out, name, type, help);
    for (const auto& [queue, sum] : sums) metrics::write_sample(out, name, metrics::label("name", queue), static_cast<double>(value(sum)));
  };
  auto histogram = [&](std::string_view name, std::string_view help, auto value) {
    metrics::write_head(out, name, "histogram", help);
    for (const auto& [queue, sum] : sums) value(sum).write(out, name, metrics::label("name", queue));
  };
  family("workqueue_adds_total", "counter", "Keys that were added.", [](const Sum& s) { return s.counts.adds; });
  family("workqueue_depth", "gauge", "Keys that wait.", [](const Sum& s) { return s.depth; });
  family("workqueue_longest_running_processor_seconds", "gauge", "How long the key that is worked on longest has been.", [](const Sum& s) { return s.longest; });
  histogram("workqueue_queue_duration_seconds", "How long keys waited, in seconds.", [](const Sum& s) -> const metrics::Histogram& { return s.counts.waited; });
  family("workqueue_retries_total", "counter", "Keys that were put back after a failure.", [](const Sum& s) { return s.counts.retries; });
  family("workqueue_unfinished_work_seconds", "gauge", "Time that keys which are worked on have taken so far, in all.", [](const Sum& s) { return s.unfinished; });
  histogram("workqueue_work_duration_seconds", "How long working on a key took, in seconds.", [](const Sum& s) -> const metrics::Histogram& { return s.counts.worked; });
}

}  // namespace knarr::client
