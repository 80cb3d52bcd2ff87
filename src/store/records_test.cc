// SPDX-License-Identifier: Apache-2.0
#include "store/records.h"

#include <gtest/gtest.h>

namespace knarr::store {
namespace {

TEST(LogRecord, ComesBack) {
  LogRecord record;
  record.kind = Event::Kind::kDelete;
  record.create_revision = 7;
  record.previous_revision = 9;
  record.key = "/registry/pods/a";
  record.value = std::string_view("\0\1", 2);
  std::string bytes(record.encoded_size(), '\0');
  record.encode(bytes.data());
  Result<LogRecord> parsed = LogRecord::parse(bytes);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->kind, record.kind);
  EXPECT_EQ(parsed->create_revision, 7);
  EXPECT_EQ(parsed->previous_revision, 9);
  EXPECT_EQ(parsed->key, record.key);
  EXPECT_EQ(parsed->value, record.value);
}

TEST(LogRecord, DamageIsAnError) {
  EXPECT_FALSE(LogRecord::parse("").ok());
  EXPECT_FALSE(LogRecord::parse(std::string(23, '\0')).ok());
  std::string long_key(24, '\0');
  long_key[0] = 1;
  EXPECT_FALSE(LogRecord::parse(long_key).ok());
  std::string bad_kind(24, '\0');
  bad_kind[7] = 2;
  EXPECT_FALSE(LogRecord::parse(bad_kind).ok());
}

TEST(State, ComesBackAndRefusesAnotherFormat) {
  State state;
  state.revision = 12;
  state.compacted = 5;
  std::string bytes = state.encode();
  Result<State> parsed = State::parse(bytes);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->revision, 12);
  EXPECT_EQ(parsed->compacted, 5);
  bytes[0] = 9;
  EXPECT_FALSE(State::parse(bytes).ok());
  EXPECT_FALSE(State::parse("x").ok());
}

TEST(RevisionKey, SortsLikeTheNumbers) {
  EXPECT_LT(RevisionKey(255).view(), RevisionKey(256).view());
  EXPECT_EQ(RevisionKey::parse(RevisionKey(123456789012).view()), 123456789012);
  EXPECT_EQ(RevisionKey::parse("short"), 0);
}

}  // namespace
}  // namespace knarr::store
