// SPDX-License-Identifier: Apache-2.0
#include "schema/yaml_scalar.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "schema/json_text.h"

namespace knarr::schema {
namespace {

constexpr std::string_view kPrefix = "tag:yaml.org,2002:";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The words of YAML 1.1.
bool lookup_word(std::string_view text, YamlScalar& scalar) {
  auto one_of = [text](std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), text) != words.end();
  };
  if (one_of({"", "~", "null", "Null", "NULL"})) {
    scalar.tag = YamlTag::kNull;
  } else if (one_of({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) {
    scalar.tag = YamlTag::kBool;
    scalar.flag = true;
  } else if (one_of({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})) {
    scalar.tag = YamlTag::kBool;
  } else if (one_of({".nan", ".NaN", ".NAN"})) {
    scalar.tag = YamlTag::kFloat;
    scalar.real = std::numeric_limits<double>::quiet_NaN();
  } else if (one_of({".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"})) {
    scalar.tag = YamlTag::kFloat;
    scalar.real = std::numeric_limits<double>::infinity();
  } else if (one_of({"-.inf", "-.Inf", "-.INF"})) {
    scalar.tag = YamlTag::kFloat;
    scalar.real = -std::numeric_limits<double>::infinity();
  } else {
    return false;
  }
  return true;
}

// Walks a timestamp; numbers have one or two digits.
struct TimeScanner {
  std::string_view rest;
  int number(size_t least, size_t most) {
    size_t n = 0;
    int value = 0;
    while (n < most && n < rest.size() && is_digit(rest[n])) value = value * 10 + (rest[n++] - '0');
    if (n < least) return -1;
    rest.remove_prefix(n);
    return value;
  }
  bool literal(char c) {
    if (rest.empty() || rest[0] != c) return false;
    rest.remove_prefix(1);
    return true;
  }
  bool clock() {
    int hour = number(1, 2);
    if (hour < 0 || hour > 23 || !literal(':')) return false;
    int minute = number(1, 2);
    if (minute < 0 || minute > 59 || !literal(':')) return false;
    int second = number(1, 2);
    if (second < 0 || second > 59) return false;
    if (!rest.empty() && (rest[0] == '.' || rest[0] == ',') && rest.size() > 1 &&
        is_digit(rest[1])) {
      rest.remove_prefix(1);
      while (!rest.empty() && is_digit(rest[0])) rest.remove_prefix(1);
    }
    return true;
  }
  bool zone() {
    if (literal('Z')) return true;
    if (!literal('+') && !literal('-')) return false;
    int hours = number(2, 2);
    if (hours < 0 || hours > 24 || !literal(':')) return false;
    int minutes = number(2, 2);
    return minutes >= 0 && minutes <= 60;
  }
};

bool is_timestamp(std::string_view text) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  TimeScanner scan{text};
  int year = scan.number(4, 4);
  if (year < 0 || !scan.literal('-')) return false;
  int month = scan.number(1, 2);
  if (month < 1 || month > 12 || !scan.literal('-')) return false;
  int day = scan.number(1, 2);
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (day < 1 || day > kDays[month - 1] + (month == 2 && leap)) return false;
  if (scan.rest.empty()) return true;
  if (scan.literal(' ')) return scan.clock() && scan.rest.empty();
  return (scan.literal('T') || scan.literal('t')) && scan.clock() && scan.zone() &&
         scan.rest.empty();
}

// Go's ParseInt and ParseUint with base 0.
bool parse_integer(std::string_view text, YamlScalar& scalar) {
  bool negative = false, has_sign = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    has_sign = true;
    text.remove_prefix(1);
  }
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    char mark = static_cast<char>(text[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 8;
    text.remove_prefix(mark == 'x' || mark == 'o' || mark == 'b' ? 2 : 1);
  }
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return false;
  constexpr uint64_t kLimit = uint64_t{1} << 63;
  if (negative ? value > kLimit : value >= kLimit) {
    if (has_sign) return false;
    scalar.is_unsigned = true;
    scalar.large = value;
  }
  scalar.integer = static_cast<int64_t>(negative ? 0 - value : value);
  scalar.tag = YamlTag::kInt;
  return true;
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool looks_like_float(std::string_view text) {
  size_t i = 0;
  auto digits = [&] {
    size_t from = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    return i - from;
  };
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (digits() == 0) return false;
  } else {
    if (digits() == 0) return false;
    if (i < text.size() && text[i] == '.') {
      ++i;
      digits();
    }
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    if (digits() == 0) return false;
  }
  return i == text.size();
}

bool parse_float(std::string_view text, YamlScalar& scalar) {
  if (!looks_like_float(text)) return false;
  if (text[0] == '+') text.remove_prefix(1);
  if (!parse_double(text, scalar.real)) return false;
  scalar.tag = YamlTag::kFloat;
  return true;
}

YamlScalar resolve_untagged(std::string_view text, bool dates) {
  YamlScalar scalar;
  if (lookup_word(text, scalar)) return scalar;
  char c = text[0];
  if (c == '.') {
    parse_float(text, scalar);
    return scalar;
  }
  if (!is_digit(c) && c != '-' && c != '+') return scalar;
  if (dates && is_timestamp(text)) {
    scalar.tag = YamlTag::kTimestamp;
    return scalar;
  }
  std::string plain;
  for (char d : text)
    if (d != '_') plain += d;
  if (!parse_integer(plain, scalar)) parse_float(plain, scalar);
  return scalar;
}

std::string_view short_name(YamlTag tag) {
  switch (tag) {
    case YamlTag::kNull:
      return "!!null";
    case YamlTag::kBool:
      return "!!bool";
    case YamlTag::kInt:
      return "!!int";
    case YamlTag::kFloat:
      return "!!float";
    case YamlTag::kTimestamp:
      return "!!timestamp";
    default:
      return "!!str";
  }
}

template <class F>
std::string format_g(F value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  char buffer[64];
  auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  std::string_view exponent_text = text.substr(text.find('e') + 1);
  bool negative = exponent_text[0] == '-';
  int exponent = 0;
  std::from_chars(exponent_text.data() + 1, exponent_text.data() + exponent_text.size(), exponent);
  if (negative) exponent = -exponent;
  if (exponent < -4 || exponent >= 6) return std::string(text);
  auto [fixed_end, fixed_error] =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  return {buffer, fixed_end};
}

}  // namespace

