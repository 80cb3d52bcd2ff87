// SPDX-License-Identifier: Apache-2.0
#include "cel/escape.h"

#include <algorithm>
#include <iterator>

namespace knarr::cel {
namespace {

// `true`, `false`, `null` and `in` are words of the grammar; the rest is reserved by it.
constexpr std::string_view kReserved[] = {
    "true",     "false",   "null",      "in",       "as",  "break",  "const",
    "continue", "else",    "for",       "function", "if",  "import", "let",
    "loop",     "package", "namespace", "return",   "var", "void",   "while"};

bool is_reserved(std::string_view name) {
  return std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved);
}

struct Sign {
  std::string_view plain, word;
};
constexpr Sign kSigns[] = {
    {"__", "__underscores__"}, {".", "__dot__"}, {"-", "__dash__"}, {"/", "__slash__"}};

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

std::optional<std::string> escape_field(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return std::nullopt;
  if (is_reserved(name)) return "__" + std::string(name) + "__";
  std::string out;
  while (!name.empty()) {
    const Sign* sign = std::find_if(std::begin(kSigns), std::end(kSigns),
                                    [&](const Sign& s) { return name.starts_with(s.plain); });
    if (sign != std::end(kSigns)) {
      out += sign->word;
      name.remove_prefix(sign->plain.size());
    } else if (is_word_char(name[0])) {
      out += name[0];
      name.remove_prefix(1);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::optional<std::string> unescape_field(std::string_view escaped) {
  if (escaped.find("__") == std::string_view::npos) return std::string(escaped);
  std::string out;
  for (size_t at = 0; at < escaped.size();) {
    // "__word__", where the word has no underscore; anything else stays as it is.
    size_t end =
        escaped.compare(at, 2, "__") == 0 ? escaped.find('_', at + 2) : std::string_view::npos;
    if (end == std::string_view::npos || end == at + 2 || escaped.compare(end, 2, "__") != 0) {
      out += escaped[at++];
      continue;
    }
    std::string_view word = escaped.substr(at, end + 2 - at);
    const Sign* sign = std::find_if(std::begin(kSigns), std::end(kSigns),
                                    [&](const Sign& s) { return s.word == word; });
    if (sign != std::end(kSigns)) {
      out += sign->plain;
    } else if (std::string_view name = word.substr(2, word.size() - 4);
               is_reserved(name) && word.size() == escaped.size()) {
      out += name;
    } else {
      return std::nullopt;
    }
    at += word.size();
  }
  return out;
}

}  // namespace knarr::cel
