// SPDX-License-Identifier: Apache-2.0
// All objects of one resource, and what lately happened to them.
//
// The cache follows the store by a cursor that is pulled: by the store's wake-up, by a writer once its write is done, and by every reader, who
// first asks the store for its revision. So a read after a write sees it, and a read never waits for anything but a short lock.
// Events are made once and shared. A CacheWatch is a cursor into the ring of events; one that fell off the ring (or starts further back)
// reads the store's own history until it has caught up, or fails with 410.
// When the store itself has lost the thread (an etcd that was out of reach for longer than it remembers), everything is read anew; watches from
// before end with 410.
//
// Locks: sync_mutex_ (one puller at a time; decoding happens under it) before mutex_ (map and ring; held for copies of handles only).
#pragma once

#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/storage/cached_object.h"
#include "base/status.h"
#include "base/task.h"
#include "store/store.h"

namespace knarr::apiserver {

struct CacheEvent {
  // Put: the new object. Delete: the last one, at the revision of its deletion.
  CachedPtr object;
  CachedPtr previous;  // null when the object is new; on delete the last one as it was
  bool deleted = false;
  int64_t revision = 0;
  // `previous` at this event's revision: what leaves a selection. Made once.
  CachedPtr previous_here() const;

 private:
  mutable std::mutex mutex_;
  mutable CachedPtr previous_here_;
};
using EventPtr = std::shared_ptr<const CacheEvent>;

// Decides, under the cache's lock, whether an event is worth waking a watcher for. Immutable.
struct WatchScope {
  std::string namespace_;  // "" = all
  schema::LabelSelector labels;
  schema::FieldSelector fields;
  bool contains(const CachedObject& object) const;
  bool concerns(const CacheEvent& event) const;
};

class CacheWatch;

class WatchCache : public std::enable_shared_from_this<WatchCache> {
 public:
  // `resource` is the storage version's record, `root` what all keys begin with ("/registry"). Events come from wake-ups on `executor`.
  WatchCache(std::shared_ptr<store::Store> store, const schema::Resource& resource, Executor executor, std::string_view root);
  ~WatchCache();

  // Reads everything there is; before it, nothing may be asked.
  Task<Status> load();
  // Up to the store's present revision. Cheap when there is nothing new.
  void sync();

  const schema::Resource& resource() const { return plan_.resource(); }
  const ObjectPlan& plan() const { return plan_; }
  // "/registry/pods/"
  const std::string& prefix() const { return prefix_; }
  std::string store_key(std::string_view ns, std::string_view name) const;
  int64_t revision() const { return revision_.load(std::memory_order_acquire); }
  // Grows with every change of an object: what is derived from them is up to date while it stays the same. 1 after load().
  uint64_t changes() const { return changes_.load(std::memory_order_acquire); }

  CachedPtr get(std::string_view ns, std::string_view name) const;

  using ObjectList = std::vector<CachedPtr>;
  struct Snapshot {
    std::shared_ptr<const ObjectList> objects;  // in the order of their keys
    int64_t revision = 0;
  };
  // The objects of a namespace ("" = all). Of one moment, without copying when nothing has changed since the last call.
  Snapshot snapshot(std::string_view ns) const;

  // Events after `revision`, which must not lie in the future. 410 when they are known to be gone.
  Result<std::unique_ptr<CacheWatch>> watch(int64_t after_revision, std::shared_ptr<const WatchScope> scope, Executor executor);

  // Tells the cache what is in `value` before it is written, so that it need not be decoded again.
  void expect(const Bytes& value, std::shared_ptr<const schema::Object> decoded);
  void unexpect(const Bytes& value);

  store::Store& store() { return *store_; }
  // Makes an object of a stored value; "key" as in the store.
  Result<CachedPtr> from_entry(const store::Entry& entry) const;

 private:
  friend class CacheWatch;
  struct Waiter;
  struct KeyOf {
    using is_transparent = void;
    static std::string_view key(const CachedPtr& p) { return p->key(); }
    static std::string_view key(std::string_view s) { return s; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const { return key(a) < key(b); }
  };
  using Objects = absl::btree_set<CachedPtr, KeyOf>;

  struct Contents {
    Objects objects;
    int64_t revision = 0;
  };
  Task<Result<Contents>> read_all();
  // Follows the store from these contents on.
  Status install(Contents contents);
  static Task<void> reload(std::weak_ptr<WatchCache> weak);
  Result<EventPtr> make_event(const store::Event& event, bool known_previous);
  void apply(const std::vector<EventPtr>& events, int64_t progress);
  std::shared_ptr<const schema::Object> take_expected(const Bytes& value);

  const std::shared_ptr<store::Store> store_;
  const ObjectPlan plan_;
  const std::string prefix_;
  const Executor executor_;
  std::atomic<int64_t> revision_{0};
  std::atomic<uint64_t> changes_{0};
  std::atomic<bool> wake_posted_{false};

  std::mutex sync_mutex_;
  std::unique_ptr<store::Watch> source_;  // guarded by sync_mutex_

  std::mutex expected_mutex_;
  absl::flat_hash_map<const char*, std::shared_ptr<const schema::Object>> expected_;

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  Objects objects_;
  std::deque<EventPtr> ring_;
  uint64_t ring_start_ = 0;     // number of ring_.front()
  int64_t ring_floor_ = 0;      // every event after this revision is in the ring
  std::vector<std::shared_ptr<Waiter>> waiting_;
  mutable std::map<std::string, std::shared_ptr<const ObjectList>, std::less<>> snapshots_;  // since the last change
};

// One watcher's place. Used by one executor; poll() never waits.
class CacheWatch {
 public:
  ~CacheWatch();
  // The next events of interest, at most `max`; empty when there are none now. 410 once history is lost, 503 when the server stops.
  Result<std::vector<EventPtr>> poll(size_t max);
  // Until there may be something to poll, or the time is over, or wake() was called. False on time-out.
  Task<bool> wait(Duration timeout);
  // From this watch's executor.
  void wake();
  // Everything of interest up to this revision has been polled.
  int64_t progress() const;

 private:
  friend class WatchCache;
  Result<std::unique_ptr<store::Watch>> open_history(int64_t after_revision);
  CacheWatch(std::shared_ptr<WatchCache> cache, std::shared_ptr<WatchCache::Waiter> waiter);
  Result<std::vector<EventPtr>> poll_history(size_t max);
  std::shared_ptr<WatchCache> cache_;
  std::shared_ptr<WatchCache::Waiter> waiter_;
  std::unique_ptr<store::Watch> history_;
  int64_t history_revision_ = 0;
};

}  // namespace knarr::apiserver
