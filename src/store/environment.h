// SPDX-License-Identifier: Apache-2.0
// LMDB with owners: the environment, its four tables, its transactions. Nothing here knows what
// they hold.
//
// One Environment a directory and process, guarded by a lock file that dies with the process. Reads
// may come from any thread; the write transaction belongs to the store's writer thread. A
// ReadTransaction pins every page it can see: use it within one function, never across a
// suspension.
#pragma once

#include <lmdb.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace knarr::store {

// Space failures become 507, everything else 500.
Status lmdb_status(std::string_view what, int code);
bool is_out_of_space(const Status& status);

inline MDB_val to_val(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};
}
inline std::string_view to_view(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

class ReadTransaction;

class Environment {
 public:
  struct Options {
    std::string dir;
    uint64_t map_bytes = 0;
    bool no_sync = false;
  };
  static Result<std::shared_ptr<Environment>> open(const Options& options);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  Result<ReadTransaction> read();
  MDB_env* raw() const { return env_; }
  MDB_dbi keys = 0, log = 0, ttl = 0, meta = 0;

  // Bytes of the map that live or recently freed pages occupy at most; constant time.
  uint64_t high_water_bytes() const;

 private:
  friend class ReadTransaction;
  Environment() = default;
  Status open_files(const Options& options);
  Status open_tables();
  void give_back(MDB_txn* txn);

  int lock_fd_ = -1;
  MDB_env* env_ = nullptr;
  std::mutex mutex_;
  std::vector<MDB_txn*>
      idle_;  // guarded by mutex_; reset read transactions, which keep their reader slot
};

class ReadTransaction {
 public:
  ReadTransaction(Environment* owner, MDB_txn* txn) : owner_(owner), txn_(txn) {}
  ReadTransaction(ReadTransaction&& other) noexcept
      : owner_(other.owner_), txn_(std::exchange(other.txn_, nullptr)) {}
  ReadTransaction& operator=(ReadTransaction&&) = delete;
  ~ReadTransaction() {
    if (txn_ != nullptr) owner_->give_back(txn_);
  }
  MDB_txn* raw() const { return txn_; }

 private:
  Environment* owner_;
  MDB_txn* txn_;
};

// Aborted unless committed.
class WriteTransaction {
 public:
  static Result<WriteTransaction> begin(Environment& environment);
  WriteTransaction(WriteTransaction&& other) noexcept : txn_(std::exchange(other.txn_, nullptr)) {}
  WriteTransaction& operator=(WriteTransaction&&) = delete;
  ~WriteTransaction() {
    if (txn_ != nullptr) mdb_txn_abort(txn_);
  }
  Status commit();
  MDB_txn* raw() const { return txn_; }

 private:
  explicit WriteTransaction(MDB_txn* txn) : txn_(txn) {}
  MDB_txn* txn_;
};

class Cursor {
 public:
  static Result<Cursor> open(MDB_txn* txn, MDB_dbi table);
  Cursor(Cursor&& other) noexcept : cursor_(std::exchange(other.cursor_, nullptr)) {}
  Cursor& operator=(Cursor&&) = delete;
  ~Cursor() {
    if (cursor_ != nullptr) mdb_cursor_close(cursor_);
  }
  // False at the end of the table. The views live until the transaction writes or ends.
  Result<bool> seek(std::string_view at_or_after, std::string_view* key, std::string_view* value);
  Result<bool> next(std::string_view* key, std::string_view* value);
  // Deletes where the cursor stands; next() then gives the one after.
  Status remove();

 private:
  explicit Cursor(MDB_cursor* cursor) : cursor_(cursor) {}
  Result<bool> move(MDB_cursor_op op, MDB_val* at, std::string_view* key, std::string_view* value);
  MDB_cursor* cursor_;
};

// False when absent.
Result<bool> find(MDB_txn* txn, MDB_dbi table, std::string_view key, std::string_view* value);
Status put(MDB_txn* txn, MDB_dbi table, std::string_view key, std::string_view value);
// Absent is fine.
Status erase(MDB_txn* txn, MDB_dbi table, std::string_view key);

}  // namespace knarr::store
