// SPDX-License-Identifier: Apache-2.0
#include "store/records.h"

#include <bit>

namespace knarr::store {

static_assert(std::endian::native == std::endian::little, "the files are little-endian");

namespace {

constexpr int64_t kFormat = 2;

}  // namespace

// Header: kind in the top byte and the key's size in the rest, create revision, previous revision.
void LogRecord::encode(char* to) const {
  uint64_t head = static_cast<uint64_t>(kind) << 56 | key.size();
  std::memcpy(to, &head, 8);
  put_le64(to + 8, create_revision);
  put_le64(to + 16, previous_revision);
  std::memcpy(to + kHeaderBytes, key.data(), key.size());
  if (!value.empty()) std::memcpy(to + kHeaderBytes + key.size(), value.data(), value.size());
}

Result<LogRecord> LogRecord::parse(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return Status::error("store: log record is cut short");
  uint64_t head;
  std::memcpy(&head, bytes.data(), 8);
  uint64_t key_size = head & ((uint64_t{1} << 56) - 1);
  uint64_t kind = head >> 56;
  if (key_size > bytes.size() - kHeaderBytes || kind > 1)
    return Status::error("store: log record is damaged");
  LogRecord record;
  record.kind = static_cast<Event::Kind>(kind);
  record.create_revision = get_le64(bytes.data() + 8);
  record.previous_revision = get_le64(bytes.data() + 16);
  record.key = bytes.substr(kHeaderBytes, key_size);
  record.value = bytes.substr(kHeaderBytes + key_size);
  return record;
}

std::string State::encode() const {
  std::string bytes(kBytes, '\0');
  put_le64(bytes.data(), kFormat);
  put_le64(bytes.data() + 8, revision);
  put_le64(bytes.data() + 16, compacted);
  put_le64(bytes.data() + 24, purged);
  put_le64(bytes.data() + 32, history_bytes);
  put_le64(bytes.data() + 40, epoch);
  return bytes;
}

Result<State> State::parse(std::string_view bytes) {
  if (bytes.size() != kBytes || get_le64(bytes.data()) != kFormat)
    return Status::error("store: the files have another format");
  State state;
  state.revision = get_le64(bytes.data() + 8);
  state.compacted = get_le64(bytes.data() + 16);
  state.purged = get_le64(bytes.data() + 24);
  state.history_bytes = get_le64(bytes.data() + 32);
  state.epoch = get_le64(bytes.data() + 40);
  return state;
}

RevisionKey::RevisionKey(int64_t revision) {
  uint64_t swapped = __builtin_bswap64(static_cast<uint64_t>(revision));
  std::memcpy(bytes_, &swapped, 8);
}

int64_t RevisionKey::parse(std::string_view bytes) {
  if (bytes.size() != 8) return 0;
  uint64_t swapped;
  std::memcpy(&swapped, bytes.data(), 8);
  return static_cast<int64_t>(__builtin_bswap64(swapped));
}

std::string ttl_key(int64_t expiry_ms, int64_t revision) {
  std::string key(RevisionKey(expiry_ms).view());
  key += RevisionKey(revision).view();
  return key;
}

}  // namespace knarr::store
