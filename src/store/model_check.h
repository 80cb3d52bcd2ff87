// SPDX-License-Identifier: Apache-2.0
// Runs a sequence of operations, decoded from arbitrary bytes, against the embedded store and
// against a model of it that is too simple to be wrong: the list of all events. The first
// difference ends the process. For the fuzzer and for seeded tests.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/embedded_store.h"
#include "store/test_support.h"

namespace knarr::store {

inline void model_require(bool holds, const char* what, int line) {
  if (holds) return;
  std::fprintf(stderr, "store differs from its model, line %d: %s\n", line, what);
  std::abort();
}
#define MODEL_CHECK(condition) model_require((condition), #condition, __LINE__)

class ModelCheck {
 public:
  ModelCheck(const uint8_t* data, size_t size) : data_(data), left_(size) {}

  void run() {
    ring_events_ = 1 + next() % 8;
    journal_bytes_ = next() % 4 * 1500u;
    open();
    // Every operation takes a byte, so that the input bounds the work.
    while (left_ > 0) step();
    for (Follower& follower : followers_) poll(follower, 1000);
  }

 private:
  struct Value {
    std::string text;
    int64_t create = 0, mod = 0, expiry_s = 0;
  };
  using State = std::map<std::string, Value>;
  struct Follower {
    std::unique_ptr<Watch> watch;
    std::string start, end;
    int64_t cursor;
  };

  uint8_t next() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  // Few keys, so that they meet; some long enough to share a row.
  std::string key() {
    uint8_t byte = next();
    std::string name = "/" + std::string(1, static_cast<char>('a' + byte % 4));
    if (byte & 0x40) name += std::string(498, 'x') + std::string(byte >> 4 & 3, 'y');
    if (byte & 0x80) name += "/" + std::to_string(byte >> 2 & 3);
    return name;
  }
  // Mostly within the window, at times outside.
  int64_t revision() {
    int64_t now = current();
    return now - next() % (now + 2) + 1;
  }
  int64_t current() const { return static_cast<int64_t>(history_.size()) + 1; }
  const State& state_at(int64_t revision) const {
    return states_[static_cast<size_t>(revision - 1)];
  }

  void open() {
    followers_.clear();
    store_.reset();
    EmbeddedOptions options;
    options.dir = dir_.path();
    options.clock = &clock_;
    options.no_sync = true;
    options.max_bytes = 256 << 20;
    options.ring.events = ring_events_;
    options.journal_bytes = journal_bytes_;
    Result<std::unique_ptr<EmbeddedStore>> store = open_embedded_store(options);
    MODEL_CHECK(store.ok());
    store_ = std::move(*store);
    MODEL_CHECK(store_->revision() == current());
    MODEL_CHECK(store_->compacted_revision() == compacted_);
  }

  void step() {
    switch (next() % 12) {
      case 0:
      case 1:
      case 2:
        return put();
      case 3:
        return remove();
      case 4:
        return get();
      case 5:
      case 6:
        return range();
      case 7:
        return compact();
      case 8:
        return follow();
      case 9:
        if (!followers_.empty()) poll(followers_[next() % followers_.size()], next() % 5);
        return;
      case 10:
        return advance();
      case 11:
        if (next() % 8 == 0) open();
        return;
    }
  }

  template <class T>
  static Task<void> keep(Task<T> task, std::optional<T>* result) {
    T value = co_await std::move(task);
    result->emplace(std::move(value));
  }
  template <class T>
  static T wait(Task<T> task) {
    boost::asio::io_context context;
    std::optional<T> result;
    spawn(context.get_executor(), keep<T>(std::move(task), &result));
    context.run();
    MODEL_CHECK(result.has_value());
    return std::move(*result);
  }

  void record(Event::Kind kind, const std::string& key, std::optional<Value> now) {
    Event event;
    event.kind = kind;
    event.key = key;
    event.revision = current() + 1;
    State state = states_.back();
    auto before = state.find(key);
    if (before != state.end()) {
      event.previous = Bytes::copy(before->second.text);
      event.create_revision = before->second.create;
    } else {
      event.create_revision = event.revision;
    }
    if (now) {
      now->create = event.create_revision;
      now->mod = event.revision;
      event.value = Bytes::copy(now->text);
      state[key] = *now;
    } else {
      state.erase(key);
    }
    history_.push_back(event);
    states_.push_back(std::move(state));
  }

