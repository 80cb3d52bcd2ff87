// SPDX-License-Identifier: Apache-2.0
#include "client/work_queue.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "client/backoff.h"
#include "client/delay_queue.h"

namespace knarr::client {
namespace {

using namespace std::chrono_literals;

Task<void> take(WorkQueue* queue, std::vector<std::string>* taken) {
  while (true) {
    auto key = co_await queue->get();
    if (!key) co_return;
    taken->push_back(*key);
  }
}

class WorkQueueTest : public testing::Test {
 protected:
  WorkQueueTest() { spawn(context.get_executor(), take(&queue, &taken)); }
  ~WorkQueueTest() override {
    queue.shut_down();
    settle();
  }
  void settle() {
    context.restart();
    while (context.poll() > 0) {
    }
  }
  boost::asio::io_context context;
  WorkQueue queue{context.get_executor(), "test"};
  std::vector<std::string> taken;
};

TEST_F(WorkQueueTest, AKeyWaitsOnce) {
  queue.add("a");
  queue.add("b");
  queue.add("a");
  settle();
  EXPECT_EQ(taken, (std::vector<std::string>{"a", "b"}));
}

TEST_F(WorkQueueTest, AKeyIsWithOneWorkerAtATime) {
  queue.add("a");
  settle();
  queue.add("a");
  settle();
  EXPECT_EQ(taken.size(), 1u);
  queue.done("a");
  settle();
  EXPECT_EQ(taken, (std::vector<std::string>{"a", "a"}));
}

TEST_F(WorkQueueTest, FailuresAreCountedUntilForgotten) {
  queue.add_rate_limited("a");
  queue.add_rate_limited("a");
  EXPECT_EQ(queue.requeues("a"), 2);
  queue.forget("a");
  EXPECT_EQ(queue.requeues("a"), 0);
}

TEST_F(WorkQueueTest, LaterComesLater) {
  queue.add_after("late", 20ms);
  queue.add("now");
  context.restart();
  while (taken.size() < 2) ASSERT_GT(context.run_one_for(5s), 0u);
  EXPECT_EQ(taken, (std::vector<std::string>{"now", "late"}));
}

TEST(DelayQueue, TheEarliestMomentOfAKeyWins) {
  DelayQueue queue;
  MonoTime start{};
  EXPECT_TRUE(queue.add("a", start + 10s));
  EXPECT_FALSE(queue.add("a", start + 20s));
  EXPECT_TRUE(queue.add("a", start + 5s));
  EXPECT_FALSE(queue.add("b", start + 6s));
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue.pop(start + 4s), std::nullopt);
  EXPECT_EQ(queue.pop(start + 7s), "a");
  EXPECT_EQ(queue.pop(start + 7s), "b");
  EXPECT_EQ(queue.pop(start + 7s), std::nullopt);
}

TEST(Backoff, DoublesUpToTheMostAndStartsOver) {
  Backoff backoff(1s, 4s);
  MonoTime now = MonoTime{} + 1h;
  for (auto least : {1s, 2s, 4s, 4s}) {
    Duration pause = backoff.next(now);
    EXPECT_GE(pause, least);
    EXPECT_LT(pause, 2 * least);
  }
  EXPECT_LT(backoff.next(now + 1h), 2s);
}

}  // namespace
}  // namespace knarr::client
