// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/cache_follower.h"

#include "base/log.h"

namespace knarr::apiserver {
namespace {

constexpr size_t kPullBatch = 256;

}  // namespace

void CacheFollower::start_over(Sink& sink) {
  sink.clear();
  WatchCache::Snapshot snapshot = cache_->snapshot("");
  auto watch = cache_->watch(snapshot.revision, std::make_shared<const WatchScope>(), executor_);
  if (!watch.ok()) {
    log_error("A watch cache could not be followed", {{"prefix", cache_->prefix()}, {"error", watch.status().message()}});
    return;
  }
  watch_ = std::move(*watch);
  for (const CachedPtr& object : *snapshot.objects) sink.put(*object);
}

void CacheFollower::pull(Sink& sink) {
  uint64_t changes = cache_->changes();
  if (watch_ == nullptr) start_over(sink);
  while (watch_ != nullptr) {
    auto events = watch_->poll(kPullBatch);
    if (!events.ok()) {
      // Its place in the history is gone.
      watch_.reset();
      start_over(sink);
      break;
    }
    if (events->empty()) break;
    for (const EventPtr& event : *events) {
      if (event->deleted) {
        sink.remove(*event->object);
      } else {
        sink.put(*event->object);
      }
    }
  }
  seen_.store(changes, std::memory_order_release);
}

}  // namespace knarr::apiserver
