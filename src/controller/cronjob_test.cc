// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "controller/cronjob_util.h"
#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

using schema::Time;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// A Thursday.
const WallTime kTop = schema::to_wall(*schema::parse_time("2016-05-19T10:00:00Z"));

CronJob cronjob_of(const std::string& schedule, Duration created, std::optional<Duration> last = {}, std::optional<int64_t> deadline = {}) {
  CronJob cronjob;
  cronjob.metadata.namespace_ = "n";
  cronjob.metadata.name = "c";
  cronjob.metadata.uid = "u";
  cronjob.metadata.creation_timestamp = schema::to_time(kTop + created);
  cronjob.spec.schedule = schedule;
  cronjob.spec.time_zone = "UTC";
  if (last) cronjob.status.last_schedule_time = schema::to_time(kTop + *last);
  if (deadline) cronjob.spec.starting_deadline_seconds = *deadline;
  return cronjob;
}

TEST(CronJobTimes, MostRecentStart) {
  struct Case {
    const char* name;
    CronJob cronjob;
    bool with_deadline;
    Duration now, earliest;
    std::optional<Duration> latest;
    Missed missed;
  };
  auto h = [](int64_t hours, int64_t more = 0) { return minutes(hours * 60 + more); };
  const Case kCases[] = {
      {"before the first", cronjob_of("0 * * * *", h(0)), false, seconds(30), h(0), {}, Missed::kNone},
      {"just after it", cronjob_of("0 * * * *", h(0)), false, h(1, 1), h(0), h(1), Missed::kNone},
      {"five missed", cronjob_of("0 * * * *", seconds(10)), false, h(5, 1), seconds(10), h(5), Missed::kFew},
      {"uneven", cronjob_of("30 6-16/4 * * 1-5", h(0), h(0, 30)), false, h(24, 31), h(0, 30), h(24, 30), Missed::kFew},
      {"uneven, none found", cronjob_of("30 10,11,12 * * 1-5", h(0), h(0, 30)), false, h(30, 30), h(0, 30), {}, Missed::kFew},
      {"over the weekend", cronjob_of("30 6-16/4 * * 1-5", h(0), h(0, 30)), false, h(96, 31), h(0, 30), h(96, 30), Missed::kFew},
      {"from the creation", cronjob_of("30 6-16/4 * * 1-5", h(0)), false, h(24, 31), h(0), h(24, 30), Missed::kFew},
      {"every hour", cronjob_of("@every 1h", h(0, -59), h(0, 1), 10), false, h(168), h(0, 1), h(167, 1), Missed::kMany},
      {"at the last start", cronjob_of("0 * * * *", h(0), h(0)), false, seconds(30), h(0), {}, Missed::kNone},
      {"within the deadline", cronjob_of("*/5 * * * *", h(0), h(0, 30), 60), true, h(0, 31), h(0, 30), {}, Missed::kNone},
      {"beyond the deadline", cronjob_of("*/5 * * * *", h(0), h(0, 30), 60), true, h(0, 32), h(0, 31), {}, Missed::kNone},
      {"deadline of no use", cronjob_of("0 * * * *", h(0), {}, INT64_MAX), true, h(1, 1), h(0), h(1), Missed::kNone},
  };
  for (const Case& c : kCases) {
    auto schedule = schedule_of(c.cronjob);
    ASSERT_TRUE(schedule.ok()) << c.name;
    auto recent = most_recent_start(c.cronjob, schema::to_time(kTop + c.now), *schedule, c.with_deadline);
    ASSERT_TRUE(recent.ok()) << c.name;
    EXPECT_EQ(recent->earliest, schema::to_time(kTop + c.earliest)) << c.name;
    EXPECT_EQ(recent->latest.has_value(), c.latest.has_value()) << c.name;
    if (recent->latest && c.latest) {
      EXPECT_EQ(*recent->latest, schema::to_time(kTop + *c.latest)) << c.name;
    }
    EXPECT_EQ(recent->missed, c.missed) << c.name;
  }
}

TEST(CronJobTimes, SenselessSchedule) {
  CronJob cronjob = cronjob_of("59 23 31 2 *", seconds(10));
  auto schedule = schedule_of(cronjob);
  ASSERT_TRUE(schedule.ok());
  auto recent = most_recent_start(cronjob, schema::to_time(kTop + minutes(60)), *schedule, false);
  ASSERT_FALSE(recent.ok());
  EXPECT_EQ(recent.status().message(), "time difference between two schedules is less than 1 second");
  EXPECT_FALSE(delay_until_next(cronjob, kTop + minutes(60), *schedule));
}

