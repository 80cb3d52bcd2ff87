// SPDX-License-Identifier: Apache-2.0
// cronjob: a Job at each start of a schedule; when that is, is in cronjob_util.
#include "base/log.h"
#include "controller/controller.h"
#include "controller/cronjob_util.h"
#include "controller/util.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

using CronJobPtr = std::shared_ptr<const CronJob>;
using JobPtr = std::shared_ptr<const BatchJob>;
using schema::CronSchedule;
using schema::Time;

std::string key_of(const CronJob& cronjob) { return cronjob.metadata.namespace_.str() + "/" + cronjob.metadata.name.str(); }

class CronJobController : public std::enable_shared_from_this<CronJobController> {
 public:
  explicit CronJobController(ContextPtr context)
      : context_(std::move(context)),
        cronjobs_(context_->informers.get<CronJob>()),
        jobs_(context_->informers.get<BatchJob>()),
        queue_(context_->make_queue("cronjob")),
        events_(context_->recorder("cronjob-controller")) {}

  void start() {
    auto self = shared_from_this();
    jobs_.add_index("controller", [](const BatchJob& job, std::vector<std::string>& values) {
      if (const auto* owner = controller_of(job.metadata)) values.push_back(owner->uid.str());
    });
    cronjobs_.add_handler([self](const CronJobPtr& old, const CronJobPtr& now) { self->cronjob_changed(old, now); });
    jobs_.add_handler([self](const JobPtr& old, const JobPtr& now) {
      // The owner before and the owner after: mostly one and the same, which the queue takes once.
      if (old != nullptr) self->wake_owner(*old);
      if (now != nullptr) self->wake_owner(*now);
    });
    context_->run_when_synced({cronjobs_.core_ptr(), jobs_.core_ptr()}, queue_, "cronjob", 5,
                              [self](std::string key) { return self->reconcile(std::move(key)); });
  }

 private:
  // What a round works on: a copy whose status is written once, at the end.
  struct Round {
    CronJob cronjob;
    JobList jobs;
    bool changed = false;
    std::optional<Duration> again;  // when to look at it next
  };
  using RoundPtr = std::shared_ptr<Round>;

  void cronjob_changed(const CronJobPtr& old, const CronJobPtr& now);
  void wake_owner(const BatchJob& job);
  Task<Status> reconcile(std::string key);
  Task<Status> sync(RoundPtr round);
  Task<Status> follow_jobs(RoundPtr round);
  Task<Status> find_missing(RoundPtr round);
  std::optional<Time> due_start(Round& round, const CronSchedule& schedule, WallTime now);
  Task<Status> replace_active(RoundPtr round);
  Task<Status> start_job(RoundPtr round, Time start);
  Task<bool> delete_job(RoundPtr round, std::string name, std::string uid);
  Task<Result<BatchJob>> get_job(const CronJob& cronjob, std::string name) {
    std::string ns = cronjob.metadata.namespace_.str();
    return context_->client.get<BatchJob>(std::move(ns), std::move(name));
  }
  void tell(const CronJob& cronjob, std::string type, std::string reason, std::string message) {
    events_->event(client::reference_to(cronjob), std::move(type), std::move(reason), std::move(message));
  }

  ContextPtr context_;
  client::Informer<CronJob> cronjobs_;
  client::Informer<BatchJob> jobs_;
  std::shared_ptr<client::WorkQueue> queue_;
  std::shared_ptr<client::EventRecorder> events_;
};

// ---- events ----------------------------------------------------------------------------------------------------------------

void CronJobController::cronjob_changed(const CronJobPtr& old, const CronJobPtr& now) {
  if (now == nullptr) return;
  bool is_same = old != nullptr && old->metadata.uid == now->metadata.uid;
  if (!is_same || (old->spec.schedule == now->spec.schedule && old->spec.time_zone == now->spec.time_zone))
    return queue_->add(key_of(*now));
  Result<CronSchedule> schedule = schedule_of(*now);
  if (!schedule.ok())
    return tell(*now, "Warning", "UnParseableCronJobSchedule", "unparseable schedule for cronjob: " + now->spec.schedule.str());
  // A start that was due by the old schedule is not made up for.
  if (auto delay = delay_until_next(*now, context_->clock.now(), *schedule)) queue_->add_after(key_of(*now), *delay);
}

void CronJobController::wake_owner(const BatchJob& job) {
  const auto* reference = controller_of(job.metadata);
  if (reference == nullptr || reference->kind != "CronJob") return;
  CronJobPtr cronjob = cronjobs_.get(job.metadata.namespace_, reference->name);
  if (cronjob != nullptr && cronjob->metadata.uid == reference->uid) queue_->add(key_of(*cronjob));
}

// ---- a round ---------------------------------------------------------------------------------------------------------------

