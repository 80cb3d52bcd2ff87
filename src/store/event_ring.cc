// SPDX-License-Identifier: Apache-2.0
#include "store/event_ring.h"

#include <algorithm>
#include <utility>

namespace knarr::store {
namespace {

// `previous` is usually the value of another event here.
size_t weight(const Event& event) { return event.key.size() + event.value.size() + sizeof(Event); }

}  // namespace

EventRing::EventRing(Limits limits, int64_t revision)
    : limits_(limits), revision_(revision), floor_(revision), logged_(revision) {}

void EventRing::append(EventPtr event) {
  KNARR_CHECK(events_.empty() || event->revision >= events_.back()->revision);
  bytes_ += weight(*event);
  events_.push_back(std::move(event));
}

void EventRing::trim() {
  while (events_.size() > 1 && (events_.size() > limits_.events || bytes_ > limits_.bytes)) {
    if (events_.front()->revision > logged_) return;
    bytes_ -= weight(*events_.front());
    floor_ = events_.front()->revision;
    events_.pop_front();
  }
}

std::deque<EventRing::EventPtr>::const_iterator EventRing::after(int64_t revision) const {
  return std::partition_point(events_.begin(), events_.end(),
                              [&](const EventPtr& event) { return event->revision <= revision; });
}

void EventRing::set_logged(int64_t revision) {
  std::lock_guard lock(mutex_);
  logged_ = revision;
  trim();
}

void EventRing::publish(std::vector<EventPtr> events, int64_t revision) {
  std::vector<std::shared_ptr<Subscriber>> woken;
  {
    std::lock_guard lock(mutex_);
    for (EventPtr& event : events) {
      for (size_t i = 0; i < armed_.size();) {
        Subscriber& subscriber = *armed_[i];
        if (event->revision <= subscriber.cursor_ ||
            !in_range(event->key, subscriber.start, subscriber.end)) {
          ++i;
          continue;
        }
        woken.push_back(armed_[i]);
        disarm(subscriber);  // another one takes its place in armed_
        subscriber.cursor_ = event->revision - 1;
      }
      revision_.store(event->revision, std::memory_order_release);
      append(std::move(event));
    }
    if (revision > this->revision()) revision_.store(revision, std::memory_order_release);
    trim();
  }
  for (auto& subscriber : woken) call_wake(*subscriber);
}

void EventRing::restart(int64_t revision) {
  std::vector<std::shared_ptr<Subscriber>> woken;
  {
    std::lock_guard lock(mutex_);
    woken.swap(armed_);
    for (auto& subscriber : woken) {
      subscriber->armed_ = false;
      subscriber->cursor_ = std::max(subscriber->cursor_, this->revision());
    }
    events_.clear();
    bytes_ = 0;
    floor_ = revision;
    revision_.store(revision, std::memory_order_release);
  }
  for (auto& subscriber : woken) call_wake(*subscriber);
}

Bytes EventRing::value_at(int64_t revision) const {
  std::lock_guard lock(mutex_);
  auto at = after(revision - 1);
  return at != events_.end() && (*at)->revision == revision ? (*at)->value : Bytes();
}

void EventRing::close() {
  std::vector<std::shared_ptr<Subscriber>> woken;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    woken.swap(armed_);
    for (auto& subscriber : woken) subscriber->armed_ = false;
  }
  for (auto& subscriber : woken) call_wake(*subscriber);
}

std::shared_ptr<EventRing::Subscriber> EventRing::subscribe(std::string start, std::string end,
                                                            int64_t after,
                                                            std::function<void()> wake) {
  return std::shared_ptr<Subscriber>(
      new Subscriber(std::move(start), std::move(end), after, std::move(wake)));
}

void EventRing::unsubscribe(const std::shared_ptr<Subscriber>& subscriber) {
  {
    std::lock_guard lock(mutex_);
    if (subscriber->armed_) disarm(*subscriber);
  }
  std::lock_guard lock(subscriber->wake_mutex_);
  subscriber->wake_ = nullptr;
}

EventRing::Batch EventRing::poll(const std::shared_ptr<Subscriber>& subscriber, size_t max) {
  Batch batch;
  std::lock_guard lock(mutex_);
  int64_t revision = this->revision();
  int64_t& cursor = subscriber->cursor_;
  batch.closed = closed_;
  if (closed_ || max == 0) return batch;
  if (subscriber->armed_) {  // nothing in its range since
    cursor = std::max(cursor, revision);
    return batch;
  }
  if (cursor < floor_) {
    batch.behind = true;
    batch.cursor = cursor;
    batch.until = floor_;
    return batch;
  }
  for (auto at = after(cursor); at != events_.end(); ++at) {
    const EventPtr& event = *at;
    if (batch.events.size() >= max && event->revision != cursor) break;
    cursor = event->revision;
    if (in_range(event->key, subscriber->start, subscriber->end)) batch.events.push_back(event);
  }
  if (batch.events.size() < max) cursor = std::max(cursor, revision);
  if (batch.events.empty()) arm(subscriber);
  return batch;
}

void EventRing::advance(Subscriber& subscriber, int64_t cursor) {
  std::lock_guard lock(mutex_);
  subscriber.cursor_ = cursor;
}

int64_t EventRing::progress(const Subscriber& subscriber) const {
  std::lock_guard lock(mutex_);
  return subscriber.armed_ ? std::max(subscriber.cursor_, revision()) : subscriber.cursor_;
}

void EventRing::arm(const std::shared_ptr<Subscriber>& subscriber) {
  subscriber->armed_ = true;
  subscriber->armed_index_ = armed_.size();
  armed_.push_back(subscriber);
}

void EventRing::disarm(Subscriber& subscriber) {
  size_t index = subscriber.armed_index_;
  subscriber.armed_ = false;
  if (index + 1 != armed_.size()) {
    armed_[index] = std::move(armed_.back());
    armed_[index]->armed_index_ = index;
  }
  armed_.pop_back();
}

void EventRing::call_wake(Subscriber& subscriber) {
  std::lock_guard lock(subscriber.wake_mutex_);
  if (subscriber.wake_) subscriber.wake_();
}

}  // namespace knarr::store
