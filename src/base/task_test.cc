// SPDX-License-Identifier: Apache-2.0
#include "base/task.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <thread>

namespace knarr {
namespace {

Task<void> wait_and_count(std::shared_ptr<Notifier> notifier, int* woken) {
  co_await notifier->wait();
  ++*woken;
}

Task<void> notify_after_yield(std::shared_ptr<Notifier> notifier) {
  co_await yield_now();
  notifier->notify();
}

TEST(Notifier, WakesEveryWaiterOfTheMoment) {
  boost::asio::io_context context;
  auto notifier = std::make_shared<Notifier>(context.get_executor());
  int woken = 0;
  spawn(context.get_executor(), wait_and_count(notifier, &woken));
  spawn(context.get_executor(), wait_and_count(notifier, &woken));
  spawn(context.get_executor(), notify_after_yield(notifier));
  context.run();
  EXPECT_EQ(woken, 2);
}

Task<void> wait_briefly(std::shared_ptr<Notifier> notifier, bool* notified) {
  *notified = co_await notifier->wait_for(std::chrono::milliseconds(1));
}

TEST(Notifier, SaysWhenTheTimePassedFirst) {
  boost::asio::io_context context;
  auto notifier = std::make_shared<Notifier>(context.get_executor());
  bool notified = true;
  spawn(context.get_executor(), wait_briefly(notifier, &notified));
  context.run();
  EXPECT_FALSE(notified);
}

Task<void> take(Promise<int> promise, int* got) { *got = co_await promise.get(); }

TEST(Promise, CrossesThreads) {
  boost::asio::io_context context;
  Promise<int> promise(context.get_executor());
  int got = 0;
  spawn(context.get_executor(), take(promise, &got));
  std::thread other([promise] { promise.set(7); });
  context.run();
  other.join();
  EXPECT_EQ(got, 7);
}

Task<void> run_off_thread(std::thread::id* where) {
  co_await run_blocking([where] { *where = std::this_thread::get_id(); });
}

TEST(RunBlocking, LeavesTheCallersThread) {
  boost::asio::io_context context;
  std::thread::id where;
  spawn(context.get_executor(), run_off_thread(&where));
  context.run();
  EXPECT_NE(where, std::this_thread::get_id());
}

}  // namespace
}  // namespace knarr
