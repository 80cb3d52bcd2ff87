// SPDX-License-Identifier: Apache-2.0
// The revisioned key-value store: what Kubernetes needs of etcd, and no more.
//
// One counter, the revision, orders every write. A key has the revision that made it and the revision that last
// changed it. Old revisions can be read and watched from until they are compacted away.
// Implementations: EmbeddedStore (LMDB, this process), EtcdStore (src/etcd/, beside other writers).
// Any thread may call any method; a Task continues on its caller's executor, a watch's wake function runs on an
// arbitrary thread. `store/store_suite.h` is the behaviour every implementation must show.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "base/task.h"

namespace knarr::store {

struct Entry {
  std::string key;
  Bytes value;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
};

// One change. Events of one revision are never split over two deliveries.
struct Event {
  enum class Kind : uint8_t { kPut, kDelete };
  Kind kind = Kind::kPut;
  std::string key;
  Bytes value;       // null on delete
  Bytes previous;    // null when the key did not exist
  int64_t revision = 0;
  int64_t create_revision = 0;  // equal to `revision` when the key is new; on delete: of the deleted value
  bool created() const { return kind == Kind::kPut && create_revision == revision; }
};

struct RangeRequest {
  std::string start;           // inclusive
  std::string end;             // exclusive, "" = no end; prefix_end(prefix) for a prefix
  int64_t revision = 0;        // 0 = latest
  int64_t limit = 0;           // 0 = no limit
  bool count_only = false;
};
struct RangeResult {
  std::vector<Entry> entries;  // ascending keys
  int64_t revision = 0;        // the store's revision at which the answer holds
  bool more = false;           // the limit cut the answer
  int64_t count = 0;           // keys in the whole range at that revision
};

// Compare-and-swap of one key.
struct WriteRequest {
  std::string key;
  // The mod revision that the key must have: 0 = must not exist, kAny = whatever.
  int64_t expected_revision = 0;
  static constexpr int64_t kAny = -1;
  bool remove = false;
  Bytes value;                 // for a put
  int64_t ttl_seconds = 0;     // 0 = for ever; else the key is deleted (with an event) once it is over
};
struct WriteResult {
  bool succeeded = false;
  int64_t revision = 0;        // of the write, or the current one when it failed
  // When the comparison failed: the entry as it is (mod_revision 0 when absent). On a successful remove: the removed entry.
  Entry current;
};

// A cursor over the changes of a key range, in revision order. Not thread-safe; one reader.
class Watch {
 public:
  virtual ~Watch() = default;
  // Moves up to `max` events out, without waiting. A failure is final: 410 "Expired" when the cursor's revision has been
  // compacted, 503 when the store is closing. Empty while progress() is behind the store's revision means that older
  // history is still being fetched: the wake comes when there is some.
  virtual Result<std::vector<Event>> poll(size_t max) = 0;
  // Everything up to this revision has been delivered by poll().
  virtual int64_t progress() const = 0;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual int64_t revision() const = 0;          // latest committed and published
  // As far as this process knows.
  virtual int64_t compacted_revision() const = 0;

  // Whether others write too. Then revision() may lag behind what they have finished, until catch_up().
  virtual bool shared() const { return false; }
  // Returns once revision() and the watches include every write that had been answered, to anybody, when this was called.
  virtual Task<Status> catch_up();

  virtual Task<Result<Entry>> get(std::string key, int64_t revision = 0) = 0;  // mod_revision 0 when absent
  // 410 "Expired" when request.revision is compacted; 504 when it lies in the future.
  virtual Task<Result<RangeResult>> range(RangeRequest request) = 0;
  // Returns once the write is durable and has been published to watches. Concurrent calls share one commit.
  virtual Task<Result<WriteResult>> write(WriteRequest request) = 0;

  // Events with revision > after_revision in [start, end). `wake` is called (on any thread, never from within a method of
  // this store's caller) after new events became available to a cursor that had been polled empty; it must be cheap.
  virtual Result<std::unique_ptr<Watch>> watch(std::string start, std::string end, int64_t after_revision,
                                               std::function<void()> wake) = 0;

  // Forgets history at and before `revision`; the latest values stay.
  virtual Task<Status> compact(int64_t revision) = 0;
};

inline bool in_range(std::string_view key, std::string_view start, std::string_view end) {
  return key >= start && (end.empty() || key < end);
}

// The smallest key greater than every key that has this prefix.
std::string prefix_end(std::string_view prefix);

}  // namespace knarr::store