Task<Status> CronJobController::reconcile(std::string key) {
  CronJobPtr cached = cronjobs_.get(key);
  if (cached == nullptr) co_return Status();
  auto round = std::make_shared<Round>();
  round->cronjob = *cached;
  jobs_.for_each_indexed("controller", cached->metadata.uid, [&](const JobPtr& job) { round->jobs.push_back(job); });
  for (const JobPtr& job : beyond_history(*cached, round->jobs)) {
    std::string name = job->metadata.name.str(), uid = job->metadata.uid.str();
    bool deleted = co_await delete_job(round, std::move(name), std::move(uid));
    round->changed = round->changed || deleted;
  }
  Status synced = co_await sync(round);
  if (round->changed) {
    CronJob copy = round->cronjob;
    auto updated = co_await context_->client.update_status(std::move(copy));
    if (updated.status().code() == 404) co_return Status();  // deleted meanwhile
    if (!updated.ok()) co_return updated.status();
  }
  if (round->again) queue_->add_after(key, *round->again);
  co_return synced;
}

Task<Status> CronJobController::sync(RoundPtr round) {
  WallTime now = context_->clock.now();
  Status status = co_await follow_jobs(round);
  if (!status.ok()) co_return status;
  status = co_await find_missing(round);
  if (!status.ok()) co_return status;
  CronJob& cronjob = round->cronjob;
  if (cronjob.metadata.deletion_timestamp) co_return Status();
  if (cronjob.spec.time_zone) {
    auto zone = schema::TimeZone::load(*cronjob.spec.time_zone);
    if (!zone.ok()) {
      tell(cronjob, "Warning", "UnknownTimeZone",
           fmt::format("invalid timeZone: {}: {}", quote(*cronjob.spec.time_zone), zone.status().message()));
      co_return Status();
    }
  }
  if (cronjob.spec.suspend.value_or(false)) co_return Status();
  if (names_zone_in_schedule(cronjob))
    tell(cronjob, "Warning", "UnsupportedSchedule",
         fmt::format("CRON_TZ or TZ used in schedule {} is not officially supported, see "
                     "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details",
                     quote(cronjob.spec.schedule)));
  Result<CronSchedule> schedule = schedule_of(cronjob);
  if (!schedule.ok()) {
    // Nothing to retry until somebody changes it.
    tell(cronjob, "Warning", "UnparseableSchedule",
         fmt::format("unparseable schedule: {} : {}", quote(cronjob.spec.schedule), schedule.status().message()));
    co_return Status();
  }
  std::optional<Time> start = due_start(*round, *schedule, now);
  if (!start) co_return Status();
  round->again.reset();  // a failure is retried before
  if (cronjob.spec.concurrency_policy == "Replace") {
    status = co_await replace_active(round);
    if (!status.ok()) co_return status;
  }
  status = co_await start_job(round, *start);
  if (status.ok()) round->again = delay_until_next(cronjob, now, *schedule);
  co_return status;
}

// The start that should be made up for now. Without one, round.again says when to come back.
std::optional<Time> CronJobController::due_start(Round& round, const CronSchedule& schedule, WallTime now) {
  const CronJob& cronjob = round.cronjob;
  Result<RecentStart> recent = most_recent_start(cronjob, schema::to_time(now), schedule, true);
  if (!recent.ok()) {
    tell(cronjob, "Warning", "InvalidSchedule",
         fmt::format("invalid schedule: {} : {}", cronjob.spec.schedule.view(), recent.status().message()));
    return std::nullopt;
  }
  round.again = delay_until_next(cronjob, now, schedule);
  if (!recent->latest) return std::nullopt;
  if (recent->missed == Missed::kMany)
    tell(cronjob, "Warning", "TooManyMissedTimes",
         "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew");
  Time start = *recent->latest;
  if (is_too_late(cronjob, start, now)) {
    tell(cronjob, "Warning", "MissSchedule", "Missed scheduled time to start a job: " + rfc1123_text(start));
    return std::nullopt;
  }
  if (is_in_active_by_name(cronjob, job_name_of(cronjob, start)) || cronjob.status.last_schedule_time == schema::Opt<Time>(start))
    return std::nullopt;
  if (cronjob.spec.concurrency_policy == "Forbid" && !cronjob.status.active.empty()) {
    tell(cronjob, "Normal", "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid");
    return std::nullopt;
  }
  return start;
}

