// SPDX-License-Identifier: Apache-2.0
// What every Store must do, as a typed googletest suite.
//
//   struct MyBackend {
//     Store& store();                            // a fresh, empty one at first
//     void reopen();                             // closes it and opens the same data again
//     void advance(std::chrono::seconds by);     // moves the store's clock, and lets it look
//     static std::string missing();              // optional: why the tests cannot run here, "" when they can
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Mine, StoreSuite, MyBackend);
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/task.h"
#include "store/store.h"

namespace knarr::store {

template <class T>
Task<void> suite_store_result(Task<T> task, std::optional<T>* result) {
  T value = co_await std::move(task);
  result->emplace(std::move(value));
}

// Runs a task to its end on this thread.
template <class T>
T run_task(Task<T> task) {
  boost::asio::io_context context;
  std::optional<T> result;
  spawn(context.get_executor(), suite_store_result<T>(std::move(task), &result));
  context.run();
  EXPECT_TRUE(result.has_value());
  return std::move(*result);
}

inline WriteRequest put_request(std::string key, std::string_view value,
                                int64_t expected = WriteRequest::kAny) {
  WriteRequest request;
  request.key = std::move(key);
  request.value = Bytes::copy(value);
  request.expected_revision = expected;
  return request;
}

inline WriteRequest delete_request(std::string key, int64_t expected = WriteRequest::kAny) {
  WriteRequest request;
  request.key = std::move(key);
  request.remove = true;
  request.expected_revision = expected;
  return request;
}

// Counts wakes and lets a thread wait for them.
class WakeCounter {
 public:
  std::function<void()> callback() {
    return [state = state_] { ++*state; };
  }
  int count() const { return *state_; }
  bool wait_for(int count) const {
    for (int i = 0; i < 5000 && *state_ < count; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return *state_ >= count;
  }

 private:
  std::shared_ptr<std::atomic<int>> state_ = std::make_shared<std::atomic<int>>(0);
};

template <class Backend>
class StoreSuite : public ::testing::Test {
 public:
  Store& store() { return backend.store(); }
  void SetUp() override {
    if constexpr (requires { Backend::missing(); }) {
      if (std::string why = Backend::missing(); !why.empty()) GTEST_SKIP() << why;
    }
  }

