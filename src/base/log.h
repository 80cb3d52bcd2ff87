// SPDX-License-Identifier: Apache-2.0
// Structured log lines in Kubernetes' manner: a constant message, then key="value" pairs.
//
//   log_info("Started container", {{"pod", name}, {"container", c.name}});
//
// Messages start with a capital letter, in the past tense; libraries return errors and do not log them too.
// Thread-safe. Lines go to stderr, or where set_log_sink says.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/status.h"

namespace knarr {

struct LogField {
  std::string_view key;
  std::string value;
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogField(std::string_view k, int64_t v) : key(k), value(std::to_string(v)) {}
  LogField(std::string_view k, int v) : key(k), value(std::to_string(v)) {}
  LogField(std::string_view k, size_t v) : key(k), value(std::to_string(v)) {}
};
using LogFields = std::initializer_list<LogField>;

enum class LogLevel { kError, kWarning, kInfo, kDebug };

void log_at(LogLevel level, std::string_view message, LogFields fields);
inline void log_error(std::string_view m, LogFields f = {}) { log_at(LogLevel::kError, m, f); }
inline void log_warning(std::string_view m, LogFields f = {}) { log_at(LogLevel::kWarning, m, f); }
inline void log_info(std::string_view m, LogFields f = {}) { log_at(LogLevel::kInfo, m, f); }
inline void log_debug(std::string_view m, LogFields f = {}) { log_at(LogLevel::kDebug, m, f); }
void set_log_level(LogLevel level);
// Lines go to this file from now on: at most three of 10 MB each, the oldest thrown away.
Status set_log_file(const std::string& path);
void set_log_sink(std::function<void(std::string_view line)> sink);

}  // namespace knarr