// Takes ended Jobs off the list of active ones, and notes the last success.
Task<Status> CronJobController::follow_jobs(RoundPtr round) {
  for (const JobPtr& job : round->jobs) {
    const JobCondition* end = finished_condition(*job);
    bool listed = is_in_active(round->cronjob, job->metadata.uid);
    if (end == nullptr && !listed) {
      // The cache may be behind the status that the last round wrote.
      std::string ns = round->cronjob.metadata.namespace_.str(), name = round->cronjob.metadata.name.str();
      auto fresh = co_await context_->client.get<CronJob>(std::move(ns), std::move(name));
      if (!fresh.ok()) co_return fresh.status();
      if (is_in_active(*fresh, job->metadata.uid)) {
        round->cronjob = std::move(*fresh);
        continue;
      }
      tell(round->cronjob, "Warning", "UnexpectedJob",
           "Saw a job that the controller did not create or forgot: " + job->metadata.name.str());
    } else if (end != nullptr && listed) {
      remove_from_active(round->cronjob, job->metadata.uid);
      tell(round->cronjob, "Normal", "SawCompletedJob",
           fmt::format("Saw completed job: {}, status: {}", job->metadata.name.view(), end->type.view()));
      round->changed = true;
    } else if (end != nullptr && job->status.completion_time) {
      auto& last = round->cronjob.status.last_successful_time;
      if (last && *job->status.completion_time <= *last) continue;
      last = *job->status.completion_time;
      round->changed = true;
    }
  }
  co_return Status();
}

// Takes Jobs that are gone off the list of active ones.
Task<Status> CronJobController::find_missing(RoundPtr round) {
  auto active = round->cronjob.status.active;
  for (const auto& reference : active) {
    auto is_it = [&](const JobPtr& job) { return job->metadata.uid == reference.uid; };
    if (std::any_of(round->jobs.begin(), round->jobs.end(), is_it)) continue;
    // The cache may be behind.
    std::string name = reference.name.str();
    auto job = co_await get_job(round->cronjob, std::move(name));
    if (job.ok()) continue;
    if (job.status().code() != 404) co_return job.status();
    tell(round->cronjob, "Normal", "MissingJob", "Active job went missing: " + reference.name.str());
    remove_from_active(round->cronjob, reference.uid);
    round->changed = true;
  }
  co_return Status();
}

Task<Status> CronJobController::replace_active(RoundPtr round) {
  auto active = round->cronjob.status.active;
  for (const auto& reference : active) {
    std::string name = reference.name.str();
    auto job = co_await get_job(round->cronjob, std::move(name));
    if (!job.ok()) {
      tell(round->cronjob, "Warning", "FailedGet", "Get job: " + std::string(job.status().message()));
      co_return job.status();
    }
    std::string whom = job->metadata.name.str(), uid = job->metadata.uid.str();
    bool deleted = co_await delete_job(round, std::move(whom), std::move(uid));
    if (!deleted)
      co_return Status::error(fmt::format("could not replace job {}/{}", job->metadata.namespace_.view(), job->metadata.name.view()));
    round->changed = true;
  }
  co_return Status();
}

// Makes the Job of this start and puts it on the list of active ones.
Task<Status> CronJobController::start_job(RoundPtr round, Time start) {
  CronJob& cronjob = round->cronjob;
  Result<BatchJob> wanted = job_of_cronjob(cronjob, start);
  if (!wanted.ok()) co_return wanted.status();
  std::string name = wanted->metadata.name.str();
  BatchJob copy = std::move(*wanted);
  auto job = co_await context_->client.create(std::move(copy));
  if (job.ok()) {
    tell(cronjob, "Normal", "SuccessfulCreate", "Created job " + name);
  } else if (job.status().is("AlreadyExists")) {
    job = co_await get_job(cronjob, std::move(name));
    if (!job.ok()) co_return job.status();
    // Somebody else's, or one that the status has already.
    const auto* owner = controller_of(job->metadata);
    bool is_ours = owner != nullptr && owner->uid == cronjob.metadata.uid;
    if (!is_ours || is_in_active(cronjob, job->metadata.uid)) co_return Status();
  } else {
    if (!is_namespace_terminating(job.status()))
      tell(cronjob, "Warning", "FailedCreate", "Error creating job: " + std::string(job.status().message()));
    co_return job.status();
  }
  cronjob.status.active.push_back(client::reference_to(*job));
  cronjob.status.last_schedule_time = start;
  round->changed = true;
  co_return Status();
}

Task<bool> CronJobController::delete_job(RoundPtr round, std::string name, std::string uid) {
  client::DeleteOptions options;
  options.propagation_policy = "Background";
  std::string ns = round->cronjob.metadata.namespace_.str(), whom = name;
  Status status = co_await context_->client.remove<BatchJob>(std::move(ns), std::move(whom), std::move(options));
  if (!status.ok()) {
    tell(round->cronjob, "Warning", "FailedDelete", "Deleted job: " + std::string(status.message()));
    co_return false;
  }
  remove_from_active(round->cronjob, uid);
  tell(round->cronjob, "Normal", "SuccessfulDelete", "Deleted job " + name);
  co_return true;
}

}  // namespace

void start_cronjob(const ContextPtr& context) { std::make_shared<CronJobController>(context)->start(); }

}  // namespace knarr::controller
