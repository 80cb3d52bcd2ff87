// SPDX-License-Identifier: Apache-2.0
#include "schema/cron_schedule.h"

#include <array>
#include <charconv>
#include <chrono>
#include <string>
#include <vector>

#include "schema/json.h"
#include "schema/time.h"

namespace knarr::schema {
namespace {

constexpr uint64_t kStar = uint64_t{1} << 63;

struct Bounds {
  uint64_t min, max;
  std::array<std::string_view, 12> names;  // of min, min + 1, ...; "" ends them
};
constexpr Bounds kMinutes = {0, 59, {}}, kHours = {0, 23, {}}, kDays = {1, 31, {}},
                 kMonths = {1, 12, {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
                 kWeekdays = {0, 6, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}};

Status bad_schedule(std::string_view message) { return Status::make(400, "BadRequest", message); }

std::string quoted(std::string_view text) {
  std::string out;
  json::write_string(out, text);
  return out;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t start = 0;;) {
    size_t end = text.find(separator, start);
    parts.push_back(text.substr(start, end - start));
    if (end == std::string_view::npos) return parts;
    start = end + 1;
  }
}

std::vector<std::string_view> split_blank(std::string_view text) {
  constexpr std::string_view kBlank = " \t\n\v\f\r";
  std::vector<std::string_view> parts;
  for (size_t start = text.find_first_not_of(kBlank); start != std::string_view::npos;) {
    size_t end = text.find_first_of(kBlank, start);
    parts.push_back(text.substr(start, end - start));
    start = text.find_first_not_of(kBlank, end);
  }
  return parts;
}

bool equals_lower(std::string_view text, std::string_view lower) {
  auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), same);
}

// As strconv.Atoi, without negative numbers.
Result<uint64_t> parse_number(std::string_view text) {
  std::string_view digits = text;
  if (!digits.empty() && (digits[0] == '+' || digits[0] == '-')) digits.remove_prefix(1);
  auto failure = [&](std::string_view why) {
    return bad_schedule(fmt::format("failed to parse int from {}: strconv.Atoi: parsing {}: {}", text, quoted(text), why));
  };
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return failure("invalid syntax");
  int64_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc()) return failure("value out of range");
  if (text[0] == '-' && value != 0) return bad_schedule(fmt::format("negative number (-{}) not allowed: {}", value, text));
  return static_cast<uint64_t>(value);
}

Result<uint64_t> parse_value(std::string_view text, const Bounds& bounds) {
  for (size_t i = 0; i < bounds.names.size() && !bounds.names[i].empty(); ++i)
    if (equals_lower(text, bounds.names[i])) return bounds.min + i;
  return parse_number(text);
}

// number | number "-" number, and "/" number; "*" and "?" are the whole range.
Result<uint64_t> parse_range(std::string_view expression, const Bounds& bounds) {
  std::vector<std::string_view> steps = split(expression, '/'), ends = split(steps[0], '-');
  uint64_t start = bounds.min, end = bounds.max, step = 1, star = kStar;
  if (ends[0] != "*" && ends[0] != "?") {
    star = 0;
    TRY_ASSIGN(start, parse_value(ends[0], bounds));
    end = start;
    if (ends.size() > 2) return bad_schedule(fmt::format("too many hyphens: {}", expression));
    if (ends.size() == 2) {
      TRY_ASSIGN(end, parse_value(ends[1], bounds));
    }
  }
  if (steps.size() > 2) return bad_schedule(fmt::format("too many slashes: {}", expression));
  if (steps.size() == 2) {
    TRY_ASSIGN(step, parse_number(steps[1]));
    if (ends.size() == 1) end = bounds.max;  // "5/10" goes on to the end
    if (step > 1) star = 0;
  }
  if (start < bounds.min) return bad_schedule(fmt::format("beginning of range ({}) below minimum ({}): {}", start, bounds.min, expression));
  if (end > bounds.max) return bad_schedule(fmt::format("end of range ({}) above maximum ({}): {}", end, bounds.max, expression));
  if (start > end) return bad_schedule(fmt::format("beginning of range ({}) beyond end of range ({}): {}", start, end, expression));
  if (step == 0) return bad_schedule(fmt::format("step of range should be a positive number: {}", expression));
  uint64_t bits = star;
  for (uint64_t i = start; i <= end; i += step) bits |= uint64_t{1} << i;
  return bits;
}

