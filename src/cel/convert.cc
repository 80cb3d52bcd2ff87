// SPDX-License-Identifier: Apache-2.0
// Conversions between types, and the texts of numbers and times as Go writes and reads them.
#include <charconv>
#include <chrono>
#include <cmath>

#include "cel/value.h"
#include "schema/time.h"
#include "schema/utf8.h"

namespace knarr::cel {

using Kind = Value::Kind;

// --- Texts of numbers
// ------------------------------------------------------------------------------------------------------

std::string format_double(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "+Inf" : "-Inf";
  char buffer[64];
  auto end =
      std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  // Go's %g without a precision shows the exponent below -4 and from 6 on.
  size_t e = text.find('e');
  int exponent = 0;
  std::string_view digits = text.substr(e + 1);
  if (digits[0] == '+') digits.remove_prefix(1);
  std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  if (exponent < -4 || exponent >= 6) return std::string(text);
  end = std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::fixed).ptr;
  return std::string(buffer, end);
}

namespace {

bool parse_int(std::string_view text, int64_t& out) {
  if (!text.empty() && text[0] == '+') {
    text.remove_prefix(1);
    if (text.empty() || text[0] == '-') return false;
  }
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool parse_uint(std::string_view text, uint64_t& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool parse_double(std::string_view text, double& out) {
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.empty() || text[0] == '-' || text[0] == '+') return false;
  auto format = std::chars_format::general;
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    text.remove_prefix(2);
    format = std::chars_format::hex;
    if (text.find_first_of("pP") == std::string_view::npos) return false;
  }
  if (text.find('(') != std::string_view::npos) return false;  // nan(...)
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, format);
  if (end != text.data() + text.size()) return false;
  if (error == std::errc::result_out_of_range) {
    // Too small is zero to Go, too large a failure.
    if (text.find("e-") == std::string_view::npos && text.find("E-") == std::string_view::npos)
      return false;
    out = 0;
  } else if (error != std::errc()) {
    return false;
  }
  if (negative) out = -out;
  return true;
}

bool parse_bool(std::string_view text, bool& out) {
  for (std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"})
    if (text == yes) return out = true;
  for (std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text != no) continue;
    out = false;
    return true;
  }
  return false;
}

bool is_utf8(std::string_view text) {
  const char *at = text.data(), *end = at + text.size();
  while (at < end)
    if (schema::decode_utf8(at, end) == schema::kBadUtf8) return false;
  return true;
}

// Takes exactly `digits` digits.
bool take_number(std::string_view& text, size_t digits, int& out) {
  if (text.size() < digits) return false;
  out = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

bool take_zone(std::string_view& text, int& minutes) {
  if (take(text, 'Z')) return true;
  bool negative = !text.empty() && text[0] == '-';
  if (!negative && (text.empty() || text[0] != '+')) return false;
  text.remove_prefix(1);
  int hour = 0, minute = 0;
  if (!take_number(text, 2, hour) || !take(text, ':') || !take_number(text, 2, minute) ||
      hour > 24 || minute > 60)
    return false;
  minutes = (hour * 60 + minute) * (negative ? -1 : 1);
  return true;
}

}  // namespace

// --- Times
// -----------------------------------------------------------------------------------------------------------------

bool parse_timestamp(std::string_view text, Value& out) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zone = 0;
  if (!take_number(text, 4, year) || !take(text, '-') || !take_number(text, 2, month) ||
      !take(text, '-') || !take_number(text, 2, day))
    return false;
  // Go takes one digit for the hour as well.
  size_t hour_digits = text.size() > 2 && text[2] == ':' ? 1 : 2;
  if (!take(text, 'T') || !take_number(text, hour_digits, hour) || !take(text, ':') ||
      !take_number(text, 2, minute) || !take(text, ':') || !take_number(text, 2, second))
    return false;
  uint32_t nanos = 0, scale = 100000000;
  if (take(text, '.') || take(text, ',')) {
    size_t digits = 0;
    for (; !text.empty() && text[0] >= '0' && text[0] <= '9';
         text.remove_prefix(1), ++digits, scale /= 10)
      nanos += static_cast<uint32_t>(text[0] - '0') * scale;
    if (digits == 0) return false;
  }
  if (!take_zone(text, zone) || !text.empty()) return false;
  std::chrono::year_month_day date{std::chrono::year(year),
                                   std::chrono::month(static_cast<unsigned>(month)),
                                   std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return false;
  int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  out =
      Value::timestamp(days * 86400 + hour * 3600 + minute * 60 + second - zone * 60, nanos, zone);
  return true;
}

