// SPDX-License-Identifier: Apache-2.0
#include "controller/cronjob_util.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "controller/util.h"
#include "schema/time.h"

namespace knarr::controller {

using schema::CronSchedule;
using schema::Time;
using schema::TimeZone;

namespace {

constexpr Duration kClockSkew = std::chrono::milliseconds(100);
constexpr int64_t kManyMissed = 100;

Time plus(Time time, int64_t seconds) { return Time::from_unix(time.unix_seconds() + seconds); }

std::string local_time_text(Time time, const TimeZone& zone) {
  int offset = zone.offset_at(time.unix_seconds());
  std::string text = schema::format_time(plus(time, offset));
  if (offset == 0) return text;
  text.pop_back();  // Z
  int minutes = std::abs(offset) / 60;
  return fmt::format("{}{}{:02}:{:02}", text, offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

}  // namespace

bool names_zone_in_schedule(const CronJob& cronjob) { return cronjob.spec.schedule.view().find("TZ") != std::string_view::npos; }

Result<CronSchedule> schedule_of(const CronJob& cronjob) {
  if (cronjob.spec.time_zone && !names_zone_in_schedule(cronjob)) {
    Result<TimeZone> zone = TimeZone::load(*cronjob.spec.time_zone);
    if (zone.ok()) return CronSchedule::parse(cronjob.spec.schedule, std::move(*zone));
  }
  return CronSchedule::parse(cronjob.spec.schedule);
}

Result<RecentStart> most_recent_start(const CronJob& cronjob, Time now, const CronSchedule& schedule, bool with_deadline) {
  RecentStart result;
  result.earliest = cronjob.status.last_schedule_time.value_or(cronjob.metadata.creation_timestamp);
  if (int64_t oldest = 0; with_deadline && cronjob.spec.starting_deadline_seconds &&
                          !__builtin_sub_overflow(now.unix_seconds(), *cronjob.spec.starting_deadline_seconds, &oldest))
    result.earliest = std::max(result.earliest, Time::from_unix(oldest));

  std::optional<Time> first = schedule.next(result.earliest), second;
  if (first) second = schedule.next(*first);
  if (first && now < *first) return result;
  if (second && now < *second) {
    result.latest = first;
    return result;
  }
  if (!second) return Status::error("time difference between two schedules is less than 1 second");
  // Guess by the first interval, then let the schedule say: intervals may differ ("0 6-16/4 * * 1-5").
  int64_t interval = second->unix_seconds() - first->unix_seconds();
  int64_t missed = (now.unix_seconds() - first->unix_seconds()) / interval + 1;
  std::optional<Time> start = schedule.next(plus(*first, (missed - 2) * interval));
  for (; start && *start <= now; start = schedule.next(*start)) result.latest = start;
  result.missed = missed > kManyMissed ? Missed::kMany : Missed::kFew;
  return result;
}

std::optional<Duration> delay_until_next(const CronJob& cronjob, WallTime now, const CronSchedule& schedule) {
  Time base = schema::to_time(now);
  if (Result<RecentStart> recent = most_recent_start(cronjob, base, schedule, false); recent.ok()) {
    if (recent->latest) {
      base = *recent->latest;
    } else if (recent->missed == Missed::kNone) {
      base = recent->earliest;
    }
  }
  std::optional<Time> next = schedule.next(base);
  if (!next) return std::nullopt;
  return schema::to_wall(*next) + kClockSkew - now;
}

bool is_too_late(const CronJob& cronjob, Time start, WallTime now) {
  int64_t last = 0;
  if (!cronjob.spec.starting_deadline_seconds) return false;
  if (__builtin_add_overflow(start.unix_seconds(), *cronjob.spec.starting_deadline_seconds, &last)) return false;
  Time whole = schema::to_time(now);
  return last < whole.unix_seconds() || (last == whole.unix_seconds() && schema::to_wall(whole) < now);
}

std::string job_name_of(const CronJob& cronjob, Time start) {
  return fmt::format("{}-{}", cronjob.metadata.name.view(), start.unix_seconds() / 60);
}

Result<BatchJob> job_of_cronjob(const CronJob& cronjob, Time start) {
  TRY_ASSIGN(TimeZone zone, TimeZone::load(cronjob.spec.time_zone.value_or("")));
  BatchJob job;
  job.metadata.labels = cronjob.spec.job_template.metadata.labels;
  job.metadata.annotations = cronjob.spec.job_template.metadata.annotations;
  job.metadata.annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] = local_time_text(start, zone);
  job.metadata.namespace_ = cronjob.metadata.namespace_;
  job.metadata.name = job_name_of(cronjob, start);
  job.metadata.owner_references.push_back(controller_ref(cronjob));
  job.spec = cronjob.spec.job_template.spec;
  return job;
}

bool is_in_active(const CronJob& cronjob, std::string_view uid) {
  const auto& active = cronjob.status.active;
  return std::any_of(active.begin(), active.end(), [&](const auto& one) { return one.uid == uid; });
}

bool is_in_active_by_name(const CronJob& cronjob, std::string_view name) {
  const auto& active = cronjob.status.active;
  return std::any_of(active.begin(), active.end(),
                     [&](const auto& one) { return one.name == name && one.namespace_ == cronjob.metadata.namespace_; });
}

bool remove_from_active(CronJob& cronjob, std::string_view uid) {
  return cronjob.status.active.erase_if([&](const auto& one) { return one.uid == uid; }) > 0;
}

JobList beyond_history(const CronJob& cronjob, const JobList& jobs) {
  JobList beyond;
  auto add = [&](std::string_view end, const schema::Opt<int32_t>& limit) {
    if (!limit) return;
    JobList ended;
    for (const auto& job : jobs)
      if (const JobCondition* condition = finished_condition(*job); condition != nullptr && condition->type == end) ended.push_back(job);
    auto excess = static_cast<ptrdiff_t>(ended.size()) - *limit;
    if (excess <= 0) return;
    std::sort(ended.begin(), ended.end(), [](const auto& a, const auto& b) {
      const auto &x = a->status.start_time, &y = b->status.start_time;
      if (x.has_value() != y.has_value()) return x.has_value();
      if (x && !(x == y)) return *x < *y;
      return a->metadata.name < b->metadata.name;
    });
    beyond.insert(beyond.end(), ended.begin(), ended.begin() + excess);
  };
  add("Complete", cronjob.spec.successful_jobs_history_limit);
  add("Failed", cronjob.spec.failed_jobs_history_limit);
  return beyond;
}

std::string rfc1123_text(Time time) {
  time_t seconds = time.unix_seconds();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &parts);
  return std::string(text, size);
}

}  // namespace knarr::controller
