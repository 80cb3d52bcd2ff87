// SPDX-License-Identifier: Apache-2.0
// One checkpoint: changes that were decided elsewhere go into LMDB, with what upkeep adds, in one
// transaction.
//
// A failure leaves the transaction unusable: drop the batch. Writer thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/environment.h"
#include "store/event_ring.h"
#include "store/pending.h"
#include "store/records.h"
#include "store/store.h"

namespace knarr::store {

class WriteBatch {
 public:
  static Result<WriteBatch> begin(Environment& environment, State state);

  // The next change, of the next revision.
  Status apply(const Change& change);
  // Deletes up to `max` keys whose time is over. Their events are expired().
  Status expire(int64_t now_ms, size_t max);
  // Forgets history up to `revision`; purge() frees its records.
  void compact(int64_t revision);
  // Deletes the records of up to `max` forgotten revisions.
  Status purge(size_t max);

  bool changed() const { return changed_; }
  const State& state() const { return state_; }
  std::vector<EventRing::EventPtr>& expired() { return expired_; }
  // After the last change: when the next key expires, 0 for never.
  Result<int64_t> next_expiry_ms();
  // Begins the journal's next epoch, too.
  Status commit();

 private:
  WriteBatch(Environment& environment, WriteTransaction txn, State state)
      : environment_(environment), txn_(std::move(txn)), state_(state) {}
  Status append_log(const LogRecord& record);

  Environment& environment_;
  WriteTransaction txn_;
  State state_;
  bool changed_ = false;
  std::vector<EventRing::EventPtr> expired_;
};

}  // namespace knarr::store
