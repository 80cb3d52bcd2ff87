// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/spdlog.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <memory>
#include <mutex>

namespace knarr {
namespace {

std::atomic<LogLevel> level{LogLevel::kInfo};
std::mutex sink_mutex;
std::function<void(std::string_view)> sink;

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = spdlog::stderr_logger_mt("knarr");
    made->set_pattern("%L%m%d %H:%M:%S.%f %P %v");  // klog's head
    made->set_level(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

void log_at(LogLevel at, std::string_view message, LogFields fields) {
  if (at > level.load(std::memory_order_relaxed)) return;
  std::string line;
  append_quoted(line, message);
  for (const LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    append_quoted(line, field.value);
  }
  {
    std::lock_guard lock(sink_mutex);
    if (sink) return sink(line);
  }
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::err, spdlog::level::warn,
                                                          spdlog::level::info, spdlog::level::debug};
  logger().log(kLevels[static_cast<int>(at)], "{}", line);
}

void set_log_level(LogLevel to) { level = to; }

void set_log_sink(std::function<void(std::string_view)> to) {
  std::lock_guard lock(sink_mutex);
  sink = std::move(to);
}

}  // namespace knarr
