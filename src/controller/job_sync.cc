// SPDX-License-Identifier: Apache-2.0
// A round of a Job: its pods, whether it has ended, and as many pods as it should have now.
#include "base/log.h"
#include "controller/job.h"
#include "controller/util.h"
#include "schema/codec.h"
#include "schema/selector.h"
#include "schema/time.h"

namespace knarr::controller {

using api::core_v1::Pod;

namespace {

constexpr int32_t kMaxPodsPerRound = 500;  // made or removed
constexpr Duration kLeastWait = std::chrono::seconds(1);

std::string adopt_tracked_patch(const BatchJob& job, const Pod& pod) {
  return fmt::format(R"({{"metadata":{{"uid":{},"ownerReferences":[{}],"finalizers":[{}]}}}})", quote(pod.metadata.uid),
                     schema::to_json(controller_ref(job)), quote(kJobTracking));
}
std::string release_tracked_patch(const BatchJob& job, const Pod& pod) {
  return fmt::format(R"({{"metadata":{{"uid":{},"ownerReferences":[{{"$patch":"delete","uid":{}}}],)"
                     R"("$deleteFromPrimitiveList/finalizers":[{}]}}}})",
                     quote(pod.metadata.uid), quote(job.metadata.uid), quote(kJobTracking));
}

int32_t count_ready(const std::vector<PodPtr>& pods) {
  return static_cast<int32_t>(std::count_if(pods.begin(), pods.end(), [](const PodPtr& pod) { return is_pod_ready(*pod); }));
}

bool is_past_deadline(const BatchJob& job, WallTime now) {
  if (!job.spec.active_deadline_seconds || !job.status.start_time || is_suspended(job)) return false;
  return now - schema::to_wall(*job.status.start_time) >= std::chrono::seconds(*job.spec.active_deadline_seconds);
}

bool is_known_mode(const BatchJob& job) {
  std::string_view mode = job.spec.completion_mode.value_or("NonIndexed");
  return mode == "NonIndexed" || mode == "Indexed";
}

}  // namespace

Task<Status> JobController::reconcile(std::string key) {
  JobPtr cached = jobs_.get(key);
  if (cached == nullptr || is_job_finished(*cached)) {
    if (cached == nullptr) forget(key);
    backoffs_.erase(key);
    co_return Status();
  }
  if (!is_known_mode(*cached)) {
    tell(*cached, "Warning", "UnknownCompletionMode", "Skipped Job sync because completion mode is unknown");
    co_return Status();
  }
  auto round = std::make_shared<JobRound>();
  round->key = key;
  round->job = *cached;
  BatchJob& job = round->job;
  const auto& uncounted = job.status.uncounted_terminated_pods.ensure();
  for (const schema::Str& uid : uncounted.succeeded) round->uncounted_succeeded.insert(uid.str());
  for (const schema::Str& uid : uncounted.failed) round->uncounted_failed.insert(uid.str());
  // Before the pods are counted: one that arrives in between must not look like one too many.
  bool settled = expectations_.satisfied(key);
  Status status = co_await claim(round);
  if (!status.ok()) co_return status;

  if (auto removals = expected_removals_.find(key); removals != expected_removals_.end()) round->expected_removals = removals->second;
  std::copy_if(round->pods.begin(), round->pods.end(), std::back_inserter(round->active),
               [](const PodPtr& pod) { return is_pod_active(*pod); });
  std::vector<PodPtr> succeeded = newly_succeeded(*round), failed = newly_failed(*round);
  round->succeeded =
      job.status.succeeded + static_cast<int32_t>(succeeded.size()) + static_cast<int32_t>(round->uncounted_succeeded.size());
  int32_t failures = job.status.failed + failures_that_count(job, failed) + static_cast<int32_t>(round->uncounted_failed.size());
  int32_t ready = count_ready(round->active);
  if (!job.status.start_time && !is_suspended(job)) job.status.start_time = context_->now();
  round->backoff = next_backoff(backoffs_[key], succeeded, failed);
  find_end(*round, failures);
  if (is_indexed(job)) find_succeeded_indexes(*round);

  Managed managed{static_cast<int32_t>(round->active.size()), Status()};
  bool changed = false;
  if (round->finished) {
    managed = co_await end_pods(round, settled);
  } else {
    bool acts = settled && !job.metadata.deletion_timestamp;
    if (acts) managed = co_await manage(round);
    changed = set_progress(*round, managed, acts);
  }
  changed = changed || managed.active != job.status.active || !(job.status.ready == schema::Opt<int32_t>(ready));
  job.status.active = managed.active;
  job.status.ready = ready;
  job.status.terminating.reset();
  status = co_await track(round, changed);
  if (status.code() == 404) co_return Status();  // deleted meanwhile
  if (!status.ok()) co_return status.with_context("tracking status");
  co_return managed.error;
}

// Whether the Job has failed; sets round.finished, or comes back when its time is over.
void JobController::find_end(JobRound& round, int32_t failed) {
  const BatchJob& job = round.job;
  schema::Time now = context_->now();
  if (const JobCondition* target = job_condition(job, "FailureTarget")) {
    round.finished = make_job_condition("Failed", "True", target->reason, target->message, now);
    return;
  }
  if (auto message = failed_by_policy(job, round.pods)) {
    // Told before the finalizers go: afterwards the pods that say why may be gone.
    round.finished = make_job_condition("FailureTarget", "True", "PodFailurePolicy", *message, now);
    return;
  }
  if (failed > job.spec.backoff_limit.value_or(0) || past_restart_limit(job, round.pods)) {
    round.finished = make_job_condition("Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit", now);
  } else if (is_past_deadline(job, context_->clock.now())) {
    round.finished = make_job_condition("Failed", "True", "DeadlineExceeded", "Job was active longer than specified deadline", now);
  } else if (job.spec.active_deadline_seconds && !is_suspended(job)) {
    Duration passed = context_->clock.now() - schema::to_wall(*job.status.start_time);
    queue_->add_after(round.key, std::chrono::seconds(*job.spec.active_deadline_seconds) - passed);
  }
}

// ---- whose pods ------------------------------------------------------------------------------------------------------------

Task<Status> JobController::may_adopt(RoundPtr round) {
  const BatchJob& job = round->job;
  std::string ns = job.metadata.namespace_.str(), name = job.metadata.name.str();
  auto fresh = co_await context_->client.get<BatchJob>(std::move(ns), std::move(name));
  if (!fresh.ok()) co_return fresh.status();
  if (fresh->metadata.uid != job.metadata.uid)
    co_return Status::error(
        fmt::format("original Job {} is gone: got uid {}, wanted {}", round->key, fresh->metadata.uid.view(), job.metadata.uid.view()));
  if (fresh->metadata.deletion_timestamp) co_return Status::error(round->key + " has just been deleted");
  co_return Status();
}

Task<Status> JobController::adopt(RoundPtr round, PodPtr pod) {
  std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str(), patch = adopt_tracked_patch(round->job, *pod);
  Status status = co_await control_.patch(std::move(ns), std::move(name), std::move(patch));
  if (!status.ok()) co_return status;
  if (!has_tracking_finalizer(*pod)) {
    // The cache does not show it yet; the rest of the round relies on it.
    auto copy = std::make_shared<Pod>(*pod);
    copy->metadata.finalizers.push_back(kJobTracking);
    pod = std::move(copy);
  }
  round->pods.push_back(std::move(pod));
  co_return Status();
}

Task<Status> JobController::claim(RoundPtr round) {
  const BatchJob& job = round->job;
  auto selector = schema::LabelSelector::from(job.spec.selector.get());
  if (!selector.ok()) co_return selector.status().with_context("couldn't convert Job selector");
  bool deleting = job.metadata.deletion_timestamp.has_value();
  std::vector<Status> failures;
  for (const PodPtr& pod : pods_of_controller(pods_, job.metadata.uid)) {
    if (selector->matches(pod->metadata.labels)) {
      round->pods.push_back(pod);
      continue;
    }
    if (deleting) continue;
    std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str(), patch = release_tracked_patch(job, *pod);
    Status status = co_await control_.patch(std::move(ns), std::move(name), std::move(patch));
    // 404: gone; 422: another pod of the name, or not ours any more.
    if (!status.ok() && status.code() != 404 && status.code() != 422) failures.push_back(status);
  }
  std::vector<PodPtr> orphans;
  if (!deleting) orphans = orphans_in(pods_, job.metadata.namespace_);
  bool asked = false;
  Status allowed;
  for (const PodPtr& pod : orphans) {
    if (pod->metadata.deletion_timestamp || !selector->matches(pod->metadata.labels)) continue;
    if (!asked) allowed = co_await may_adopt(round);
    asked = true;
    Status status = allowed;
    if (allowed.ok()) status = co_await adopt(round, pod);
    if (!status.ok() && status.code() != 404) failures.push_back(status);
  }
  co_return aggregate(failures);
}

// ---- how many pods ---------------------------------------------------------------------------------------------------------

// The Job has failed: its active pods go, but keep the finalizer until they are counted.
Task<JobController::Managed> JobController::end_pods(RoundPtr round, bool settled) {
  auto self = shared_from_this();
  std::vector<Job> jobs;
  for (const PodPtr& pod : round->active) jobs.push_back([self, round, pod] { return self->remove_one(round, pod, false); });
  std::vector<Status> results = co_await run_together(std::move(jobs));
  Managed managed;
  for (Status& status : results) {
    if (status.ok()) continue;
    ++managed.active;
    if (managed.error.ok()) managed.error = std::move(status);
  }
  // Not the end yet: pods are left, or some are not in the cache.
  if (managed.active > 0 || !settled) round->finished.reset();
  co_return managed;
}

Task<JobController::Managed> JobController::manage(RoundPtr round) {
  const BatchJob& job = round->job;
  auto active = static_cast<int32_t>(round->active.size());
  Managed managed{active, Status()};
  if (is_suspended(job)) {
    std::vector<PodPtr> all = active_pods_for_removal(job, round->active, round->active.size());
    managed = co_await remove_pods(round, std::move(all));
    co_return managed;
  }
  // With a failure policy a pod is replaced once it has ended, not when its end begins.
  int32_t terminating = 0;
  if (job.spec.pod_failure_policy)
    terminating = static_cast<int32_t>(
        std::count_if(round->pods.begin(), round->pods.end(), [](const PodPtr& pod) { return is_pod_terminating(*pod); }));
  int32_t parallelism = job.spec.parallelism.value_or(0), wanted = parallelism;
  if (job.spec.completions) {
    wanted = std::clamp(*job.spec.completions - round->succeeded, 0, std::max(parallelism, 0));
  } else if (round->succeeded > 0) {
    wanted = active;  // a work queue that is done: whoever runs may end
  }
  auto surplus = static_cast<size_t>(std::max(active + terminating - wanted, 0));
  std::vector<PodPtr> doomed = active_pods_for_removal(job, round->active, surplus);
  if (doomed.size() > kMaxPodsPerRound) doomed.resize(kMaxPodsPerRound);
  if (!doomed.empty()) {
    managed = co_await remove_pods(round, std::move(doomed));
    co_return managed;
  }
  int32_t missing = wanted - terminating - active;
  if (missing <= 0) co_return managed;
  Duration wait = remaining_backoff(round->backoff, context_->clock.now());
  if (wait > Duration::zero()) {
    queue_->add_after(round->key, std::max(wait, kLeastWait));
    co_return Managed();  // upstream shows no active pods while it waits
  }
  int32_t count = std::min(missing, kMaxPodsPerRound);
  managed = co_await make_pods(round, count);
  co_return managed;
}

Task<Status> JobController::make_one(RoundPtr round, int index) {
  auto pod = std::make_shared<const Pod>(pod_of_job(round->job, index));
  std::string ns = round->job.metadata.namespace_.str();
  auto reference = client::reference_to(round->job);
  Status status = co_await control_.create(std::move(ns), std::move(pod), std::move(reference));
  co_return is_namespace_terminating(status) ? Status() : status;
}

Task<JobController::Managed> JobController::make_pods(RoundPtr round, int32_t count) {
  const BatchJob& job = round->job;
  std::vector<int> indexes(static_cast<size_t>(count), kUnknownIndex);
  if (is_indexed(job)) {
    std::set<int> present;
    for (const PodPtr& pod : round->pods) {
      bool waited_for = is_pod_active(*pod) || (job.spec.pod_failure_policy && is_pod_terminating(*pod));
      if (waited_for && completion_index(*pod) != kUnknownIndex) present.insert(completion_index(*pod));
    }
    indexes = first_free_indexes(round->indexes.merged(IndexSet(present)), count, job.spec.completions.value_or(0));
  }
  auto size = static_cast<int>(indexes.size());
  expectations_.expect_creations(round->key, size);
  auto self = shared_from_this();
  auto next = std::make_shared<size_t>(0);
  Job make_next = [self, round, indexes, next] { return self->make_one(round, indexes[(*next)++]); };
  BatchResult result = co_await slow_start(size, std::move(make_next));
  // What was not made will not be seen.
  for (int i = result.successes; i < size; ++i) expectations_.creation_observed(round->key);
  co_return Managed{static_cast<int32_t>(round->active.size()) + result.successes, result.first_error};
}

Task<Status> JobController::remove_one(RoundPtr round, PodPtr pod, bool release) {
  std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str();
  Status status;
  if (release && has_tracking_finalizer(*pod)) {
    std::string to = ns, whom = name, patch(kReleasePatch);
    status = co_await control_.patch(std::move(to), std::move(whom), std::move(patch));
    if (!status.ok()) status = status.with_context("removing completion finalizer");
  }
  if (status.ok()) {
    auto reference = client::reference_to(round->job);
    status = co_await control_.remove(std::move(ns), std::move(name), std::move(reference));
  }
  if (release && !status.ok()) expectations_.deletion_observed(round->key, key_of(*pod));
  co_return status.code() == 404 ? Status() : status;
}

// Pods that nobody needs: they count as nothing, so the finalizer goes first.
Task<JobController::Managed> JobController::remove_pods(RoundPtr round, std::vector<PodPtr> pods) {
  auto self = shared_from_this();
  std::vector<std::string> keys;
  std::vector<Job> jobs;
  for (const PodPtr& pod : pods) {
    keys.push_back(key_of(*pod));
    jobs.push_back([self, round, pod] { return self->remove_one(round, pod, true); });
  }
  expectations_.expect_deletions(round->key, keys);
  std::vector<Status> results = co_await run_together(std::move(jobs));
  Managed managed{static_cast<int32_t>(round->active.size()), Status()};
  for (Status& status : results) {
    if (status.ok()) {
      --managed.active;
    } else if (managed.error.ok()) {
      managed.error = std::move(status);
    }
  }
  co_return managed;
}

// Complete, or suspended and resumed, which only a round that managed pods may say. True when the conditions changed.
bool JobController::set_progress(JobRound& round, const Managed& managed, bool was_managed) {
  BatchJob& job = round.job;
  schema::Time now = context_->now();
  bool enough = job.spec.completions ? round.succeeded >= *job.spec.completions : round.succeeded > 0;
  if (enough && managed.active == 0) {
    round.finished = make_job_condition("Complete", "True", "", "", now);
    return false;
  }
  if (!was_managed) return false;
  bool suspended = is_suspended(job);
  JobCondition wanted = suspended ? make_job_condition("Suspended", "True", "JobSuspended", "Job suspended", now)
                                  : make_job_condition("Suspended", "False", "JobResumed", "Job resumed", now);
  if (!ensure_job_condition(job, wanted)) return false;
  tell(job, "Normal", suspended ? "Suspended" : "Resumed", wanted.message.str());
  // activeDeadlineSeconds counts the time without a break.
  if (!suspended) job.status.start_time = now;
  return true;
}

}  // namespace knarr::controller