  WriteResult write(WriteRequest request) {
    Result<WriteResult> result = run_task(store().write(std::move(request)));
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? std::move(*result) : WriteResult();
  }
  int64_t put(std::string key, std::string_view value) {
    return write(put_request(std::move(key), value)).revision;
  }
  int64_t remove(std::string key) { return write(delete_request(std::move(key))).revision; }
  Entry get(std::string key, int64_t revision = 0) {
    Result<Entry> entry = run_task(store().get(std::move(key), revision));
    EXPECT_TRUE(entry.ok()) << entry.status().message();
    return entry.ok() ? std::move(*entry) : Entry();
  }
  Result<RangeResult> range(std::string start, std::string end, int64_t revision = 0,
                            int64_t limit = 0) {
    RangeRequest request;
    request.start = std::move(start);
    request.end = std::move(end);
    request.revision = revision;
    request.limit = limit;
    return run_task(store().range(std::move(request)));
  }
  // "key=value" of each, to compare at one glance.
  std::vector<std::string> list(std::string prefix, int64_t revision = 0) {
    std::string end = prefix_end(prefix);
    Result<RangeResult> result = range(std::move(prefix), std::move(end), revision);
    EXPECT_TRUE(result.ok()) << result.status().message();
    std::vector<std::string> lines;
    if (!result.ok()) return lines;
    for (const Entry& entry : result->entries)
      lines.push_back(entry.key + "=" + std::string(entry.value.view()));
    return lines;
  }
  std::unique_ptr<Watch> watch(
      std::string prefix, int64_t after, std::function<void()> wake = [] {}) {
    std::string end = prefix_end(prefix);
    auto result = store().watch(std::move(prefix), std::move(end), after, std::move(wake));
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? std::move(*result) : nullptr;
  }
  // Everything there is at the moment; waits while history is being fetched.
  std::vector<Event> drain(Watch& watch, size_t step = 100) {
    std::vector<Event> all;
    for (int waits = 0;;) {
      Result<std::vector<Event>> some = watch.poll(step);
      EXPECT_TRUE(some.ok()) << some.status().message();
      if (!some.ok()) return all;
      if (some->empty()) {
        if (watch.progress() >= store().revision() || ++waits > 5000) return all;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      for (Event& event : *some) all.push_back(std::move(event));
    }
  }

  Backend backend;
};

using Lines = std::vector<std::string>;

TYPED_TEST_SUITE_P(StoreSuite);

TYPED_TEST_P(StoreSuite, CreatesOnlyWhatIsAbsent) {
  WriteResult created = this->write(put_request("/a", "1", 0));
  EXPECT_TRUE(created.succeeded);
  WriteResult again = this->write(put_request("/a", "2", 0));
  EXPECT_FALSE(again.succeeded);
  EXPECT_EQ(again.current.value.view(), "1");
  EXPECT_EQ(again.current.mod_revision, created.revision);
  EXPECT_EQ(again.revision, created.revision);
  Entry entry = this->get("/a");
  EXPECT_EQ(entry.value.view(), "1");
  EXPECT_EQ(entry.create_revision, created.revision);
  EXPECT_EQ(entry.mod_revision, created.revision);
}

TYPED_TEST_P(StoreSuite, UpdatesOnlyTheExpectedRevision) {
  int64_t first = this->put("/a", "1");
  WriteResult second = this->write(put_request("/a", "2", first));
  EXPECT_TRUE(second.succeeded);
  EXPECT_GT(second.revision, first);
  WriteResult stale = this->write(put_request("/a", "3", first));
  EXPECT_FALSE(stale.succeeded);
  EXPECT_EQ(stale.current.value.view(), "2");
  EXPECT_EQ(stale.current.create_revision, first);
  WriteResult absent = this->write(put_request("/b", "1", first));
  EXPECT_FALSE(absent.succeeded);
  EXPECT_EQ(absent.current.mod_revision, 0);
}

TYPED_TEST_P(StoreSuite, RemovesOnlyTheExpectedRevision) {
  int64_t first = this->put("/a", "1");
  int64_t second = this->put("/a", "2");
  EXPECT_FALSE(this->write(delete_request("/a", first)).succeeded);
  WriteResult removed = this->write(delete_request("/a", second));
  EXPECT_TRUE(removed.succeeded);
  EXPECT_GT(removed.revision, second);
  EXPECT_EQ(removed.current.value.view(), "2");
  EXPECT_EQ(removed.current.mod_revision, second);
  EXPECT_EQ(this->get("/a").mod_revision, 0);
  // Nothing to remove is no change.
  WriteResult nothing = this->write(delete_request("/a"));
  EXPECT_TRUE(nothing.succeeded);
  EXPECT_EQ(nothing.current.mod_revision, 0);
  EXPECT_EQ(nothing.revision, removed.revision);
  EXPECT_EQ(this->store().revision(), removed.revision);
}

TYPED_TEST_P(StoreSuite, RecreatedKeyIsNew) {
  this->put("/a", "1");
  this->remove("/a");
  int64_t again = this->put("/a", "2");
  EXPECT_EQ(this->get("/a").create_revision, again);
}

TYPED_TEST_P(StoreSuite, KeepsAnyBytes) {
  std::string value("\0\xff\n", 3);
  this->put("/a", value);
  this->put("/empty", "");
  std::string big(1'500'000, 'x');
  this->put("/big", big);
  EXPECT_EQ(this->get("/a").value.view(), value);
  EXPECT_EQ(this->get("/empty").value.view(), "");
  EXPECT_NE(this->get("/empty").mod_revision, 0);
  EXPECT_EQ(this->get("/big").value.view(), big);
}

TYPED_TEST_P(StoreSuite, RefusesABadRequest) {
  EXPECT_EQ(run_task(this->store().write(put_request("", "1"))).status().code(), 400);
  WriteRequest request = put_request("/a", "1");
  request.ttl_seconds = -1;
  EXPECT_EQ(run_task(this->store().write(std::move(request))).status().code(), 400);
}

TYPED_TEST_P(StoreSuite, RangesInKeyOrder) {
  for (const char* key : {"/pods/b/1", "/pods/a/2", "/pods/a/1", "/pods/a0", "/podsx", "/nodes/a"})
    this->put(key, "v");
  EXPECT_EQ(this->list("/pods/"),
            (Lines{"/pods/a/1=v", "/pods/a/2=v", "/pods/a0=v", "/pods/b/1=v"}));
  EXPECT_EQ(this->list("/pods/a/"), (Lines{"/pods/a/1=v", "/pods/a/2=v"}));
  EXPECT_EQ(this->list("/zzz"), Lines());
  EXPECT_EQ(this->list("").size(), 6u);
}

TYPED_TEST_P(StoreSuite, OrdersKeysLongerThanThePagesAllow) {
  std::string prefix = "/" + std::string(498, 'a');
  std::vector<std::string> keys = {prefix,
                                   prefix + "a",
                                   prefix + "ab",
                                   prefix + "b",
                                   prefix + "b/c",
                                   prefix + std::string(600, 'z'),
                                   prefix.substr(0, 490) + "b"};
  std::set<std::string> sorted;
  for (const std::string& key : keys) {
    this->put(key, "v");
    sorted.insert(key);
  }
  Lines expected;
  for (const std::string& key : sorted) expected.push_back(key + "=v");
  EXPECT_EQ(this->list("/"), expected);
  EXPECT_EQ(this->list(prefix + "a").size(), 2u);
  this->remove(prefix + "ab");
  EXPECT_EQ(this->list(prefix + "a"), (Lines{prefix + "a=v"}));
  EXPECT_EQ(this->get(prefix + "b/c").value.view(), "v");
  EXPECT_EQ(this->get(prefix + "b/").mod_revision, 0);
}

TYPED_TEST_P(StoreSuite, CountsBeyondTheLimit) {
  for (int i = 0; i < 5; ++i) this->put("/a/" + std::to_string(i), "v");
  Result<RangeResult> two = this->range("/a/", "/a0", 0, 2);
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(two->entries.size(), 2u);
  EXPECT_TRUE(two->more);
  EXPECT_EQ(two->count, 5);
  Result<RangeResult> exactly = this->range("/a/", "/a0", 0, 5);
  ASSERT_TRUE(exactly.ok());
  EXPECT_FALSE(exactly->more);
  RangeRequest request;
  request.start = "/a/";
  request.end = "/a0";
  request.count_only = true;
  Result<RangeResult> count = run_task(this->store().range(std::move(request)));
  ASSERT_TRUE(count.ok());
  EXPECT_TRUE(count->entries.empty());
  EXPECT_EQ(count->count, 5);
}

TYPED_TEST_P(StoreSuite, PagesAtAPinnedRevisionWhileWritesGoOn) {
  Lines expected;
  for (int i = 10; i < 30; ++i) {
    this->put("/a/" + std::to_string(i), "old");
    expected.push_back("/a/" + std::to_string(i) + "=old");
  }
  int64_t pinned = this->store().revision();
  Lines got;
  std::string start = "/a/";
  for (int page = 0;; ++page) {
    Result<RangeResult> result = this->range(start, "/a0", pinned, 6);
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_EQ(result->revision, pinned);
    EXPECT_EQ(result->count, 20 - page * 6);
    for (const Entry& entry : result->entries)
      got.push_back(entry.key + "=" + std::string(entry.value.view()));
    if (!result->more) break;
    start = result->entries.back().key + '\0';
    this->put("/a/" + std::to_string(10 + page), "new");
    this->put("/a/" + std::to_string(29 - page), "new");
    this->remove("/a/" + std::to_string(20 + page));
    this->put("/a/20x" + std::to_string(page), "new");
  }
  EXPECT_EQ(got, expected);
}

TYPED_TEST_P(StoreSuite, ReadsEveryRevisionOfThePast) {
  std::vector<std::pair<int64_t, Lines>> history;
  std::map<std::string, std::string> now;
  for (int i = 0; i < 60; ++i) {
    std::string key = "/k" + std::to_string(i * 7 % 5);
    int64_t revision;
    if (i % 4 == 3) {
      revision = this->remove(key);
      now.erase(key);
    } else {
      revision = this->put(key, std::to_string(i));
      now[key] = std::to_string(i);
    }
    Lines lines;
    for (auto& [k, v] : now) lines.push_back(k + "=" + v);
    history.emplace_back(revision, lines);
  }
  for (auto& [revision, lines] : history) EXPECT_EQ(this->list("/k", revision), lines) << revision;
  EXPECT_EQ(this->get("/k0", history[0].first).value.view(), "0");
  EXPECT_EQ(this->get("/k1", history[0].first).mod_revision, 0);
}

TYPED_TEST_P(StoreSuite, RefusesTheFutureAndTheForgotten) {
  this->put("/a", "1");
  int64_t middle = this->put("/a", "2");
  int64_t last = this->put("/a", "3");
  Result<RangeResult> future = this->range("/a", "/b", last + 1);
  EXPECT_EQ(future.status().code(), 504);
  EXPECT_TRUE(run_task(this->store().compact(middle)).ok());
  EXPECT_EQ(this->store().compacted_revision(), middle);
  EXPECT_EQ(this->range("/a", "/b", middle - 1).status().code(), 410);
  EXPECT_TRUE(this->range("/a", "/b", middle - 1).status().is("Expired"));
  EXPECT_EQ(run_task(this->store().get("/a", middle - 1)).status().code(), 410);
  EXPECT_EQ(this->list("/a", middle), (Lines{"/a=2"}));
  EXPECT_EQ(this->list("/a"), (Lines{"/a=3"}));
  EXPECT_FALSE(run_task(this->store().compact(last + 100)).ok());
}

TYPED_TEST_P(StoreSuite, CompactionKeepsTheLatestValues) {
  for (int i = 0; i < 3000; ++i) {
    std::string key = "/k" + std::to_string(i % 50);
    if (i % 11 == 0)
      this->remove(key);
    else
      this->put(key, std::to_string(i));
  }
  Lines before = this->list("/k");
  EXPECT_TRUE(run_task(this->store().compact(this->store().revision())).ok());
  EXPECT_EQ(this->list("/k"), before);
  this->put("/k0", "after");
  this->backend.reopen();
  EXPECT_EQ(this->get("/k0").value.view(), "after");
  EXPECT_EQ(this->list("/k").size(), before.size() + (before[0].starts_with("/k0=") ? 0 : 1));
}

TYPED_TEST_P(StoreSuite, WatchTellsWhatHappened) {
  int64_t start = this->store().revision();
  auto watch = this->watch("/a/", start);
  EXPECT_TRUE(this->drain(*watch).empty());
  int64_t created = this->put("/a/1", "one");
  this->put("/b/1", "elsewhere");
  int64_t updated = this->put("/a/1", "two");
  int64_t removed = this->remove("/a/1");
  std::vector<Event> events = this->drain(*watch);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_TRUE(events[0].created());
  EXPECT_EQ(events[0].revision, created);
  EXPECT_EQ(events[0].value.view(), "one");
  EXPECT_TRUE(events[0].previous.is_null());
  EXPECT_FALSE(events[1].created());
  EXPECT_EQ(events[1].revision, updated);
  EXPECT_EQ(events[1].create_revision, created);
  EXPECT_EQ(events[1].previous.view(), "one");
  EXPECT_EQ(events[2].kind, Event::Kind::kDelete);
  EXPECT_EQ(events[2].revision, removed);
  EXPECT_EQ(events[2].create_revision, created);
  EXPECT_TRUE(events[2].value.is_null());
  EXPECT_EQ(events[2].previous.view(), "two");
  EXPECT_EQ(watch->progress(), removed);
}

TYPED_TEST_P(StoreSuite, FailedComparisonIsNoEvent) {
  auto watch = this->watch("/", this->store().revision());
  this->write(put_request("/a", "1", 5));
  this->write(delete_request("/a", 5));
  this->write(delete_request("/a"));
  EXPECT_TRUE(this->drain(*watch).empty());
}

TYPED_TEST_P(StoreSuite, WatchStartsAnywhereInTheWindow) {
  std::vector<int64_t> revisions;
  int64_t start = this->store().revision();
  for (int i = 0; i < 300; ++i)
    revisions.push_back(
        this->put("/a/" + std::to_string(i % 7), std::string(100, 'v') + std::to_string(i)));
  for (size_t from : {0, 1, 100, 299, 300}) {
    auto watch = this->watch("/a/", from == 0 ? start : revisions[from - 1]);
    std::vector<Event> events = this->drain(*watch, 7);
    ASSERT_EQ(events.size(), 300 - from);
    for (size_t i = 0; i < events.size(); ++i) {
      EXPECT_EQ(events[i].revision, revisions[from + i]);
      EXPECT_TRUE(events[i].value.view().ends_with(std::to_string(from + i)));
      if (from + i >= 7) {
        EXPECT_TRUE(events[i].previous.view().ends_with(std::to_string(from + i - 7)));
      }
    }
  }
}

TYPED_TEST_P(StoreSuite, WatchWaitsForTheFuture) {
  int64_t now = this->put("/a", "0");
  WakeCounter wakes;
  auto watch = this->watch("/a", now + 2, wakes.callback());
  EXPECT_TRUE(this->drain(*watch).empty());
  this->put("/a", "1");
  this->put("/a", "2");
  EXPECT_TRUE(this->drain(*watch).empty());
  int64_t third = this->put("/a", "3");
  EXPECT_TRUE(wakes.wait_for(1));
  std::vector<Event> events = this->drain(*watch);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].revision, third);
}

TYPED_TEST_P(StoreSuite, WakesOnceAfterAnEmptyPoll) {
  WakeCounter wakes;
  auto watch = this->watch("/a/", this->store().revision(), wakes.callback());
  EXPECT_TRUE(this->drain(*watch).empty());
  this->put("/a/1", "1");
  EXPECT_TRUE(wakes.wait_for(1));
  this->put("/a/2", "2");
  this->put("/b/1", "elsewhere");
  EXPECT_EQ(wakes.count(), 1);
  EXPECT_EQ(this->drain(*watch).size(), 2u);
  this->put("/a/3", "3");
  EXPECT_TRUE(wakes.wait_for(2));
}

TYPED_TEST_P(StoreSuite, QuietWatchStaysUpToDate) {
  auto watch = this->watch("/quiet/", this->store().revision());
  EXPECT_TRUE(this->drain(*watch).empty());
  int64_t last = 0;
  for (int i = 0; i < 500; ++i) last = this->put("/busy", std::to_string(i));
  EXPECT_EQ(watch->progress(), last);
  EXPECT_TRUE(run_task(this->store().compact(last)).ok());
  this->put("/busy", "more");
  int64_t event = this->put("/quiet/a", "at last");
  std::vector<Event> events = this->drain(*watch);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].revision, event);
}

