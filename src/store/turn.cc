// SPDX-License-Identifier: Apache-2.0
#include "store/turn.h"

#include <memory>
#include <utility>

#include "store/key_table.h"
#include "store/snapshot.h"

namespace knarr::store {
namespace {

Entry entry_of(const Event& event) {
  Entry entry;
  entry.key = event.key;
  if (event.kind == Event::Kind::kDelete) return entry;
  entry.value = event.value;
  entry.create_revision = event.create_revision;
  entry.mod_revision = event.revision;
  return entry;
}

}  // namespace

Result<Entry> Turn::load(std::string_view key) {
  if (auto at = latest_.find(key); at != latest_.end())
    return entry_of(*changes_[at->second].event);
  if (const Change* change = pending_.latest(key); change != nullptr)
    return entry_of(*change->event);
  Entry entry;
  entry.key = key;
  TRY_ASSIGN(ReadTransaction txn, environment_.read());
  KeyRecord record;
  TRY_ASSIGN(bool found, find_key(txn.raw(), environment_.keys, key, &record));
  if (!found) return entry;
  TRY_ASSIGN(LogRecord log, load_record(txn.raw(), environment_, record.mod_revision));
  entry.create_revision = log.create_revision;
  entry.mod_revision = record.mod_revision;
  entry.value = ring_.value_at(record.mod_revision);
  if (entry.value.is_null()) entry.value = Bytes::copy(log.value);
  return entry;
}

void Turn::add(Change change) {
  std::string_view key = change.event->key;
  auto [at, fresh] = latest_.try_emplace(key, changes_.size());
  if (!fresh) at->second = changes_.size();
  changes_.push_back(std::move(change));
}

Status Turn::apply(const WriteRequest& request, int64_t now_ms, WriteResult* result) {
  TRY_ASSIGN(Entry existing, load(request.key));
  int64_t found = existing.mod_revision;
  result->revision = revision_;
  result->succeeded =
      request.expected_revision == WriteRequest::kAny || request.expected_revision == found;
  if (!result->succeeded || (request.remove && found == 0)) {
    // Removing what is absent succeeds and changes nothing, as in etcd.
    result->current = std::move(existing);
    return {};
  }
  result->revision = ++revision_;
  auto event = std::make_shared<Event>();
  event->key = request.key;
  event->revision = revision_;
  event->previous = existing.value;
  event->create_revision = found == 0 ? revision_ : existing.create_revision;
  Change change;
  change.previous_revision = found;
  if (request.remove) {
    event->kind = Event::Kind::kDelete;
    result->current = std::move(existing);
  } else {
    event->value = request.value.is_null() ? Bytes::copy("") : request.value;
    if (request.ttl_seconds > 0) change.expiry_ms = now_ms + request.ttl_seconds * 1000;
  }
  change.event = std::move(event);
  add(std::move(change));
  return {};
}

}  // namespace knarr::store
