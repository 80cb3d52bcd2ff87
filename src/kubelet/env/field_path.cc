// SPDX-License-Identifier: Apache-2.0
#include "kubelet/env/field_path.h"

#include "schema/selector.h"

namespace knarr::kubelet {
namespace {

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// The next code point of UTF-8 text and its length; length 0 for a byte that is none.
std::pair<uint32_t, size_t> next_rune(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  size_t length = first >= 0xf0 && first <= 0xf4  ? 4
                  : first >= 0xe0 && first < 0xf0 ? 3
                  : first >= 0xc2 && first < 0xe0 ? 2
                                                  : 0;
  if (length == 0 || text.size() < length) return {0, 0};
  uint32_t rune = first & (0xff >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0, 0};
    rune = rune << 6 | (byte(i) & 0x3f);
  }
  bool overlong = (length == 3 && rune < 0x800) || (length == 4 && rune < 0x10000);
  if (overlong || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff)) return {0, 0};
  return {rune, length};
}

// Close to Go's unicode.IsPrint: the blocks of controls, format characters, separators and private
// use. Unassigned code points, which change with each Unicode version, count as printable.
bool printable(uint32_t rune) {
  struct Range {
    uint32_t first, last;
  };
  static constexpr Range kHidden[] = {{0x00, 0x1f},       {0x7f, 0xa0},       {0xad, 0xad},
                                      {0x600, 0x605},     {0x61c, 0x61c},     {0x6dd, 0x6dd},
                                      {0x70f, 0x70f},     {0x1680, 0x1680},   {0x180e, 0x180e},
                                      {0x2000, 0x200f},   {0x2028, 0x202f},   {0x205f, 0x206f},
                                      {0x3000, 0x3000},   {0xe000, 0xf8ff},   {0xfeff, 0xfeff},
                                      {0xfff0, 0xfffb},   {0xfffe, 0xffff},   {0x1bca0, 0x1bca3},
                                      {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}, {0xf0000, 0x10ffff}};
  for (const Range& range : kHidden)
    if (rune >= range.first && rune <= range.last) return false;
  return true;
}

void append_hex(std::string& out, char kind, uint32_t value, int digits) {
  out += '\\';
  out += kind;
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4)
    out += "0123456789abcdef"[value >> shift & 0xf];
}

}  // namespace

std::optional<std::pair<std::string_view, std::string_view>> split_subscript(
    std::string_view path) {
  if (!path.ends_with("']")) return std::nullopt;
  std::string_view rest = path.substr(0, path.size() - 2);
  size_t open = rest.find("['");
  if (open == std::string_view::npos || open == 0) return std::nullopt;
  return std::make_pair(rest.substr(0, open), rest.substr(open + 2));
}

Result<std::string> metadata_field(const api::meta_v1::ObjectMeta& metadata,
                                   std::string_view path) {
  if (auto parts = split_subscript(path)) {
    auto [map_path, key] = *parts;
    bool annotations = map_path == "metadata.annotations";
    if (!annotations && map_path != "metadata.labels")
      return Status::error("fieldPath " + go_quote(path) + " does not support subscript");
    std::vector<std::string> errors =
        schema::check_qualified_name(annotations ? lower(key) : std::string(key));
    if (!errors.empty())
      return Status::error("invalid key subscript in " + std::string(path) + ": " +
                           join(errors, ";"));
    return std::string(get_or_empty(annotations ? metadata.annotations : metadata.labels, key));
  }
  if (path == "metadata.annotations") return format_map(metadata.annotations);
  if (path == "metadata.labels") return format_map(metadata.labels);
  if (path == "metadata.name") return metadata.name.str();
  if (path == "metadata.namespace") return metadata.namespace_.str();
  if (path == "metadata.uid") return metadata.uid.str();
  return Status::error("unsupported fieldPath: " + std::string(path));
}

std::string format_map(const schema::Map<schema::Str>& map) {
  std::string out;
  for (const auto& entry : map) {
    if (!out.empty()) out += '\n';
    out += entry.key.view();
    out += '=';
    out += go_quote(entry.value);
  }
  return out;
}

std::string go_quote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    auto [rune, length] = next_rune(text);
    if (length == 0) {
      append_hex(out, 'x', static_cast<uint8_t>(text[0]), 2);
      text.remove_prefix(1);
      continue;
    }
    static constexpr std::string_view kEscaped = "\a\b\f\n\r\t\v\\\"";
    size_t escape = rune < 0x80 ? kEscaped.find(static_cast<char>(rune)) : std::string_view::npos;
    if (escape != std::string_view::npos) {
      out += '\\';
      out += "abfnrtv\\\""[escape];
    } else if (printable(rune)) {
      out.append(text.substr(0, length));
    } else if (rune < ' ' || rune == 0x7f) {
      append_hex(out, 'x', rune, 2);
    } else if (rune < 0x10000) {
      append_hex(out, 'u', rune, 4);
    } else {
      append_hex(out, 'U', rune, 8);
    }
    text.remove_prefix(length);
  }
  out += '"';
  return out;
}

}  // namespace knarr::kubelet