TYPED_TEST_P(StoreSuite, WatchOfTheForgottenExpires) {
  this->put("/a", "1");
  int64_t middle = this->put("/a", "2");
  int64_t last = this->put("/a", "3");
  EXPECT_TRUE(run_task(this->store().compact(middle)).ok());
  auto early = this->store().watch("/a", "/b", middle - 1, [] {});
  if (early.ok()) {
    EXPECT_EQ((*early)->poll(10).status().code(), 410);
  } else {
    EXPECT_EQ(early.status().code(), 410);
    EXPECT_TRUE(early.status().is("Expired"));
  }
  auto watch = this->watch("/a", middle);
  std::vector<Event> events = this->drain(*watch);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].revision, last);
  EXPECT_EQ(events[0].previous.view(), "2");
}

// All of it or 410: never a gap.
TYPED_TEST_P(StoreSuite, SlowWatchMissesNothingOrExpires) {
  int64_t start = this->store().revision();
  auto watch = this->watch("/a", start);
  for (int i = 0; i < 2000; ++i) this->put("/a", std::to_string(i));
  EXPECT_TRUE(run_task(this->store().compact(this->store().revision() - 10)).ok());
  int64_t next = start + 1;
  for (;;) {
    Result<std::vector<Event>> events = watch->poll(64);
    if (!events.ok()) {
      EXPECT_EQ(events.status().code(), 410);
      EXPECT_EQ(watch->poll(64).status().code(), 410) << "a failure is final";
      return;
    }
    if (events->empty()) {
      if (watch->progress() >= this->store().revision()) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    for (const Event& event : *events) EXPECT_EQ(event.revision, next++);
  }
  EXPECT_EQ(next, this->store().revision() + 1);
}

TYPED_TEST_P(StoreSuite, TimeToLiveEnds) {
  WriteRequest brief = put_request("/brief", "1");
  brief.ttl_seconds = 60;
  this->write(brief);
  WriteRequest kept = put_request("/kept", "1");
  kept.ttl_seconds = 60;
  this->write(kept);
  this->put("/kept", "for ever now");
  WriteRequest extended = put_request("/extended", "1");
  extended.ttl_seconds = 60;
  this->write(extended);
  extended.ttl_seconds = 3600;
  this->write(extended);
  WriteRequest gone = put_request("/gone", "1");
  gone.ttl_seconds = 60;
  this->write(gone);
  this->remove("/gone");
  WakeCounter wakes;
  auto watch = this->watch("/", this->store().revision(), wakes.callback());
  EXPECT_TRUE(this->drain(*watch).empty());

  this->backend.advance(std::chrono::seconds(59));
  EXPECT_EQ(this->get("/brief").value.view(), "1");
  this->backend.advance(std::chrono::seconds(2));
  ASSERT_TRUE(wakes.wait_for(1));
  std::vector<Event> events = this->drain(*watch);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, Event::Kind::kDelete);
  EXPECT_EQ(events[0].key, "/brief");
  EXPECT_EQ(events[0].previous.view(), "1");
  EXPECT_EQ(this->list("/"), (Lines{"/extended=1", "/kept=for ever now"}));

  this->backend.reopen();
  auto later = this->watch("/", this->store().revision(), wakes.callback());
  EXPECT_TRUE(this->drain(*later).empty());
  int before = wakes.count();
  this->backend.advance(std::chrono::seconds(3600));
  ASSERT_TRUE(wakes.wait_for(before + 1));
  EXPECT_EQ(this->list("/"), (Lines{"/kept=for ever now"}));
}

