// SPDX-License-Identifier: Apache-2.0
#include "store/pending.h"

#include <memory>

#include "store/snapshot.h"

namespace knarr::store {

LogRecord Change::record() const {
  LogRecord record;
  record.kind = event->kind;
  record.create_revision = event->create_revision;
  record.previous_revision = previous_revision;
  record.key = event->key;
  record.value = event->value.view();
  return record;
}

// First revision; then for each change: size of its record, expiry, record.
std::string encode_changes(const std::vector<Change>& changes) {
  size_t size = 8;
  for (const Change& change : changes) size += 16 + change.record().encoded_size();
  std::string payload(size, '\0');
  put_le64(payload.data(), changes.front().event->revision);
  char* to = payload.data() + 8;
  for (const Change& change : changes) {
    LogRecord record = change.record();
    put_le64(to, static_cast<int64_t>(record.encoded_size()));
    put_le64(to + 8, change.expiry_ms);
    record.encode(to + 16);
    to += 16 + record.encoded_size();
  }
  return payload;
}

Result<std::vector<Change>> decode_changes(std::string_view payload) {
  Status damaged = Status::error("store: journal record is damaged");
  if (payload.size() < 8) return damaged;
  int64_t revision = get_le64(payload.data());
  if (revision <= 0 || revision > int64_t{1} << 62) return damaged;
  payload.remove_prefix(8);
  std::vector<Change> changes;
  while (!payload.empty()) {
    if (payload.size() < 16) return damaged;
    auto size = static_cast<uint64_t>(get_le64(payload.data()));
    Change change;
    change.expiry_ms = get_le64(payload.data() + 8);
    payload.remove_prefix(16);
    if (size > payload.size()) return damaged;
    TRY_ASSIGN(LogRecord record, LogRecord::parse(payload.substr(0, size)));
    payload.remove_prefix(size);
    if (record.kind == Event::Kind::kDelete && !record.value.empty()) return damaged;
    change.previous_revision = record.previous_revision;
    auto event = std::make_shared<Event>();
    event->kind = record.kind;
    event->key = record.key;
    event->revision = revision++;
    event->create_revision = record.create_revision;
    if (record.kind == Event::Kind::kPut) event->value = Bytes::copy(record.value);
    change.event = std::move(event);
    changes.push_back(std::move(change));
  }
  return changes;
}

void Pending::collect(std::string_view start, std::string_view end, int64_t revision,
                      std::vector<Change>* changes) const {
  for (auto at = by_key_.lower_bound(start); at != by_key_.end(); ++at) {
    if (!end.empty() && at->first >= end) return;
    for (size_t index : at->second)
      if (changes_[index].event->revision > revision) changes->push_back(changes_[index]);
  }
}

const Change* Pending::latest(std::string_view key) const {
  auto at = by_key_.find(key);
  return at == by_key_.end() ? nullptr : &changes_[at->second.back()];
}

void Pending::add(std::vector<Change> changes) {
  std::lock_guard lock(mutex_);
  for (Change& change : changes) {
    by_key_[change.event->key].push_back(changes_.size());
    changes_.push_back(std::move(change));
  }
}

void Pending::clear() {
  // Freed outside the lock.
  std::vector<Change> changes;
  std::map<std::string, std::vector<size_t>, std::less<>> by_key;
  std::lock_guard lock(mutex_);
  changes.swap(changes_);
  by_key.swap(by_key_);
}

}  // namespace knarr::store