Result<uint64_t> parse_field(std::string_view text, const Bounds& bounds) {
  uint64_t bits = 0;
  for (std::string_view expression : split(text, ',')) {
    if (expression.empty()) continue;
    TRY_ASSIGN(uint64_t more, parse_range(expression, bounds));
    bits |= more;
  }
  return bits;
}

constexpr uint64_t all_of(const Bounds& bounds) {
  uint64_t bits = kStar;
  for (uint64_t i = bounds.min; i <= bounds.max; ++i) bits |= uint64_t{1} << i;
  return bits;
}

}  // namespace

Result<CronSchedule> CronSchedule::parse_descriptor(std::string_view text, TimeZone zone) {
  CronSchedule schedule(std::move(zone));
  constexpr std::string_view kEvery = "@every ";
  if (text.starts_with(kEvery)) {
    Result<int64_t> duration = parse_duration(text.substr(kEvery.size()));
    if (!duration.ok()) return bad_schedule(fmt::format("failed to parse duration {}: {}", text, duration.status().message()));
    schedule.every_seconds_ = std::max<int64_t>(*duration / 1000000000, 1);
    return schedule;
  }
  constexpr Fields kHourly = {1, all_of(kHours), all_of(kDays), all_of(kMonths), all_of(kWeekdays)};
  Fields& fields = schedule.fields_ = kHourly;
  if (text == "@hourly") return schedule;
  fields.hour = 1;
  if (text == "@daily" || text == "@midnight") return schedule;
  if (text == "@weekly") {
    fields.weekday = 1;
    return schedule;
  }
  fields.day = 1 << 1;
  if (text == "@monthly") return schedule;
  fields.month = 1 << 1;
  if (text == "@yearly" || text == "@annually") return schedule;
  return bad_schedule(fmt::format("unrecognized descriptor: {}", text));
}