TYPED_TEST_P(StoreSuite, ReopeningKeepsEverything) {
  int64_t start = this->store().revision();
  std::vector<int64_t> revisions;
  for (int i = 0; i < 50; ++i)
    revisions.push_back(this->put("/a" + std::to_string(i % 5), std::to_string(i)));
  revisions.push_back(this->remove("/a0"));
  Lines now = this->list("/a");
  Lines then = this->list("/a", revisions[20]);
  this->backend.reopen();
  EXPECT_EQ(this->store().revision(), revisions.back());
  EXPECT_EQ(this->list("/a"), now);
  EXPECT_EQ(this->list("/a", revisions[20]), then);
  EXPECT_EQ(this->get("/a1").create_revision, revisions[1]);
  auto watch = this->watch("/a", start);
  std::vector<Event> events = this->drain(*watch);
  ASSERT_EQ(events.size(), revisions.size());
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].revision, revisions[i]);
  EXPECT_EQ(events.back().kind, Event::Kind::kDelete);
  EXPECT_EQ(events.back().previous.view(), "45");
  EXPECT_EQ(this->put("/a0", "again"), revisions.back() + 1);
  EXPECT_EQ(this->drain(*watch).size(), 1u);
}

TYPED_TEST_P(StoreSuite, ClosingEndsWatches) {
  WakeCounter wakes;
  auto watch = this->watch("/", this->store().revision(), wakes.callback());
  EXPECT_TRUE(this->drain(*watch).empty());
  this->backend.reopen();
  EXPECT_TRUE(wakes.wait_for(1));
  EXPECT_EQ(watch->poll(10).status().code(), 503);
}

