// SPDX-License-Identifier: Apache-2.0
// The file that makes writes durable: one record, one write, one fdatasync a turn.
//
// LMDB alone syncs twice and rewrites a dozen pages for the smallest commit; here a turn costs its
// own bytes and one sync of blocks that are already allocated. The file has a fixed size and is
// used again from its start after each checkpoint, under a new epoch. A record counts when its
// checksum is right, its epoch is the one asked for and its sequence follows, so what an earlier
// use or a torn write left behind ends the reading. Writer thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace knarr::store {

class Journal {
 public:
  // Makes a file of zeros when there is none; an existing one keeps its size.
  static Result<Journal> open(const std::string& path, uint64_t bytes, bool no_sync);
  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&&) = delete;
  ~Journal();

  // Calls `take` with each payload of the epoch, in order.
  Status replay(uint64_t epoch, const std::function<Status(std::string_view payload)>& take) const;
  // What follows belongs to `epoch`, from the start of the file.
  void restart(uint64_t epoch);
  bool fits(size_t payload_bytes) const;
  // Durable when it returns OK. After a failure the journal must be restarted before more is
  // appended.
  Status append(std::string_view payload);

 private:
  Journal(int fd, uint64_t bytes, bool no_sync) : fd_(fd), bytes_(bytes), no_sync_(no_sync) {}
  int fd_;
  uint64_t bytes_;
  bool no_sync_;
  uint64_t epoch_ = 0;
  uint64_t sequence_ = 0;
  uint64_t offset_ = 0;
  std::string buffer_;
};

}  // namespace knarr::store
