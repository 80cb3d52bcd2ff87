// SPDX-License-Identifier: Apache-2.0
#include "schema/json_reader.h"

#include <cstring>
#include <vector>

#include "schema/utf8.h"

namespace knarr::schema {
namespace {

// 1: a plain character of a string; 0: the string's end, an escape, a control character or a byte
// above ASCII.
struct PlainTable {
  uint8_t plain[256] = {};
  constexpr PlainTable() {
    for (int c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
  }
};
constexpr PlainTable kTable;

bool is_plain(char c) { return kTable.plain[static_cast<uint8_t>(c)] != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr uint64_t kOnes = 0x0101010101010101u;
constexpr uint64_t kHighs = 0x8080808080808080u;

// Non-zero when one of the eight bytes is not a plain string character.
inline uint64_t special_bytes(uint64_t word) {
  uint64_t quote = word ^ (kOnes * '"');
  uint64_t slash = word ^ (kOnes * '\\');
  return (((quote - kOnes) & ~quote) | ((slash - kOnes) & ~slash) |
          ((word - kOnes * 0x20) & ~word) | word) &
         kHighs;
}

inline const char* skip_plain(const char* at, const char* end) {
  while (end - at >= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    uint64_t special = special_bytes(word);
    // The lowest set bit is exact (borrows only travel upwards); x86 and arm64 are little-endian.
    if (special != 0) return at + (__builtin_ctzll(special) >> 3);
    at += 8;
  }
  while (at < end && is_plain(*at)) ++at;
  return at;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Status JsonReader::status() const {
  return failed_ ? Status::make(400, "BadRequest", error_) : Status();
}

bool JsonReader::fail(std::string_view text) {
  if (!failed_) {
    failed_ = true;
    error_ = text;
  }
  at_ = end_;  // so that peek() ends every loop
  return false;
}

bool JsonReader::unexpected(std::string_view where) {
  if (at_ >= end_) return fail("unexpected end of JSON input");
  auto c = static_cast<uint8_t>(*at_);
  std::string shown;
  if (c == '\'') {
    shown = "\\'";
  } else if (c == '"') {
    shown = "\"";
  } else {
    append_utf8(shown, c);  // Go shows the byte as a code point
    shown = go_quote(shown);
    shown = shown.substr(1, shown.size() - 2);
  }
  std::string text = "invalid character '" + shown + "' ";
  text += where;
  return fail(text);
}

bool JsonReader::open(char bracket) {
  if (peek() != bracket) return unexpected("looking for beginning of value");
  if (++depth_ > kMaxDepth) return fail("exceeded max depth");
  ++at_;
  first_ = true;
  return true;
}

bool JsonReader::next_key(std::string_view& key) {
  char c = peek();
  if (c == '}') {
    ++at_;
    --depth_;
    first_ = false;
    return false;
  }
  if (first_) {
    first_ = false;
  } else {
    if (c != ',') return unexpected("after object key:value pair");
    ++at_;
    c = peek();
  }
  if (c != '"') return unexpected("looking for beginning of object key string");
  if (!read_string(key)) return false;
  if (peek() != ':') return unexpected("after object key");
  ++at_;
  return true;
}

bool JsonReader::next_element() {
  char c = peek();
  if (first_) {
    first_ = false;
    if (c == ']') {
      ++at_;
      --depth_;
      return false;
    }
    if (c == '\0' && at_ >= end_) return unexpected("");
    return true;
  }
  if (c == ']') {
    ++at_;
    --depth_;
    return false;
  }
  if (c != ',') return unexpected("after array element");
  ++at_;
  return true;
}

bool JsonReader::read_string(std::string_view& out) {
  first_ = false;
  if (peek() != '"') return unexpected("looking for beginning of value");
  const char* from = ++at_;
  const char* at = skip_plain(from, end_);
  if (at < end_ && *at == '"') {
    out = {from, static_cast<size_t>(at - from)};
    at_ = at + 1;
    return true;
  }
  at_ = at;
  return read_string_slow(out, from);
}

bool JsonReader::read_string_slow(std::string_view& out, const char* from) {
  scratch_.assign(from, at_);
  while (true) {
    const char* plain = at_;
    at_ = skip_plain(at_, end_);
    scratch_.append(plain, at_);
    if (at_ >= end_) return unexpected("");
    char c = *at_;
    if (c == '"') {
      ++at_;
      out = scratch_;
      return true;
    }
    if (c == '\\') {
      if (!read_escape(scratch_)) return false;
    } else if (static_cast<uint8_t>(c) < 0x20) {
      return unexpected("in string literal");
    } else {
      append_replacing_bad_utf8(scratch_, at_, end_);
    }
  }
}

bool JsonReader::read_escape(std::string& out) {
  ++at_;
  if (at_ >= end_) return unexpected("");
  switch (*at_) {
    case '"':
    case '\\':
    case '/':
      out += *at_++;
      return true;
    case 'b':
      out += '\b';
      ++at_;
      return true;
    case 'f':
      out += '\f';
      ++at_;
      return true;
    case 'n':
      out += '\n';
      ++at_;
      return true;
    case 'r':
      out += '\r';
      ++at_;
      return true;
    case 't':
      out += '\t';
      ++at_;
      return true;
    case 'u':
      break;
    default:
      return unexpected("in string escape code");
  }
  ++at_;
  uint32_t code = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    int digit = at_ < end_ ? hex_value(*at_) : -1;
    if (digit < 0) return unexpected("in \\u hexadecimal character escape");
    code = code << 4 | static_cast<uint32_t>(digit);
  }
  if (code >= 0xd800 && code < 0xe000) {
    uint32_t low = 0;
    bool pair = code < 0xdc00 && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u';
    for (int i = 2; pair && i < 6; ++i) {
      int digit = hex_value(at_[i]);
      pair = digit >= 0;
      low = low << 4 | static_cast<uint32_t>(digit & 15);
    }
    if (pair && low >= 0xdc00 && low < 0xe000) {
      at_ += 6;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else {
      code = 0xfffd;
    }
  }
  append_utf8(out, code);
  return true;
}

bool JsonReader::read_number(std::string_view& literal) {
  first_ = false;
  peek();
  const char* from = at_;
  if (at_ < end_ && *at_ == '-') {
    ++at_;
    if (at_ >= end_ || !is_digit(*at_)) return unexpected("in numeric literal");
  }
  if (at_ >= end_ || !is_digit(*at_)) return unexpected("looking for beginning of value");
  if (*at_ == '0') {
    ++at_;
  } else {
    while (at_ < end_ && is_digit(*at_)) ++at_;
  }
  if (at_ < end_ && *at_ == '.') {
    ++at_;
    if (at_ >= end_ || !is_digit(*at_)) return unexpected("after decimal point in numeric literal");
    while (at_ < end_ && is_digit(*at_)) ++at_;
  }
  if (at_ < end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (at_ < end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    if (at_ >= end_ || !is_digit(*at_)) return unexpected("in exponent of numeric literal");
    while (at_ < end_ && is_digit(*at_)) ++at_;
  }
  literal = {from, static_cast<size_t>(at_ - from)};
  return true;
}

bool JsonReader::word(std::string_view expected) {
  first_ = false;
  if (peek() != expected[0]) return unexpected("looking for beginning of value");
  for (size_t i = 1; i < expected.size(); ++i) {
    ++at_;
    if (at_ < end_ && *at_ == expected[i]) continue;
    std::string where = "in literal ";
    where += expected;
    where += " (expecting '";
    where += expected[i];
    where += "')";
    return unexpected(where);
  }
  ++at_;
  return true;
}

bool JsonReader::read_bool(bool& value) {
  value = peek() == 't';
  return word(value ? "true" : "false");
}

bool JsonReader::skip_string() {
  ++at_;
  while (true) {
    at_ = skip_plain(at_, end_);
    if (at_ >= end_) return unexpected("");
    char c = *at_;
    if (c == '"') {
      ++at_;
      return true;
    }
    if (c == '\\') {
      scratch_.clear();
      if (!read_escape(scratch_)) return false;
    } else if (static_cast<uint8_t>(c) < 0x20) {
      return unexpected("in string literal");
    } else {
      ++at_;
    }
  }
}

// Iterative: one bit a level says whether it is an object.
bool JsonReader::skip_value(bool* spaced) {
  std::vector<bool> objects;
  int outer = depth_;
  peek();
  while (true) {
    // One value, or the opening of one.
    bool opened = false;
    std::string_view ignored;
    bool ignored_bool;
    switch (peek()) {
      case '{':
      case '[':
        objects.push_back(*at_ == '{');
        if (!open(*at_)) return false;
        opened = true;
        break;
      case '"':
        if (!skip_string()) return false;
        break;
      case 't':
      case 'f':
        if (!read_bool(ignored_bool)) return false;
        break;
      case 'n':
        if (!read_null()) return false;
        break;
      default:
        if (!read_number(ignored)) return false;
    }
    // Then what leads to the next value: close levels, or pass a comma and a key.
    while (true) {
      if (objects.empty()) {
        depth_ = outer;
        first_ = false;
        return true;
      }
      const char* before = at_;
      char c = peek();
      if (spaced != nullptr && at_ != before) *spaced = true;
      if (c == (objects.back() ? '}' : ']')) {
        ++at_;
        --depth_;
        objects.pop_back();
        opened = false;
        continue;
      }
      if (!opened) {
        if (c != ',')
          return unexpected(objects.back() ? "after object key:value pair" : "after array element");
        before = ++at_;
        c = peek();
        if (spaced != nullptr && at_ != before) *spaced = true;
      }
      if (!objects.back()) break;
      if (c != '"') return unexpected("looking for beginning of object key string");
      if (!skip_string()) return false;
      before = at_;
      if (peek() != ':') return unexpected("after object key");
      if (spaced != nullptr && at_ != before) *spaced = true;
      before = ++at_;
      peek();
      if (spaced != nullptr && at_ != before) *spaced = true;
      break;
    }
  }
}

bool JsonReader::finish() {
  if (failed_) return false;
  peek();
  return at_ >= end_ || unexpected("after top-level value");
}

bool is_valid_json(std::string_view text) {
  JsonReader reader(text);
  return reader.skip_value() && reader.finish();
}

namespace {

// What append_compact_json() has to look at; all else is copied in runs.
struct LookTable {
  bool look[256] = {};
  constexpr LookTable() {
    for (char c : {' ', '\n', '\t', '\r', '"', '\\', '<', '>', '&', '\xe2'}) look[static_cast<uint8_t>(c)] = true;
  }
};
constexpr LookTable kLook;

// What HTML or JavaScript would misread in a string: how it is written instead, and its length. "" for all else.
std::string_view html_escape(std::string_view text, size_t* length) {
  *length = 1;
  switch (text[0]) {
    case '<': return "\\u003c";
    case '>': return "\\u003e";
    case '&': return "\\u0026";
    default: break;
  }
  // U+2028 and U+2029, which JavaScript takes for line ends.
  *length = 3;
  if (text.starts_with("\xe2\x80\xa8")) return "\\u2028";
  return text.starts_with("\xe2\x80\xa9") ? "\\u2029" : "";
}

}  // namespace

void append_compact_json(std::string& out, std::string_view text, bool escape_html) {
  bool in_string = false;
  size_t run = 0;  // text from here on has not been written
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!kLook.look[static_cast<uint8_t>(c)]) continue;
    if (c == '"') {
      in_string = !in_string;
    } else if (in_string && c == '\\') {
      ++i;
    } else if (!in_string) {
      out.append(text.substr(run, i - run));
      run = i + 1;
    } else if (size_t length = 0; escape_html) {
      std::string_view escaped = html_escape(text.substr(i), &length);
      if (escaped.empty()) continue;
      out.append(text.substr(run, i - run));
      out.append(escaped);
      i += length - 1;
      run = i + 1;
    }
  }
  out.append(text.substr(run));
}

std::string go_quote(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    auto c = static_cast<uint8_t>(*at);
    if (c >= 0x80) {
      const char* before = at;
      uint32_t code = decode_utf8(at, end);
      if (code == kBadUtf8) {
        out += "\\x";
        out += kHex[c >> 4];
        out += kHex[c & 15];
      } else if (code < 0xa0 || code == 0xad || code == 0xfeff ||
                 (code >= 0x2028 && code <= 0x202e)) {
        out += "\\u";
        for (int shift = 12; shift >= 0; shift -= 4) out += kHex[code >> shift & 15];
      } else {
        out.append(before, at);
      }
      continue;
    }
    ++at;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\a':
        out += "\\a";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\v':
        out += "\\v";
        break;
      default:
        if (c < 0x20 || c == 0x7f) {
          out += "\\x";
          out += kHex[c >> 4];
          out += kHex[c & 15];
        } else {
          out += static_cast<char>(c);
        }
    }
  }
  return out + "\"";
}

}  // namespace knarr::schema
