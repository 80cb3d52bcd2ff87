// SPDX-License-Identifier: Apache-2.0
// The behaviour suite on the embedded store in two shapes, and what is particular to it.
#include "store/store.h"

#include <gtest/gtest.h>

#include "store/embedded_store.h"
#include "store/store_suite.h"
#include "store/test_support.h"

namespace knarr::store {
namespace {

// kRing: events kept in memory; few of them make watches read the log. kJournal: bytes of the
// journal; 0 sends every turn through LMDB, a few kB mix both ways.
template <size_t kRing, uint64_t kJournal>
struct EmbeddedBackend {
  TempDir dir;
  SharedFakeClock clock;
  std::unique_ptr<EmbeddedStore> embedded;

  EmbeddedBackend() { open(); }
  void open() {
    EmbeddedOptions options;
    options.dir = dir.path() + "/db";
    options.clock = &clock;
    options.no_sync = true;  // the process stays alive
    options.ring.events = kRing;
    options.journal_bytes = kJournal;
    Result<std::unique_ptr<EmbeddedStore>> store = open_embedded_store(options);
    ASSERT_TRUE(store.ok()) << store.status().message();
    embedded = std::move(*store);
  }
  Store& store() { return *embedded; }
  void reopen() {
    embedded.reset();
    open();
  }
  void advance(std::chrono::seconds by) {
    clock.advance(by);
    embedded->check_clock();
  }
};

using Usual = EmbeddedBackend<4096, 4 << 20>;
using Small = EmbeddedBackend<3, 3000>;
using NoJournal = EmbeddedBackend<3, 0>;
INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, StoreSuite, Usual);
INSTANTIATE_TYPED_TEST_SUITE_P(EmbeddedSmall, StoreSuite, Small);
INSTANTIATE_TYPED_TEST_SUITE_P(EmbeddedNoJournal, StoreSuite, NoJournal);

struct EmbeddedStoreTest : ::testing::Test {
  TempDir dir;
  SharedFakeClock clock;
  EmbeddedOptions options;
  std::unique_ptr<EmbeddedStore> store;

