// SPDX-License-Identifier: Apache-2.0
#include "scheduler/queue.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "scheduler/framework.h"

namespace knarr::scheduler {
namespace {

using namespace std::chrono_literals;
using api::core_v1::Pod;

std::shared_ptr<Pod> make_pod(std::string name, int32_t priority = 0) {
  auto pod = std::make_shared<Pod>();
  pod->metadata.name = name;
  pod->metadata.uid = "uid-" + name;
  pod->spec.priority = priority;
  return pod;
}

Task<void> pop_into(PodQueue* queue, std::shared_ptr<QueuedPod>* out) { *out = co_await queue->pop(); }

class QueueTest : public testing::Test {
 protected:
  // The name of the next pod, "" when none is ready now.
  std::string pop() {
    queue_.advance();
    if (queue_.ready() == 0) return "";
    spawn(context_.get_executor(), pop_into(&queue_, &last_));
    context_.restart();
    context_.run();
    return last_->pod->metadata.name.str();
  }
  boost::asio::io_context context_;
  FakeClock clock_{WallTime(1s)};
  PodQueue queue_{context_.get_executor(), clock_};
  std::shared_ptr<QueuedPod> last_;
};

TEST_F(QueueTest, GivesHigherPrioritiesFirstThenOlderPods) {
  queue_.set(make_pod("old"));
  clock_.advance(1s);
  queue_.set(make_pod("new"));
  queue_.set(make_pod("urgent", 10));
  EXPECT_EQ(pop(), "urgent");
  EXPECT_EQ(pop(), "old");
  EXPECT_EQ(pop(), "new");
  EXPECT_EQ(pop(), "");
}

TEST_F(QueueTest, WaitsForAnEventThatMattersThenForTheBackoff) {
  queue_.set(make_pod("a"));
  pop();
  queue_.put_back(last_, kPodDelete, false);
  queue_.on_event(kNodeLabel);
  clock_.advance(2s);
  EXPECT_EQ(pop(), "");
  queue_.on_event(kPodDelete);
  EXPECT_EQ(pop(), "a");
  queue_.put_back(last_, kPodDelete, false);
  queue_.on_event(kPodDelete);
  EXPECT_EQ(queue_.backing_off(), 1u);
  clock_.advance(1s);
  EXPECT_EQ(pop(), "");  // second try: two seconds
  clock_.advance(1s);
  EXPECT_EQ(pop(), "a");
}

TEST_F(QueueTest, DoesNotLoseAnEventThatCameDuringTheTry) {
  queue_.set(make_pod("a"));
  pop();
  queue_.on_event(kNodeAdd);
  queue_.put_back(last_, kNodeAdd, false);
  clock_.advance(1s);
  EXPECT_EQ(pop(), "a");
}

TEST_F(QueueTest, TriesAgainAfterFiveMinutesWhateverHappened) {
  queue_.set(make_pod("a"));
  pop();
  queue_.put_back(last_, 0, false);
  clock_.advance(4min);
  EXPECT_EQ(pop(), "");
  clock_.advance(1min);
  EXPECT_EQ(pop(), "a");
}

TEST_F(QueueTest, AChangedSpecMakesAWaitingPodReadyAStatusDoesNot) {
  queue_.set(make_pod("a"));
  pop();
  queue_.put_back(last_, 0, false);
  clock_.advance(2s);
  auto same = make_pod("a");
  same->status.phase = "Pending";
  queue_.set(same);
  EXPECT_EQ(pop(), "");
  auto changed = make_pod("a");
  changed->spec.tolerations.emplace_back().key = "k";
  queue_.set(changed);
  EXPECT_EQ(pop(), "a");
}

TEST_F(QueueTest, ForgetsARemovedPodEvenInFlight) {
  queue_.set(make_pod("a"));
  pop();
  queue_.remove("uid-a");
  queue_.put_back(last_, kAnyEvent, true);
  clock_.advance(10s);
  EXPECT_EQ(pop(), "");
  EXPECT_EQ(queue_.backing_off() + queue_.waiting(), 0u);
}

}  // namespace
}  // namespace knarr::scheduler
