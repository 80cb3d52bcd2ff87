// SPDX-License-Identifier: Apache-2.0
// Other servers that are asked who somebody is or what they may do.
//
// Their connections live on one executor (the server's); requests come from many. Everything here may be called on any of them and continues there.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/status.h"
#include "base/string_map.h"
#include "base/task.h"

namespace knarr::apiserver {

namespace detail {
template <class T>
Task<void> fulfil(Task<T> task, Promise<T> promise) {
  T value = co_await std::move(task);
  promise.set(std::move(value));
}
}  // namespace detail

// Runs a task on another executor. It is run to its end even when nobody waits for it any more: it owns what it uses.
template <class T>
Task<T> run_on(Executor there, Task<T> task) {
  Executor here = co_await this_executor();
  Promise<T> promise(here);
  spawn(there, detail::fulfil(std::move(task), promise));
  T value = co_await promise.get();
  co_return value;
}

// A webhook of the API machinery: a kubeconfig file names the URL and how to log in there.
class WebhookClient {
 public:
  virtual ~WebhookClient() = default;
  // POST of a JSON document; the answer's. Tried again, five times at most, when the server says that it is at fault or busy.
  virtual Task<Result<std::string>> post(std::string body) = 0;
};
Result<std::shared_ptr<WebhookClient>> make_webhook_client(Executor executor, const std::string& kubeconfig, Duration timeout);

// GET of an https URL (http for issuers that are tested). `ca_file` "" = the system's CAs.
class Fetcher {
 public:
  virtual ~Fetcher() = default;
  virtual Task<Result<std::string>> get(std::string url) = 0;
};
std::shared_ptr<Fetcher> make_fetcher(Executor executor, std::string ca_file);

// Answers that stay good for a while. Bounded: full, it forgets those that are over, or all.
template <class V>
class ExpiringCache {
 public:
  explicit ExpiringCache(size_t capacity) : capacity_(capacity) {}
  std::optional<V> get(std::string_view key, MonoTime now) {
    std::lock_guard lock(mutex_);
    auto at = entries_.find(key);
    if (at == entries_.end() || now >= at->second.second) return std::nullopt;
    return at->second.first;
  }
  void put(std::string key, V value, MonoTime until, MonoTime now) {
    if (until <= now) return;
    std::lock_guard lock(mutex_);
    if (entries_.size() >= capacity_) absl::erase_if(entries_, [&](const auto& entry) { return entry.second.second <= now; });
    if (entries_.size() >= capacity_) entries_.clear();
    entries_.insert_or_assign(std::move(key), std::pair(std::move(value), until));
  }

 private:
  const size_t capacity_;
  std::mutex mutex_;
  StringMap<std::pair<V, MonoTime>> entries_;  // guarded by mutex_
};

}  // namespace knarr::apiserver
