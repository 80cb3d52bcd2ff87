// SPDX-License-Identifier: Apache-2.0
// The changes of one commit: requests applied in order inside one LMDB write transaction.
//
// Each request's comparison comes before its first change, so one that fails needs no undoing. A
// failed Status (not a failed comparison) leaves the transaction unusable: drop the batch. Writer
// thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/environment.h"
#include "store/event_ring.h"
#include "store/records.h"
#include "store/store.h"

namespace knarr::store {

class WriteBatch {
 public:
  // `ring` lends the previous values it still holds, so that they are in memory once.
  static Result<WriteBatch> begin(Environment& environment, const EventRing& ring, State state);

  Status apply(const WriteRequest& request, int64_t now_ms, WriteResult* result);
  // Deletes up to `max` keys whose time is over.
  Status expire(int64_t now_ms, size_t max);
  // Forgets history up to `revision`; purge() frees its records.
  void compact(int64_t revision);
  // Deletes the records of up to `max` forgotten revisions.
  Status purge(size_t max);

  bool changed() const { return changed_; }
  const State& state() const { return state_; }
  // After the last change: when the next key expires, 0 for never.
  Result<int64_t> next_expiry_ms();
  Status commit();
  std::vector<EventRing::EventPtr> take_events() { return std::move(events_); }

 private:
  WriteBatch(Environment& environment, const EventRing& ring, WriteTransaction txn, State state)
      : environment_(environment), ring_(ring), txn_(std::move(txn)), state_(state) {}
  struct Existing {
    KeyRecord key;
    Entry entry;  // mod_revision 0 when absent
    int64_t record_bytes = 0;
  };
  Result<Existing> load(std::string_view key);
  Status append_log(const LogRecord& record);
  Status write_put(const WriteRequest& request, int64_t now_ms, const Existing& existing);
  Status write_delete(std::string_view key, const Existing& existing);

  Environment& environment_;
  const EventRing& ring_;
  WriteTransaction txn_;
  State state_;
  bool changed_ = false;
  std::vector<EventRing::EventPtr> events_;
};

}  // namespace knarr::store