Result<CronSchedule> CronSchedule::parse(std::string_view text, TimeZone fallback) {
  if (text.empty()) return bad_schedule("empty spec string");
  TimeZone zone = std::move(fallback);
  if (text.starts_with("TZ=") || text.starts_with("CRON_TZ=")) {
    size_t equals = text.find('='), space = text.find(' ');
    // Upstream panics here.
    if (space == std::string_view::npos)
      return bad_schedule(fmt::format("provided bad location {}: missing schedule", text.substr(equals + 1)));
    std::string_view name = text.substr(equals + 1, space - equals - 1);
    Result<TimeZone> loaded = TimeZone::load(name);
    if (!loaded.ok()) return bad_schedule(fmt::format("provided bad location {}: {}", name, loaded.status().message()));
    zone = std::move(*loaded);
    text.remove_prefix(std::min(text.find_first_not_of(" \t\n\v\f\r", space), text.size()));
    while (!text.empty() && std::string_view(" \t\n\v\f\r").find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  }
  if (text.starts_with('@')) return parse_descriptor(text, std::move(zone));
  std::vector<std::string_view> words = split_blank(text);
  if (words.size() != 5) {
    std::string shown;
    for (std::string_view word : words) shown += (shown.empty() ? "" : " ") + std::string(word);
    return bad_schedule(fmt::format("expected exactly 5 fields, found {}: [{}]", words.size(), shown));
  }
  CronSchedule schedule(std::move(zone));
  TRY_ASSIGN(schedule.fields_.minute, parse_field(words[0], kMinutes));
  TRY_ASSIGN(schedule.fields_.hour, parse_field(words[1], kHours));
  TRY_ASSIGN(schedule.fields_.day, parse_field(words[2], kDays));
  TRY_ASSIGN(schedule.fields_.month, parse_field(words[3], kMonths));
  TRY_ASSIGN(schedule.fields_.weekday, parse_field(words[4], kWeekdays));
  return schedule;
}

// ---- the next moment -------------------------------------------------------------------------------------------------------

namespace {

struct LocalTime {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, weekday = 0;
};

constexpr int64_t kHour = 3600, kDay = 86400;

int64_t floor_to(int64_t value, int64_t unit) { return value - ((value % unit) + unit) % unit; }

}  // namespace

// Walks from field to field, the largest first; a field that wraps around starts the walk over, since larger ones have changed.
class CronSearch {
 public:
  CronSearch(const CronSchedule& schedule, int64_t start) : fields_(schedule.fields_), zone_(schedule.zone_) { go(start); }

  std::optional<Time> run() {
    const int last_year = local_.year + 5;
    while (local_.year <= last_year)
      if (find_month() && find_day() && find_hour() && find_minute() && find_second()) return Time::from_unix(now_);
    return std::nullopt;
  }

 private:
  static bool has(uint64_t bits, int value) { return (bits >> value & 1) != 0; }

  void go(int64_t to) {
    now_ = to;
    int64_t civil = to + zone_.offset_at(to), days = floor_to(civil, kDay) / kDay, rest = civil - days * kDay;
    std::chrono::sys_days date{std::chrono::days(days)};
    std::chrono::year_month_day parts(date);
    local_.year = static_cast<int>(parts.year());
    local_.month = static_cast<int>(static_cast<unsigned>(parts.month()));
    local_.day = static_cast<int>(static_cast<unsigned>(parts.day()));
    local_.weekday = static_cast<int>(std::chrono::weekday(date).c_encoding());
    local_.hour = static_cast<int>(rest / kHour);
    local_.minute = static_cast<int>(rest % kHour / 60);
    local_.second = static_cast<int>(rest % 60);
  }
  // The moment of a civil time, as Go's time.Date: months and days may exceed their range, and of a time that does not exist or exists
  // twice one of the two readings is taken.
  void go_to(int month, int day, int hour, int minute, int second) {
    std::chrono::year_month first = std::chrono::year(local_.year) / std::chrono::January + std::chrono::months(month - 1);
    std::chrono::sys_days date = std::chrono::sys_days(first / 1) + std::chrono::days(day - 1);
    int64_t civil = date.time_since_epoch().count() * kDay + hour * kHour + minute * 60 + second;
    int offset = zone_.offset_at(civil);
    if (offset != 0) offset = zone_.offset_at(civil - offset);
    go(civil - offset);
  }
  // What is smaller than the field that moves first starts at its beginning.
  bool first_move() { return !std::exchange(moved_, true); }

  bool find_month() {
    while (!has(fields_.month, local_.month)) {
      if (first_move()) go_to(local_.month, 1, 0, 0, 0);
      go_to(local_.month + 1, local_.day, local_.hour, local_.minute, local_.second);
      if (local_.month == 1) return false;
    }
    return true;
  }
  // When both days are restricted, one of them must match; else both.
  bool is_day() const {
    bool by_day = has(fields_.day, local_.day), by_weekday = has(fields_.weekday, local_.weekday);
    return ((fields_.day | fields_.weekday) & kStar) != 0 ? by_day && by_weekday : by_day || by_weekday;
  }
  bool find_day() {
    while (!is_day()) {
      if (first_move()) go_to(local_.month, local_.day, 0, 0, 0);
      go_to(local_.month, local_.day + 1, local_.hour, local_.minute, local_.second);
      // Where clocks are changed at midnight, the day may begin at another hour.
      if (local_.hour > 12) {
        go(now_ + (24 - local_.hour) * kHour);
      } else if (local_.hour != 0) {
        go(now_ - local_.hour * kHour);
      }
      if (local_.day == 1) return false;
    }
    return true;
  }
  bool find_hour() {
    while (!has(fields_.hour, local_.hour)) {
      if (first_move()) go_to(local_.month, local_.day, local_.hour, 0, 0);
      go(now_ + kHour);
      if (local_.hour == 0) return false;
    }
    return true;
  }
  bool find_minute() {
    while (!has(fields_.minute, local_.minute)) {
      if (first_move()) go(floor_to(now_, 60));
      go(now_ + 60);
      if (local_.minute == 0) return false;
    }
    return true;
  }
  // Schedules have no field of seconds: they begin with the minute.
  bool find_second() {
    if (local_.second == 0) return true;
    moved_ = true;
    go(now_ + 60 - local_.second);
    return false;
  }

  const CronSchedule::Fields fields_;
  const TimeZone zone_;
  int64_t now_ = 0;
  LocalTime local_;
  bool moved_ = false;
};

std::optional<Time> CronSchedule::next(Time after) const {
  // Calendars are kept for the years that a text of a time can name.
  constexpr int64_t kLast = 253402300799;
  int64_t seconds = after.unix_seconds();
  if (seconds < -Time::kUnixOffset || seconds > kLast) return std::nullopt;
  if (every_seconds_ > 0) return Time::from_unix(seconds + every_seconds_);
  // "," is a field without values: it would be searched for minute by minute.
  if ((fields_.minute | kStar) == kStar || (fields_.hour | kStar) == kStar) return std::nullopt;
  return CronSearch(*this, seconds + 1).run();
}

}  // namespace knarr::schema
