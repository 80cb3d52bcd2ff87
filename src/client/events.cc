// SPDX-License-Identifier: Apache-2.0
#include "client/events.h"

#include <deque>

#include "base/log.h"
#include "client/backoff.h"
#include "client/event_correlator.h"
#include "schema/time.h"

namespace knarr::client {

using api::core_v1::Event;

// Events wait in `queue` for one writer, so that counting up sees the name that the server took. The writer runs only while there is work.
struct EventRecorder::Impl {
  Impl(Client& c, Executor e, std::string comp, std::string h)
      : client(c), executor(e), component(std::move(comp)), host(std::move(h)), correlator(Clock::real()), stopped_signal(e) {}
  static constexpr size_t kMaxQueue = 1000;
  static constexpr int kMaxTries = 12;
  static constexpr Duration kRetryPause = std::chrono::seconds(10);

  Client& client;
  Executor executor;
  std::string component, host;
  EventCorrelator correlator;
  Notifier stopped_signal;
  std::deque<Event> queue;
  bool writing = false, stopped = false;

  static Task<void> write_all(std::shared_ptr<Impl> self);
  static Task<Status> write(std::shared_ptr<Impl> self, EventCorrelator::Outcome outcome);
};

Task<Status> EventRecorder::Impl::write(std::shared_ptr<Impl> self, EventCorrelator::Outcome outcome) {
  if (!outcome.patch.empty()) {
    std::string ns = outcome.event.metadata.namespace_.str();
    std::string name = outcome.event.metadata.name.str();
    std::string patch = outcome.patch;
    auto patched = co_await self->client.patch<Event>(std::move(ns), std::move(name), PatchType::kStrategic, std::move(patch));
    if (patched.ok()) {
      self->correlator.written(*patched);
      co_return Status();
    }
    // It may have expired: write it anew.
    if (patched.status().code() != 404) co_return patched.status();
  }
  Event event = outcome.event;
  event.metadata.resource_version.reset();
  auto created = co_await self->client.create(std::move(event));
  if (created.ok()) self->correlator.written(*created);
  co_return created.status();
}

Task<void> EventRecorder::Impl::write_all(std::shared_ptr<Impl> self) {
  while (!self->queue.empty() && !self->stopped) {
    Event event = std::move(self->queue.front());
    self->queue.pop_front();
    EventCorrelator::Outcome outcome = self->correlator.correlate(std::move(event));
    if (outcome.skip) continue;
    for (int attempt = 1; attempt <= kMaxTries && !self->stopped; ++attempt) {
      EventCorrelator::Outcome copy = outcome;
      Status status = co_await write(self, std::move(copy));
      if (status.ok()) break;
      if (status.code() < 500) {
        log_debug("Server rejected event", {{"reason", outcome.event.reason.view()}, {"err", status.message()}});
        break;
      }
      Duration pause = kRetryPause;
      if (attempt == 1) pause = Duration(static_cast<int64_t>(random_below(static_cast<uint64_t>(pause.count()))));
      if (attempt < kMaxTries) co_await self->stopped_signal.wait_for(pause);
    }
  }
  self->writing = false;
}

EventRecorder::EventRecorder(Client& client, Executor executor, std::string component, std::string host)
    : impl_(std::make_shared<Impl>(client, std::move(executor), std::move(component), std::move(host))) {}

EventRecorder::~EventRecorder() {
  impl_->stopped = true;
  impl_->stopped_signal.notify();
}

void EventRecorder::event(const api::core_v1::ObjectReference& about, std::string type, std::string reason,
                          std::string message) {
  if (impl_->queue.size() >= Impl::kMaxQueue) return;
  WallTime now = Clock::real().now();
  Event event;
  event.metadata.name = event_name(about.name, now);
  event.metadata.namespace_ = about.namespace_.empty() ? "default" : about.namespace_.view();
  event.involved_object = about;
  event.type = type;
  event.reason = reason;
  event.message = message;
  event.source.component = impl_->component;
  event.source.host = impl_->host;
  event.reporting_component = impl_->component;
  event.first_timestamp = event.last_timestamp = schema::to_time(now);
  event.count = 1;
  impl_->queue.push_back(std::move(event));
  if (impl_->writing) return;
  impl_->writing = true;
  spawn(impl_->executor, Impl::write_all(impl_));
}

}  // namespace knarr::client
