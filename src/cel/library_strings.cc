// SPDX-License-Identifier: Apache-2.0
// cel-go's extension of strings, version 0. Positions count code points.
#include <algorithm>

#include "cel/library.h"
#include "schema/utf8.h"

namespace knarr::cel {
namespace {

Value out_of_range(const Call& call, int64_t index) {
  return Value::error(call.arena, "index out of range: " + std::to_string(index));
}

// Byte offsets of all code points and of the end.
std::vector<size_t> starts(std::string_view text) {
  std::vector<size_t> out;
  out.reserve(text.size() + 1);
  for (const char *at = text.data(), *end = at + text.size(); at < end;
       (void)schema::decode_utf8(at, end))
    out.push_back(static_cast<size_t>(at - text.data()));
  out.push_back(text.size());
  return out;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<signed char>(c) >= 0; });
}

// The byte where code point `index` starts; the end for one past the last. index >= 0.
bool byte_offset(std::string_view text, int64_t index, size_t& out) {
  auto wanted = static_cast<uint64_t>(index);
  if (is_ascii(text)) {
    out = wanted;
    return wanted <= text.size();
  }
  const char *at = text.data(), *end = at + text.size();
  for (; wanted > 0 && at < end; --wanted) (void)schema::decode_utf8(at, end);
  out = static_cast<size_t>(at - text.data());
  return wanted == 0;
}

int64_t code_points_before(std::string_view text, size_t bytes) {
  return static_cast<int64_t>(count_code_points(text.substr(0, bytes)));
}

Value mapped(const Call& call, char from, char to, int shift) {
  std::string_view text = call.args[0].text();
  auto* made = static_cast<char*>(call.arena.allocate(text.size()));
  for (size_t i = 0; i < text.size(); ++i)
    made[i] = text[i] >= from && text[i] <= to ? static_cast<char>(text[i] + shift) : text[i];
  return Value::string({made, text.size()});
}

int64_t count_of(const Call& call, size_t index) {
  return call.args.size() > index ? call.args[index].as_int() : -1;
}

// The white space of Unicode, as Go's TrimSpace has it.
bool is_space(uint32_t code) {
  return (code >= 9 && code <= 13) || code == 32 || code == 0x85 || code == 0xa0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
         code == 0x202f || code == 0x205f || code == 0x3000;
}

}  // namespace

