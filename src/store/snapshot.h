// SPDX-License-Identifier: Apache-2.0
// One consistent view of a key range of the embedded store, for as long as one function runs:
// latest and past values, and the events between. What LMDB has is overlaid with the changes that
// are pending; a range before those is LMDB's latest with the later events undone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/environment.h"
#include "store/pending.h"
#include "store/records.h"
#include "store/store.h"

namespace knarr::store {

// The log record of a revision that must be there; its views live as long as the transaction's page
// does.
Result<LogRecord> load_record(MDB_txn* txn, const Environment& environment, int64_t revision);
Result<State> load_state(MDB_txn* txn, const Environment& environment);
Entry make_entry(const LogRecord& record, int64_t revision);

class Snapshot {
 public:
  // `pending` null: of LMDB alone.
  static Result<Snapshot> open(Environment& environment, const Pending* pending, std::string start,
                               std::string end);

  // Of the range's first key.
  Result<Entry> get(int64_t revision);
  // `request` asks for this range.
  Result<RangeResult> range(const RangeRequest& request);

  // Appends the logged events of (after, until] to *events until it has `max`. Returns the revision
  // up to which it looked. 410 when `after` is compacted.
  Result<int64_t> events(int64_t after, int64_t until, size_t max, std::vector<Event>* events);

 private:
  static Result<Snapshot> open_log(Environment& environment, std::string start, std::string end);
  Snapshot(Environment& environment, ReadTransaction txn, State state, std::string start,
           std::string end)
      : environment_(environment),
        txn_(std::move(txn)),
        state_(state),
        start_(std::move(start)),
        end_(std::move(end)) {}
  // What a key is at the revision asked for, where LMDB's latest is something else.
  struct Override {
    int64_t revision = 0;          // 0 = absent
    const Event* event = nullptr;  // null = in the log
  };
  using Overrides = std::map<std::string, Override, std::less<>>;
  Status check_revision(int64_t revision) const;
  Overrides pending_until(int64_t revision) const;
  Result<Overrides> undo_after(int64_t revision);
  Status merge(const RangeRequest& request, const Overrides& overrides, RangeResult* result);
  Status add(const RangeRequest& request, const Override& value, RangeResult* result);

  Environment& environment_;
  ReadTransaction txn_;
  State state_;  // of LMDB
  std::string start_, end_;
  int64_t latest_ = 0;           // with what is pending
  std::vector<Change> pending_;  // in the range, later than state_.revision
};

}  // namespace knarr::store
