// SPDX-License-Identifier: Apache-2.0
#include "schema/json_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "schema/utf8.h"

namespace knarr::schema {
namespace {

struct SafeTable {
  bool safe[256] = {};
  constexpr SafeTable() {
    for (int c = 0x20; c < 0x80; ++c)
      safe[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
  }
};
constexpr SafeTable kSafe;
constexpr char kHex[] = "0123456789abcdef";

void append_escaped(std::string& out, uint8_t c) {
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
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
    default:
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  out += '"';
  while (true) {
    const char* from = at;
    while (at < end && kSafe.safe[static_cast<uint8_t>(*at)]) ++at;
    out.append(from, static_cast<size_t>(at - from));
    if (at >= end) break;
    auto c = static_cast<uint8_t>(*at);
    if (c < 0x80) {
      append_escaped(out, c);
      ++at;
      continue;
    }
    const char* before = at;
    uint32_t code = decode_utf8(at, end);
    if (code == kBadUtf8) {
      out += "\\ufffd";
    } else if (code == 0x2028 || code == 0x2029) {
      out += code == 0x2028 ? "\\u2028" : "\\u2029";
    } else {
      out.append(before, static_cast<size_t>(at - before));
    }
  }
  out += '"';
}

void append_int(std::string& out, int64_t value) {
  char buffer[24];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, static_cast<size_t>(end - buffer));
}

void append_uint(std::string& out, uint64_t value) {
  char buffer[24];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, static_cast<size_t>(end - buffer));
}

namespace {

// "1.25e+17" written out.
void append_padded(std::string& out, std::string_view scientific) {
  size_t e = scientific.find('e');
  int places = (scientific[e + 2] - '0') * 10 + (scientific[e + 3] - '0');
  bool fraction = false;
  for (char c : scientific.substr(0, e)) {
    if (c == '.') {
      fraction = true;
      continue;
    }
    if (fraction && places-- == 0) out += '.';
    out += c;
  }
  out.append(static_cast<size_t>(std::max(places, 0)), '0');
}

template <class F>
void append_real(std::string& out, F value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  F size = std::fabs(value);
  bool exponent = size != 0 && (size < F(1e-6) || size >= F(1e21));
  // Large integers: the shortest digits, then zeros. (to_chars in fixed format writes all digits of
  // the binary value.)
  bool pad = !exponent && size >= F(1e15);
  char buffer[64];
  auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, value,
                    exponent || pad ? std::chars_format::scientific : std::chars_format::fixed);
  if (pad) return append_padded(out, {buffer, static_cast<size_t>(end - buffer)});
  // 1e-09 becomes 1e-9.
  if (exponent && end - buffer >= 4 && end[-4] == 'e' && end[-3] == '-' && end[-2] == '0') {
    end[-2] = end[-1];
    --end;
  }
  out.append(buffer, static_cast<size_t>(end - buffer));
}

template <class F>
bool parse_real(std::string_view literal, F& value) {
  auto [end, error] = std::from_chars(literal.data(), literal.data() + literal.size(), value);
  if (error == std::errc::result_out_of_range) {
    // Too small is zero, as in Go; too large is an error.
    size_t e = literal.find_first_of("eE");
    bool tiny = e != std::string_view::npos
                    ? e + 1 < literal.size() && literal[e + 1] == '-'
                    : literal.find('.') != std::string_view::npos && literal.find('.') <= 2;
    value = 0;
    return tiny;
  }
  return error == std::errc() && end == literal.data() + literal.size();
}

}  // namespace

void append_double(std::string& out, double value) { append_real(out, value); }
void append_float(std::string& out, float value) { append_real(out, value); }
bool parse_double(std::string_view literal, double& value) { return parse_real(literal, value); }
bool parse_float(std::string_view literal, float& value) { return parse_real(literal, value); }

namespace {
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
struct Base64Table {
  int8_t value[256];
  constexpr Base64Table() : value() {
    for (int8_t& v : value) v = -1;
    for (int i = 0; i < 64; ++i) value[static_cast<uint8_t>(kBase64[i])] = static_cast<int8_t>(i);
  }
};
constexpr Base64Table kBase64Values;
}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
  size_t start = out.size();
  out.resize(start + (bytes.size() + 2) / 3 * 4);
  char* to = out.data() + start;
  const auto* from = reinterpret_cast<const uint8_t*>(bytes.data());
  size_t left = bytes.size();
  for (; left >= 3; left -= 3, from += 3) {
    uint32_t triple =
        static_cast<uint32_t>(from[0]) << 16 | static_cast<uint32_t>(from[1]) << 8 | from[2];
    *to++ = kBase64[triple >> 18];
    *to++ = kBase64[triple >> 12 & 63];
    *to++ = kBase64[triple >> 6 & 63];
    *to++ = kBase64[triple & 63];
  }
  if (left == 0) return;
  uint32_t triple =
      static_cast<uint32_t>(from[0]) << 16 | (left == 2 ? static_cast<uint32_t>(from[1]) << 8 : 0);
  *to++ = kBase64[triple >> 18];
  *to++ = kBase64[triple >> 12 & 63];
  *to++ = left == 2 ? kBase64[triple >> 6 & 63] : '=';
  *to++ = '=';
}

bool parse_base64(std::string_view text, std::string& out, size_t& bad_offset) {
  out.clear();
  out.reserve(text.size() / 4 * 3 + 3);
  uint32_t group = 0;
  int count = 0;
  auto skip_line_ends = [&](size_t& i) {
    while (i < text.size() && (text[i] == '\n' || text[i] == '\r')) ++i;
  };
  size_t i = 0;
  while (true) {
    skip_line_ends(i);
    if (i >= text.size()) {
      bad_offset = text.size() - static_cast<size_t>(count);
      return count == 0;
    }
    char c = text[i];
    int value = kBase64Values.value[static_cast<uint8_t>(c)];
    if (value >= 0) {
      group = group << 6 | static_cast<uint32_t>(value);
      ++i;
      if (++count == 4) {
        out += static_cast<char>(group >> 16);
        out += static_cast<char>(group >> 8);
        out += static_cast<char>(group);
        group = 0;
        count = 0;
      }
      continue;
    }
    if (c != '=' || count < 2) {
      bad_offset = i;
      return false;
    }
    ++i;
    if (count == 2) {
      skip_line_ends(i);
      if (i >= text.size() || text[i] != '=') {
        bad_offset = i >= text.size() ? text.size() : i;
        return false;
      }
      ++i;
      out += static_cast<char>(group >> 4);
    } else {
      out += static_cast<char>(group >> 10);
      out += static_cast<char>(group >> 2);
    }
    skip_line_ends(i);
    bad_offset = i;
    return i >= text.size();
  }
}

}  // namespace knarr::schema