  int64_t expectation(const std::string& key) {
    auto at = states_.back().find(key);
    switch (next() % 4) {
      case 0:
        return WriteRequest::kAny;
      case 1:
        return 0;
      case 2:
        return std::max<int64_t>(0, revision());
      default:
        return at == states_.back().end() ? 0 : at->second.mod;
    }
  }

  void put() {
    WriteRequest request;
    request.key = key();
    request.expected_revision = expectation(request.key);
    uint8_t size = next();
    Value value;
    value.text = std::string(size < 200 ? size : size * 100u, static_cast<char>(size));
    request.value = Bytes::copy(value.text);
    if (next() % 4 == 0) request.ttl_seconds = 100 + next();
    if (request.ttl_seconds > 0) value.expiry_s = now_s_ + request.ttl_seconds;
    write(std::move(request), value);
  }
  void remove() {
    WriteRequest request;
    request.key = key();
    request.remove = true;
    request.expected_revision = expectation(request.key);
    write(std::move(request), std::nullopt);
  }
  void write(WriteRequest request, std::optional<Value> value) {
    std::string key = request.key;
    int64_t expected = request.expected_revision;
    auto at = states_.back().find(key);
    bool exists = at != states_.back().end();
    Value before = exists ? at->second : Value();
    Result<WriteResult> result = wait(store_->write(std::move(request)));
    MODEL_CHECK(result.ok());
    bool succeeds = expected == WriteRequest::kAny || expected == before.mod;
    MODEL_CHECK(result->succeeded == succeeds);
    if (succeeds && (value || exists))
      record(value ? Event::Kind::kPut : Event::Kind::kDelete, key, value);
    MODEL_CHECK(result->revision == current());
    MODEL_CHECK(store_->revision() == current());
    if (!succeeds || !value) check(result->current, key, exists ? &before : nullptr);
  }

  static void check(const Entry& entry, const std::string& key, const Value* value) {
    MODEL_CHECK(entry.key == key);
    MODEL_CHECK(entry.mod_revision == (value != nullptr ? value->mod : 0));
    if (value == nullptr) return;
    MODEL_CHECK(entry.create_revision == value->create);
    MODEL_CHECK(entry.value.view() == value->text);
  }
  // 0 when `revision` can be read.
  int expected_code(int64_t revision) const {
    if (revision == 0) return 0;
    if (revision > current()) return 504;
    return revision < compacted_ ? 410 : 0;
  }

  void get() {
    std::string name = key();
    int64_t at = next() % 2 == 0 ? 0 : std::max<int64_t>(0, revision());
    Result<Entry> entry = wait(store_->get(name, at));
    if (int code = expected_code(at); code != 0) return MODEL_CHECK(entry.status().code() == code);
    MODEL_CHECK(entry.ok());
    const State& state = state_at(at == 0 ? current() : at);
    auto value = state.find(name);
    check(*entry, name, value == state.end() ? nullptr : &value->second);
  }

  void range() {
    RangeRequest request;
    request.start = next() % 3 == 0 ? "" : key();
    request.end = next() % 3 == 0 ? "" : next() % 2 == 0 ? prefix_end(request.start) : key();
    request.revision = next() % 2 == 0 ? 0 : std::max<int64_t>(0, revision());
    request.limit = next() % 6;
    request.count_only = next() % 8 == 0;
    Result<RangeResult> result = wait(store_->range(request));
    if (int code = expected_code(request.revision); code != 0)
      return MODEL_CHECK(result.status().code() == code);
    MODEL_CHECK(result.ok());
    int64_t at = request.revision == 0 ? current() : request.revision;
    MODEL_CHECK(result->revision == at);
    size_t count = 0, shown = 0;
    for (const auto& [name, value] : state_at(at)) {
      if (!inside(name, request.start, request.end)) continue;
      ++count;
      if (request.count_only || (request.limit > 0 && count > static_cast<size_t>(request.limit)))
        continue;
      MODEL_CHECK(shown < result->entries.size());
      check(result->entries[shown++], name, &value);
    }
    MODEL_CHECK(result->entries.size() == shown);
    MODEL_CHECK(result->count == static_cast<int64_t>(count));
    MODEL_CHECK(result->more == (!request.count_only && shown < count));
  }
  static bool inside(const std::string& key, const std::string& start, const std::string& end) {
    return key >= start && (end.empty() || key < end);
  }

