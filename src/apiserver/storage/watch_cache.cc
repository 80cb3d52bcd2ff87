// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/watch_cache.h"

#include <boost/asio/post.hpp>

#include "apiserver/errors.h"
#include "apiserver/storage/stored_value.h"
#include "base/log.h"

namespace knarr::apiserver {
namespace {

constexpr size_t kRingEvents = 2048;
constexpr size_t kPollBatch = 512;
constexpr int64_t kLoadPage = 2000;

Status decode_failure(std::string_view key, const Status& status) {
  return Status::error("stored object " + std::string(key) + " cannot be read: " + std::string(status.message()));
}

}  // namespace

// What the cache and a watch share. Members but the notifier are guarded by the cache's mutex_.
struct WatchCache::Waiter {
  Waiter(Executor e, std::shared_ptr<const WatchScope> s) : notifier(std::move(e)), scope(std::move(s)) {}
  Notifier notifier;  // its executor only
  const std::shared_ptr<const WatchScope> scope;
  uint64_t next = 0;      // number of the next event in the ring
  int64_t after = 0;      // while the watch reads history: its revision so far
  bool waiting = false;
  bool signalled = false; // events came since the last poll
  bool history_woke = false;  // the store has found more history; its executor only
};

CachedPtr CacheEvent::previous_here() const {
  std::lock_guard lock(mutex_);
  if (previous_here_ == nullptr) previous_here_ = deleted ? object : previous->at_revision(revision);
  return previous_here_;
}

bool WatchScope::contains(const CachedObject& object) const {
  if (!namespace_.empty() && object.namespace_() != namespace_) return false;
  return object.matches(labels, fields);
}

bool WatchScope::concerns(const CacheEvent& event) const {
  if (!event.deleted && contains(*event.object)) return true;
  return event.previous != nullptr && contains(*event.previous);
}

WatchCache::WatchCache(std::shared_ptr<store::Store> store, const schema::Resource& resource, Executor executor, std::string_view root)
    : store_(std::move(store)), plan_(resource), prefix_(std::string(root) + "/" + std::string(resource.storage) + "/"), executor_(std::move(executor)) {}

WatchCache::~WatchCache() = default;

std::string WatchCache::store_key(std::string_view ns, std::string_view name) const {
  std::string key = prefix_;
  if (!ns.empty()) key.append(ns).append("/");
  key.append(name);
  return key;
}

Result<CachedPtr> WatchCache::from_entry(const store::Entry& entry) const {
  StoredMessage message;
  TRY(open_stored(resource(), entry.value.view(), store_->shared(), message));
  return CachedObject::make(plan_, entry.key.substr(prefix_.size()), entry.mod_revision, entry.create_revision, message.view,
                            std::move(message.decoded));
}

Task<Result<WatchCache::Contents>> WatchCache::read_all() {
  Contents contents;
  store::RangeRequest request;
  request.start = prefix_;
  request.end = store::prefix_end(prefix_);
  request.limit = kLoadPage;
  while (true) {
    auto page = co_await store_->range(request);
    if (!page.ok()) co_return page.status();
    request.revision = page->revision;
    for (const store::Entry& entry : page->entries) {
      auto object = from_entry(entry);
      // One bad object must not keep the server from starting; it stays in the store.
      if (!object.ok()) {
        log_error("Stored object was unreadable", {{"key", entry.key}, {"error", object.status().message()}});
        continue;
      }
      contents.objects.insert(std::move(*object));
    }
    if (!page->more || page->entries.empty()) break;
    request.start = page->entries.back().key + '\0';
  }
  contents.revision = request.revision;
  co_return contents;
}

Status WatchCache::install(Contents contents) {
  std::weak_ptr<WatchCache> weak = weak_from_this();
  Executor executor = executor_;
  std::function<void()> wake = [weak, executor] {
    auto self = weak.lock();
    if (self == nullptr || self->wake_posted_.exchange(true)) return;
    boost::asio::post(executor, [weak] {
      auto cache = weak.lock();
      if (cache == nullptr) return;
      cache->wake_posted_ = false;
      cache->sync();
    });
  };
  TRY_ASSIGN(auto source, store_->watch(prefix_, store::prefix_end(prefix_), contents.revision, std::move(wake)));
  std::vector<std::shared_ptr<Waiter>> woken;
  {
    std::scoped_lock lock(sync_mutex_, mutex_);
    source_ = std::move(source);
    objects_ = std::move(contents.objects);
    ring_start_ += ring_.size() + 1;  // whoever was anywhere before is behind now
    ring_.clear();
    snapshots_.clear();
    ring_floor_ = contents.revision;
    revision_.store(contents.revision, std::memory_order_release);
    changes_.fetch_add(1, std::memory_order_release);
    woken.swap(waiting_);
    for (auto& waiter : woken) waiter->waiting = false;
  }
  for (auto& waiter : woken) boost::asio::post(waiter->notifier.executor(), [waiter] { waiter->notifier.notify(); });
  sync();
  return {};
}

Task<Status> WatchCache::load() {
  auto contents = co_await read_all();
  if (!contents.ok()) co_return contents.status();
  co_return install(std::move(*contents));
}

Task<void> WatchCache::reload(std::weak_ptr<WatchCache> weak) {
  while (auto cache = weak.lock()) {
    Status status = co_await cache->load();
    if (status.ok() || status.code() == 503) co_return;
    log_warning("Reading everything anew failed", {{"prefix", cache->prefix_}, {"error", status.message()}});
    cache.reset();
    Duration pause = std::chrono::seconds(1);
    co_await sleep_for(pause);
  }
}

void WatchCache::expect(const Bytes& value, std::shared_ptr<const schema::Object> decoded) {
  std::lock_guard lock(expected_mutex_);
  expected_[value.view().data()] = std::move(decoded);
}

void WatchCache::unexpect(const Bytes& value) {
  std::lock_guard lock(expected_mutex_);
  expected_.erase(value.view().data());
}

std::shared_ptr<const schema::Object> WatchCache::take_expected(const Bytes& value) {
  std::lock_guard lock(expected_mutex_);
  auto at = expected_.find(value.view().data());
  if (at == expected_.end()) return nullptr;
  auto decoded = std::move(at->second);
  expected_.erase(at);
  return decoded;
}

void WatchCache::sync() {
  int64_t wanted = store_->revision();
  if (revision_.load(std::memory_order_acquire) >= wanted) return;
  std::lock_guard lock(sync_mutex_);
  if (source_ == nullptr || revision_.load(std::memory_order_relaxed) >= wanted) return;
  while (true) {
    auto polled = source_->poll(kPollBatch);
    if (!polled.ok()) {
      // When the store is closing, what is cached stays readable; so it does until it has been read anew.
      log_warning("Watch cache stopped following the store", {{"prefix", prefix_}, {"error", polled.status().message()}});
      source_.reset();
      if (polled.status().code() == 410) spawn(executor_, reload(weak_from_this()));
      return;
    }
    std::vector<EventPtr> events;
    for (const store::Event& event : *polled) {
      auto made = make_event(event, true);
      if (!made.ok()) {
        log_error("Stored object was unreadable", {{"key", event.key}, {"error", made.status().message()}});
      } else if (*made != nullptr) {
        events.push_back(std::move(*made));
      }
    }
    apply(events, source_->progress());
    if (polled->empty()) return;
  }
}

// With `known_previous` the cache itself holds what was there before; otherwise the event tells.
Result<EventPtr> WatchCache::make_event(const store::Event& event, bool known_previous) {
  auto made = std::make_shared<CacheEvent>();
  made->revision = event.revision;
  std::string key = event.key.substr(prefix_.size());
  if (known_previous) {
    std::lock_guard lock(mutex_);
    auto at = objects_.find(std::string_view(key));
    if (at != objects_.end()) made->previous = *at;
  } else if (!event.previous.is_null()) {
    StoredMessage before;
    TRY(open_stored(resource(), event.previous.view(), store_->shared(), before));
    // Its own revision is not recorded; selection and deletion, all it is for, do not need it.
    TRY_ASSIGN(made->previous, CachedObject::make(plan_, key, event.create_revision, event.create_revision, before.view, std::move(before.decoded)));
  }
  if (event.kind == store::Event::Kind::kDelete) {
    if (made->previous == nullptr) return EventPtr();
    made->deleted = true;
    made->object = made->previous->at_revision(event.revision);
    return EventPtr(std::move(made));
  }
  auto expected = take_expected(event.value);
  StoredMessage message;
  Status opened = open_stored(resource(), event.value.view(), store_->shared() && expected == nullptr, message);
  if (!opened.ok()) return decode_failure(event.key, opened);
  auto object = CachedObject::make(plan_, std::move(key), event.revision, event.create_revision, message.view,
                                   expected != nullptr ? std::move(expected) : std::move(message.decoded));
  if (!object.ok()) return decode_failure(event.key, object.status());
  made->object = std::move(*object);
  return EventPtr(std::move(made));
}

void WatchCache::apply(const std::vector<EventPtr>& events, int64_t progress) {
  std::vector<std::shared_ptr<Waiter>> woken;
  {
    std::lock_guard lock(mutex_);
    for (const EventPtr& event : events) {
      auto at = objects_.find(std::string_view(event->object->key()));
      if (at != objects_.end()) objects_.erase(at);
      if (!event->deleted) objects_.insert(event->object);
      ring_.push_back(event);
      if (ring_.size() > kRingEvents) {
        ring_floor_ = ring_.front()->revision;
        ring_.pop_front();
        ++ring_start_;
      }
    }
    if (!events.empty()) {
      snapshots_.clear();
      changes_.fetch_add(events.size(), std::memory_order_release);
    }
    revision_.store(std::max(progress, revision_.load(std::memory_order_relaxed)), std::memory_order_release);
    if (events.empty()) return;
    // A waiter whom these events do not concern skips them here, so that it does not fall off the ring asleep.
    size_t kept = 0;
    for (auto& waiter : waiting_) {
      bool concerned = false;
      for (const EventPtr& event : events) concerned = concerned || waiter->scope->concerns(*event);
      if (concerned) {
        waiter->waiting = false;
        waiter->signalled = true;
        woken.push_back(std::move(waiter));
      } else {
        waiter->next = ring_start_ + ring_.size();
        waiter->after = events.back()->revision;
        if (&waiting_[kept] != &waiter) waiting_[kept] = std::move(waiter);
        ++kept;
      }
    }
    waiting_.resize(kept);
  }
  // One post an executor wakes all who wait there.
  while (!woken.empty()) {
    Executor executor = woken.back()->notifier.executor();
    std::vector<std::shared_ptr<Waiter>> group;
    for (size_t i = woken.size(); i-- > 0;) {
      if (woken[i]->notifier.executor() != executor) continue;
      group.push_back(std::move(woken[i]));
      woken.erase(woken.begin() + static_cast<ptrdiff_t>(i));
    }
    boost::asio::post(executor, [group = std::move(group)] {
      for (const auto& waiter : group) waiter->notifier.notify();
    });
  }
}

CachedPtr WatchCache::get(std::string_view ns, std::string_view name) const {
  std::string key = ns.empty() ? std::string(name) : std::string(ns) + "/" + std::string(name);
  std::lock_guard lock(mutex_);
  auto at = objects_.find(std::string_view(key));
  return at == objects_.end() ? nullptr : *at;
}

WatchCache::Snapshot WatchCache::snapshot(std::string_view ns) const {
  std::lock_guard lock(mutex_);
  int64_t revision = revision_.load(std::memory_order_relaxed);
  auto at = snapshots_.find(ns);
  if (at != snapshots_.end()) return {at->second, revision};
  auto made = std::make_shared<ObjectList>();
  if (ns.empty()) {
    made->assign(objects_.begin(), objects_.end());
  } else {
    std::string start = std::string(ns) + "/", end = std::string(ns) + "0";
    made->assign(objects_.lower_bound(std::string_view(start)), objects_.lower_bound(std::string_view(end)));
  }
  snapshots_.emplace(std::string(ns), made);
  return {made, revision};
}

Result<std::unique_ptr<CacheWatch>> WatchCache::watch(int64_t after_revision, std::shared_ptr<const WatchScope> scope, Executor executor) {
  auto waiter = std::make_shared<Waiter>(std::move(executor), std::move(scope));
  bool in_ring = false;
  {
    std::lock_guard lock(mutex_);
    in_ring = after_revision >= ring_floor_;
    if (in_ring) {
      auto at = std::partition_point(ring_.begin(), ring_.end(), [&](const EventPtr& e) { return e->revision <= after_revision; });
      waiter->next = ring_start_ + static_cast<uint64_t>(at - ring_.begin());
    }
  }
  std::unique_ptr<CacheWatch> made(new CacheWatch(shared_from_this(), std::move(waiter)));
  if (!in_ring) {
    made->history_revision_ = after_revision;
    TRY_ASSIGN(made->history_, made->open_history(after_revision));
  }
  return made;
}

CacheWatch::CacheWatch(std::shared_ptr<WatchCache> cache, std::shared_ptr<WatchCache::Waiter> waiter)
    : cache_(std::move(cache)), waiter_(std::move(waiter)) {}

CacheWatch::~CacheWatch() {
  std::lock_guard lock(cache_->mutex_);
  auto& waiting = cache_->waiting_;
  for (size_t i = 0; i < waiting.size(); ++i) {
    if (waiting[i] != waiter_) continue;
    waiting[i] = std::move(waiting.back());
    waiting.pop_back();
    break;
  }
}

Result<std::unique_ptr<store::Watch>> CacheWatch::open_history(int64_t after_revision) {
  std::shared_ptr<WatchCache::Waiter> waiter = waiter_;
  std::function<void()> wake = [waiter] {
    boost::asio::post(waiter->notifier.executor(), [waiter] {
      waiter->history_woke = true;
      waiter->notifier.notify();
    });
  };
  return cache_->store_->watch(cache_->prefix_, store::prefix_end(cache_->prefix_), after_revision, std::move(wake));
}

// Reads the store's log until it reaches what the ring holds.
Result<std::vector<EventPtr>> CacheWatch::poll_history(size_t max) {
  waiter_->history_woke = false;
  std::vector<EventPtr> events;
  TRY_ASSIGN(std::vector<store::Event> polled, history_->poll(max));
  for (const store::Event& event : polled) {
    auto made = cache_->make_event(event, false);
    if (!made.ok()) return made.status();
    if (*made != nullptr && waiter_->scope->concerns(**made)) events.push_back(std::move(*made));
  }
  history_revision_ = std::max(history_revision_, history_->progress());
  std::lock_guard lock(cache_->mutex_);
  if (history_revision_ < cache_->ring_floor_) return events;
  auto& ring = cache_->ring_;
  auto at = std::partition_point(ring.begin(), ring.end(), [&](const EventPtr& e) { return e->revision <= history_revision_; });
  waiter_->next = cache_->ring_start_ + static_cast<uint64_t>(at - ring.begin());
  history_.reset();
  return events;
}

Result<std::vector<EventPtr>> CacheWatch::poll(size_t max) {
  while (history_ != nullptr) {
    int64_t before = history_revision_;
    TRY_ASSIGN(std::vector<EventPtr> events, poll_history(max));
    if (!events.empty() || (history_ != nullptr && history_revision_ == before)) return events;
  }
  std::vector<EventPtr> events;
  std::unique_lock lock(cache_->mutex_);
  waiter_->signalled = false;
  if (waiter_->next < cache_->ring_start_) {
    // Fell off the ring: go on from the store's history, from the last event that was seen.
    int64_t after = waiter_->after;
    lock.unlock();
    TRY_ASSIGN(history_, open_history(after));
    history_revision_ = after;
    return poll(max);
  }
  uint64_t end = cache_->ring_start_ + cache_->ring_.size();
  for (; waiter_->next < end && events.size() < max; ++waiter_->next) {
    const EventPtr& event = cache_->ring_[waiter_->next - cache_->ring_start_];
    waiter_->after = event->revision;
    if (waiter_->scope->concerns(*event)) events.push_back(event);
  }
  if (waiter_->next == end) waiter_->after = cache_->revision();
  return events;
}

Task<bool> CacheWatch::wait(Duration timeout) {
  {
    std::lock_guard lock(cache_->mutex_);
    uint64_t end = cache_->ring_start_ + cache_->ring_.size();
    if (history_ != nullptr ? waiter_->history_woke : waiter_->next < end) co_return true;
    if (history_ == nullptr && !waiter_->waiting) {
      waiter_->waiting = true;
      cache_->waiting_.push_back(waiter_);
    }
  }
  // The notifier is told by a post to this executor, so nothing is lost between here and the wait.
  bool notified = co_await waiter_->notifier.wait_for(timeout);
  co_return notified;
}

void CacheWatch::wake() { waiter_->notifier.notify(); }

int64_t CacheWatch::progress() const {
  if (history_ != nullptr) return history_revision_;
  std::lock_guard lock(cache_->mutex_);
  uint64_t end = cache_->ring_start_ + cache_->ring_.size();
  return waiter_->next == end ? cache_->revision() : waiter_->after;
}

}  // namespace knarr::apiserver