std::string format_timestamp(const Value& timestamp) {
  int64_t local = timestamp.as_int() + timestamp.zone_minutes() * 60;
  auto days =
      std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(std::chrono::seconds(local)));
  std::chrono::year_month_day date(days);
  auto second = static_cast<int>(local - days.time_since_epoch().count() * 86400);
  char buffer[64];
  int size = std::snprintf(buffer, sizeof buffer, "%04d-%02u-%02uT%02d:%02d:%02d",
                           static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                           static_cast<unsigned>(date.day()), second / 3600, second / 60 % 60,
                           second % 60);
  std::string out(buffer, static_cast<size_t>(size));
  if (timestamp.nanos() != 0) {
    size = std::snprintf(buffer, sizeof buffer, ".%09u", timestamp.nanos());
    while (buffer[size - 1] == '0') --size;
    out.append(buffer, static_cast<size_t>(size));
  }
  int zone = timestamp.zone_minutes();
  if (zone == 0) return out + "Z";
  size = std::snprintf(buffer, sizeof buffer, "%c%02d:%02d", zone < 0 ? '-' : '+',
                       std::abs(zone) / 60, std::abs(zone) % 60);
  return out.append(buffer, static_cast<size_t>(size));
}

namespace {

// The unit that a word of OpenAPI's durations means, in nanoseconds; 0 for none.
int64_t word_unit(std::string_view word) {
  struct Unit {
    int64_t nanos;
    std::initializer_list<std::string_view> names;  // the last one as a prefix too
  };
  constexpr int64_t kSecond = 1000000000;
  static const Unit kUnits[] = {{1, {"ns", "nano"}},
                                {1000, {"us", "µs", "micro"}},
                                {1000000, {"ms", "milli"}},
                                {kSecond, {"s", "sec"}},
                                {60 * kSecond, {"m", "min"}},
                                {3600 * kSecond, {"h", "hr", "hour"}},
                                {86400 * kSecond, {"d", "day"}},
                                {7 * 86400 * kSecond, {"w", "wk", "week"}}};
  for (const Unit& unit : kUnits)
    for (std::string_view name : unit.names)
      if (word == name || (&name == unit.names.end() - 1 && word.starts_with(name)))
        return unit.nanos;
  return 0;
}

}  // namespace

