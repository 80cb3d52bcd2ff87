// SPDX-License-Identifier: Apache-2.0
#include "kubelet/server/log_line.h"

#include "schema/json.h"
#include "schema/time.h"

namespace knarr::kubelet {
namespace {

// Takes the text before the next blank off the front.
std::optional<std::string_view> take_word(std::string_view& rest) {
  size_t blank = rest.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  std::string_view word = rest.substr(0, blank);
  rest.remove_prefix(blank + 1);
  return word;
}

bool parse_cri_line(std::string_view line, LogLine* out) {
  std::string_view rest = line;
  std::optional<std::string_view> stamp = take_word(rest);
  // The longest RFC 3339 time is 35 characters; do not parse megabytes.
  if (!stamp || stamp->size() > 64) return false;
  Result<WallTime> time = schema::parse_nano_time(*stamp);
  if (!time.ok()) return false;
  std::optional<std::string_view> stream = take_word(rest);
  if (!stream || (*stream != "stdout" && *stream != "stderr")) return false;
  std::optional<std::string_view> tags = take_word(rest);
  if (!tags) return false;
  // "P:more:tags"; only the first has a meaning yet.
  bool partial = tags->substr(0, tags->find(':')) == "P";
  if (partial && rest.ends_with('\n')) rest.remove_suffix(1);
  out->time = *time;
  out->is_stderr = *stream == "stderr";
  out->text = rest;
  return true;
}

bool parse_docker_line(std::string_view line, LogLine* out) {
  if (!line.starts_with('{')) return false;
  Result<json::Value> value = json::parse(line);
  if (!value.ok() || !value->is_object()) return false;
  const std::string& stream = value->at({"stream"}).as_string();
  Result<WallTime> time = schema::parse_nano_time(value->at({"time"}).as_string());
  if (!time.ok() || (stream != "stdout" && stream != "stderr")) return false;
  out->time = *time;
  out->is_stderr = stream == "stderr";
  out->storage = value->at({"log"}).as_string();
  out->text = out->storage;
  return true;
}

}  // namespace

bool parse_log_line(std::string_view line, LogLine* out) {
  return parse_cri_line(line, out) || parse_docker_line(line, out);
}

void LogFormatter::add(std::string_view line, std::string& out) {
  if (full_) return;
  LogLine parsed;
  if (!parse_log_line(line, &parsed)) return;
  bool at_start = at_line_start_;
  at_line_start_ = parsed.text.empty() || parsed.text.ends_with('\n');
  if (parsed.time < options_.since) return;
  size_t before = out.size();
  if (options_.timestamps && at_start) {
    out += schema::format_nano_time(parsed.time);
    out += ' ';
  }
  out += parsed.text;
  if (options_.limit_bytes < 0) return;
  auto added = static_cast<int64_t>(out.size() - before);
  int64_t left = options_.limit_bytes - written_;
  if (added >= left) {
    out.resize(before + static_cast<size_t>(std::max<int64_t>(left, 0)));
    full_ = true;
  }
  written_ += std::min(added, left);
}

}  // namespace knarr::kubelet
