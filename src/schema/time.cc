// SPDX-License-Identifier: Apache-2.0
#include "schema/time.h"

#include <cstdio>

namespace knarr::schema {
namespace {

// Howard Hinnant's algorithms on the proleptic Gregorian calendar.
int64_t days_from_civil(int64_t year, int month, int day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t of_era = year - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct Civil {
  int64_t year;
  int month, day, hour, minute, second;
};

Civil civil_from_unix(int64_t seconds) {
  int64_t days = seconds / 86400;
  int64_t rest = seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  int64_t of_era = days - era * 146097;
  int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t mp = (5 * of_year + 2) / 153;
  Civil civil;
  civil.day = static_cast<int>(of_year - (153 * mp + 2) / 5 + 1);
  civil.month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  civil.year = year_of_era + era * 400 + (civil.month <= 2);
  civil.hour = static_cast<int>(rest / 3600);
  civil.minute = static_cast<int>(rest / 60 % 60);
  civil.second = static_cast<int>(rest % 60);
  return civil;
}

void put(std::string& out, int64_t value, int digits) {
  char buffer[24];
  int i = sizeof buffer;
  uint64_t rest = value < 0 ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  for (; digits > 0 || rest > 0; --digits, rest /= 10)
    buffer[--i] = static_cast<char>('0' + rest % 10);
  if (value < 0) out += '-';
  out.append(buffer + i, sizeof buffer - static_cast<size_t>(i));
}

std::string civil_text(int64_t unix_seconds) {
  Civil c = civil_from_unix(unix_seconds);
  std::string out;
  out.reserve(32);
  put(out, c.year, 4);
  out += '-';
  put(out, c.month, 2);
  out += '-';
  put(out, c.day, 2);
  out += 'T';
  put(out, c.hour, 2);
  out += ':';
  put(out, c.minute, 2);
  out += ':';
  put(out, c.second, 2);
  return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Quotes as Go's time package does: bytes above ASCII one by one.
std::string time_quote(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<uint8_t>(c);
    if (byte >= 0x80 || byte < ' ') {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

int days_in_month(int64_t year, int month) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[month - 1];
}

// Reads RFC 3339 from left to right, so that an error can say, as Go's time.Parse does, which
// element it stopped at.
class Rfc3339 {
 public:
  Rfc3339(std::string_view text, std::string_view layout)
      : text_(text), rest_(text), layout_(layout) {}

  // `fraction_digits`: exactly so many are needed, or -1 for any number or none.
  Status parse(int fraction_digits, int64_t& seconds, int64_t& nanos) {
    int year, month, day, hour, minute, second;
    if (!digits(4, year)) return cannot("2006");
    if (!literal('-')) return cannot("-");
    if (!digits(2, month)) return cannot("01");
    if (month < 1 || month > 12) return range("month");
    if (!literal('-')) return cannot("-");
    if (!digits(2, day)) return cannot("02");
    if (!literal('T')) return cannot("T");
    if (!one_or_two_digits(hour)) return cannot("15");
    if (hour > 23) return range("hour");
    if (!literal(':')) return cannot(":");
    if (!digits(2, minute)) return cannot("04");
    if (minute > 59) return range("minute");
    if (!literal(':')) return cannot(":");
    if (!digits(2, second)) return cannot("05");
    if (second > 59) return range("second");
    nanos = 0;
    if (!fraction(fraction_digits, nanos)) return cannot(fraction_digits > 0 ? ".000000" : "05");
    int64_t offset = 0;
    if (Status status = zone(offset); !status.ok()) return status;
    if (!rest_.empty()) return failure(": extra text: " + time_quote(rest_));
    if (day < 1 || day > days_in_month(year, month)) return range("day");
    seconds =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    return {};
  }

 private:
  bool digits(size_t count, int& value) {
    if (rest_.size() < count) return false;
    value = 0;
    for (size_t i = 0; i < count; ++i) {
      if (!is_digit(rest_[i])) return false;
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return true;
  }
  bool one_or_two_digits(int& value) { return digits(2, value) || digits(1, value); }
  bool literal(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool fraction(int wanted, int64_t& nanos) {
    bool present = rest_.size() > 1 && (rest_[0] == '.' || rest_[0] == ',') && is_digit(rest_[1]);
    if (!present) return wanted <= 0;
    size_t count = 1;
    int64_t scale = 100000000;
    for (; count < rest_.size() && is_digit(rest_[count]) && static_cast<int>(count) != wanted + 1;
         ++count, scale /= 10)
      nanos += (rest_[count] - '0') * scale;
    if (wanted > 0 && static_cast<int>(count) != wanted + 1) return false;
    rest_.remove_prefix(count);
    return true;
  }
  Status zone(int64_t& offset) {
    if (literal('Z')) return {};
    std::string_view from = rest_;
    if (from.size() < 6 || from[3] != ':') return cannot("Z07:00");
    rest_.remove_prefix(1);
    int hours = 0, minutes = 0;
    bool good = digits(2, hours) && literal(':') && digits(2, minutes);
    if (hours > 24) return range("time zone offset hour");
    if (minutes > 60) return range("time zone offset minute");
    if (!good || (from[0] != '+' && from[0] != '-')) {
      rest_ = from;
      return cannot("Z07:00");
    }
    offset = (from[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return {};
  }

  Status cannot(std::string_view element) {
    std::string text = " as " + time_quote(layout_) + ": cannot parse " + time_quote(rest_) +
                       " as " + time_quote(element);
    return failure(text);
  }
  Status range(std::string_view what) {
    return failure(": " + std::string(what) + " out of range");
  }
  Status failure(std::string_view tail) {
    return Status::make(400, "BadRequest", "parsing time " + time_quote(text_) + std::string(tail));
  }

  std::string_view text_, rest_, layout_;
};

constexpr std::string_view kLayout = "2006-01-02T15:04:05Z07:00";
constexpr std::string_view kMicroLayout = "2006-01-02T15:04:05.000000Z07:00";

}  // namespace

std::string format_time(Time time) { return civil_text(time.unix_seconds()) + "Z"; }

std::string format_micro_time(MicroTime time) {
  int64_t micros = time.unix_micros();
  int64_t seconds = micros / 1000000, rest = micros % 1000000;
  if (rest < 0) {
    rest += 1000000;
    --seconds;
  }
  std::string out = civil_text(seconds) + ".";
  put(out, rest, 6);
  return out + "Z";
}

std::string format_nano_time(WallTime time) {
  int64_t nanos = time.time_since_epoch().count();
  int64_t seconds = nanos / 1000000000, rest = nanos % 1000000000;
  if (rest < 0) {
    rest += 1000000000;
    --seconds;
  }
  std::string out = civil_text(seconds) + ".";
  put(out, rest, 9);
  return out + "Z";
}

Result<Time> parse_time(std::string_view text) {
  int64_t seconds = 0, nanos = 0;
  TRY(Rfc3339(text, kLayout).parse(-1, seconds, nanos));
  return Time::from_unix(seconds);
}

Result<MicroTime> parse_micro_time(std::string_view text) {
  int64_t seconds = 0, nanos = 0;
  TRY(Rfc3339(text, kMicroLayout).parse(6, seconds, nanos));
  return MicroTime::from_unix_micros(seconds * 1000000 + nanos / 1000);
}

Result<WallTime> parse_nano_time(std::string_view text) {
  int64_t seconds = 0, nanos = 0;
  TRY(Rfc3339(text, kLayout).parse(-1, seconds, nanos));
  // 64 bits of nanoseconds hold the years 1678 to 2261.
  int64_t total = 0;
  if (__builtin_mul_overflow(seconds, int64_t{1000000000}, &total) ||
      __builtin_add_overflow(total, nanos, &total))
    return Status::make(400, "BadRequest",
                        "parsing time " + time_quote(text) + ": year out of range");
  return WallTime(std::chrono::nanoseconds(total));
}

std::string format_duration(int64_t nanos) {
  if (nanos == 0) return "0s";
  uint64_t rest = nanos < 0 ? -static_cast<uint64_t>(nanos) : static_cast<uint64_t>(nanos);
  std::string out = nanos < 0 ? "-" : "";
  auto with_fraction = [&out](uint64_t value, uint64_t unit, int digits) {
    out += std::to_string(value / unit);
    uint64_t fraction = value % unit;
    if (fraction == 0) return;
    std::string tail;
    put(tail, static_cast<int64_t>(fraction), digits);
    while (tail.back() == '0') tail.pop_back();
    out += "." + tail;
  };
  if (rest < 1000) return out + std::to_string(rest) + "ns";
  if (rest < 1000000) {
    with_fraction(rest, 1000, 3);
    return out + "\xc2\xb5s";  // U+00B5, micro sign
  }
  if (rest < 1000000000) {
    with_fraction(rest, 1000000, 6);
    return out + "ms";
  }
  uint64_t minutes = rest / 60000000000;
  rest %= 60000000000;
  if (minutes >= 60) out += std::to_string(minutes / 60) + "h";
  if (minutes > 0) out += std::to_string(minutes % 60) + "m";
  with_fraction(rest, 1000000000, 9);
  return out + "s";
}

namespace {

// Nanoseconds of the unit at the front of `text`, which is removed; 0 when unknown.
uint64_t take_unit(std::string_view& text, std::string_view& name) {
  size_t size = 0;
  while (size < text.size() && text[size] != '.' && (text[size] < '0' || text[size] > '9')) ++size;
  name = text.substr(0, size);
  text.remove_prefix(size);
  if (name == "ns") return 1;
  if (name == "us" || name == "\xc2\xb5s" || name == "\xce\xbcs") return 1000;
  if (name == "ms") return 1000000;
  if (name == "s") return 1000000000;
  if (name == "m") return 60000000000;
  if (name == "h") return 3600000000000;
  return 0;
}

}  // namespace

Result<int64_t> parse_duration(std::string_view text) {
  auto failure = [text](std::string_view what) {
    return Status::make(400, "BadRequest", "time: " + std::string(what) + time_quote(text));
  };
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest == "0") return int64_t{0};
  if (rest.empty()) return failure("invalid duration ");
  constexpr uint64_t kMax = uint64_t{1} << 63;
  uint64_t total = 0;
  while (!rest.empty()) {
    uint64_t whole = 0;
    double fraction = 0, scale = 1;
    size_t digits = 0;
    for (; !rest.empty() && rest[0] >= '0' && rest[0] <= '9'; ++digits, rest.remove_prefix(1)) {
      if (whole > kMax / 10) return failure("invalid duration ");
      whole = whole * 10 + static_cast<uint64_t>(rest[0] - '0');
    }
    if (!rest.empty() && rest[0] == '.') {
      rest.remove_prefix(1);
      for (; !rest.empty() && rest[0] >= '0' && rest[0] <= '9'; ++digits, rest.remove_prefix(1)) {
        fraction = fraction * 10 + (rest[0] - '0');
        scale *= 10;
      }
    }
    if (digits == 0) return failure("invalid duration ");
    std::string_view name;
    uint64_t unit = take_unit(rest, name);
    if (name.empty()) return failure("missing unit in duration ");
    if (unit == 0) return failure("unknown unit " + time_quote(name) + " in duration ");
    if (whole > kMax / unit) return failure("invalid duration ");
    uint64_t part = whole * unit;
    if (fraction > 0 && scale < 1e18)
      part += static_cast<uint64_t>(fraction * (static_cast<double>(unit) / scale));
    if (part > kMax - total) return failure("invalid duration ");
    total += part;
  }
  if (negative) return static_cast<int64_t>(-total);
  if (total > kMax - 1) return failure("invalid duration ");
  return static_cast<int64_t>(total);
}

}  // namespace knarr::schema
