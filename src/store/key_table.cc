// SPDX-License-Identifier: Apache-2.0
#include "store/key_table.h"

namespace knarr::store {
namespace {

constexpr size_t kRecordBytes = 16;

// A bucket is a row of items: suffix size, record, suffix; ascending suffixes.
constexpr size_t kItemHeaderBytes = 8 + kRecordBytes;

struct Item {
  std::string_view suffix;
  KeyRecord record;
  size_t size = 0;  // encoded
};

KeyRecord parse_record(const char* from) { return {get_le64(from), get_le64(from + 8)}; }

void append_record(std::string& to, const KeyRecord& record) {
  char bytes[kRecordBytes];
  put_le64(bytes, record.mod_revision);
  put_le64(bytes + 8, record.expiry_ms);
  to.append(bytes, sizeof bytes);
}

// False when the bytes are damaged.
bool parse_item(std::string_view bytes, Item* item) {
  if (bytes.size() < kItemHeaderBytes) return false;
  auto size = static_cast<uint64_t>(get_le64(bytes.data()));
  if (size > bytes.size() - kItemHeaderBytes) return false;
  item->record = parse_record(bytes.data() + 8);
  item->suffix = bytes.substr(kItemHeaderBytes, size);
  item->size = kItemHeaderBytes + size;
  return true;
}

Status damaged() { return Status::error("store: key record is damaged"); }

// The bucket without `suffix`, and with `record` in its place unless that is null.
Result<std::string> edit_bucket(std::string_view bucket, std::string_view suffix,
                                const KeyRecord* record) {
  std::string edited;
  bool placed = record == nullptr;
  auto place = [&] {
    char size[8];
    put_le64(size, static_cast<int64_t>(suffix.size()));
    edited.append(size, sizeof size);
    append_record(edited, *record);
    edited += suffix;
    placed = true;
  };
  while (!bucket.empty()) {
    Item item;
    if (!parse_item(bucket, &item)) return damaged();
    if (!placed && suffix <= item.suffix) place();
    if (item.suffix != suffix) edited += bucket.substr(0, item.size);
    bucket.remove_prefix(item.size);
  }
  if (!placed) place();
  return edited;
}

Status store_bucket(MDB_txn* txn, MDB_dbi table, std::string_view key, const KeyRecord* record) {
  std::string_view name = key.substr(0, kBucketBytes);
  std::string_view bucket;
  TRY_ASSIGN(bool found, find(txn, table, name, &bucket));
  if (!found) bucket = {};
  TRY_ASSIGN(std::string edited, edit_bucket(bucket, key.substr(kBucketBytes), record));
  return edited.empty() ? erase(txn, table, name) : put(txn, table, name, edited);
}

}  // namespace

Result<bool> find_key(MDB_txn* txn, MDB_dbi table, std::string_view key, KeyRecord* record) {
  if (key.size() >= kBucketBytes) {
    TRY_ASSIGN(KeyCursor cursor,
               KeyCursor::open(txn, table, key, std::string(key) + std::string(1, '\0')));
    TRY_ASSIGN(bool found, cursor.next());
    if (found) *record = cursor.record();
    return found;
  }
  std::string_view value;
  TRY_ASSIGN(bool found, find(txn, table, key, &value));
  if (!found) return false;
  if (value.size() != kRecordBytes) return damaged();
  *record = parse_record(value.data());
  return true;
}

Status put_key(MDB_txn* txn, MDB_dbi table, std::string_view key, const KeyRecord& record) {
  if (key.size() >= kBucketBytes) return store_bucket(txn, table, key, &record);
  std::string value;
  append_record(value, record);
  return put(txn, table, key, value);
}

Status erase_key(MDB_txn* txn, MDB_dbi table, std::string_view key) {
  if (key.size() >= kBucketBytes) return store_bucket(txn, table, key, nullptr);
  return erase(txn, table, key);
}

Result<KeyCursor> KeyCursor::open(MDB_txn* txn, MDB_dbi table, std::string_view start,
                                  std::string_view end) {
  TRY_ASSIGN(Cursor cursor, Cursor::open(txn, table));
  return KeyCursor(std::move(cursor), start, end);
}

bool KeyCursor::take_from_bucket() {
  Item item;
  if (!parse_item(bucket_, &item)) return false;
  bucket_.remove_prefix(item.size);
  long_key_ = bucket_name_;
  long_key_ += item.suffix;
  key_ = long_key_;
  record_ = item.record;
  return true;
}

Result<bool> KeyCursor::next() {
  do {
    if (bucket_.empty()) {
      std::string_view value;
      std::string_view from = std::string_view(start_).substr(0, kBucketBytes);
      TRY_ASSIGN(bool more,
                 positioned_ ? cursor_.next(&key_, &value) : cursor_.seek(from, &key_, &value));
      positioned_ = true;
      if (!more) return false;
      if (key_.size() < kBucketBytes) {
        if (value.size() != kRecordBytes) return damaged();
        record_ = parse_record(value.data());
        continue;
      }
      bucket_name_ = key_;
      bucket_ = value;
    }
    if (!take_from_bucket()) return damaged();
  } while (key_ < start_);  // only inside the first bucket
  return end_.empty() || key_ < end_;
}

}  // namespace knarr::store
