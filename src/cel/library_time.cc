// SPDX-License-Identifier: Apache-2.0
// Parts of timestamps and durations. Times are looked at in UTC unless a zone is given.
#include <charconv>
#include <chrono>

#include "cel/library.h"
#include "schema/time_zone.h"

namespace knarr::cel {
namespace {

struct Local {
  std::chrono::sys_days day;
  std::chrono::year_month_day date;
  int64_t second;  // of the day
  uint32_t nanos;
};

// As Go's Atoi, whose error names the function.
bool parse_offset_part(std::string_view text, int64_t& out, std::string& error) {
  std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (failure == std::errc() && end == digits.data() + digits.size() && !digits.empty())
    return true;
  error = "strconv.Atoi: parsing \"" + std::string(text) + "\": " +
          (failure == std::errc::result_out_of_range ? "value out of range" : "invalid syntax");
  return false;
}

// Seconds east of UTC of a zone's name or of "+hh:mm".
bool zone_offset(std::string_view zone, int64_t unix_seconds, int64_t& offset, std::string& error) {
  size_t colon = zone.find(':');
  if (colon == std::string_view::npos) {
    Result<schema::TimeZone> loaded = schema::TimeZone::load(zone);
    if (!loaded.ok()) {
      error = loaded.status().message();
      return false;
    }
    offset = loaded->offset_at(unix_seconds);
    return true;
  }
  int64_t hours = 0, minutes = 0;
  if (!parse_offset_part(zone.substr(0, colon), hours, error) ||
      !parse_offset_part(zone.substr(colon + 1), minutes, error))
    return false;
  constexpr int64_t kMost = 1000000;  // keeps the sums in range; no calendar has such zones
  hours = std::clamp(hours, -kMost, kMost);
  minutes = std::clamp(minutes, -kMost, kMost);
  offset = (zone.starts_with('-') ? hours * 60 - minutes : hours * 60 + minutes) * 60;
  return true;
}

template <class Read>
Value part(const Call& call, const Read& read) {
  const Value& time = call.args[0];
  int64_t offset = 0;
  std::string error;
  if (call.args.size() > 1 && !zone_offset(call.args[1].text(), time.as_int(), offset, error))
    return Value::error(call.arena, error);
  std::chrono::sys_seconds moment(std::chrono::seconds(time.as_int() + offset));
  auto day = std::chrono::floor<std::chrono::days>(moment);
  return Value::integer(
      read(Local{day, std::chrono::year_month_day(day), (moment - day).count(), time.nanos()}));
}

template <class Read>
Value part_or_duration(const Call& call, int64_t nanos_per_unit, const Read& read) {
  if (call.args[0].is(Value::Kind::kDuration))
    return Value::integer(call.args[0].as_int() / nanos_per_unit);
  return part(call, read);
}

}  // namespace

namespace functions {

Value get_full_year(const Call& call) {
  return part(call, [](const Local& t) { return int64_t{static_cast<int>(t.date.year())}; });
}
Value get_month(const Call& call) {
  return part(call,
              [](const Local& t) { return int64_t{static_cast<unsigned>(t.date.month())} - 1; });
}
Value get_day_of_year(const Call& call) {
  return part(call, [](const Local& t) {
    return int64_t{(t.day - std::chrono::sys_days(t.date.year() / 1 / 1)).count()};
  });
}
Value get_day_of_month(const Call& call) {
  return part(call,
              [](const Local& t) { return int64_t{static_cast<unsigned>(t.date.day())} - 1; });
}
Value get_date(const Call& call) {
  return part(call, [](const Local& t) { return int64_t{static_cast<unsigned>(t.date.day())}; });
}
Value get_day_of_week(const Call& call) {
  return part(call,
              [](const Local& t) { return int64_t{std::chrono::weekday(t.day).c_encoding()}; });
}
Value get_hours(const Call& call) {
  return part_or_duration(call, 3600 * int64_t{1000000000},
                          [](const Local& t) { return t.second / 3600; });
}
Value get_minutes(const Call& call) {
  return part_or_duration(call, 60 * int64_t{1000000000},
                          [](const Local& t) { return t.second / 60 % 60; });
}
Value get_seconds(const Call& call) {
  return part_or_duration(call, 1000000000, [](const Local& t) { return t.second % 60; });
}
Value get_milliseconds(const Call& call) {
  return part_or_duration(call, 1000000, [](const Local& t) { return int64_t{t.nanos / 1000000}; });
}

}  // namespace functions
}  // namespace knarr::cel
