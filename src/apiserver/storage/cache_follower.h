// SPDX-License-Identifier: Apache-2.0
// Something derived from all objects of a resource (an index, a graph), kept in step with their watch cache by whoever reads it.
#pragma once

#include <atomic>
#include <memory>

#include "apiserver/storage/watch_cache.h"

namespace knarr::apiserver {

class CacheFollower {
 public:
  // What is derived. Called by pull() only.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void clear() = 0;                           // every object follows
    virtual void put(const CachedObject& object) = 0;   // new or changed
    virtual void remove(const CachedObject& object) = 0;
  };

  CacheFollower(std::shared_ptr<WatchCache> cache, Executor executor) : cache_(std::move(cache)), executor_(std::move(executor)) {}

  // Whether a write that is done has not been pulled yet. Any thread; a few atomic reads when there is nothing new.
  bool behind() const {
    cache_->sync();
    return cache_->changes() != seen_.load(std::memory_order_acquire);
  }
  // One caller at a time, with what is derived locked.
  void pull(Sink& sink);

 private:
  void start_over(Sink& sink);
  const std::shared_ptr<WatchCache> cache_;
  const Executor executor_;
  std::unique_ptr<CacheWatch> watch_;
  std::atomic<uint64_t> seen_{0};
};

}  // namespace knarr::apiserver
