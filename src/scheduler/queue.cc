// SPDX-License-Identifier: Apache-2.0
#include "scheduler/queue.h"

#include <algorithm>
#include <utility>

#include "api/core_v1.h"

namespace knarr::scheduler {
namespace {

using namespace std::chrono_literals;
constexpr Duration kFirstBackoff = 1s, kLongestBackoff = 10s, kLongestWait = 5min;

Duration backoff_of(int attempts) {
  Duration backoff = kFirstBackoff;
  for (int i = 1; i < attempts && backoff < kLongestBackoff; ++i) backoff *= 2;
  return std::min(backoff, kLongestBackoff);
}

int32_t priority_of(const api::core_v1::Pod& pod) { return pod.spec.priority.value_or(0); }

// What the API server writes while a pod waits (conditions, nominated node, managed fields) does not make it fit.
bool changed_for_scheduling(const api::core_v1::Pod& a, const api::core_v1::Pod& b) {
  return !(a.spec == b.spec) || !(a.metadata.labels == b.metadata.labels) || !(a.metadata.annotations == b.metadata.annotations);
}

}  // namespace

bool PodQueue::ReadyOrder::operator()(const Entry& a, const Entry& b) const {
  int32_t x = priority_of(*a->pod), y = priority_of(*b->pod);
  if (x != y) return x > y;
  if (a->since != b->since) return a->since < b->since;
  return a->pod->metadata.uid < b->pod->metadata.uid;
}

bool PodQueue::BackoffOrder::operator()(const Entry& a, const Entry& b) const {
  if (a->retry_at != b->retry_at) return a->retry_at < b->retry_at;
  return a->pod->metadata.uid < b->pod->metadata.uid;
}

PodQueue::PodQueue(Executor executor, const Clock& clock) : clock_(clock), changed_(std::move(executor)) {}

// Finds a pod wherever it waits and takes it out. False when it is not here (unknown, or being tried).
bool PodQueue::take(std::string_view uid, Entry* taken) {
  auto known = known_.find(uid);
  if (known == known_.end()) return false;
  *taken = known->second;
  if (ready_.erase(*taken) != 0 || backoff_.erase(*taken) != 0) return true;
  auto at = unschedulable_.find(uid);
  if (at == unschedulable_.end()) return false;
  unschedulable_.erase(at);
  return true;
}

void PodQueue::make_ready(Entry entry) {
  ready_.insert(std::move(entry));
  changed_.notify();
}

void PodQueue::requeue(Entry entry) {
  if (entry->retry_at > clock_.mono()) {
    backoff_.insert(std::move(entry));
    changed_.notify();  // the timer may have to be set earlier
  } else {
    make_ready(std::move(entry));
  }
}

bool PodQueue::set(const PodPtr& pod) {
  std::string_view uid = pod->metadata.uid;
  auto known = known_.find(uid);
  if (known == known_.end()) {
    auto entry = std::make_shared<QueuedPod>();
    entry->pod = pod;
    entry->since = clock_.mono();
    known_.emplace(std::string(uid), entry);
    make_ready(std::move(entry));
    return true;
  }
  Entry entry = known->second;
  bool waited = unschedulable_.contains(uid);
  bool matters = changed_for_scheduling(*entry->pod, *pod);
  MonoTime waiting_since{};
  if (waited) waiting_since = unschedulable_.find(uid)->second.second;
  bool was_ready = ready_.contains(entry), was_backing_off = !was_ready && backoff_.contains(entry);
  Entry taken;
  bool here = take(uid, &taken);
  entry->pod = pod;  // may change its place in the order, hence out and in again
  if (!here) return false;
  if (was_ready) {
    make_ready(std::move(entry));
  } else if (was_backing_off) {
    backoff_.insert(std::move(entry));
  } else if (matters) {
    requeue(std::move(entry));
  } else {
    unschedulable_.emplace(std::string(uid), std::pair(std::move(entry), waiting_since));
  }
  return false;
}

void PodQueue::remove(std::string_view uid) {
  Entry entry;
  take(uid, &entry);
  auto known = known_.find(uid);
  if (known != known_.end()) known_.erase(known);
}

Task<std::shared_ptr<QueuedPod>> PodQueue::pop() {
  for (;;) {
    if (closed_) co_return nullptr;
    Duration next = advance();
    if (!ready_.empty()) break;
    if (next == Duration::max()) {
      co_await changed_.wait();
    } else {
      co_await changed_.wait_for(next);
    }
  }
  Entry entry = *ready_.begin();
  ready_.erase(ready_.begin());
  ++entry->attempts;
  entry->moves_seen = moves_;
  recent_events_ = 0;
  co_return entry;
}

void PodQueue::put_back(Entry entry, uint32_t wake_events, bool error) {
  auto known = known_.find(entry->pod->metadata.uid.view());
  if (known == known_.end() || known->second != entry) return;  // deleted, or replaced, meanwhile
  entry->wake_events = wake_events;
  entry->retry_at = clock_.mono() + backoff_of(entry->attempts);
  bool missed_event = moves_ != entry->moves_seen && (recent_events_ & wake_events) != 0;
  if (error || missed_event) {
    requeue(std::move(entry));
  } else {
    std::string uid = entry->pod->metadata.uid.str();
    unschedulable_.emplace(std::move(uid), std::pair(std::move(entry), clock_.mono()));
    changed_.notify();
  }
}

void PodQueue::on_event(uint32_t events) {
  ++moves_;
  recent_events_ |= events;
  std::vector<Entry> woken;
  for (auto at = unschedulable_.begin(); at != unschedulable_.end();) {
    if ((at->second.first->wake_events & events) == 0) {
      ++at;
      continue;
    }
    woken.push_back(at->second.first);
    unschedulable_.erase(at++);
  }
  for (Entry& entry : woken) requeue(std::move(entry));
}

Duration PodQueue::advance() {
  MonoTime now = clock_.mono();
  while (!backoff_.empty() && (*backoff_.begin())->retry_at <= now) {
    Entry entry = *backoff_.begin();
    backoff_.erase(backoff_.begin());
    ready_.insert(std::move(entry));
  }
  MonoTime next = MonoTime::max();
  if (!backoff_.empty()) next = (*backoff_.begin())->retry_at;
  std::vector<Entry> overdue;
  for (auto at = unschedulable_.begin(); at != unschedulable_.end();) {
    MonoTime due = at->second.second + kLongestWait;
    if (due > now) {
      next = std::min(next, due);
      ++at;
      continue;
    }
    overdue.push_back(at->second.first);
    unschedulable_.erase(at++);
  }
  for (Entry& entry : overdue) ready_.insert(std::move(entry));
  return next == MonoTime::max() ? Duration::max() : next - now;
}

void PodQueue::close() {
  closed_ = true;
  changed_.notify();
}

}  // namespace knarr::scheduler
