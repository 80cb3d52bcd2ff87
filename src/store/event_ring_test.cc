// SPDX-License-Identifier: Apache-2.0
#include "store/event_ring.h"

#include <gtest/gtest.h>

namespace knarr::store {
namespace {

EventRing::EventPtr event_of(int64_t revision, std::string key) {
  auto event = std::make_shared<Event>();
  event->revision = revision;
  event->key = std::move(key);
  event->value = Bytes::copy(std::to_string(revision));
  return event;
}

struct EventRingTest : ::testing::Test {
  EventRing ring{{4, 1 << 20}, 10};
  int wakes = 0;
  std::shared_ptr<EventRing::Subscriber> subscribe(std::string start, std::string end,
                                                   int64_t after = 10) {
    return ring.subscribe(std::move(start), std::move(end), after, [this] { ++wakes; });
  }
};

TEST_F(EventRingTest, DropsTheOldestAndSaysSo) {
  auto subscriber = subscribe("", "");
  std::vector<EventRing::EventPtr> events;
  for (int64_t revision = 11; revision <= 16; ++revision)
    events.push_back(event_of(revision, "/a"));
  ring.publish(std::move(events));
  EXPECT_EQ(ring.revision(), 16);
  EXPECT_EQ(ring.value_at(11).view(), "11") << "not in the log yet";
  ring.set_logged(16);
  EXPECT_TRUE(ring.value_at(12).is_null());
  EXPECT_EQ(ring.value_at(13).view(), "13");
  EXPECT_TRUE(ring.value_at(17).is_null());
  EventRing::Batch batch = ring.poll(subscriber, 10);
  EXPECT_TRUE(batch.behind);
  EXPECT_EQ(batch.cursor, 10);
  EXPECT_EQ(batch.until, 12);
  ring.advance(*subscriber, 12);
  batch = ring.poll(subscriber, 3);
  ASSERT_EQ(batch.events.size(), 3u);
  EXPECT_EQ(batch.events[0]->revision, 13);
  EXPECT_EQ(ring.progress(*subscriber), 15);
}

TEST_F(EventRingTest, BoundsItsBytes) {
  EventRing small({1000, 3 * (sizeof(Event) + 4)}, 10);
  for (int64_t revision = 11; revision <= 20; ++revision) {
    std::vector<EventRing::EventPtr> events = {event_of(revision, "/a")};
    small.publish(std::move(events));
    small.set_logged(revision);
  }
  EXPECT_TRUE(small.value_at(17).is_null());
  EXPECT_FALSE(small.value_at(18).is_null());
}

TEST_F(EventRingTest, ArmedSubscriberIsWokenByItsRangeOnly) {
  auto subscriber = subscribe("/b", "/c");
  auto other = subscribe("/b", "/c");
  auto quiet = subscribe("/d", "/e");
  for (const auto& s : {subscriber, other, quiet}) EXPECT_TRUE(ring.poll(s, 10).events.empty());
  for (int64_t revision = 11; revision <= 30; ++revision) ring.publish({event_of(revision, "/a")});
  EXPECT_EQ(wakes, 0);
  EXPECT_EQ(ring.progress(*subscriber), 30);
  ring.publish({event_of(31, "/b1"), event_of(32, "/b2")});
  EXPECT_EQ(wakes, 2);
  EventRing::Batch batch = ring.poll(subscriber, 10);
  EXPECT_FALSE(batch.behind) << "armed means up to date";
  EXPECT_EQ(batch.events.size(), 2u);
  EXPECT_EQ(ring.progress(*quiet), 32);
}

TEST_F(EventRingTest, NoWakeAfterUnsubscribe) {
  auto subscriber = subscribe("", "");
  EXPECT_TRUE(ring.poll(subscriber, 10).events.empty());
  ring.unsubscribe(subscriber);
  ring.publish({event_of(11, "/a")});
  ring.close();
  EXPECT_EQ(wakes, 0);
}

TEST_F(EventRingTest, CloseWakesAndEndsPolls) {
  auto subscriber = subscribe("", "");
  EXPECT_TRUE(ring.poll(subscriber, 10).events.empty());
  ring.close();
  EXPECT_EQ(wakes, 1);
  EXPECT_TRUE(ring.poll(subscriber, 10).closed);
}

}  // namespace
}  // namespace knarr::store