TEST(CronJobTimes, DelayUntilNext) {
  struct Case {
    CronJob cronjob;
    Duration now, expected;
  };
  const Case kCases[] = {
      {cronjob_of("30 6-16/4 * * 1-5", minutes(0), minutes(30)), minutes(24 * 60 + 31), minutes(3 * 60 + 59)},
      {cronjob_of("30 10,11,12 * * 1-5", minutes(0), minutes(30)), minutes(30 * 60 + 30), minutes(66 * 60)},
      {cronjob_of("0 12 * * 4", minutes(0), minutes(120)), minutes(19 * 24 * 60 + 90), minutes(48 * 60 + 30)},
      {cronjob_of("0 12 * * 5", minutes(0)), minutes(6 * 60), minutes(20 * 60)},
      {cronjob_of("0 12 * * 5", minutes(0)), minutes(6 * 60) + milliseconds(250), minutes(20 * 60) - milliseconds(250)},
  };
  for (const Case& c : kCases) {
    auto schedule = schedule_of(c.cronjob);
    auto delay = delay_until_next(c.cronjob, kTop + c.now, *schedule);
    ASSERT_TRUE(delay);
    EXPECT_EQ(*delay, c.expected + milliseconds(100)) << c.cronjob.spec.schedule.view();
  }
}

TEST(CronJobTimes, TooLate) {
  CronJob cronjob = cronjob_of("0 * * * *", seconds(0), {}, 60);
  Time start = schema::to_time(kTop);
  EXPECT_FALSE(is_too_late(cronjob, start, kTop + seconds(60)));
  EXPECT_TRUE(is_too_late(cronjob, start, kTop + seconds(60) + milliseconds(1)));
  cronjob.spec.starting_deadline_seconds = INT64_MAX;
  EXPECT_FALSE(is_too_late(cronjob, start, kTop + seconds(60)));
  cronjob.spec.starting_deadline_seconds.reset();
  EXPECT_FALSE(is_too_late(cronjob, start, kTop + minutes(600)));
}

TEST(CronJobTimes, Zones) {
  CronJob cronjob = cronjob_of("0 9 * * *", seconds(0));
  cronjob.spec.time_zone = "Asia/Kolkata";
  EXPECT_EQ(schema::format_time(*schedule_of(cronjob)->next(schema::to_time(kTop))), "2016-05-20T03:30:00Z");
  // One within the schedule wins.
  cronjob.spec.schedule = "TZ=Europe/Berlin 0 9 * * *";
  EXPECT_TRUE(names_zone_in_schedule(cronjob));
  EXPECT_EQ(schema::format_time(*schedule_of(cronjob)->next(schema::to_time(kTop))), "2016-05-20T07:00:00Z");
  EXPECT_EQ(rfc1123_text(schema::to_time(kTop)), "Thu, 19 May 2016 10:00:00 +0000");
}

TEST(CronJobJobs, OfTemplate) {
  CronJob cronjob = cronjob_of("0 9 * * *", seconds(0));
  cronjob.spec.job_template.metadata.labels["a"] = "b";
  cronjob.spec.job_template.metadata.annotations["x"] = "y";
  cronjob.spec.job_template.spec.completions = 3;
  auto job = job_of_cronjob(cronjob, schema::to_time(kTop));
  ASSERT_TRUE(job.ok());
  EXPECT_EQ(job->metadata.name, "c-24394200");
  EXPECT_EQ(job->metadata.labels.size(), 1u);
  EXPECT_EQ(*job->metadata.annotations.find("batch.kubernetes.io/cronjob-scheduled-timestamp"), "2016-05-19T10:00:00Z");
  EXPECT_EQ(job->metadata.owner_references[0].uid, "u");
  EXPECT_EQ(*job->spec.completions, 3);
  for (auto [zone, text] : {std::pair("Asia/Kolkata", "2016-05-19T15:30:00+05:30"), {"America/New_York", "2016-05-19T06:00:00-04:00"}}) {
    cronjob.spec.time_zone = zone;
    job = job_of_cronjob(cronjob, schema::to_time(kTop));
    EXPECT_EQ(*job->metadata.annotations.find("batch.kubernetes.io/cronjob-scheduled-timestamp"), text);
  }
  cronjob.spec.time_zone = "Mars/Olympus";
  EXPECT_FALSE(job_of_cronjob(cronjob, schema::to_time(kTop)).ok());
}

TEST(CronJobJobs, History) {
  auto job = [](const char* name, const char* end, int64_t started) {
    auto job = std::make_shared<BatchJob>();
    job->metadata.name = name;
    if (started != 0) job->status.start_time = Time::from_unix(started);
    if (*end != '\0') job->status.conditions.push_back(make_job_condition(end, "True", "", "", Time()));
    return job;
  };
  JobList jobs = {job("b", "Complete", 10), job("a", "Complete", 10), job("none", "Complete", 0), job("late", "Complete", 30),
                  job("running", "", 1),    job("f", "Failed", 5),    job("g", "Failed", 6)};
  auto removed = [&](std::optional<int32_t> successful, std::optional<int32_t> failed) {
    CronJob cronjob;
    if (successful) cronjob.spec.successful_jobs_history_limit = *successful;
    if (failed) cronjob.spec.failed_jobs_history_limit = *failed;
    std::string text;
    for (const auto& one : beyond_history(cronjob, jobs)) text += one->metadata.name.str() + " ";
    return text;
  };
  EXPECT_EQ(removed({}, {}), "");
  EXPECT_EQ(removed(2, 1), "a b f ");
  EXPECT_EQ(removed(0, 0), "a b late none f g ");
  EXPECT_EQ(removed(9, 9), "");
}

}  // namespace
}  // namespace knarr::controller
