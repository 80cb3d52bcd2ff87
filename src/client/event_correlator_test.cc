// SPDX-License-Identifier: Apache-2.0
#include "client/event_correlator.h"

#include <gtest/gtest.h>

namespace knarr::client {
namespace {

using namespace std::chrono_literals;
using api::core_v1::Event;

class CorrelatorTest : public testing::Test {
 protected:
  Event event(const std::string& message, const std::string& object = "pod") {
    Event event;
    event.metadata.name = event_name(object, clock.now());
    event.involved_object.name = object;
    event.involved_object.uid = "uid-" + object;
    event.reason = "Reason";
    event.message = message;
    event.count = 1;
    return event;
  }
  FakeClock clock{WallTime(std::chrono::seconds(1700000000))};
  EventCorrelator correlator{clock};
};

TEST_F(CorrelatorTest, TheSameEventIsCountedUp) {
  auto first = correlator.correlate(event("m"));
  EXPECT_TRUE(first.patch.empty());
  first.event.metadata.resource_version = "7";
  correlator.written(first.event);
  clock.advance(1s);
  auto second = correlator.correlate(event("m"));
  EXPECT_EQ(second.event.count, 2);
  EXPECT_EQ(second.event.metadata.name, first.event.metadata.name);
  EXPECT_NE(second.patch.find("\"count\":2"), std::string::npos);
}

TEST_F(CorrelatorTest, TheTenthDifferentMessageIsCombined) {
  for (int i = 0; i < 9; ++i) {
    auto outcome = correlator.correlate(event("m" + std::to_string(i)));
    EXPECT_EQ(outcome.event.message, "m" + std::to_string(i));
  }
  auto tenth = correlator.correlate(event("m9"));
  EXPECT_EQ(tenth.event.message, "(combined from similar events): m9");
  auto eleventh = correlator.correlate(event("m10"));
  EXPECT_EQ(eleventh.event.count, 2);
  EXPECT_EQ(eleventh.event.metadata.name, tenth.event.metadata.name);
  // After ten quiet minutes everything is new again.
  clock.advance(601s);
  EXPECT_EQ(correlator.correlate(event("m11")).event.message, "m11");
}

TEST_F(CorrelatorTest, BurstsAboutOneObjectAreDropped) {
  int kept = 0;
  for (int i = 0; i < 40; ++i) kept += !correlator.correlate(event("m")).skip;
  EXPECT_EQ(kept, 25);
  EXPECT_FALSE(correlator.correlate(event("m", "another")).skip);
  clock.advance(301s);
  EXPECT_FALSE(correlator.correlate(event("m")).skip);
  EXPECT_TRUE(correlator.correlate(event("m")).skip);
}

TEST(LruCache, ForgetsTheLeastRecentlyUsed) {
  LruCache<int> cache(2);
  cache["a"] = 1;
  cache["b"] = 2;
  EXPECT_NE(cache.find("a"), nullptr);
  cache["c"] = 3;
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_NE(cache.find("a"), nullptr);
}

}  // namespace
}  // namespace knarr::client
