// SPDX-License-Identifier: Apache-2.0
#include "store/snapshot.h"

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

Result<Snapshot> Snapshot::open(Environment& environment) {
  TRY_ASSIGN(ReadTransaction txn, environment.read());
  TRY_ASSIGN(State state, load_state(txn.raw(), environment));
  return Snapshot(environment, std::move(txn), state);
}

Status Snapshot::check_revision(int64_t revision) const {
  if (revision < 0) return bad_request("store: the revision is negative");
  if (revision == 0) return {};
  if (revision > state_.revision) return revision_too_large(revision, state_.revision);
  if (revision < state_.compacted) return list_expired();
  return {};
}

Result<Entry> Snapshot::get(std::string_view key, int64_t revision) {
  TRY(check_revision(revision));
  if (revision != 0 && revision != state_.revision) {
    RangeRequest request;
    request.start = key;
    request.end = request.start + '\0';
    request.revision = revision;
    TRY_ASSIGN(RangeResult result, range(request));
    if (!result.entries.empty()) return std::move(result.entries[0]);
  } else {
    KeyRecord record;
    TRY_ASSIGN(bool found, find_key(txn_.raw(), environment_.keys, key, &record));
    if (found) {
      TRY_ASSIGN(LogRecord log, load_record(txn_.raw(), environment_, record.mod_revision));
      return make_entry(log, record.mod_revision);
    }
  }
  Entry absent;
  absent.key = key;
  return absent;
}

Result<RangeResult> Snapshot::range(const RangeRequest& request) {
  TRY(check_revision(request.revision));
  RangeResult result;
  result.revision = request.revision == 0 ? state_.revision : request.revision;
  TRY(result.revision == state_.revision ? range_now(request, &result)
                                         : range_past(request, &result));
  return result;
}

Status Snapshot::add(const RangeRequest& request, int64_t mod_revision, RangeResult* result) {
  ++result->count;
  if (request.count_only) return {};
  if (request.limit > 0 && static_cast<int64_t>(result->entries.size()) >= request.limit) {
    result->more = true;
    return {};
  }
  TRY_ASSIGN(LogRecord record, load_record(txn_.raw(), environment_, mod_revision));
  result->entries.push_back(make_entry(record, mod_revision));
  return {};
}

Status Snapshot::range_now(const RangeRequest& request, RangeResult* result) {
  TRY_ASSIGN(KeyCursor keys,
             KeyCursor::open(txn_.raw(), environment_.keys, request.start, request.end));
  for (;;) {
    TRY_ASSIGN(bool more, keys.next());
    if (!more) return {};
    TRY(add(request, keys.record().mod_revision, result));
  }
}

Status Snapshot::range_past(const RangeRequest& request, RangeResult* result) {
  // What each key changed since then was: its mod revision at that time, 0 for absent.
  std::map<std::string, int64_t, std::less<>> before;
  TRY_ASSIGN(Cursor log, Cursor::open(txn_.raw(), environment_.log));
  std::string_view at, bytes;
  TRY_ASSIGN(bool some, log.seek(RevisionKey(result->revision + 1).view(), &at, &bytes));
  while (some) {
    TRY_ASSIGN(LogRecord record, LogRecord::parse(bytes));
    if (in_range(record.key, request.start, request.end))
      before.try_emplace(std::string(record.key), record.previous_revision);
    TRY_ASSIGN(some, log.next(&at, &bytes));
  }

  TRY_ASSIGN(KeyCursor keys,
             KeyCursor::open(txn_.raw(), environment_.keys, request.start, request.end));
  auto undone = before.begin();
  for (;;) {
    TRY_ASSIGN(bool more, keys.next());
    for (; undone != before.end() && (!more || undone->first < keys.key()); ++undone) {
      if (undone->second != 0) TRY(add(request, undone->second, result));
    }
    if (!more) return {};
    int64_t mod_revision = keys.record().mod_revision;
    if (undone != before.end() && undone->first == keys.key()) {
      mod_revision = undone->second;
      ++undone;
    }
    if (mod_revision != 0) TRY(add(request, mod_revision, result));
  }
}

Result<int64_t> Snapshot::events(std::string_view start, std::string_view end, int64_t after,
                                 int64_t until, size_t max, std::vector<Event>* events) {
  if (after < state_.compacted) return watch_expired();
  TRY_ASSIGN(Cursor log, Cursor::open(txn_.raw(), environment_.log));
  std::string_view at, bytes;
  TRY_ASSIGN(bool some, log.seek(RevisionKey(after + 1).view(), &at, &bytes));
  while (some) {
    int64_t revision = RevisionKey::parse(at);
    if (revision > until) break;
    if (events->size() >= max) return revision - 1;
    TRY_ASSIGN(LogRecord record, LogRecord::parse(bytes));
    if (in_range(record.key, start, end)) {
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
