// SPDX-License-Identifier: Apache-2.0
// One consistent view of the embedded store, for as long as one function runs: latest and past
// values, and the events between. A past range is the latest one with the later events undone,
// which costs what happened since.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/environment.h"
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
  static Result<Snapshot> open(Environment& environment);
  const State& state() const { return state_; }

  Result<Entry> get(std::string_view key, int64_t revision);
  Result<RangeResult> range(const RangeRequest& request);

  // Appends the events of (after, until] in [start, end) to *events until it has `max`. Returns the
  // revision up to which it looked. 410 when `after` is compacted.
  Result<int64_t> events(std::string_view start, std::string_view end, int64_t after, int64_t until,
                         size_t max, std::vector<Event>* events);

 private:
  Snapshot(Environment& environment, ReadTransaction txn, State state)
      : environment_(environment), txn_(std::move(txn)), state_(state) {}
  Status check_revision(int64_t revision) const;
  Status range_now(const RangeRequest& request, RangeResult* result);
  Status range_past(const RangeRequest& request, RangeResult* result);
  Status add(const RangeRequest& request, int64_t mod_revision, RangeResult* result);

  Environment& environment_;
  ReadTransaction txn_;
  State state_;
};

inline bool in_range(std::string_view key, std::string_view start, std::string_view end) {
  return key >= start && (end.empty() || key < end);
}

}  // namespace knarr::store
