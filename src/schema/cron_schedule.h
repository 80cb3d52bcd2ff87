// SPDX-License-Identifier: Apache-2.0
// Schedules of CronJobs: five fields ("*/5 0-6 * jan mon"), a descriptor ("@daily", "@every 90m"), each after an optional "TZ=zone " or
// "CRON_TZ=zone ". Reads, refuses and counts as the parser that upstream uses (robfig/cron v3, standard form), to the words of its errors
// and to what it does when clocks are put forward or back.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/status.h"
#include "schema/time_zone.h"
#include "schema/value.h"

namespace knarr::schema {

// Immutable. Any thread.
class CronSchedule {
 public:
  // 400 says what is wrong. Without a zone of its own the schedule is in `fallback`.
  static Result<CronSchedule> parse(std::string_view text, TimeZone fallback);
  static Result<CronSchedule> parse(std::string_view text) { return parse(text, TimeZone::local()); }
  // The first moment after `after`; nullopt when none comes within five years (30 February).
  std::optional<Time> next(Time after) const;

 private:
  friend class CronSearch;
  explicit CronSchedule(TimeZone zone) : zone_(std::move(zone)) {}
  static Result<CronSchedule> parse_descriptor(std::string_view text, TimeZone zone);

  // A bit a value; the top bit says that the field was a star.
  struct Fields {
    uint64_t minute = 0, hour = 0, day = 0, month = 0, weekday = 0;
  };
  Fields fields_;
  int64_t every_seconds_ = 0;  // not 0: a constant delay, and no fields
  TimeZone zone_;
};

}  // namespace knarr::schema
