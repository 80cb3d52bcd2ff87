// SPDX-License-Identifier: Apache-2.0
#include "cel/issues.h"

#include <algorithm>

#include "schema/utf8.h"

namespace knarr::cel {

namespace {

constexpr size_t kMostReported = 100, kLongestSnippet = 16384;
constexpr std::string_view kWideDot = "\xef\xbc\x8e", kWideMark = "\xef\xbc\xbe";

}  // namespace

Issues::Issues(std::string_view source) : source_(source) {
  int32_t offset = 0;
  for (const char *at = source_.data(), *end = at + source_.size(); at < end; ++offset)
    if (schema::decode_utf8(at, end) == '\n') line_ends_.push_back(offset + 1);
  line_ends_.push_back(offset + 1);
}

void Issues::add(int line, int column, std::string message) {
  if (++count_ <= kMostReported) list_.push_back({line, column, std::move(message)});
}

// Upstream takes the message for a format without arguments, which shows when an operator % is part
// of it.
void Issues::add_syntax_error(int32_t offset, std::string_view message) {
  std::string text = "Syntax error: ";
  for (size_t i = 0; i < message.size(); ++i) {
    text += message[i];
    if (message[i] != '%') continue;
    if (++i == message.size()) {
      text += "!(NOVERB)";
    } else if (message[i] != '%') {
      text += "!";
      text += message[i];
      text += "(MISSING)";
    }
  }
  add_at(offset, std::move(text));
}

void Issues::add_at(int32_t offset, std::string message) {
  if (offset < 0) return add(-1, -1, std::move(message));
  size_t line = 0;
  while (line < line_ends_.size() && line_ends_[line] <= offset) ++line;
  add(static_cast<int>(line) + 1, offset - (line == 0 ? 0 : line_ends_[line - 1]),
      std::move(message));
}

void Issues::add_checked(int32_t offset, std::string message) {
  if (offset < 0) return add(-1, -1, std::move(message));
  int line = 1, column = offset;
  for (size_t i = 0; i < line_ends_.size() && line_ends_[i] < offset; ++i) {
    ++line;
    column = offset - line_ends_[i];
  }
  add(line, column, std::move(message));
}

std::string Issues::line_text(int line, bool& found) const {
  found = !source_.empty() && line >= 1 && static_cast<size_t>(line) <= line_ends_.size() + 1;
  if (!found) return "";
  size_t start = 0;
  for (int i = 1; i < line; ++i) {
    size_t end = source_.find('\n', start);
    if (end == std::string::npos) return "";
    start = end + 1;
  }
  return source_.substr(start, std::min(source_.find('\n', start), source_.size()) - start);
}

std::string Issues::to_string() const {
  std::vector<Issue> sorted = list_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Issue& a, const Issue& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  std::string out;
  for (const Issue& issue : sorted) {
    if (!out.empty()) out += '\n';
    out += "ERROR: <input>:" + std::to_string(issue.line) + ":" + std::to_string(issue.column + 1) +
           ": " + issue.message;
    bool found = false;
    std::string text = line_text(issue.line, found);
    if (!found || text.size() > kLongestSnippet) continue;
    std::replace(text.begin(), text.end(), '\t', ' ');
    out += "\n | " + text + "\n | ";
    const char *at = text.data(), *end = at + text.size();
    auto is_wide = [&] {
      const char* before = at;
      return at < end && schema::decode_utf8(at, end) != schema::kBadUtf8 && at - before > 1;
    };
    for (int i = 0; i < issue.column && at < end; ++i) out += is_wide() ? kWideDot : ".";
    out += is_wide() ? kWideMark : "^";
  }
  if (count_ > kMostReported)
    out += "\n" + std::to_string(count_ - kMostReported) + " more errors were truncated";
  return out;
}

}  // namespace knarr::cel
