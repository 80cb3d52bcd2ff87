// SPDX-License-Identifier: Apache-2.0
#include "cmd/event_loops.h"

#include <signal.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <thread>

namespace knarr::cmd {
namespace asio = boost::asio;

namespace {

using WorkGuard = asio::executor_work_guard<asio::io_context::executor_type>;

struct Loop {
  asio::io_context context{1};
  WorkGuard guard{context.get_executor()};
  std::thread thread;
};

}  // namespace

struct EventLoops::Impl {
  asio::io_context main{1};
  std::vector<std::unique_ptr<Loop>> loops;
  std::unique_ptr<asio::signal_set> signals;
  std::function<Task<void>()> stop;
  int exit_code = 0;
  bool stopping = false;

  void stop_once() {
    if (std::exchange(stopping, true)) ::_exit(130);
    spawn(main.get_executor(), run_stop(this));
  }
  void await_signal() {
    signals->async_wait([this](const boost::system::error_code& error, int) {
      if (error) return;
      await_signal();
      stop_once();
    });
  }
  static Task<void> run_stop(Impl* self) {
    Task<void> stopping = self->stop();
    co_await std::move(stopping);
    self->main.stop();
  }
  void report(const Status& status) {
    if (status.ok()) return;
    std::fprintf(stderr, "error: %.*s\n", static_cast<int>(status.message().size()), status.message().data());
    exit_code = 1;
  }
  static Task<void> run_boot(Impl* self, Task<Status> boot) {
    Status status = co_await std::move(boot);
    self->report(status);
    if (!status.ok() && !self->stopping) self->stop_once();
  }
  static Task<void> run_work(Impl* self, Task<Status> work) {
    Status status = co_await std::move(work);
    self->report(status);
    self->main.stop();
  }
};

EventLoops::EventLoops(int connection_threads) : impl_(std::make_unique<Impl>()) {
  for (int i = 0; i < connection_threads; ++i) {
    auto loop = std::make_unique<Loop>();
    loop->thread = std::thread([context = &loop->context] { context->run(); });
    impl_->loops.push_back(std::move(loop));
  }
}

EventLoops::~EventLoops() {
  for (auto& loop : impl_->loops) loop->context.stop();
  for (auto& loop : impl_->loops) loop->thread.join();
}

Executor EventLoops::main() const { return impl_->main.get_executor(); }

std::vector<Executor> EventLoops::connections() const {
  if (impl_->loops.empty()) return {main()};
  std::vector<Executor> executors;
  for (auto& loop : impl_->loops) executors.emplace_back(loop->context.get_executor());
  return executors;
}

int EventLoops::run(Task<Status> boot, std::function<Task<void>()> stop) {
  ::signal(SIGPIPE, SIG_IGN);
  impl_->stop = std::move(stop);
  impl_->signals = std::make_unique<asio::signal_set>(impl_->main, SIGINT, SIGTERM);
  impl_->await_signal();
  spawn(main(), Impl::run_boot(impl_.get(), std::move(boot)));
  impl_->main.run();
  return impl_->exit_code;
}

int EventLoops::run_once(Task<Status> work) {
  spawn(main(), Impl::run_work(impl_.get(), std::move(work)));
  impl_->main.run();
  return impl_->exit_code;
}

}  // namespace knarr::cmd