Result<YamlScalar> resolve_yaml_scalar(std::string_view tag, std::string_view text) {
  if (tag.empty()) return resolve_untagged(text, true);
  YamlScalar scalar;
  if (!tag.starts_with(kPrefix)) {
    scalar.tag = YamlTag::kOther;
    return scalar;
  }
  std::string_view name = tag.substr(kPrefix.size());
  YamlTag wanted = YamlTag::kOther;
  for (YamlTag known : {YamlTag::kString, YamlTag::kNull, YamlTag::kBool, YamlTag::kInt,
                        YamlTag::kFloat, YamlTag::kTimestamp})
    if (short_name(known).substr(2) == name) wanted = known;
  if (wanted == YamlTag::kOther || wanted == YamlTag::kString) {
    scalar.tag = wanted;
    return scalar;
  }
  scalar = resolve_untagged(text, wanted == YamlTag::kTimestamp);
  if (scalar.tag == YamlTag::kInt && wanted == YamlTag::kFloat) {
    scalar.real = scalar.is_unsigned ? static_cast<double>(scalar.large)
                                     : static_cast<double>(scalar.integer);
    scalar.tag = YamlTag::kFloat;
  }
  if (scalar.tag == wanted) return scalar;
  std::string message = "yaml: cannot decode " + std::string(short_name(scalar.tag)) + " `" +
                        std::string(text) + "` as a !!";
  return Status::make(400, "BadRequest", message += name);
}

bool is_base60_float(std::string_view text) {
  // [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?
  size_t i = 0;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  if (i >= text.size() || !is_digit(text[i])) return false;
  while (i < text.size() && (is_digit(text[i]) || text[i] == '_')) ++i;
  size_t groups = 0;
  for (; i + 1 < text.size() && text[i] == ':' && is_digit(text[i + 1]); ++groups) {
    i += 2;
    if (i < text.size() && is_digit(text[i]) && text[i - 1] <= '5') ++i;
  }
  if (groups == 0) return false;
  if (i < text.size() && text[i] == '.') {
    ++i;
    while (i < text.size() && (is_digit(text[i]) || text[i] == '_')) ++i;
  }
  return i == text.size();
}

std::string format_yaml_float(double value) { return format_g(value); }
std::string format_yaml_float32(double value) { return format_g(static_cast<float>(value)); }

}  // namespace knarr::schema
