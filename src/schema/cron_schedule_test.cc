// SPDX-License-Identifier: Apache-2.0
#include "schema/cron_schedule.h"

#include <gtest/gtest.h>

#include "schema/time.h"

namespace knarr::schema {
namespace {

TimeZone zone(std::string_view name) {
  Result<TimeZone> zone = TimeZone::load(name);
  EXPECT_TRUE(zone.ok()) << zone.status().message();
  return *zone;
}

std::string next(std::string_view text, std::string_view after) {
  Result<CronSchedule> schedule = CronSchedule::parse(text, zone("UTC"));
  if (!schedule.ok()) return "error: " + std::string(schedule.status().message());
  std::optional<Time> time = schedule->next(*parse_time(after));
  return time ? format_time(*time) : "never";
}

TEST(CronSchedule, Next) {
  struct Case {
    const char *text, *after, *expected;
  };
  const Case kCases[] = {
      {"0/15 * * * *", "2012-07-09T14:45:00Z", "2012-07-09T15:00:00Z"},
      {"0/15 * * * *", "2012-07-09T14:59:59Z", "2012-07-09T15:00:00Z"},
      {"20-35/15 * * * *", "2012-07-09T15:45:00Z", "2012-07-09T16:20:00Z"},
      {"20-35/15 * * * *", "2012-07-09T23:45:00Z", "2012-07-10T00:20:00Z"},
      {"20-35/15 1/2 * * *", "2012-07-09T23:35:51Z", "2012-07-10T01:20:00Z"},
      {"20-35/15 1/2 */2 * *", "2012-07-09T23:35:51Z", "2012-07-11T01:20:00Z"},
      {"20-35/15 * 9-20 Jul *", "2012-07-09T23:35:51Z", "2012-07-10T00:20:00Z"},
      {"0 0 9 Apr-Oct ?", "2012-07-09T23:35:00Z", "2012-08-09T00:00:00Z"},
      // Both days restricted: either will do.
      {"0 0 */5 Apr,Aug,Oct Mon", "2012-07-09T23:35:00Z", "2012-08-01T00:00:00Z"},
      {"0 0 * Feb Mon", "2012-07-09T23:35:00Z", "2013-02-04T00:00:00Z"},
      // A step is a restriction, a star is not.
      {"0 0 * Feb Mon/2", "2012-07-09T23:35:00Z", "2013-02-01T00:00:00Z"},
      {"* * * * *", "2012-12-31T23:59:45Z", "2013-01-01T00:00:00Z"},
      {"0 0 29 Feb ?", "2012-07-09T23:35:00Z", "2016-02-29T00:00:00Z"},
      {"0 0 30 Feb ?", "2012-07-09T23:35:00Z", "never"},
      {"0 0 31 Apr ?", "2012-07-09T23:35:00Z", "never"},
      {", * * * *", "2012-07-09T23:35:00Z", "never"},
      {"0 0 29 2 *", "2096-02-29T00:00:00Z", "never"},
      {"@hourly", "2012-07-09T14:45:00Z", "2012-07-09T15:00:00Z"},
      {"@daily", "2012-07-09T14:45:00Z", "2012-07-10T00:00:00Z"},
      {"@midnight", "2012-07-09T00:00:00Z", "2012-07-10T00:00:00Z"},
      {"@weekly", "2012-07-09T14:45:00Z", "2012-07-15T00:00:00Z"},
      {"@monthly", "2012-07-09T14:45:00Z", "2012-08-01T00:00:00Z"},
      {"@yearly", "2012-07-09T14:45:00Z", "2013-01-01T00:00:00Z"},
      {"@every 90m", "2012-07-09T14:45:07Z", "2012-07-09T16:15:07Z"},
      {"@every 1.9s", "2012-07-09T14:45:07Z", "2012-07-09T14:45:08Z"},
      {"@every 10ms", "2012-07-09T14:45:07Z", "2012-07-09T14:45:08Z"},
  };
  for (const Case& c : kCases) EXPECT_EQ(next(c.text, c.after), c.expected) << c.text << " after " << c.after;
}

TEST(CronSchedule, ClocksThatAreChanged) {
  struct Case {
    const char *text, *after, *expected;
  };
  const Case kCases[] = {
      // Put forward at two: half past two does not exist that day.
      {"TZ=America/New_York 30 2 11 Mar ?", "2012-03-11T05:00:00Z", "2013-03-11T06:30:00Z"},
      {"TZ=America/New_York 0 2 * * ?", "2012-03-11T05:00:00Z", "2012-03-12T06:00:00Z"},
      {"CRON_TZ=America/New_York 0 * * * ?", "2012-03-11T06:00:00Z", "2012-03-11T07:00:00Z"},
      // Put back at two: one o'clock comes twice.
      {"TZ=America/New_York 0 1 * * ?", "2012-11-04T04:00:00Z", "2012-11-04T05:00:00Z"},
      {"TZ=America/New_York 0 1 * * ?", "2012-11-04T05:00:00Z", "2012-11-04T06:00:00Z"},
      {"TZ=America/New_York 0 1 * * ?", "2012-11-04T06:00:00Z", "2012-11-05T06:00:00Z"},
      {"TZ=America/New_York 30 1 04 Nov ?", "2012-11-04T05:45:00Z", "2012-11-04T06:30:00Z"},
      {"TZ=America/New_York 0 2 * * ?", "2012-11-04T04:00:00Z", "2012-11-04T07:00:00Z"},
      // At midnight.
      {"TZ=America/Sao_Paulo 0 9 10 * ?", "2018-10-17T09:00:00Z", "2018-11-10T11:00:00Z"},
      {"TZ=America/Sao_Paulo 0 9 22 * ?", "2018-02-14T10:00:00Z", "2018-02-22T12:00:00Z"},
      {"TZ=Asia/Kolkata 14 14 * * *", "2016-01-03T07:39:03Z", "2016-01-03T08:44:00Z"},
  };
  for (const Case& c : kCases) EXPECT_EQ(next(c.text, c.after), c.expected) << c.text << " after " << c.after;
}

TEST(CronSchedule, Errors) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", "empty spec string"},
      {"* * * *", "expected exactly 5 fields, found 4: [* * * *]"},
      {"* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"},
      {"60 0 * * *", "end of range (60) above maximum (59): 60"},
      {"0 0 0 * *", "beginning of range (0) below minimum (1): 0"},
      {"* * * * 8", "end of range (8) above maximum (6): 8"},
      {"5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"},
      {"*/0 * * * *", "step of range should be a positive number: */0"},
      {"*/-12 * * * *", "negative number (-12) not allowed: -12"},
      {"5--5 * * * *", "too many hyphens: 5--5"},
      {"*//2 * * * *", "too many slashes: *//2"},
      {"0 0 * * XYZ", "failed to parse int from XYZ: strconv.Atoi: parsing \"XYZ\": invalid syntax"},
      {"jan * * * *", "failed to parse int from jan: strconv.Atoi: parsing \"jan\": invalid syntax"},
      {"-5 * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"},
      {"99999999999999999999 * * * *",
       "failed to parse int from 99999999999999999999: strconv.Atoi: parsing \"99999999999999999999\": value out of range"},
      {"@never", "unrecognized descriptor: @never"},
      {"@every Xm", "failed to parse duration @every Xm: time: invalid duration \"Xm\""},
      {"TZ=Mars/Olympus * * * * *", "provided bad location Mars/Olympus: unknown time zone Mars/Olympus"},
      {"TZ=America * * * * *", "provided bad location America: unknown time zone America"},
      {"TZ=../etc * * * * *", "provided bad location ../etc: time: invalid location name"},
      {"TZ=UTC", "provided bad location UTC: missing schedule"},
  };
  for (const auto& [text, message] : kCases) EXPECT_EQ(next(text, "2012-07-09T14:45:00Z"), std::string("error: ") + message) << text;
}

TEST(TimeZone, Offsets) {
  EXPECT_EQ(zone("").offset_at(1342000000), 0);
  EXPECT_EQ(zone("Europe/Berlin").offset_at(1342000000), 7200);
  EXPECT_EQ(zone("Europe/Berlin").offset_at(1325376000), 3600);
  EXPECT_FALSE(TimeZone::load("Fixed/UTC+01:00:00").ok());
  EXPECT_FALSE(TimeZone::load("/etc/localtime").ok());
}

}  // namespace
}  // namespace knarr::schema