  EmbeddedStoreTest() {
    options.dir = dir.path();
    options.clock = &clock;
    options.no_sync = true;
  }
  void open() {
    store.reset();
    Result<std::unique_ptr<EmbeddedStore>> opened = open_embedded_store(options);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    store = std::move(*opened);
  }
  Status put(std::string key, std::string_view value) {
    return run_task(store->write(put_request(std::move(key), value))).status();
  }
};

TEST(PrefixEnd, IsTheNextPrefix) {
  EXPECT_EQ(prefix_end("/a/"), "/a0");
  EXPECT_EQ(prefix_end("a\xff"), "b");
  EXPECT_EQ(prefix_end("\xff\xff"), "");
  EXPECT_EQ(prefix_end(""), "");
}

Task<void> put_many(Store* store, std::string key, int times) {
  for (int i = 0; i < times; ++i) {
    WriteRequest request = put_request(key, "value");
    Result<WriteResult> result = co_await store->write(std::move(request));
    EXPECT_TRUE(result.ok());
  }
}

TEST_F(EmbeddedStoreTest, ConcurrentWritesShareCommits) {
  options.no_sync = false;
  open();
  boost::asio::io_context context;
  for (int i = 0; i < 32; ++i)
    spawn(context.get_executor(), put_many(store.get(), "/k" + std::to_string(i), 20));
  uint64_t before = store->stats().commits;
  context.run();
  uint64_t commits = store->stats().commits - before;
  EXPECT_EQ(store->stats().writes, 640u);
  EXPECT_LE(commits, 160u) << "32 writers, at least 4 a commit";
}

TEST_F(EmbeddedStoreTest, FailedComparisonsAndIdlenessCommitNothing) {
  open();
  EXPECT_TRUE(put("/a", "1").ok());
  uint64_t before = store->stats().commits;
  for (int i = 0; i < 10; ++i) {
    WriteRequest request = put_request("/a", "2", 0);
    EXPECT_FALSE(run_task(store->write(std::move(request)))->succeeded);
  }
  clock.advance(std::chrono::hours(24));
  store->check_clock();
  EXPECT_FALSE(run_task(store->write(put_request("/a", "2", 0)))->succeeded);
  EXPECT_EQ(store->stats().commits, before);
}

TEST_F(EmbeddedStoreTest, SecondOpenIsRefused) {
  open();
  Result<std::unique_ptr<EmbeddedStore>> second = open_embedded_store(options);
  EXPECT_FALSE(second.ok());
}

TEST_F(EmbeddedStoreTest, ForgetsByAgeOnlyBeyondTheRevisionsKept) {
  options.retention.revisions = 500;
  options.journal_bytes = 1000;
  open();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(put("/a", std::to_string(i)).ok());
  EXPECT_EQ(store->compacted_revision(), 0) << "all of it is young";
  clock.advance(std::chrono::seconds(301));
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(put("/a", std::to_string(i)).ok());
  int64_t kept = store->revision() - store->compacted_revision();
  EXPECT_GE(kept, 500);
  EXPECT_LE(kept, 600);
}

TEST_F(EmbeddedStoreTest, ForgetsByBytesInAnyCase) {
  options.retention.bytes = 100'000;
  options.journal_bytes = 10'000;
  open();
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(put("/a", std::string(1000, 'v')).ok());
  EXPECT_LE(store->stats().history_bytes, 100'000 + 200'000);
  EXPECT_GT(store->compacted_revision(), 1500);
  EXPECT_TRUE(run_task(store->compact(store->revision())).ok());
  // The writer goes on by itself until the records are gone.
  for (int i = 0; i < 5000 && store->stats().purged_revision < store->revision(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(store->stats().history_bytes, 0);
}

TEST_F(EmbeddedStoreTest, FullStoreTakesDeletesAndRecovers) {
  options.max_bytes = uint64_t{16} << 20;
  options.retention.bytes = 1 << 20;
  open();
  std::string value(100'000, 'v');
  Status full;
  int stored = 0;
  for (; stored < 1000 && full.ok(); ++stored)
    full = put("/k" + std::to_string(1000 + stored), value);
  EXPECT_EQ(full.code(), 507);
  EXPECT_GT(stored, 50);
  EXPECT_EQ(put("/k2000", value).code(), 507);
  EXPECT_EQ(run_task(store->get("/k1000"))->value.view(), value);
  // Overwriting is refused, deleting is not, and makes room again.
  for (int i = 0; i < stored / 2; ++i)
    EXPECT_TRUE(run_task(store->write(delete_request("/k" + std::to_string(1000 + i)))).ok());
  EXPECT_TRUE(run_task(store->compact(store->revision())).ok());
  for (int i = 0; i < 5000 && store->stats().purged_revision < store->compacted_revision(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  Status again = put("/again", value);
  EXPECT_TRUE(again.ok()) << again.message();
  open();
  EXPECT_EQ(run_task(store->get("/again"))->value.view(), value);
}

// A full store that is only ever overwritten lives on: history gives way.
TEST_F(EmbeddedStoreTest, OverwritingForEverNeedsNoMoreSpace) {
  options.max_bytes = uint64_t{24} << 20;
  options.retention.bytes = 2 << 20;
  open();
  std::string value(20'000, 'v');
  for (int i = 0; i < 3000; ++i) {
    Status status = put("/k" + std::to_string(i % 50), value);
    ASSERT_TRUE(status.ok()) << i << " " << status.message();
  }
}

TEST_F(EmbeddedStoreTest, ClosingAnswersWhatWaits) {
  open();
  boost::asio::io_context context;
  std::optional<Result<WriteResult>> result;
  // Not run yet when the store goes: the request is queued by the first poll, answered either way.
  spawn(context.get_executor(),
        suite_store_result<Result<WriteResult>>(store->write(put_request("/a", "1")), &result));
  context.poll_one();
  store.reset();
  context.run();
  ASSERT_TRUE(result.has_value());
  if (!result->ok()) {
    EXPECT_EQ(result->status().code(), 503);
  }
}

}  // namespace
}  // namespace knarr::store
