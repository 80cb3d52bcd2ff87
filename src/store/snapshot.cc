// SPDX-License-Identifier: Apache-2.0
#include "store/snapshot.h"

#include <algorithm>
#include <map>
#include <string>

#include "store/errors.h"
#include "store/key_table.h"

namespace knarr::store {

Result<LogRecord> load_record(MDB_txn* txn, const Environment& environment, int64_t revision) {
  std::string_view bytes;
  TRY_ASSIGN(bool found, find(txn, environment.log, RevisionKey(revision).view(), &bytes));
  if (!found) return Status::error("store: no log record of revision " + std::to_string(revision));
  return LogRecord::parse(bytes);
}

Result<State> load_state(MDB_txn* txn, const Environment& environment) {
  std::string_view bytes;
  TRY_ASSIGN(bool found, find(txn, environment.meta, "state", &bytes));
  if (!found) return State();
  return State::parse(bytes);
}

Entry make_entry(const LogRecord& record, int64_t revision) {
  Entry entry;
  entry.key = record.key;
  entry.value = Bytes::copy(record.value);
  entry.create_revision = record.create_revision;
  entry.mod_revision = revision;
  return entry;
}

Result<Snapshot> Snapshot::open_log(Environment& environment, std::string start, std::string end) {
  TRY_ASSIGN(ReadTransaction txn, environment.read());
  TRY_ASSIGN(State state, load_state(txn.raw(), environment));
  Snapshot snapshot(environment, std::move(txn), state, std::move(start), std::move(end));
  snapshot.latest_ = state.revision;
  return snapshot;
}

Result<Snapshot> Snapshot::open(Environment& environment, const Pending* pending, std::string start,
                                std::string end) {
  if (pending == nullptr) return open_log(environment, std::move(start), std::move(end));
  std::lock_guard lock(pending->mutex());
  TRY_ASSIGN(Snapshot snapshot, open_log(environment, std::move(start), std::move(end)));
  snapshot.latest_ = std::max(snapshot.latest_, pending->last_revision());
  pending->collect(snapshot.start_, snapshot.end_, snapshot.state_.revision, &snapshot.pending_);
  return snapshot;
}

Status Snapshot::check_revision(int64_t revision) const {
  if (revision < 0) return bad_request("store: the revision is negative");
  if (revision == 0) return {};
  if (revision > latest_) return revision_too_large(revision, latest_);
  if (revision < state_.compacted) return list_expired();
  return {};
}

Result<Entry> Snapshot::get(int64_t revision) {
  if (revision == 0 && pending_.empty()) {  // the common case, without a cursor
    KeyRecord record;
    TRY_ASSIGN(bool found, find_key(txn_.raw(), environment_.keys, start_, &record));
    if (found) {
      TRY_ASSIGN(LogRecord log, load_record(txn_.raw(), environment_, record.mod_revision));
      return make_entry(log, record.mod_revision);
    }
  } else {
    RangeRequest request;
    request.revision = revision;
    TRY_ASSIGN(RangeResult result, range(request));
    if (!result.entries.empty()) return std::move(result.entries[0]);
  }
  Entry absent;
  absent.key = start_;
  return absent;
}

Result<RangeResult> Snapshot::range(const RangeRequest& request) {
  TRY(check_revision(request.revision));
  RangeResult result;
  result.revision = request.revision == 0 ? latest_ : request.revision;
  if (result.revision >= state_.revision) {
    TRY(merge(request, pending_until(result.revision), &result));
  } else {
    TRY_ASSIGN(Overrides overrides, undo_after(result.revision));
    TRY(merge(request, overrides, &result));
  }
  return result;
}

Snapshot::Overrides Snapshot::pending_until(int64_t revision) const {
  Overrides overrides;
  for (const Change& change : pending_) {
    const Event& event = *change.event;
    if (event.revision > revision) continue;
    bool put = event.kind == Event::Kind::kPut;
    overrides[event.key] = {put ? event.revision : 0, put ? &event : nullptr};
  }
  return overrides;
}

Result<Snapshot::Overrides> Snapshot::undo_after(int64_t revision) {
  Overrides overrides;
  TRY_ASSIGN(Cursor log, Cursor::open(txn_.raw(), environment_.log));
  std::string_view at, bytes;
  TRY_ASSIGN(bool some, log.seek(RevisionKey(revision + 1).view(), &at, &bytes));
  while (some) {
    TRY_ASSIGN(LogRecord record, LogRecord::parse(bytes));
    // The first event after the revision says what was before it.
    if (in_range(record.key, start_, end_))
      overrides.try_emplace(std::string(record.key), Override{record.previous_revision, nullptr});
    TRY_ASSIGN(some, log.next(&at, &bytes));
  }
  return overrides;
}

Status Snapshot::add(const RangeRequest& request, const Override& value, RangeResult* result) {
  if (value.revision == 0) return {};
  ++result->count;
  if (request.count_only) return {};
  if (request.limit > 0 && static_cast<int64_t>(result->entries.size()) >= request.limit) {
    result->more = true;
    return {};
  }
  if (value.event != nullptr) {
    const Event& event = *value.event;
    result->entries.push_back({event.key, event.value, event.create_revision, event.revision});
    return {};
  }
  TRY_ASSIGN(LogRecord record, load_record(txn_.raw(), environment_, value.revision));
  result->entries.push_back(make_entry(record, value.revision));
  return {};
}

Status Snapshot::merge(const RangeRequest& request, const Overrides& overrides,
                       RangeResult* result) {
  TRY_ASSIGN(KeyCursor keys, KeyCursor::open(txn_.raw(), environment_.keys, start_, end_));
  auto other = overrides.begin();
  for (;;) {
    TRY_ASSIGN(bool more, keys.next());
    for (; other != overrides.end() && (!more || other->first < keys.key()); ++other)
      TRY(add(request, other->second, result));
    if (!more) return {};
    if (other != overrides.end() && other->first == keys.key()) {
      TRY(add(request, other->second, result));
      ++other;
    } else {
      TRY(add(request, {keys.record().mod_revision, nullptr}, result));
    }
  }
}

Result<int64_t> Snapshot::events(int64_t after, int64_t until, size_t max,
                                 std::vector<Event>* events) {
  if (after < state_.compacted) return watch_expired();
  until = std::min(until, state_.revision);
  TRY_ASSIGN(Cursor log, Cursor::open(txn_.raw(), environment_.log));
  std::string_view at, bytes;
  TRY_ASSIGN(bool some, log.seek(RevisionKey(after + 1).view(), &at, &bytes));
  while (some) {
    int64_t revision = RevisionKey::parse(at);
    if (revision > until) break;
    if (events->size() >= max) return revision - 1;
    TRY_ASSIGN(LogRecord record, LogRecord::parse(bytes));
    if (in_range(record.key, start_, end_)) {
      Event event;
      event.kind = record.kind;
      event.key = record.key;
      event.revision = revision;
      event.create_revision = record.create_revision;
      if (record.kind == Event::Kind::kPut) event.value = Bytes::copy(record.value);
      if (record.previous_revision != 0) {
        TRY_ASSIGN(LogRecord previous,
                   load_record(txn_.raw(), environment_, record.previous_revision));
        event.previous = Bytes::copy(previous.value);
      }
      events->push_back(std::move(event));
    }
    TRY_ASSIGN(some, log.next(&at, &bytes));
  }
  return until;
}

}  // namespace knarr::store
