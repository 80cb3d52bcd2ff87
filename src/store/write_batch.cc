// SPDX-License-Identifier: Apache-2.0
#include "store/write_batch.h"

#include <algorithm>
#include <string>
#include <utility>

#include "store/key_table.h"
#include "store/snapshot.h"

namespace knarr::store {

Result<WriteBatch> WriteBatch::begin(Environment& environment, const EventRing& ring, State state) {
  TRY_ASSIGN(WriteTransaction txn, WriteTransaction::begin(environment));
  return WriteBatch(environment, ring, std::move(txn), state);
}

Result<WriteBatch::Existing> WriteBatch::load(std::string_view key) {
  Existing existing;
  existing.entry.key = key;
  TRY_ASSIGN(bool found, find_key(txn_.raw(), environment_.keys, key, &existing.key));
  if (!found) return existing;
  int64_t revision = existing.key.mod_revision;
  TRY_ASSIGN(LogRecord record, load_record(txn_.raw(), environment_, revision));
  existing.record_bytes = static_cast<int64_t>(record.encoded_size());
  existing.entry.create_revision = record.create_revision;
  existing.entry.mod_revision = revision;
  // An event of this batch first (not in the ring yet), then the ring, then a copy.
  if (!events_.empty() && revision >= events_.front()->revision)
    existing.entry.value =
        events_[static_cast<size_t>(revision - events_.front()->revision)]->value;
  else
    existing.entry.value = ring_.value_at(revision);
  if (existing.entry.value.is_null()) existing.entry.value = Bytes::copy(record.value);
  return existing;
}

Status WriteBatch::apply(const WriteRequest& request, int64_t now_ms, WriteResult* result) {
  TRY_ASSIGN(Existing existing, load(request.key));
  int64_t found = existing.entry.mod_revision;
  result->revision = state_.revision;
  if (request.expected_revision != WriteRequest::kAny && request.expected_revision != found) {
    result->succeeded = false;
    result->current = std::move(existing.entry);
    return {};
  }
  result->succeeded = true;
  if (!request.remove) {
    TRY(write_put(request, now_ms, existing));
  } else if (found != 0) {
    TRY(write_delete(request.key, existing));
    result->current = std::move(existing.entry);
  } else {
    result->current.key = request.key;  // nothing to remove, nothing happened: as in etcd
  }
  result->revision = state_.revision;
  return {};
}

// LMDB hands out the room, so that the value is copied once, into its page.
Status WriteBatch::append_log(const LogRecord& record) {
  RevisionKey at(state_.revision);
  MDB_val key = to_val(at.view());
  MDB_val room{record.encoded_size(), nullptr};
  int rc = mdb_put(txn_.raw(), environment_.log, &key, &room, MDB_RESERVE | MDB_APPEND);
  if (rc != 0) return lmdb_status("append to the log", rc);
  record.encode(static_cast<char*>(room.mv_data));
  return {};
}

Status WriteBatch::write_put(const WriteRequest& request, int64_t now_ms,
                             const Existing& existing) {
  changed_ = true;
  int64_t revision = ++state_.revision;
  bool is_new = existing.entry.mod_revision == 0;
  LogRecord record;
  record.kind = Event::Kind::kPut;
  record.create_revision = is_new ? revision : existing.entry.create_revision;
  record.previous_revision = existing.entry.mod_revision;
  record.key = request.key;
  record.value = request.value.view();
  TRY(append_log(record));
  state_.history_bytes += existing.record_bytes;

  KeyRecord key;
  key.mod_revision = revision;
  if (existing.key.expiry_ms != 0) {
    TRY(erase(txn_.raw(), environment_.ttl,
              ttl_key(existing.key.expiry_ms, existing.key.mod_revision)));
  }
  if (request.ttl_seconds > 0) {
    key.expiry_ms = now_ms + request.ttl_seconds * 1000;
    TRY(put(txn_.raw(), environment_.ttl, ttl_key(key.expiry_ms, revision), request.key));
  }
  TRY(put_key(txn_.raw(), environment_.keys, request.key, key));

  auto event = std::make_shared<Event>();
  event->kind = Event::Kind::kPut;
  event->key = request.key;
  event->value = request.value.is_null() ? Bytes::copy("") : request.value;
  event->previous = existing.entry.value;
  event->revision = revision;
  event->create_revision = record.create_revision;
  events_.push_back(std::move(event));
  return {};
}

Status WriteBatch::write_delete(std::string_view key, const Existing& existing) {
  changed_ = true;
  int64_t revision = ++state_.revision;
  LogRecord record;
  record.kind = Event::Kind::kDelete;
  record.create_revision = existing.entry.create_revision;
  record.previous_revision = existing.entry.mod_revision;
  record.key = key;
  TRY(append_log(record));
  state_.history_bytes += existing.record_bytes + static_cast<int64_t>(record.encoded_size());
  if (existing.key.expiry_ms != 0) {
    TRY(erase(txn_.raw(), environment_.ttl,
              ttl_key(existing.key.expiry_ms, existing.key.mod_revision)));
  }
  TRY(erase_key(txn_.raw(), environment_.keys, key));

  auto event = std::make_shared<Event>();
  event->kind = Event::Kind::kDelete;
  event->key = key;
  event->previous = existing.entry.value;
  event->revision = revision;
  event->create_revision = record.create_revision;
  events_.push_back(std::move(event));
  return {};
}

Status WriteBatch::expire(int64_t now_ms, size_t max) {
  for (size_t done = 0; done < max; ++done) {
    // A new cursor each time: the delete changes this very table.
    std::string key;
    {
      TRY_ASSIGN(Cursor cursor, Cursor::open(txn_.raw(), environment_.ttl));
      std::string_view at, bytes;
      TRY_ASSIGN(bool some, cursor.seek("", &at, &bytes));
      if (!some || RevisionKey::parse(at.substr(0, 8)) > now_ms) return {};
      key = bytes;
    }
    TRY_ASSIGN(Existing existing, load(key));
    if (existing.entry.mod_revision == 0)
      return Status::error("store: a key that is gone has a time to live");
    TRY(write_delete(key, existing));
  }
  return {};
}

void WriteBatch::compact(int64_t revision) {
  revision = std::min(revision, state_.revision);
  if (revision <= state_.compacted) return;
  state_.compacted = revision;
  changed_ = true;
}

// An event at or before the compacted revision makes the value that it replaced unreachable, and
// itself too when it is a delete. Every other record is the latest put of its key, or was at the
// compacted revision.
Status WriteBatch::purge(size_t max) {
  if (state_.purged >= state_.compacted || max == 0) return {};
  std::vector<int64_t> doomed;
  {
    TRY_ASSIGN(Cursor log, Cursor::open(txn_.raw(), environment_.log));
    std::string_view at, bytes;
    int64_t until = std::min(state_.compacted, state_.purged + static_cast<int64_t>(max));
    TRY_ASSIGN(bool some, log.seek(RevisionKey(state_.purged + 1).view(), &at, &bytes));
    while (some) {
      int64_t revision = RevisionKey::parse(at);
      if (revision > until) break;
      TRY_ASSIGN(LogRecord record, LogRecord::parse(bytes));
      if (record.previous_revision != 0) doomed.push_back(record.previous_revision);
      if (record.kind == Event::Kind::kDelete) doomed.push_back(revision);
      TRY_ASSIGN(some, log.next(&at, &bytes));
    }
    state_.purged = until;
  }
  // Neighbours share pages.
  std::sort(doomed.begin(), doomed.end());
  TRY_ASSIGN(Cursor log, Cursor::open(txn_.raw(), environment_.log));
  for (int64_t revision : doomed) {
    std::string_view at, bytes;
    TRY_ASSIGN(bool some, log.seek(RevisionKey(revision).view(), &at, &bytes));
    if (!some || RevisionKey::parse(at) != revision) continue;
    state_.history_bytes -= static_cast<int64_t>(bytes.size());
    TRY(log.remove());
  }
  changed_ = true;
  return {};
}

Result<int64_t> WriteBatch::next_expiry_ms() {
  TRY_ASSIGN(Cursor cursor, Cursor::open(txn_.raw(), environment_.ttl));
  std::string_view at, bytes;
  TRY_ASSIGN(bool some, cursor.seek("", &at, &bytes));
  return some ? RevisionKey::parse(at.substr(0, 8)) : 0;
}

Status WriteBatch::commit() {
  TRY(put(txn_.raw(), environment_.meta, "state", state_.encode()));
  return txn_.commit();
}

}  // namespace knarr::store
