// SPDX-License-Identifier: Apache-2.0
// When a CronJob is due, and the Job that it makes then: pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/batch_v1.h"
#include "controller/job_util.h"
#include "schema/cron_schedule.h"

namespace knarr::controller {

using api::batch_v1::CronJob;

// Of .spec.schedule in .spec.timeZone; a zone within the schedule wins.
Result<schema::CronSchedule> schedule_of(const CronJob& cronjob);
bool names_zone_in_schedule(const CronJob& cronjob);

enum class Missed { kNone, kFew, kMany };  // many: more than 100 starts
struct RecentStart {
  schema::Time earliest;               // where the search began: the last start, the creation, or what the deadline leaves
  std::optional<schema::Time> latest;  // the last start that is due; none when nothing is
  Missed missed = Missed::kNone;
};
// `with_deadline`: starts before now - .spec.startingDeadlineSeconds are forgotten. Fails for schedules that come never again, or all at
// once.
Result<RecentStart> most_recent_start(const CronJob& cronjob, schema::Time now, const schema::CronSchedule& schedule, bool with_deadline);
// Until the next start, and a little more, since clocks differ; none when it never comes.
std::optional<Duration> delay_until_next(const CronJob& cronjob, WallTime now, const schema::CronSchedule& schedule);
bool is_too_late(const CronJob& cronjob, schema::Time start, WallTime now);

// NAME-MINUTE: making the Job of a start twice fails.
std::string job_name_of(const CronJob& cronjob, schema::Time start);
// Fails when nobody knows the time zone.
Result<BatchJob> job_of_cronjob(const CronJob& cronjob, schema::Time start);

bool is_in_active(const CronJob& cronjob, std::string_view uid);
bool is_in_active_by_name(const CronJob& cronjob, std::string_view name);
bool remove_from_active(CronJob& cronjob, std::string_view uid);

// The finished Jobs beyond the history limits, oldest first.
using JobList = std::vector<std::shared_ptr<const BatchJob>>;
JobList beyond_history(const CronJob& cronjob, const JobList& jobs);

// "Mon, 02 Jan 2006 15:04:05 +0000"
std::string rfc1123_text(schema::Time time);

}  // namespace knarr::controller
