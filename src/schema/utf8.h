// SPDX-License-Identifier: Apache-2.0
// UTF-8, as strict as Go's: overlong forms, surrogates and code points above U+10FFFF are broken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace knarr::schema {

inline constexpr uint32_t kBadUtf8 = 0xffffffff;

// One code point from [at, end), at < end; moves `at` past it. A broken sequence moves one byte and
// answers kBadUtf8.
inline uint32_t decode_utf8(const char*& at, const char* end) {
  auto byte = [&](std::ptrdiff_t i) { return i < end - at ? static_cast<uint8_t>(at[i]) : uint32_t{0}; };
  auto tail = [](uint32_t b) { return (b & 0xc0) == 0x80; };
  uint32_t a = byte(0), b = byte(1), c = byte(2), d = byte(3);
  if (a < 0x80) {
    ++at;
    return a;
  }
  if (a >= 0xc2 && a < 0xe0 && tail(b)) {
    at += 2;
    return (a & 0x1f) << 6 | (b & 0x3f);
  }
  if (a >= 0xe0 && a < 0xf0 && tail(b) && tail(c)) {
    uint32_t code = (a & 0x0f) << 12 | (b & 0x3f) << 6 | (c & 0x3f);
    if (code >= 0x800 && (code < 0xd800 || code >= 0xe000)) {
      at += 3;
      return code;
    }
  }
  if (a >= 0xf0 && a < 0xf5 && tail(b) && tail(c) && tail(d)) {
    uint32_t code = (a & 0x07) << 18 | (b & 0x3f) << 12 | (c & 0x3f) << 6 | (d & 0x3f);
    if (code >= 0x10000 && code < 0x110000) {
      at += 4;
      return code;
    }
  }
  ++at;
  return kBadUtf8;
}

inline void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

// Copies one code point, or U+FFFD for a broken byte.
inline void append_replacing_bad_utf8(std::string& out, const char*& at, const char* end) {
  const char* before = at;
  if (decode_utf8(at, end) == kBadUtf8) {
    out += "\xef\xbf\xbd";
  } else {
    out.append(before, at);
  }
}

}  // namespace knarr::schema
