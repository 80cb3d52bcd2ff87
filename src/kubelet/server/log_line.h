// SPDX-License-Identifier: Apache-2.0
// One line of a container's log file, as CRI runtimes write it ("TIME stdout F text") or as Docker
// did (a JSON object). Pure and linear; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace knarr::kubelet {

struct LogLine {
  WallTime time{};
  bool is_stderr = false;
  std::string_view
      text;  // with its newline unless the line is partial; in the input, or in `storage`
  std::string storage;  // of a decoded Docker line
};

// `line` includes its newline when it has one. False when it is neither format.
bool parse_log_line(std::string_view line, LogLine* out);

struct LogOptions {
  int64_t tail = -1;         // lines; -1 = all
  int64_t limit_bytes = -1;  // -1 = no limit
  WallTime since{};          // lines before it are left out
  bool follow = false;
  bool timestamps = false;
};

// Turns raw lines into what the client sees. Keeps the little state that spans lines.
class LogFormatter {
 public:
  explicit LogFormatter(const LogOptions& options) : options_(options) {}
  // Appends to `out`; a line that cannot be parsed is left out.
  void add(std::string_view line, std::string& out);
  // Nothing more may be written: the byte limit is reached.
  bool full() const { return full_; }

 private:
  LogOptions options_;
  int64_t written_ = 0;
  bool at_line_start_ = true;  // the line before was not partial: timestamps go before this one
  bool full_ = false;
};

}  // namespace knarr::kubelet
