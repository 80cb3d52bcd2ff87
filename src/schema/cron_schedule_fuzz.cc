// SPDX-License-Identifier: Apache-2.0
// Any bytes as a schedule: what is accepted moves forward in time, and never stays within a minute unless it says @every.
#include <cstdlib>

#include "schema/cron_schedule.h"

using namespace knarr;          // NOLINT
using namespace knarr::schema;  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  Time time = Time::from_unix(int64_t{data[0]} * 10000019);
  std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  Result<TimeZone> zone = TimeZone::load(data[0] % 2 == 0 ? "UTC" : "America/New_York");
  if (!zone.ok()) return 0;
  Result<CronSchedule> schedule = CronSchedule::parse(text, *zone);
  if (!schedule.ok()) {
    if (schedule.status().message().empty()) std::abort();
    return 0;
  }
  bool is_every = text.find("@every") != std::string_view::npos;
  for (int i = 0; i < 4; ++i) {
    std::optional<Time> next = schedule->next(time);
    if (!next) return 0;
    if (*next <= time) std::abort();
    if (i > 0 && !is_every && next->unix_seconds() - time.unix_seconds() < 60) std::abort();
    time = *next;
  }
  return 0;
}
