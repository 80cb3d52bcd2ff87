// SPDX-License-Identifier: Apache-2.0
// Answers of other servers, kept for a while: bounded in number and in time, as CoreDNS' cache plugin. One executor.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <list>
#include <optional>

#include "base/clock.h"
#include "dns/message.h"

namespace knarr::dns {

struct CacheOptions {
  size_t capacity = 9984;             // of positive answers, and as many denials
  uint32_t max_ttl_seconds = 3600;    // of positive answers
  uint32_t max_denial_ttl_seconds = 1800;
};

class AnswerCache {
 public:
  AnswerCache(const Clock& clock, CacheOptions options) : clock_(clock), options_(options) {}

  // An answer to `query` with what is left of its TTLs.
  std::optional<Message> get(const Message& query);
  // Keeps an answer when it may be kept, and caps its TTLs to the time it is.
  void put(const Message& query, Message* answer);

  size_t positives() const { return positives_.entries.size(); }
  size_t denials() const { return denials_.entries.size(); }
  uint64_t hits() const { return hits_; }
  uint64_t misses() const { return misses_; }

 private:
  struct Entry {
    Message answer;
    MonoTime stored, expires;
    std::list<std::string>::iterator order;
  };
  struct Half {
    absl::flat_hash_map<std::string, Entry> entries;
    std::list<std::string> recent;  // newest first
    Entry* find(const std::string& key, MonoTime now);
    void put(std::string key, Entry entry, size_t capacity);
    void erase(const std::string& key);
  };
  const Clock& clock_;
  CacheOptions options_;
  Half positives_, denials_;
  uint64_t hits_ = 0, misses_ = 0;
};

// For how many seconds an answer may be kept within the options; 0: not at all.
uint32_t cacheable_seconds(const Message& answer, const CacheOptions& options);

}  // namespace knarr::dns
