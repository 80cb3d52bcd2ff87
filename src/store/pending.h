// SPDX-License-Identifier: Apache-2.0
// The changes that are durable in the journal but not yet in LMDB, where readers find them.
//
// The writer thread adds a turn's changes and, after a checkpoint, drops those that LMDB has now. A
// reader takes its LMDB snapshot and its copy of the changes in its range under one lock, and
// ignores changes that the snapshot already has.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/event_ring.h"
#include "store/records.h"

namespace knarr::store {

struct Change {
  EventRing::EventPtr event;
  int64_t previous_revision = 0;  // of the value that it replaced, 0 when there was none
  int64_t expiry_ms = 0;          // of a put; 0 = never

  LogRecord record() const;
};

// A turn's changes as a journal payload, and back. Their revisions are consecutive.
std::string encode_changes(const std::vector<Change>& changes);
// The events have no `previous`.
Result<std::vector<Change>> decode_changes(std::string_view payload);

class Pending {
 public:
  std::mutex& mutex() const { return mutex_; }
  // Under the mutex. Appends the changes after `revision` in [start, end), in revision order for
  // each key.
  void collect(std::string_view start, std::string_view end, int64_t revision,
               std::vector<Change>* changes) const;

  int64_t last_revision() const { return changes_.empty() ? 0 : changes_.back().event->revision; }

  // Writer thread:
  const Change* latest(std::string_view key) const;
  const std::vector<Change>& all() const { return changes_; }
  void add(std::vector<Change> changes);
  void clear();

 private:
  mutable std::mutex mutex_;
  // Guarded by mutex_, though the writer, who alone changes them, reads them without.
  std::vector<Change> changes_;
  std::map<std::string, std::vector<size_t>, std::less<>> by_key_;  // indices of changes_
};

}  // namespace knarr::store
