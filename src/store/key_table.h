// SPDX-License-Identifier: Apache-2.0
// The `keys` table: key -> KeyRecord, for keys of any length.
//
// LMDB's keys end at 511 bytes, Kubernetes' do not (group 253 + resource 63 + namespace 63 + name
// 253). Keys of kBucketBytes and more that share their first kBucketBytes live together, sorted, in
// one row of that name. A shorter key is never between two of them, so the order of all keys stays
// exact.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/environment.h"
#include "store/records.h"

namespace knarr::store {

constexpr size_t kBucketBytes = 500;
constexpr size_t kMaxKeyBytes = 4096;

Result<bool> find_key(MDB_txn* txn, MDB_dbi table, std::string_view key, KeyRecord* record);
Status put_key(MDB_txn* txn, MDB_dbi table, std::string_view key, const KeyRecord& record);
Status erase_key(MDB_txn* txn, MDB_dbi table, std::string_view key);

// Ascending over [start, end); an empty end is no end.
class KeyCursor {
 public:
  static Result<KeyCursor> open(MDB_txn* txn, MDB_dbi table, std::string_view start,
                                std::string_view end);
  // Moves on (at first: to the first key). False at the end.
  Result<bool> next();
  std::string_view key() const { return key_; }
  const KeyRecord& record() const { return record_; }

 private:
  KeyCursor(Cursor cursor, std::string_view start, std::string_view end)
      : cursor_(std::move(cursor)), start_(start), end_(end) {}
  bool take_from_bucket();

  Cursor cursor_;
  std::string start_, end_;
  bool positioned_ = false;
  std::string_view key_;
  KeyRecord record_;
  std::string_view bucket_;  // what is left of the current bucket
  std::string bucket_name_, long_key_;
};

}  // namespace knarr::store
