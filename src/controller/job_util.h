// SPDX-License-Identifier: Apache-2.0
// What the Job controller decides without asking anybody: pure functions over a Job and its pods, as upstream's v1.28 with default gates
// (JobPodFailurePolicy, JobReadyPods, PodIndexLabel and ElasticIndexedJob on; JobBackoffLimitPerIndex and JobPodReplacementPolicy off).
#pragma once

#include <absl/container/flat_hash_set.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/batch_v1.h"
#include "base/clock.h"
#include "controller/job_indexes.h"
#include "controller/pod_util.h"

namespace knarr::controller {

using BatchJob = api::batch_v1::Job;
using api::batch_v1::JobCondition;
using UidSet = absl::flat_hash_set<std::string>;

// A pod keeps this finalizer until the status of its Job has counted it.
inline constexpr std::string_view kJobTracking = "batch.kubernetes.io/job-tracking";
inline constexpr std::string_view kCompletionIndex = "batch.kubernetes.io/job-completion-index";
inline constexpr int kUnknownIndex = -1;
// Bounds .status.uncountedTerminatedPods to about 20 kB.
inline constexpr size_t kMaxUncountedPods = 500;

// ---- conditions
const JobCondition* job_condition(const BatchJob& job, std::string_view type);
JobCondition make_job_condition(std::string_view type, std::string_view status, std::string_view reason, std::string_view message,
                                schema::Time now);
// Says whether it changed something. What was never there is not added as False.
bool ensure_job_condition(BatchJob& job, const JobCondition& wanted);
// Complete or Failed; null while neither is True.
const JobCondition* finished_condition(const BatchJob& job);
inline bool is_job_finished(const BatchJob& job) { return finished_condition(job) != nullptr; }
bool is_indexed(const BatchJob& job);
bool is_suspended(const BatchJob& job);

// ---- one pod
bool has_tracking_finalizer(const api::core_v1::Pod& pod);
int completion_index(const api::core_v1::Pod& pod);  // kUnknownIndex when there is none
bool has_valid_index(const api::core_v1::Pod& pod, const BatchJob& job);
bool is_pod_terminating(const api::core_v1::Pod& pod);
// Without a failure policy, pods that are being deleted count as failed: some never reach a phase.
bool has_pod_failed(const api::core_v1::Pod& pod, const BatchJob& job);
// When its last container ended, or the best guess at it.
schema::Time finished_time(const api::core_v1::Pod& pod);
struct FailureMatch {
  std::optional<std::string> fail_job;  // the message of a FailJob rule
  bool counts = true;                   // towards backoffLimit
};
FailureMatch match_failure_policy(const api::batch_v1::PodFailurePolicy* policy, const api::core_v1::Pod& pod);
// Restarts of containers reached backoffLimit; for restartPolicy OnFailure only.
bool past_restart_limit(const BatchJob& job, const std::vector<PodPtr>& pods);

// ---- back-off after failures: 10 s, doubled for each failure since the last success, at most 10 min
struct BackoffRecord {
  int32_t failures = 0;
  schema::Time last_failure;
};
BackoffRecord next_backoff(BackoffRecord record, const std::vector<PodPtr>& succeeded, const std::vector<PodPtr>& failed);
Duration remaining_backoff(const BackoffRecord& record, WallTime now);

// ---- many pods
// The order in which active pods are given up (upstream's ActivePods).
void sort_active_pods(std::vector<PodPtr>& pods);
// At least `at_least` pods that are too many; of an Indexed Job all whose index is repeated, out of range or missing.
std::vector<PodPtr> active_pods_for_removal(const BatchJob& job, std::vector<PodPtr> active, size_t at_least);

// ---- pods to make
std::string pod_name_prefix_of_index(std::string_view job_name, int index);
// The pod of the template with the finalizer, and for `index` >= 0 its annotation, label, variable and host name.
api::core_v1::Pod pod_of_job(const BatchJob& job, int index);

// ---- one round of a Job
struct JobRound {
  std::string key;
  BatchJob job;  // replaced by the server's answer after each write of its status
  std::vector<PodPtr> pods, active;
  UidSet uncounted_succeeded, uncounted_failed;  // as the round began
  UidSet expected_removals;                      // pods whose finalizer was removed, while the cache still shows it
  std::optional<JobCondition> finished;
  int32_t succeeded = 0;
  IndexSet old_indexes, indexes;  // that succeeded, as the round began and now
  BackoffRecord backoff;
};
// Pods that the status does not count yet.
std::vector<PodPtr> newly_succeeded(const JobRound& round);
std::vector<PodPtr> newly_failed(const JobRound& round);
int32_t failures_that_count(const BatchJob& job, const std::vector<PodPtr>& failed);
// The message of the first FailJob rule that a failed pod matches.
std::optional<std::string> failed_by_policy(const BatchJob& job, const std::vector<PodPtr>& pods);
// The indexes of pods that succeeded, added to those of the status.
void find_succeeded_indexes(JobRound& round);

// Which pods may lose the finalizer now; their UIDs enter .status.uncountedTerminatedPods first.
struct TrackingPlan {
  std::vector<PodPtr> release;
  UidSet held;            // UIDs of pods that still have the finalizer
  bool changed = false;   // the status must be written
  bool at_limit = false;  // more pods wait for a later round
};
TrackingPlan plan_tracking(JobRound& round);
// Counts the uncounted pods that are not `held`; says whether any was.
bool count_released(api::batch_v1::JobStatus& status, const UidSet& held);

}  // namespace knarr::controller