  void compact() {
    int64_t to = std::max<int64_t>(0, revision() - 3);
    Status status = wait(store_->compact(to));
    MODEL_CHECK(status.ok() == (to <= current()));
    if (status.ok()) compacted_ = std::max(compacted_, to);
    MODEL_CHECK(store_->compacted_revision() == compacted_);
  }

  void follow() {
    if (followers_.size() >= 8) followers_.erase(followers_.begin() + next() % 8);
    Follower follower;
    follower.start = next() % 2 == 0 ? "" : key();
    follower.end = prefix_end(follower.start);
    follower.cursor = std::max<int64_t>(0, revision());
    auto watch = store_->watch(follower.start, follower.end, follower.cursor, [] {});
    MODEL_CHECK(watch.ok() == (follower.cursor >= compacted_));
    if (!watch.ok()) return MODEL_CHECK(watch.status().code() == 410);
    follower.watch = std::move(*watch);
    followers_.push_back(std::move(follower));
  }
  void poll(Follower& follower, size_t max) {
    Result<std::vector<Event>> events = follower.watch->poll(max);
    if (!events.ok()) {  // only when it fell behind what is kept
      MODEL_CHECK(events.status().code() == 410);
      MODEL_CHECK(follower.cursor < compacted_);
      return;
    }
    for (const Event& event : *events) {
      const Event* expected = next_for(follower, follower.cursor);
      MODEL_CHECK(expected != nullptr);
      MODEL_CHECK(event.revision == expected->revision && event.kind == expected->kind);
      MODEL_CHECK(event.key == expected->key);
      MODEL_CHECK(event.create_revision == expected->create_revision);
      MODEL_CHECK(event.value.view() == expected->value.view());
      MODEL_CHECK(event.value.is_null() == expected->value.is_null());
      MODEL_CHECK(event.previous.view() == expected->previous.view());
      MODEL_CHECK(event.previous.is_null() == expected->previous.is_null());
      follower.cursor = event.revision;
    }
    MODEL_CHECK(events->size() <= max);
    if (events->size() < max) MODEL_CHECK(next_for(follower, follower.cursor) == nullptr);
    // Nothing that is in its range may lie between what it got and what it says it saw.
    int64_t progress = follower.watch->progress();
    const Event* missed = next_for(follower, follower.cursor);
    MODEL_CHECK(progress >= follower.cursor);
    MODEL_CHECK(missed == nullptr || missed->revision > progress);
    follower.cursor = progress;
  }
  const Event* next_for(const Follower& follower, int64_t after) const {
    for (int64_t at = std::max<int64_t>(after, 1) - 1; at < static_cast<int64_t>(history_.size());
         ++at) {
      const Event& event = history_[static_cast<size_t>(at)];
      if (inside(event.key, follower.start, follower.end)) return &event;
    }
    return nullptr;
  }

  void advance() {
    int64_t by = next();
    now_s_ += by;
    clock_.advance(std::chrono::seconds(by));
    std::map<std::pair<int64_t, int64_t>, std::string> due;
    for (const auto& [name, value] : states_.back())
      if (value.expiry_s != 0 && value.expiry_s <= now_s_) due[{value.expiry_s, value.mod}] = name;
    for (const auto& [when, name] : due) record(Event::Kind::kDelete, name, std::nullopt);
    // A request that fails is answered after the upkeep of its turn.
    WriteRequest nothing;
    nothing.key = "/a";
    nothing.expected_revision = int64_t{1} << 60;
    MODEL_CHECK(wait(store_->write(std::move(nothing))).ok());
    MODEL_CHECK(store_->revision() == current());
  }

  const uint8_t* data_;
  size_t left_;
  TempDir dir_;
  SharedFakeClock clock_;
  int64_t now_s_ = 0;
  size_t ring_events_ = 1;
  uint64_t journal_bytes_ = 0;
  std::unique_ptr<EmbeddedStore> store_;
  std::vector<Event> history_;             // of revision i + 2
  std::vector<State> states_ = {State()};  // at revision i + 1
  int64_t compacted_ = 0;
  std::vector<Follower> followers_;
};

}  // namespace knarr::store
