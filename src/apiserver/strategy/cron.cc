// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/cron.h"

#include <unistd.h>

#include <optional>
#include <vector>

#include "apiserver/strategy/validators.h"
#include "schema/time.h"

namespace knarr::apiserver {

namespace {

struct Bounds {
  unsigned min, max;
  std::vector<std::string_view> names;  // of min, min + 1, ...
};

const Bounds kFields[] = {
    {0, 59, {}},
    {0, 23, {}},
    {1, 31, {}},
    {1, 12, {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
    {0, 6, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
};

// The number, or why there is none.
std::optional<unsigned> parse_number(std::string_view text, std::string& problem) {
  bool negative = text.size() > 1 && text.front() == '-';
  std::string_view digits = negative ? text.substr(1) : text;
  if (digits.empty() || digits.size() > 9 ||
      digits.find_first_not_of("0123456789") != digits.npos) {
    problem = "failed to parse int from " + std::string(text) + ": strconv.Atoi: parsing " +
              quoted(text) + ": invalid syntax";
    return std::nullopt;
  }
  if (negative) {
    problem = "negative number (" + std::string(text) + ") not allowed: " + std::string(text);
    return std::nullopt;
  }
  return static_cast<unsigned>(std::stoul(std::string(digits)));
}
std::optional<unsigned> parse_value(std::string_view text, const Bounds& bounds,
                                    std::string& problem) {
  for (size_t i = 0; i < bounds.names.size(); ++i)
    if (lower(text) == bounds.names[i]) return bounds.min + static_cast<unsigned>(i);
  return parse_number(text, problem);
}

// number | number "-" number [ "/" number ] | "*" ...
std::string range_problem(std::string_view expression, const Bounds& bounds) {
  std::vector<std::string_view> steps = split(expression, '/'), ends = split(steps[0], '-');
  std::string problem, shown(expression);
  unsigned start = bounds.min, end = bounds.max;
  bool single = ends.size() == 1;
  if (ends[0] != "*" && ends[0] != "?") {
    auto first = parse_value(ends[0], bounds, problem);
    if (!first) return problem;
    start = end = *first;
    if (ends.size() == 2) {
      auto last = parse_value(ends[1], bounds, problem);
      if (!last) return problem;
      end = *last;
    } else if (ends.size() > 2) {
      return "too many hyphens: " + shown;
    }
  }
  if (steps.size() > 2) return "too many slashes: " + shown;
  unsigned step = 1;
  if (steps.size() == 2) {
    auto number = parse_number(steps[1], problem);
    if (!number) return problem;
    step = *number;
    if (single) end = bounds.max;
  }
  if (start < bounds.min)
    return "beginning of range (" + std::to_string(start) + ") below minimum (" +
           std::to_string(bounds.min) + "): " + shown;
  if (end > bounds.max)
    return "end of range (" + std::to_string(end) + ") above maximum (" +
           std::to_string(bounds.max) + "): " + shown;
  if (start > end)
    return "beginning of range (" + std::to_string(start) + ") beyond end of range (" +
           std::to_string(end) + "): " + shown;
  if (step == 0) return "step of range should be a positive number: " + shown;
  return {};
}

std::string descriptor_problem(std::string_view text) {
  for (std::string_view known :
       {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
    if (known == text) return {};
  if (text.starts_with("@every ")) {
    auto duration = schema::parse_duration(text.substr(7));
    if (duration.ok()) return {};
    return "failed to parse duration " + std::string(text) + ": time: invalid duration " +
           quoted(text.substr(7));
  }
  return "unrecognized descriptor: " + std::string(text);
}

}  // namespace

std::string cron_schedule_problem(std::string_view schedule) {
  if (schedule.empty()) return "empty spec string";
  if (schedule.starts_with("TZ=") || schedule.starts_with("CRON_TZ=")) {
    size_t equals = schedule.find('='), space = schedule.find(' ');
    if (space == schedule.npos)
      return "provided bad location " + std::string(schedule.substr(equals + 1)) +
             ": missing schedule";
    std::string_view zone = schedule.substr(equals + 1, space - equals - 1);
    std::string problem =
        zone.empty() || zone == "UTC" || zone == "Local" ? "" : time_zone_problem(zone);
    if (!problem.empty()) return "provided bad location " + std::string(zone) + ": " + problem;
    schedule = trim(schedule.substr(space));
  }
  if (schedule.starts_with('@')) return descriptor_problem(schedule);
  std::vector<std::string_view> fields;
  for (size_t at = 0; at < schedule.size();) {
    size_t start = schedule.find_first_not_of(" \t\n\r\v\f", at);
    if (start == schedule.npos) break;
    size_t end = schedule.find_first_of(" \t\n\r\v\f", start);
    fields.push_back(schedule.substr(start, end == schedule.npos ? end : end - start));
    at = end == schedule.npos ? schedule.size() : end;
  }
  if (fields.size() != 5) {
    std::string shown;
    for (std::string_view field : fields) shown += (shown.empty() ? "" : " ") + std::string(field);
    return "expected exactly 5 fields, found " + std::to_string(fields.size()) + ": [" + shown +
           "]";
  }
  for (size_t i = 0; i < 5; ++i) {
    for (std::string_view part : split(fields[i], ',')) {
      if (part.empty()) continue;
      std::string problem = range_problem(part, kFields[i]);
      if (!problem.empty()) return problem;
    }
  }
  return {};
}

std::string time_zone_problem(std::string_view zone) {
  std::string unknown = "unknown time zone " + std::string(zone);
  for (std::string_view part : split(zone, '/')) {
    if (part.empty() || part == "." || part == ".." || part.starts_with('-') || part.size() > 14)
      return unknown;
    for (char c : part) {
      bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '-' || c == '_' || c == '+';
      if (!good) return unknown;
    }
  }
  if (lower(zone) == "utc") return {};
  // The checks above keep this inside the database's directory.
  std::string path = "/usr/share/zoneinfo/" + std::string(zone);
  return access(path.c_str(), R_OK) == 0 ? std::string() : unknown;
}

}  // namespace knarr::apiserver
