// SPDX-License-Identifier: Apache-2.0
#include "store/journal.h"

#include <gtest/gtest.h>

#include <fstream>

#include "store/pending.h"
#include "store/test_support.h"

namespace knarr::store {
namespace {

struct JournalTest : ::testing::Test {
  TempDir dir;
  std::string path = dir.path() + "/journal";

  Journal open(uint64_t epoch) {
    Result<Journal> journal = Journal::open(path, 4096, true);
    EXPECT_TRUE(journal.ok()) << journal.status().message();
    journal->restart(epoch);
    return std::move(*journal);
  }
  std::vector<std::string> replay(uint64_t epoch) {
    std::vector<std::string> payloads;
    auto take = [&payloads](std::string_view payload) {
      payloads.emplace_back(payload);
      return Status();
    };
    EXPECT_TRUE(open(0).replay(epoch, take).ok());
    return payloads;
  }
  void flip(std::streamoff at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(at);
    file.put(byte);
  }
};

using Payloads = std::vector<std::string>;

TEST_F(JournalTest, GivesBackItsEpochOnly) {
  Journal journal = open(7);
  EXPECT_TRUE(journal.append("one").ok());
  EXPECT_TRUE(journal.append("two").ok());
  EXPECT_TRUE(journal.append("three").ok());
  EXPECT_EQ(replay(7), (Payloads{"one", "two", "three"}));
  EXPECT_EQ(replay(8), Payloads());
  journal.restart(8);
  EXPECT_TRUE(journal.append("ONE").ok());
  EXPECT_EQ(replay(8), (Payloads{"ONE"})) << "what is left of epoch 7 ends it";
}

TEST_F(JournalTest, EndsAtDamage) {
  Journal journal = open(7);
  EXPECT_TRUE(journal.append("one").ok());
  EXPECT_TRUE(journal.append("two").ok());
  flip(24 + 3 + 24);  // the second payload's first byte
  EXPECT_EQ(replay(7), (Payloads{"one"}));
  flip(4);  // the first one's size
  EXPECT_EQ(replay(7), Payloads());
}

TEST_F(JournalTest, RefusesWhatDoesNotFit) {
  Journal journal = open(7);
  EXPECT_FALSE(journal.fits(4096));
  EXPECT_TRUE(journal.append(std::string(4000, 'x')).ok());
  EXPECT_FALSE(journal.fits(100));
  EXPECT_FALSE(journal.append(std::string(100, 'x')).ok());
  EXPECT_EQ(replay(7).size(), 1u);
}

TEST(DecodeChanges, RefusesEveryCutAndNeverCrashes) {
  auto event = std::make_shared<Event>();
  event->key = "/a";
  event->value = Bytes::copy("value");
  event->revision = 5;
  event->create_revision = 3;
  std::string payload = encode_changes({{event, 4, 1000}});
  Result<std::vector<Change>> changes = decode_changes(payload);
  ASSERT_TRUE(changes.ok());
  ASSERT_EQ(changes->size(), 1u);
  EXPECT_EQ((*changes)[0].event->value.view(), "value");
  EXPECT_EQ((*changes)[0].event->revision, 5);
  EXPECT_EQ((*changes)[0].previous_revision, 4);
  EXPECT_EQ((*changes)[0].expiry_ms, 1000);
  for (size_t size = 0; size < payload.size(); ++size) {
    if (size == 8) continue;  // no changes at all
    EXPECT_FALSE(decode_changes(std::string_view(payload).substr(0, size)).ok()) << size;
  }
}

}  // namespace
}  // namespace knarr::store
