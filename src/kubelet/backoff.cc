// SPDX-License-Identifier: Apache-2.0
#include "kubelet/backoff.h"

#include <algorithm>

namespace knarr::kubelet {

Duration Backoff::delay(std::string_view key) const {
  auto it = entries_.find(key);
  return it == entries_.end() ? Duration::zero() : it->second.delay;
}

Duration Backoff::remaining(std::string_view key, WallTime event) const {
  auto it = entries_.find(key);
  if (it == entries_.end() || expired(event, it->second)) return Duration::zero();
  return std::max(Duration::zero(), it->second.delay - Duration(clock_.now() - event));
}

Duration Backoff::remaining_since_update(std::string_view key) const {
  auto it = entries_.find(key);
  if (it == entries_.end() || expired(clock_.now(), it->second)) return Duration::zero();
  return std::max(Duration::zero(), it->second.delay - Duration(clock_.now() - it->second.updated));
}

void Backoff::next(const std::string& key, WallTime event) {
  auto [it, made] = entries_.try_emplace(key, Entry{initial_, clock_.now()});
  if (!made) {
    it->second.delay = expired(event, it->second) ? initial_ : std::min(it->second.delay * 2, max_);
    it->second.updated = clock_.now();
  }
}

void Backoff::reset(std::string_view key) {
  auto it = entries_.find(key);
  if (it != entries_.end()) entries_.erase(it);
}

void Backoff::collect_garbage() {
  for (auto it = entries_.begin(); it != entries_.end();) {
    it = expired(clock_.now(), it->second) ? entries_.erase(it) : std::next(it);
  }
}

}  // namespace knarr::kubelet