// Each coroutine adds one to a shared counter by compare-and-swap, and writes a key of its own.
inline Task<void> suite_increment(Store* store, std::string own_key, int times,
                                  std::atomic<int>* conflicts) {
  for (int i = 0; i < times;) {
    std::string counter = "/counter";
    Result<Entry> entry = co_await store->get(std::move(counter));
    EXPECT_TRUE(entry.ok());
    int value = entry->mod_revision == 0 ? 0 : std::stoi(std::string(entry->value.view()));
    WriteRequest request = put_request("/counter", std::to_string(value + 1), entry->mod_revision);
    Result<WriteResult> result = co_await store->write(std::move(request));
    EXPECT_TRUE(result.ok());
    if (!result->succeeded) {
      ++*conflicts;
      continue;
    }
    WriteRequest own = put_request(own_key, std::to_string(++i));
    Result<WriteResult> own_result = co_await store->write(std::move(own));
    EXPECT_TRUE(own_result.ok() && own_result->succeeded);
    EXPECT_GE(store->revision(), own_result->revision) << "published before it is answered";
  }
}

TYPED_TEST_P(StoreSuite, ConcurrentWritersSeeOneOrder) {
  constexpr int kWriters = 32, kTimes = 8;
  int64_t start = this->store().revision();
  std::atomic<int> conflicts{0};
  boost::asio::io_context context(2);
  for (int i = 0; i < kWriters; ++i) {
    spawn(context.get_executor(),
          suite_increment(&this->store(), "/own/" + std::to_string(i), kTimes, &conflicts));
  }
  auto watch = this->watch("/", start);
  std::thread other([&] { context.run(); });
  context.run();
  other.join();
  EXPECT_EQ(this->get("/counter").value.view(), std::to_string(kWriters * kTimes));
  std::vector<Event> events = this->drain(*watch);
  ASSERT_EQ(events.size(), static_cast<size_t>(2 * kWriters * kTimes));
  int counter = 0;
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].revision, start + 1 + static_cast<int64_t>(i));
    if (events[i].key != "/counter") continue;
    EXPECT_EQ(events[i].value.view(), std::to_string(++counter));
    if (counter > 1) {
      EXPECT_EQ(events[i].previous.view(), std::to_string(counter - 1));
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(StoreSuite, CreatesOnlyWhatIsAbsent, UpdatesOnlyTheExpectedRevision,
                            RemovesOnlyTheExpectedRevision, RecreatedKeyIsNew, KeepsAnyBytes,
                            RefusesABadRequest, RangesInKeyOrder, OrdersKeysLongerThanThePagesAllow,
                            CountsBeyondTheLimit, PagesAtAPinnedRevisionWhileWritesGoOn,
                            ReadsEveryRevisionOfThePast, RefusesTheFutureAndTheForgotten,
                            CompactionKeepsTheLatestValues, WatchTellsWhatHappened,
                            FailedComparisonIsNoEvent, WatchStartsAnywhereInTheWindow,
                            WatchWaitsForTheFuture, WakesOnceAfterAnEmptyPoll,
                            QuietWatchStaysUpToDate, WatchOfTheForgottenExpires,
                            SlowWatchMissesNothingOrExpires, TimeToLiveEnds,
                            ReopeningKeepsEverything, ClosingEndsWatches,
                            ConcurrentWritersSeeOneOrder);

}  // namespace knarr::store