bool parse_open_api_duration(std::string_view text, int64_t& nanos) {
  if (Result<int64_t> go = schema::parse_duration(text); go.ok()) {
    nanos = *go;
    return true;
  }
  bool found = false;
  uint64_t total = 0;  // wraps around, as Go's does
  size_t at = 0;
  auto is_digit = [&](size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  auto is_letter = [&](size_t i) {
    return i < text.size() && (std::isalpha(static_cast<unsigned char>(text[i])) ||
                               text[i] == '\xc2' || text[i] == '\xb5');
  };
  while (at < text.size()) {
    size_t start = at;
    while (is_digit(at)) ++at;
    size_t digits = at - start;
    while (digits > 0 && at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
    size_t word = at;
    while (digits > 0 && is_letter(at)) ++at;
    if (digits == 0 || at == word) {
      at = std::max(at, start + 1);
      continue;
    }
    int64_t factor = 0;
    if (!parse_int(text.substr(start, digits), factor)) return false;
    std::string lower;
    for (char c : text.substr(word, at - word))
      lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    int64_t unit = word_unit(lower);
    found |= unit != 0;
    total += static_cast<uint64_t>(factor) * static_cast<uint64_t>(unit);
  }
  nanos = static_cast<int64_t>(total);
  return found;
}

// --- Conversions
// -----------------------------------------------------------------------------------------------------------

namespace {

constexpr std::string_view kTargetNames[] = {"int",
                                             "uint",
                                             "double",
                                             "bool",
                                             "string",
                                             "bytes",
                                             "google.protobuf.Duration",
                                             "google.protobuf.Timestamp",
                                             "type"};

Value cannot(const Value& v, Conversion to, Arena& arena) {
  return Value::error(arena, "type conversion error from '" + std::string(v.type_name()) +
                                 "' to '" + std::string(kTargetNames[static_cast<size_t>(to)]) +
                                 "'");
}

Value made_text(Arena& arena, std::string_view text) { return Value::string(arena.copy(text)); }

Value seconds_text(int64_t nanos, Arena& arena) {
  double seconds =
      static_cast<double>(nanos / 1000000000) + static_cast<double>(nanos % 1000000000) / 1e9;
  char buffer[64];
  char* end = std::to_chars(buffer, buffer + sizeof buffer, seconds, std::chars_format::fixed).ptr;
  *end++ = 's';
  return made_text(arena, {buffer, static_cast<size_t>(end - buffer)});
}

Value from_int(const Value& v, Conversion to, Arena& arena) {
  int64_t i = v.as_int();
  switch (to) {
    case Conversion::kInt:
      return v;
    case Conversion::kUint:
      return i < 0 ? Value::error("unsigned integer overflow") : Value::uinteger(v.as_uint());
    case Conversion::kDouble:
      return Value::number(static_cast<double>(i));
    case Conversion::kString:
      return made_text(arena, std::to_string(i));
    case Conversion::kTimestamp:
      return i < kMinUnixSeconds || i > kMaxUnixSeconds ? Value::error("timestamp overflow")
                                                        : Value::timestamp(i, 0);
    default:
      return cannot(v, to, arena);
  }
}

Value from_uint(const Value& v, Conversion to, Arena& arena) {
  switch (to) {
    case Conversion::kInt:
      return v.as_int() < 0 ? Value::error("integer overflow") : Value::integer(v.as_int());
    case Conversion::kUint:
      return v;
    case Conversion::kDouble:
      return Value::number(static_cast<double>(v.as_uint()));
    case Conversion::kString:
      return made_text(arena, std::to_string(v.as_uint()));
    default:
      return cannot(v, to, arena);
  }
}

Value from_double(const Value& v, Conversion to, Arena& arena) {
  double d = v.as_double();
  switch (to) {
    case Conversion::kInt:
      return d > -9223372036854775808.0 && d < 9223372036854775808.0
                 ? Value::integer(static_cast<int64_t>(d))
                 : Value::error("integer overflow");
    case Conversion::kUint:
      return d >= 0 && d < 18446744073709551616.0 ? Value::uinteger(static_cast<uint64_t>(d))
                                                  : Value::error("unsigned integer overflow");
    case Conversion::kDouble:
      return v;
    case Conversion::kString:
      return made_text(arena, format_double(d));
    default:
      return cannot(v, to, arena);
  }
}

Value from_string(const Value& v, Conversion to, Arena& arena) {
  std::string_view text = v.text();
  int64_t i = 0;
  uint64_t u = 0;
  double d = 0;
  bool b = false;
  Value time;
  switch (to) {
    case Conversion::kInt:
      return parse_int(text, i) ? Value::integer(i) : cannot(v, to, arena);
    case Conversion::kUint:
      return parse_uint(text, u) ? Value::uinteger(u) : cannot(v, to, arena);
    case Conversion::kDouble:
      return parse_double(text, d) ? Value::number(d) : cannot(v, to, arena);
    case Conversion::kBool:
      return parse_bool(text, b) ? Value::boolean(b) : cannot(v, to, arena);
    case Conversion::kString:
      return v;
    case Conversion::kBytes:
      return Value::bytes(text);
    case Conversion::kDuration: {
      Result<int64_t> nanos = schema::parse_duration(text);
      return nanos.ok() ? Value::duration(*nanos) : cannot(v, to, arena);
    }
    case Conversion::kTimestamp:
      if (!parse_timestamp(text, time)) return cannot(v, to, arena);
      return time.as_int() < kMinUnixSeconds || time.as_int() > kMaxUnixSeconds
                 ? Value::error("timestamp overflow")
                 : time;
    default:
      return cannot(v, to, arena);
  }
}

}  // namespace

Value convert(const Value& v, Conversion to, Arena& arena) {
  if (v.is_error()) return v;
  if (v.is(Kind::kPreserved)) {
    return Value::error(
        arena, "type conversion to '" + std::string(kTargetNames[static_cast<size_t>(to)]) +
                   "' not supported for values preserved by x-kubernetes-preserve-unknown-fields");
  }
  if (to == Conversion::kType) return Value::type(v.is(Kind::kType) ? "type" : v.type_name());
  switch (v.kind()) {
    case Kind::kInt:
      return from_int(v, to, arena);
    case Kind::kUint:
      return from_uint(v, to, arena);
    case Kind::kDouble:
      return from_double(v, to, arena);
    case Kind::kString:
      return from_string(v, to, arena);
    case Kind::kBool:
      if (to == Conversion::kBool) return v;
      return to == Conversion::kString ? Value::string(v.as_bool() ? "true" : "false")
                                       : cannot(v, to, arena);
    case Kind::kNull:
      return to == Conversion::kString ? Value::string("null") : cannot(v, to, arena);
    case Kind::kBytes:
      if (to == Conversion::kBytes) return v;
      if (to != Conversion::kString) return cannot(v, to, arena);
      return is_utf8(v.text()) ? Value::string(v.text())
                               : Value::error("invalid UTF-8 in bytes, cannot convert to string");
    case Kind::kDuration:
      if (to == Conversion::kDuration) return v;
      if (to == Conversion::kInt) return Value::integer(v.as_int());
      return to == Conversion::kString ? seconds_text(v.as_int(), arena) : cannot(v, to, arena);
    case Kind::kTimestamp:
      if (to == Conversion::kTimestamp) return v;
      if (to == Conversion::kInt) return Value::integer(v.as_int());
      return to == Conversion::kString ? made_text(arena, format_timestamp(v))
                                       : cannot(v, to, arena);
    case Kind::kType:
      return to == Conversion::kString ? Value::string(v.text()) : cannot(v, to, arena);
    default:
      return cannot(v, to, arena);
  }
}

}  // namespace knarr::cel
