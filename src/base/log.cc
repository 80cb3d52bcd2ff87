// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/spdlog.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <memory>
#include <mutex>

namespace knarr {
namespace {

std::atomic<LogLevel> level{LogLevel::kInfo};
std::mutex sink_mutex;
std::function<void(std::string_view)> sink;

std::shared_ptr<spdlog::logger> make_logger(spdlog::sink_ptr to) {
  auto made = std::make_shared<spdlog::logger>("knarr", std::move(to));
  made->set_pattern("%L%m%d %H:%M:%S.%f %P %v");  // klog's head
  made->set_level(spdlog::level::trace);
  made->flush_on(spdlog::level::info);
  return made;
}

// Replaced by set_log_file before other threads start; read by all afterwards.
std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = make_logger(std::make_shared<spdlog::sinks::stderr_sink_mt>());
  return instance;
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
  logger()->log(kLevels[static_cast<int>(at)], "{}", line);
}

void set_log_level(LogLevel to) { level = to; }

Status set_log_file(const std::string& path) {
  constexpr size_t kMaxBytes = 10 << 20, kFiles = 2;
  try {
    logger() = make_logger(std::make_shared<spdlog::sinks::rotating_file_sink_mt>(path, kMaxBytes, kFiles));
  } catch (const spdlog::spdlog_ex& error) {
    return Status::error(std::string("log file: ") + error.what());
  }
  return {};
}

void set_log_sink(std::function<void(std::string_view)> to) {
  std::lock_guard lock(sink_mutex);
  sink = std::move(to);
}

}  // namespace knarr
