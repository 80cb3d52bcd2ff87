// SPDX-License-Identifier: Apache-2.0
#include "store/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "store/errors.h"

namespace knarr::store {
namespace {

// Checksum of the rest, payload size, epoch, sequence.
constexpr size_t kHeaderBytes = 4 + 4 + 8 + 8;
constexpr uint64_t kMaxBytes = uint64_t{1} << 30;

uint32_t checksum(std::string_view bytes) {
  return static_cast<uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

Status write_all(int fd, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && (errno == ENOSPC || errno == EDQUOT)) return out_of_space();
    if (done <= 0) return Status::from_errno("write journal", errno);
    bytes.remove_prefix(static_cast<size_t>(done));
    offset += static_cast<uint64_t>(done);
  }
  return {};
}

// Allocated and written once, so that a later fdatasync has no metadata to write.
Status fill(int fd, uint64_t from, uint64_t bytes) {
  std::string zeros(size_t{64} << 10, '\0');
  for (uint64_t offset = from; offset < bytes; offset += zeros.size()) {
    size_t size = static_cast<size_t>(std::min<uint64_t>(zeros.size(), bytes - offset));
    TRY(write_all(fd, std::string_view(zeros).substr(0, size), offset));
  }
  return ::fsync(fd) == 0 ? Status() : Status::from_errno("fsync journal", errno);
}

}  // namespace

Result<Journal> Journal::open(const std::string& path, uint64_t bytes, bool no_sync) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Status::from_errno("open " + path, errno);
  Journal journal(fd, bytes, no_sync);
  struct stat info;
  if (::fstat(fd, &info) != 0) return Status::from_errno("stat " + path, errno);
  auto size = static_cast<uint64_t>(info.st_size);
  // Also when a start was cut short.
  if (size < bytes) TRY(fill(fd, size, bytes));
  journal.bytes_ = std::min(std::max(size, bytes), kMaxBytes);
  return journal;
}

Journal::Journal(Journal&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      bytes_(other.bytes_),
      no_sync_(other.no_sync_),
      epoch_(other.epoch_),
      sequence_(other.sequence_),
      offset_(other.offset_) {}

Journal::~Journal() {
  if (fd_ >= 0) ::close(fd_);
}

Status Journal::replay(uint64_t epoch, const std::function<Status(std::string_view)>& take) const {
  std::string file(bytes_, '\0');
  size_t size = 0;
  while (size < file.size()) {
    ssize_t done = ::pread(fd_, file.data() + size, file.size() - size, static_cast<off_t>(size));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return Status::from_errno("read journal", errno);
    if (done == 0) break;
    size += static_cast<size_t>(done);
  }
  std::string_view left = std::string_view(file).substr(0, size);
  for (uint64_t expected = 0; left.size() >= kHeaderBytes; ++expected) {
    uint32_t sum, payload_size;
    uint64_t record_epoch, sequence;
    std::memcpy(&sum, left.data(), 4);
    std::memcpy(&payload_size, left.data() + 4, 4);
    std::memcpy(&record_epoch, left.data() + 8, 8);
    std::memcpy(&sequence, left.data() + 16, 8);
    if (record_epoch != epoch || sequence != expected) return {};
    if (payload_size > left.size() - kHeaderBytes) return {};
    std::string_view record = left.substr(0, kHeaderBytes + payload_size);
    if (checksum(record.substr(4)) != sum) return {};
    TRY(take(record.substr(kHeaderBytes)));
    left.remove_prefix(record.size());
  }
  return {};
}

void Journal::restart(uint64_t epoch) {
  epoch_ = epoch;
  sequence_ = 0;
  offset_ = 0;
}

bool Journal::fits(size_t payload_bytes) const {
  return payload_bytes < bytes_ && offset_ + kHeaderBytes + payload_bytes <= bytes_;
}

Status Journal::append(std::string_view payload) {
  if (!fits(payload.size())) return Status::error("store: the journal is full");
  auto size = static_cast<uint32_t>(payload.size());
  buffer_.resize(kHeaderBytes);
  std::memcpy(buffer_.data() + 4, &size, 4);
  std::memcpy(buffer_.data() + 8, &epoch_, 8);
  std::memcpy(buffer_.data() + 16, &sequence_, 8);
  buffer_ += payload;
  uint32_t sum = checksum(std::string_view(buffer_).substr(4));
  std::memcpy(buffer_.data(), &sum, 4);
  TRY(write_all(fd_, buffer_, offset_));
  if (!no_sync_ && ::fdatasync(fd_) != 0) return Status::from_errno("fdatasync journal", errno);
  offset_ += buffer_.size();
  ++sequence_;
  return {};
}

}  // namespace knarr::store
