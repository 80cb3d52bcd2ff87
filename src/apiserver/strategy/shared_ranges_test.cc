// SPDX-License-Identifier: Apache-2.0
// Upstream's bitmaps, and what a repair keeps. The servers side by side are in tests/interchange/60-etcd-store.sh.
#include <gtest/gtest.h>

#include "apiserver/strategy/service_allocator.h"

namespace knarr::apiserver {
namespace {

TEST(NumberPool, BitmapIsBigEndianWithoutLeadingZeros) {
  NumberPool pool(1000, 0);
  EXPECT_EQ(pool.bitmap(), "");
  pool.take(0);
  EXPECT_EQ(pool.bitmap(), std::string("\x01", 1));
  pool.take(9);
  EXPECT_EQ(pool.bitmap(), std::string("\x02\x01", 2));
  pool.take(16);
  EXPECT_EQ(pool.bitmap(), std::string("\x01\x02\x01", 3));
  pool.give_back(16);
  EXPECT_EQ(pool.bitmap(), std::string("\x02\x01", 2));
}

TEST(NumberPool, BitmapComesBack) {
  NumberPool pool(300, 0), other(300, 0);
  for (uint32_t number : {0, 7, 8, 64, 255, 299}) pool.take(number);
  other.take(5);
  other.set_bitmap(pool.bitmap());
  for (uint32_t number = 0; number < 300; ++number) EXPECT_EQ(other.has(number), pool.has(number)) << number;
  // What lies beyond the range is not ours to keep.
  NumberPool small(8, 0);
  small.set_bitmap(pool.bitmap());
  EXPECT_EQ(small.bitmap(), std::string("\x81", 1));
}

}  // namespace
}  // namespace knarr::apiserver
