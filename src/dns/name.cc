// SPDX-License-Identifier: Apache-2.0
#include "dns/name.h"

#include <algorithm>

namespace knarr::dns {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// One character of a label, which may be escaped; moves `at` past it. False when the escape is malformed.
bool take_character(std::string_view text, size_t* at, char* out) {
  char c = text[(*at)++];
  if (c != '\\') {
    *out = c;
    return true;
  }
  if (*at >= text.size()) return false;
  if (!is_digit(text[*at])) {
    *out = text[(*at)++];
    return true;
  }
  if (*at + 3 > text.size() || !is_digit(text[*at + 1]) || !is_digit(text[*at + 2])) return false;
  int value = (text[*at] - '0') * 100 + (text[*at + 1] - '0') * 10 + (text[*at + 2] - '0');
  if (value > 255) return false;
  *at += 3;
  *out = static_cast<char>(value);
  return true;
}

}  // namespace

Result<Name> Name::from_text(std::string_view text) {
  auto refuse = [&](std::string_view why) { return Status::error("\"" + std::string(text) + "\" is not a domain name: " + std::string(why)); };
  if (text == "." || text.empty()) return Name();
  std::string wire, label;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '.') {
      if (label.empty()) return refuse("an empty label");
      wire += static_cast<char>(label.size());
      wire += label;
      label.clear();
      ++at;
      continue;
    }
    char c = 0;
    if (!take_character(text, &at, &c)) return refuse("a malformed escape");
    label += c;
    if (label.size() > kMaxLabel) return refuse("a label of more than 63 bytes");
  }
  if (!label.empty()) {
    wire += static_cast<char>(label.size());
    wire += label;
  }
  wire += '\0';
  if (wire.size() > kMaxName) return refuse("more than 255 bytes");
  return from_wire(std::move(wire));
}

Name Name::of(std::string_view text) {
  Result<Name> name = from_text(text);
  KNARR_CHECK(name.ok());
  return std::move(*name);
}

Name Name::from_wire(std::string wire) {
  Name name;
  name.wire_ = std::move(wire);
  return name;
}

std::string Name::text() const {
  if (is_root()) return ".";
  std::string text;
  for (std::string_view label : labels()) {
    for (char c : label) {
      if (c == '.' || c == '\\') {
        text += '\\';
        text += c;
      } else if (c > ' ' && c < 0x7f) {
        text += c;
      } else {
        int value = static_cast<unsigned char>(c);
        text += {'\\', static_cast<char>('0' + value / 100), static_cast<char>('0' + value / 10 % 10), static_cast<char>('0' + value % 10)};
      }
    }
    text += '.';
  }
  return text;
}

std::string Name::key() const {
  std::string key = wire_;
  // Length bytes are below 64 and so are no letters.
  for (char& c : key) c = lower(c);
  return key;
}

std::vector<std::string_view> Name::labels() const {
  std::vector<std::string_view> labels;
  labels.reserve(8);
  for (size_t at = 0; wire_[at] != '\0'; at += 1 + static_cast<size_t>(wire_[at]))
    labels.push_back(std::string_view(wire_).substr(at + 1, static_cast<size_t>(wire_[at])));
  return labels;
}

bool Name::is_within(const Name& zone) const {
  for (size_t at = 0; wire_.size() - at >= zone.wire_.size(); at += 1 + static_cast<size_t>(wire_[at])) {
    if (wire_.size() - at == zone.wire_.size()) return same(std::string_view(wire_).substr(at), zone.wire_);
  }
  return false;
}

Result<Name> Name::with_prefix(std::string_view prefix) const {
  TRY_ASSIGN(Name front, from_text(prefix));
  std::string wire = front.wire_.substr(0, front.wire_.size() - 1) + wire_;
  if (wire.size() > kMaxName) return Status::error("the name \"" + std::string(prefix) + "." + text() + "\" has more than 255 bytes");
  return from_wire(std::move(wire));
}

bool Name::same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace knarr::dns
