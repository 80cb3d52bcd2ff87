// SPDX-License-Identifier: Apache-2.0
#include "net/event.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace knarr::net {
namespace asio = boost::asio;

namespace {

template <class Handler>
struct HandlerWaiter final : Event::Waiter {
  explicit HandlerWaiter(Handler h) : handler(std::move(h)) {}
  void resume() override { asio::post(std::move(handler)); }
  Handler handler;
};

}  // namespace

struct EventInitiation {
  Event* event;
  template <class Handler>
  void operator()(Handler handler) const {
    auto waiter = std::make_unique<HandlerWaiter<Handler>>(std::move(handler));
    waiter->next = std::move(event->waiters_);
    event->waiters_ = std::move(waiter);
  }
};

void Event::set() {
  if (waiters_ == nullptr) {
    set_ = true;
    return;
  }
  std::unique_ptr<Waiter> waiter = std::move(waiters_);
  while (waiter != nullptr) {
    std::unique_ptr<Waiter> next = std::move(waiter->next);
    waiter->resume();
    waiter = std::move(next);
  }
}

Task<void> Event::wait() {
  if (set_) {
    set_ = false;
    co_return;
  }
  EventInitiation initiation{this};
  asio::use_awaitable_t<> token;
  co_await asio::async_initiate<asio::use_awaitable_t<>, void()>(initiation, token);
}

Task<void> Gate::enter() {
  if (!held_) {
    held_ = true;
    co_return;
  }
  Event turn;
  waiting_.push_back(&turn);
  co_await turn.wait();
}

void Gate::leave() {
  if (waiting_.empty()) {
    held_ = false;
    return;
  }
  // Stays held, on behalf of the next.
  Event* next = waiting_.front();
  waiting_.pop_front();
  next->set();
}

struct Alarm::Impl {
  explicit Impl(Executor e) : timer(std::move(e)) {}
  asio::steady_timer timer;
  uint64_t generation = 0;  // tells a call back that comes from an earlier arming
};

Alarm::Alarm(Executor executor) : impl_(std::make_shared<Impl>(std::move(executor))) {}

Alarm::~Alarm() { cancel(); }

void Alarm::arm(Duration after, std::function<void()> callback) {
  uint64_t generation = ++impl_->generation;
  impl_->timer.expires_after(std::chrono::duration_cast<asio::steady_timer::duration>(after));
  impl_->timer.async_wait(
      [impl = impl_, generation, callback = std::move(callback)](boost::system::error_code error) {
        if (!error && impl->generation == generation) callback();
      });
}

void Alarm::cancel() {
  ++impl_->generation;
  impl_->timer.cancel();
}

void post(const Executor& executor, std::function<void()> callback) {
  asio::post(executor, std::move(callback));
}

}  // namespace knarr::net