namespace functions {

Value char_at(const Call& call) {
  std::string_view text = call.args[0].text();
  int64_t index = call.args[1].as_int();
  size_t from = 0;
  if (index < 0 || !byte_offset(text, index, from)) return out_of_range(call, index);
  if (from == text.size()) return Value::string("");
  const char* at = text.data() + from;
  (void)schema::decode_utf8(at, text.data() + text.size());
  return Value::string({text.data() + from, static_cast<size_t>(at - text.data()) - from});
}

Value index_of(const Call& call) {
  std::string_view text = call.args[0].text(), wanted = call.args[1].text();
  int64_t offset = call.args.size() > 2 ? call.args[2].as_int() : 0;
  if (wanted.empty()) return Value::integer(offset);
  size_t from = 0;
  if (offset < 0 || !byte_offset(text, offset, from) || from == text.size())
    return out_of_range(call, offset);
  size_t found = text.find(wanted, from);
  return Value::integer(found == std::string_view::npos ? -1 : code_points_before(text, found));
}

Value last_index_of(const Call& call) {
  std::string_view text = call.args[0].text(), wanted = call.args[1].text();
  auto count = static_cast<int64_t>(count_code_points(text));
  if (wanted.empty()) return Value::integer(call.args.size() > 2 ? call.args[2].as_int() : count);
  int64_t offset = call.args.size() > 2 ? call.args[2].as_int() : count - 1;
  size_t from = 0;
  if (offset < 0 || offset >= count || !byte_offset(text, offset, from))
    return out_of_range(call, offset);
  size_t found = text.rfind(wanted, from);
  return Value::integer(found == std::string_view::npos ? -1 : code_points_before(text, found));
}

Value lower_ascii(const Call& call) { return mapped(call, 'A', 'Z', 'a' - 'A'); }
Value upper_ascii(const Call& call) { return mapped(call, 'a', 'z', 'A' - 'a'); }

Value replace(const Call& call) {
  std::string_view text = call.args[0].text(), from = call.args[1].text(), to = call.args[2].text();
  int64_t limit = count_of(call, 3);
  std::vector<size_t> places;
  if (from.empty()) {
    places = starts(text);
  } else {
    for (size_t at = 0; (at = text.find(from, at)) != std::string_view::npos; at += from.size())
      places.push_back(at);
  }
  if (limit >= 0 && places.size() > static_cast<uint64_t>(limit))
    places.resize(static_cast<size_t>(limit));
  if (places.empty()) return call.args[0];
  // In 128 bits: both factors come from the user.
  auto size = static_cast<unsigned __int128>(places.size()) * to.size() +
              (text.size() - places.size() * from.size());
  if (size > SIZE_MAX || !call.arena.fits(static_cast<size_t>(size))) {
    call.arena.refuse();
    return cel::no_such_overload();
  }
  auto* made = static_cast<char*>(call.arena.allocate(static_cast<size_t>(size)));
  char* out = made;
  size_t last = 0;
  for (size_t place : places) {
    out = std::copy(text.begin() + static_cast<ptrdiff_t>(last),
                    text.begin() + static_cast<ptrdiff_t>(place), out);
    out = std::copy(to.begin(), to.end(), out);
    last = place + from.size();
  }
  std::copy(text.begin() + static_cast<ptrdiff_t>(last), text.end(), out);
  return Value::string({made, static_cast<size_t>(size)});
}

Value split(const Call& call) {
  std::string_view text = call.args[0].text(), separator = call.args[1].text();
  int64_t limit = count_of(call, 2);
  if (limit == 0) return Value::list(nullptr, 0);
  std::vector<std::string_view> parts;
  auto full = [&] { return limit > 0 && parts.size() + 1 >= static_cast<uint64_t>(limit); };
  if (separator.empty()) {
    std::vector<size_t> places = starts(text);
    size_t i = 0;
    for (; i + 1 < places.size() && !full(); ++i)
      parts.push_back(text.substr(places[i], places[i + 1] - places[i]));
    if (places[i] < text.size()) parts.push_back(text.substr(places[i]));
  } else {
    size_t at = 0;
    for (size_t next; !full() && (next = text.find(separator, at)) != std::string_view::npos;
         at = next + separator.size())
      parts.push_back(text.substr(at, next - at));
    parts.push_back(text.substr(at));
  }
  Value* items = call.arena.values(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) items[i] = Value::string(parts[i]);
  return Value::list(items, parts.size());
}

Value substring(const Call& call) {
  std::string_view text = call.args[0].text();
  int64_t start = call.args[1].as_int();
  size_t from = 0, to = text.size();
  if (call.args.size() > 2) {
    int64_t end = call.args[2].as_int();
    if (start > end)
      return Value::error(call.arena, "invalid substring range. start: " + std::to_string(start) +
                                          ", end: " + std::to_string(end));
    if (start < 0 || !byte_offset(text, start, from)) return out_of_range(call, start);
    if (!byte_offset(text, end, to)) return out_of_range(call, end);
  } else if (start < 0 || !byte_offset(text, start, from)) {
    return out_of_range(call, start);
  }
  return Value::string(text.substr(from, to - from));
}

Value trim(const Call& call) {
  std::string_view text = call.args[0].text();
  const char *from = text.data(), *end = from + text.size(), *last = from;
  for (const char* at = from; at < end;) {
    const char* before = at;
    bool space = is_space(schema::decode_utf8(at, end));
    if (space && before == from) {
      from = last = at;
    } else if (!space) {
      last = at;
    }
  }
  return Value::string({from, static_cast<size_t>(last - from)});
}

Value join(const Call& call) {
  const Value& list = call.args[0];
  std::string_view separator = call.args.size() > 1 ? call.args[1].text() : "";
  std::string out;
  for (size_t i = 0, n = list_size(list); i < n; ++i) {
    Value item = list_at(list, i, call.arena);
    if (!item.is(Value::Kind::kString))
      return Value::error(call.arena, "unsupported native conversion from " +
                                          std::string(item.type_name()) + " to 'string'");
    if (i != 0) out += separator;
    out += item.text();
    if (!call.arena.fits(out.size())) {
      call.arena.refuse();
      return cel::no_such_overload();
    }
  }
  return Value::string(call.arena.copy(out));
}

}  // namespace functions
}  // namespace knarr::cel
