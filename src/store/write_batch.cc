// SPDX-License-Identifier: Apache-2.0
#include "store/write_batch.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>

#include "store/key_table.h"
#include "store/snapshot.h"

namespace knarr::store {

Result<WriteBatch> WriteBatch::begin(Environment& environment, State state) {
  TRY_ASSIGN(WriteTransaction txn, WriteTransaction::begin(environment));
  return WriteBatch(environment, std::move(txn), state);
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

Status WriteBatch::apply(const Change& change) {
  changed_ = true;
  const Event& event = *change.event;
  ++state_.revision;
  if (event.revision != state_.revision)
    return Status::error("store: revision " + std::to_string(event.revision) + " is out of turn");
  KeyRecord before;
  TRY_ASSIGN(bool found, find_key(txn_.raw(), environment_.keys, event.key, &before));
  if ((found ? before.mod_revision : 0) != change.previous_revision)
    return Status::error("store: a change does not follow the one before it");
  if (found) {
    TRY_ASSIGN(LogRecord old, load_record(txn_.raw(), environment_, before.mod_revision));
    state_.history_bytes += static_cast<int64_t>(old.encoded_size());
    if (before.expiry_ms != 0)
      TRY(erase(txn_.raw(), environment_.ttl, ttl_key(before.expiry_ms, before.mod_revision)));
  }
  LogRecord record = change.record();
  TRY(append_log(record));
  if (event.kind == Event::Kind::kDelete) {
    state_.history_bytes += static_cast<int64_t>(record.encoded_size());
    return erase_key(txn_.raw(), environment_.keys, event.key);
  }
  if (change.expiry_ms != 0)
    TRY(put(txn_.raw(), environment_.ttl, ttl_key(change.expiry_ms, event.revision), event.key));
  return put_key(txn_.raw(), environment_.keys, event.key, {event.revision, change.expiry_ms});
}

Status WriteBatch::expire(int64_t now_ms, size_t max) {
  for (size_t done = 0; done < max; ++done) {
    auto event = std::make_shared<Event>();
    event->kind = Event::Kind::kDelete;
    Change change;
    {
      // A new cursor each time: the delete changes this very table.
      TRY_ASSIGN(Cursor cursor, Cursor::open(txn_.raw(), environment_.ttl));
      std::string_view at, bytes;
      TRY_ASSIGN(bool some, cursor.seek("", &at, &bytes));
      if (!some || RevisionKey::parse(at.substr(0, 8)) > now_ms) return {};
      event->key = bytes;
    }
    KeyRecord key;
    TRY_ASSIGN(bool found, find_key(txn_.raw(), environment_.keys, event->key, &key));
    if (!found) return Status::error("store: a key that is gone has a time to live");
    TRY_ASSIGN(LogRecord old, load_record(txn_.raw(), environment_, key.mod_revision));
    event->revision = state_.revision + 1;
    event->create_revision = old.create_revision;
    event->previous = Bytes::copy(old.value);
    change.previous_revision = key.mod_revision;
    change.event = event;
    TRY(apply(change));
    expired_.push_back(std::move(event));
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
  // Not to be guessed: a value must not be able to pose as a journal record.
  std::random_device random;
  state_.epoch = static_cast<int64_t>(uint64_t{random()} << 32 | random());
  TRY(put(txn_.raw(), environment_.meta, "state", state_.encode()));
  return txn_.commit();
}

}  // namespace knarr::store
