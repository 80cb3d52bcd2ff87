// SPDX-License-Identifier: Apache-2.0
// A domain name, kept as it goes over the wire: labels, each behind its length, ended by the root's zero; 1 to 255 bytes. Case is kept,
// comparisons ignore it (ASCII only, RFC 4343). A value; immutable after its making.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace knarr::dns {

inline constexpr size_t kMaxName = 255, kMaxLabel = 63;

class Name {
 public:
  Name() : wire_(1, '\0') {}  // the root
  // "a.example.", absolute with or without the last dot; \. and \DDD are understood.
  static Result<Name> from_text(std::string_view text);
  // For names that are part of the program. A malformed one is a bug.
  static Name of(std::string_view text);
  // `wire` is well-formed: the message reader checked it.
  static Name from_wire(std::string wire);

  const std::string& wire() const { return wire_; }
  std::string text() const;               // "a.example.", "." for the root; what is not printable as \DDD
  std::string key() const;                // lower-case wire form: equal keys are equal names
  std::vector<std::string_view> labels() const;  // left to right; views into this name
  bool is_root() const { return wire_.size() == 1; }
  // This name is `zone` or below it.
  bool is_within(const Name& zone) const;
  // `prefix` ("a.b", no dots at the ends) before this name; an error when too long.
  Result<Name> with_prefix(std::string_view prefix) const;

  friend bool operator==(const Name& a, const Name& b) { return same(a.wire_, b.wire_); }

 private:
  static bool same(std::string_view a, std::string_view b);
  std::string wire_;
};

inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

}  // namespace knarr::dns
