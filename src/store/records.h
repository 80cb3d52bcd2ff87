// SPDX-License-Identifier: Apache-2.0
// What the embedded store writes on disk. Integers are little-endian, except revisions and times
// used as keys, which are big-endian so that LMDB's byte order is their order.
//
//   log    revision             -> LogRecord: every event of the window, and each key's latest put
//   keys   key                  -> KeyRecord (key_table.h)
//   ttl    expiry ms, revision  -> key
//   meta   "state"              -> State
// A value is written once, in the log; `keys` only points at it, and so does the next event of that
// key.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/status.h"
#include "store/store.h"

namespace knarr::store {

// A view of one log entry; valid as long as the bytes it was parsed from.
struct LogRecord {
  Event::Kind kind = Event::Kind::kPut;
  int64_t create_revision = 0;    // of the value (on delete: of the value that went)
  int64_t previous_revision = 0;  // of the value that this event replaced, 0 = there was none
  std::string_view key;
  std::string_view value;

  static constexpr size_t kHeaderBytes = 8 + 8 + 8;
  size_t encoded_size() const { return kHeaderBytes + key.size() + value.size(); }
  // Writes encoded_size() bytes.
  void encode(char* to) const;
  static Result<LogRecord> parse(std::string_view bytes);
};

struct KeyRecord {
  int64_t mod_revision = 0;
  int64_t expiry_ms = 0;  // Unix time; 0 = never
};

// The store's own counters; changes in the same transaction as what it counts.
struct State {
  int64_t revision = 1;       // like etcd, so that no list ever says "0"
  int64_t compacted = 0;      // history at and before it is forgotten
  int64_t purged = 0;         // ... and its records deleted up to here; lags behind `compacted`
  int64_t history_bytes = 0;  // log bytes that only history needs
  int64_t epoch = 0;  // of the journal that goes on from here; 0 before the first commit

  static constexpr size_t kBytes = 6 * 8;
  std::string encode() const;
  static Result<State> parse(std::string_view bytes);
};

// 8 big-endian bytes of a non-negative number, as a key.
class RevisionKey {
 public:
  explicit RevisionKey(int64_t revision);
  std::string_view view() const { return {bytes_, sizeof bytes_}; }
  static int64_t parse(std::string_view bytes);  // 0 when it is no revision

 private:
  char bytes_[8];
};

std::string ttl_key(int64_t expiry_ms, int64_t revision);

inline void put_le64(char* to, int64_t value) { std::memcpy(to, &value, 8); }
inline int64_t get_le64(const char* from) {
  int64_t value;
  std::memcpy(&value, from, 8);
  return value;
}

}  // namespace knarr::store
