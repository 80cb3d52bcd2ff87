// SPDX-License-Identifier: Apache-2.0
// Texts of times and durations, as Go writes and reads them.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "schema/value.h"

namespace knarr::schema {

std::string format_time(Time time);                 // 2006-01-02T15:04:05Z
std::string format_micro_time(MicroTime time);      // 2006-01-02T15:04:05.000000Z
std::string format_nano_time(WallTime time);        // RFC 3339 with nine digits (log timestamps)
std::string format_duration(int64_t nanos);         // 1h2m3s, 1.5s, 300ms
Result<Time> parse_time(std::string_view text);     // RFC 3339, any offset
Result<MicroTime> parse_micro_time(std::string_view text);
Result<WallTime> parse_nano_time(std::string_view text);  // RFC 3339 with any fraction
Result<int64_t> parse_duration(std::string_view text);

inline Time to_time(WallTime time) {
  return Time::from_unix(std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count());
}
inline MicroTime to_micro_time(WallTime time) {
  return MicroTime::from_unix_micros(std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count());
}
inline WallTime to_wall(Time time) { return WallTime(std::chrono::seconds(time.unix_seconds())); }

}  // namespace knarr::schema
