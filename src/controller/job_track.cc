// SPDX-License-Identifier: Apache-2.0
// The counters of a Job: written in steps, so that each pod is counted once whatever fails in between.
#include "controller/job.h"
#include "controller/util.h"

namespace knarr::controller {

Task<Status> JobController::write_status(RoundPtr round) {
  BatchJob copy = round->job;
  auto updated = co_await context_->client.update_status(std::move(copy));
  if (!updated.ok()) co_return updated.status();
  round->job = std::move(*updated);
  round->job.status.uncounted_terminated_pods.ensure();
  co_return Status();
}

Task<Status> JobController::track(RoundPtr round, bool changed) {
  TrackingPlan plan = plan_tracking(*round);
  changed = changed || plan.changed;
  if (round->finished && round->finished->type == "FailureTarget") {
    JobCondition target = *round->finished;
    round->job.status.conditions.push_back(target);
    round->finished = make_job_condition("Failed", "True", target.reason, target.message, context_->now());
    changed = true;
  }
  if (changed) {
    Status status = co_await write_status(round);
    if (!status.ok()) co_return status.with_context("adding uncounted pods to status");
    backoffs_[round->key] = round->backoff;
  }
  Status released = co_await release_pods(round, plan);
  changed = count_released(round->job.status, plan.held);
  if (!released.ok()) {
    if (changed) {
      Status status = co_await write_status(round);
      if (!status.ok()) co_return status.with_context("removing uncounted pods from status");
    }
    co_return released;
  }
  bool ended = !plan.at_limit && enact_end(*round);
  if (!changed && !ended) co_return Status();
  Status status = co_await write_status(round);
  if (!status.ok()) co_return status.with_context("removing uncounted pods from status");
  if (ended) tell_end(*round);
  co_return Status();
}

Task<Status> JobController::release_one(std::string key, PodPtr pod) {
  std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str(), patch(kReleasePatch);
  Status status = co_await control_.patch(std::move(ns), std::move(name), std::move(patch));
  // No event will tell of a removal that failed.
  if (!status.ok()) removal_observed(key, *pod);
  co_return status.code() == 404 ? Status() : status;
}

// Takes the finalizers of the plan away; `plan.held` loses those that went.
Task<Status> JobController::release_pods(RoundPtr round, TrackingPlan& plan) {
  if (plan.release.empty()) co_return Status();
  auto self = shared_from_this();
  std::string key = round->key;
  std::vector<Job> jobs;
  for (const PodPtr& pod : plan.release) {
    expected_removals_[key].insert(pod->metadata.uid.str());
    jobs.push_back([self, key, pod] { return self->release_one(key, pod); });
  }
  std::vector<Status> results = co_await run_together(std::move(jobs));
  Status first;
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].ok()) {
      plan.held.erase(plan.release[i]->metadata.uid.str());
    } else if (first.ok()) {
      first = results[i];
    }
  }
  co_return first;
}

// Says Complete or Failed, once every pod is counted.
bool JobController::enact_end(JobRound& round) {
  if (!round.finished) return false;
  auto& status = round.job.status;
  const auto& uncounted = *status.uncounted_terminated_pods;
  if (!uncounted.succeeded.empty() || !uncounted.failed.empty()) return false;
  JobCondition end = *round.finished;
  if (end.type == "Complete") status.completion_time = end.last_transition_time;
  end.last_probe_time = end.last_transition_time = context_->now();
  ensure_job_condition(round.job, end);
  return true;
}

void JobController::tell_end(const JobRound& round) {
  const BatchJob& job = round.job;
  const JobCondition& end = *round.finished;
  if (end.type != "Complete") return tell(job, "Warning", end.reason.str(), end.message.str());
  if (job.spec.completions && job.status.succeeded > *job.spec.completions)
    tell(job, "Warning", "TooManySucceededPods", "Too many succeeded pods running after completion count reached");
  tell(job, "Normal", "Completed", "Job completed");
}

}  // namespace knarr::controller
