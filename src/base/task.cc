// SPDX-License-Identifier: Apache-2.0
#include "base/task.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <mutex>

#include "base/log.h"

namespace knarr {
namespace asio = boost::asio;

void spawn(Executor executor, Task<void> task) {
  asio::co_spawn(std::move(executor), std::move(task), [](std::exception_ptr error) {
    if (!error) return;
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      log_error("Task ended by an exception", {{"error", e.what()}});
    } catch (...) {
      log_error("Task ended by an unknown exception");
    }
    std::abort();
  });
}

Task<Executor> this_executor() { co_return co_await asio::this_coro::executor; }

Task<void> sleep_for(Duration duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(std::chrono::duration_cast<asio::steady_timer::duration>(duration));
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

Task<void> yield_now() { co_await asio::post(asio::use_awaitable); }

namespace {

// Two threads suffice: what runs here waits for the kernel, and the machine is small.
asio::thread_pool& blocking_pool() {
  static asio::thread_pool pool(2);
  return pool;
}

}  // namespace

Task<void> run_blocking(std::function<void()> work) {
  Completion done(co_await asio::this_coro::executor);
  asio::post(blocking_pool(), [done, work = std::move(work)] {
    work();
    done.set();
  });
  co_await done.wait();
}

// A waiter is a timer of its own, so that one that timed out never disturbs the others.
struct Notifier::Impl {
  explicit Impl(Executor e) : executor(std::move(e)) {}
  Executor executor;
  std::vector<std::shared_ptr<asio::steady_timer>> waiters;

  static Task<bool> wait(std::shared_ptr<Impl> self, asio::steady_timer::time_point until) {
    auto timer = std::make_shared<asio::steady_timer>(self->executor);
    timer->expires_at(until);
    self->waiters.push_back(timer);
    boost::system::error_code error;
    co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, error));
    // notify() took the waiter off the list; a time-out leaves it there.
    auto at = std::find(self->waiters.begin(), self->waiters.end(), timer);
    if (at == self->waiters.end()) co_return true;
    self->waiters.erase(at);
    co_return false;
  }
};

Notifier::Notifier(Executor executor) : impl_(std::make_shared<Impl>(std::move(executor))) {}
Notifier::~Notifier() { notify(); }

void Notifier::notify() {
  std::vector<std::shared_ptr<asio::steady_timer>> woken;
  woken.swap(impl_->waiters);
  for (auto& timer : woken) timer->cancel();
}

Task<void> Notifier::wait() {
  std::shared_ptr<Impl> impl = impl_;
  co_await Impl::wait(std::move(impl), asio::steady_timer::time_point::max());
}

Task<bool> Notifier::wait_for(Duration timeout) {
  std::shared_ptr<Impl> impl = impl_;
  auto until = asio::steady_timer::clock_type::now() +
               std::chrono::duration_cast<asio::steady_timer::duration>(timeout);
  bool notified = co_await Impl::wait(std::move(impl), until);
  co_return notified;
}

const Executor& Notifier::executor() const { return impl_->executor; }

struct Completion::Impl {
  explicit Impl(Executor e) : executor(std::move(e)), timer(executor) {
    timer.expires_at(asio::steady_timer::time_point::max());
  }
  Executor executor;
  asio::steady_timer timer;  // touched on the executor only
  std::atomic<bool> done{false};
};

Completion::Completion(Executor executor) : impl_(std::make_shared<Impl>(std::move(executor))) {}

void Completion::set() const {
  if (impl_->done.exchange(true, std::memory_order_acq_rel)) return;
  asio::post(impl_->executor, [impl = impl_] { impl->timer.cancel(); });
}

Task<void> Completion::wait() const {
  std::shared_ptr<Impl> impl = impl_;
  while (!impl->done.load(std::memory_order_acquire)) {
    boost::system::error_code ignored;
    co_await impl->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

struct CancelToken::Impl {
  std::mutex mutex;
  std::atomic<bool> cancelled{false};
  std::vector<std::function<void()>> callbacks;
};

CancelToken::CancelToken() : impl_(std::make_shared<Impl>()) {}
bool CancelToken::cancelled() const { return impl_->cancelled.load(std::memory_order_acquire); }

void CancelToken::cancel() const {
  std::vector<std::function<void()>> callbacks;
  {
    std::lock_guard lock(impl_->mutex);
    if (impl_->cancelled.exchange(true)) return;
    callbacks.swap(impl_->callbacks);
  }
  for (auto& callback : callbacks) callback();
}

void CancelToken::on_cancel(std::function<void()> callback) const {
  {
    std::lock_guard lock(impl_->mutex);
    if (!impl_->cancelled) {
      impl_->callbacks.push_back(std::move(callback));
      return;
    }
  }
  callback();
}

}  // namespace knarr
