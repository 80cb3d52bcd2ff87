// SPDX-License-Identifier: Apache-2.0
#include "etcd/etcd_watch.h"

#include <deque>

#include "store/errors.h"

namespace knarr::etcd {

History::History(std::string start, std::string end, int64_t after, int64_t until, std::function<void()> wake)
    : start_(std::move(start)), end_(std::move(end)), after_(after), until_(until), arrived_(after), taken_(after), wake_(std::move(wake)) {}

void History::call_wake() {
  std::lock_guard lock(wake_mutex_);
  if (wake_) wake_();
}

void History::changes(std::vector<store::Event> events) {
  bool woken = false;
  {
    std::lock_guard lock(mutex_);
    arrived_ = events.back().revision;
    for (store::Event& event : events)
      if (store::in_range(event.key, start_, end_)) waiting_.push_back(std::move(event));
    woken = starved_ && (!waiting_.empty() || arrived_ >= until_);
    if (woken) starved_ = false;
  }
  if (woken) call_wake();
}

bool History::enough() const {
  std::lock_guard lock(mutex_);
  return abandoned_ || arrived_ >= until_;
}

void History::finish(Status status) {
  {
    std::lock_guard lock(mutex_);
    finished_ = true;
    if (arrived_ < until_ && status.ok()) status = store::store_closing();
    status_ = status;
  }
  call_wake();
}

void History::abandon() {
  {
    std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  std::lock_guard lock(wake_mutex_);
  wake_ = nullptr;
}

History::Batch History::take(size_t max) {
  Batch batch;
  std::lock_guard lock(mutex_);
  while (!waiting_.empty() && (batch.events.size() < max || waiting_.front().revision == taken_)) {
    taken_ = waiting_.front().revision;
    batch.events.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  if (waiting_.empty()) taken_ = arrived_;
  batch.through = taken_;
  if (!batch.events.empty()) return batch;
  batch.done = arrived_ >= until_;
  if (!batch.done && finished_) batch.status = status_;
  starved_ = true;
  return batch;
}

int64_t History::progress() const {
  std::lock_guard lock(mutex_);
  return taken_;
}

EtcdWatch::EtcdWatch(std::shared_ptr<store::EventRing> ring, ReadHistory read_history, std::string start, std::string end, int64_t after,
                     std::function<void()> wake)
    : ring_(std::move(ring)),
      read_history_(std::move(read_history)),
      wake_(wake),
      subscriber_(ring_->subscribe(std::move(start), std::move(end), after, std::move(wake))) {}

EtcdWatch::~EtcdWatch() {
  if (history_ != nullptr) history_->abandon();
  ring_->unsubscribe(subscriber_);
}

Status EtcdWatch::fail(Status status) {
  failed_ = status;
  return status;
}

Result<std::vector<store::Event>> EtcdWatch::poll(size_t max) {
  if (!failed_.ok()) return failed_;
  std::vector<store::Event> events;
  if (max == 0) return events;
  while (true) {
    if (history_ != nullptr) {
      History::Batch batch = history_->take(max);
      if (!batch.status.ok()) return fail(batch.status);
      ring_->advance(*subscriber_, batch.through);
      if (!batch.done) return std::move(batch.events);
      history_.reset();
    }
    store::EventRing::Batch batch = ring_->poll(subscriber_, max);
    if (batch.closed) return fail(store::store_closing());
    for (const auto& event : batch.events) events.push_back(*event);
    if (!batch.behind) return events;
    history_ = std::make_shared<History>(subscriber_->start, subscriber_->end, batch.cursor, batch.until, wake_);
    if (Status status = read_history_(history_); !status.ok()) return fail(status);
  }
}

int64_t EtcdWatch::progress() const { return history_ != nullptr ? history_->progress() : ring_->progress(*subscriber_); }

}  // namespace knarr::etcd
