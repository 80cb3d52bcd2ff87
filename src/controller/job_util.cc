// SPDX-License-Identifier: Apache-2.0
#include "controller/job_util.h"

#include <algorithm>
#include <charconv>

#include "controller/util.h"
#include "schema/time.h"

namespace knarr::controller {

using api::core_v1::ContainerStatus;
using api::core_v1::Pod;

// ---- conditions ------------------------------------------------------------------------------------------------------------

const JobCondition* job_condition(const BatchJob& job, std::string_view type) {
  for (const JobCondition& condition : job.status.conditions)
    if (condition.type == type) return &condition;
  return nullptr;
}

JobCondition make_job_condition(std::string_view type, std::string_view status, std::string_view reason, std::string_view message,
                                schema::Time now) {
  JobCondition condition;
  condition.type = type;
  condition.status = status;
  condition.reason = reason;
  condition.message = message;
  condition.last_probe_time = now;
  condition.last_transition_time = now;
  return condition;
}

bool ensure_job_condition(BatchJob& job, const JobCondition& wanted) {
  for (JobCondition& present : job.status.conditions) {
    if (present.type != wanted.type) continue;
    if (present.status == wanted.status && present.reason == wanted.reason && present.message == wanted.message) return false;
    present = wanted;
    return true;
  }
  if (wanted.status == "False") return false;
  job.status.conditions.push_back(wanted);
  return true;
}

const JobCondition* finished_condition(const BatchJob& job) {
  for (const JobCondition& condition : job.status.conditions)
    if ((condition.type == "Complete" || condition.type == "Failed") && condition.status == "True") return &condition;
  return nullptr;
}

bool is_indexed(const BatchJob& job) { return job.spec.completion_mode.value_or("") == "Indexed"; }
bool is_suspended(const BatchJob& job) { return job.spec.suspend.value_or(false); }

// ---- one pod ---------------------------------------------------------------------------------------------------------------

bool has_tracking_finalizer(const Pod& pod) {
  const auto& finalizers = pod.metadata.finalizers;
  return std::any_of(finalizers.begin(), finalizers.end(), [](const schema::Str& one) { return one == kJobTracking; });
}

int completion_index(const Pod& pod) {
  std::string_view text = schema::get_or_empty(pod.metadata.annotations, kCompletionIndex);
  int index = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  return !text.empty() && error == std::errc() && end == text.data() + text.size() && index >= 0 ? index : kUnknownIndex;
}

bool has_valid_index(const Pod& pod, const BatchJob& job) {
  int index = completion_index(pod);
  return index != kUnknownIndex && index < job.spec.completions.value_or(0);
}

bool is_pod_terminating(const Pod& pod) { return !is_pod_terminal(pod) && pod.metadata.deletion_timestamp.has_value(); }

bool has_pod_failed(const Pod& pod, const BatchJob& job) {
  if (pod.status.phase == "Failed") return true;
  return !job.spec.pod_failure_policy && pod.metadata.deletion_timestamp && pod.status.phase != "Succeeded";
}

schema::Time finished_time(const Pod& pod) {
  schema::Time latest;
  bool all_ended = !pod.status.container_statuses.empty();
  for (const ContainerStatus& status : pod.status.container_statuses) {
    const auto* ended = status.state.terminated.get();
    all_ended = all_ended && ended != nullptr && !ended->finished_at.is_zero();
    if (all_ended) latest = std::max(latest, ended->finished_at);
  }
  if (all_ended) return latest;
  const auto* ready = pod_condition(pod, "Ready");
  if (ready != nullptr && ready->status == "False" && !ready->last_transition_time.is_zero()) return ready->last_transition_time;
  // Orphans, which the collector of pods deletes.
  if (pod.metadata.deletion_timestamp)
    return schema::Time::from_unix(pod.metadata.deletion_timestamp->unix_seconds() -
                                   pod.metadata.deletion_grace_period_seconds.value_or(0));
  return pod.metadata.creation_timestamp;
}

namespace {

bool matches_exit_code(int32_t code, const api::batch_v1::PodFailurePolicyOnExitCodesRequirement& wanted) {
  bool listed = std::find(wanted.values.begin(), wanted.values.end(), code) != wanted.values.end();
  if (wanted.operator_ == "In") return listed;
  return wanted.operator_ == "NotIn" && !listed;
}

const ContainerStatus* match_exit_codes(const Pod& pod, const api::batch_v1::PodFailurePolicyOnExitCodesRequirement& wanted) {
  for (const auto* list : {&pod.status.container_statuses, &pod.status.init_container_statuses}) {
    for (const ContainerStatus& status : *list) {
      const auto* ended = status.state.terminated.get();
      if (ended == nullptr || ended->exit_code == 0) continue;
      if (wanted.container_name && *wanted.container_name != status.name) continue;
      if (matches_exit_code(ended->exit_code, wanted)) return &status;
    }
  }
  return nullptr;
}

const api::core_v1::PodCondition* match_conditions(const Pod& pod,
                                                   const schema::List<api::batch_v1::PodFailurePolicyOnPodConditionsPattern>& patterns) {
  for (const auto& condition : pod.status.conditions)
    for (const auto& pattern : patterns)
      if (condition.type == pattern.type && condition.status == pattern.status) return &condition;
  return nullptr;
}

}  // namespace

FailureMatch match_failure_policy(const api::batch_v1::PodFailurePolicy* policy, const Pod& pod) {
  if (policy == nullptr) return {};
  for (size_t i = 0; i < policy->rules.size(); ++i) {
    const auto& rule = policy->rules[i];
    std::string failure;
    if (rule.on_exit_codes) {
      const ContainerStatus* status = match_exit_codes(pod, *rule.on_exit_codes);
      if (status == nullptr) continue;
      failure =
          fmt::format("Container {} for pod {}/{} failed with exit code {} matching {} rule at index {}", status->name.view(),
                      pod.metadata.namespace_.view(), pod.metadata.name.view(), status->state.terminated->exit_code, rule.action.view(), i);
    } else {
      const auto* condition = match_conditions(pod, rule.on_pod_conditions);
      if (condition == nullptr) continue;
      failure = fmt::format("Pod {}/{} has condition {} matching {} rule at index {}", pod.metadata.namespace_.view(),
                            pod.metadata.name.view(), condition->type.view(), rule.action.view(), i);
    }
    if (rule.action == "Ignore") return {std::nullopt, false};
    if (rule.action == "Count") return {};
    if (rule.action == "FailJob") return {std::move(failure), true};
  }
  return {};
}

bool past_restart_limit(const BatchJob& job, const std::vector<PodPtr>& pods) {
  if (job.spec.template_.spec.restart_policy != "OnFailure") return false;
  int32_t restarts = 0, limit = job.spec.backoff_limit.value_or(0);
  for (const PodPtr& pod : pods) {
    if (pod->status.phase != "Running" && pod->status.phase != "Pending") continue;
    for (const ContainerStatus& status : pod->status.init_container_statuses) restarts += status.restart_count;
    for (const ContainerStatus& status : pod->status.container_statuses) restarts += status.restart_count;
  }
  return limit == 0 ? restarts > 0 : restarts >= limit;
}

// ---- back-off --------------------------------------------------------------------------------------------------------------

BackoffRecord next_backoff(BackoffRecord record, const std::vector<PodPtr>& succeeded, const std::vector<PodPtr>& failed) {
  schema::Time last_success;
  for (const PodPtr& pod : succeeded) last_success = std::max(last_success, finished_time(*pod));
  if (!succeeded.empty()) record = BackoffRecord{};
  for (const PodPtr& pod : failed) {
    schema::Time at = finished_time(*pod);
    if (!succeeded.empty() && at <= last_success) continue;
    // The latest failure of this round counts, also when it lies before one of an earlier round.
    bool first_of_round = pod == failed.front();
    record.last_failure = first_of_round ? at : std::max(record.last_failure, at);
    ++record.failures;
  }
  return record;
}

Duration remaining_backoff(const BackoffRecord& record, WallTime now) {
  constexpr Duration kFirst = std::chrono::seconds(10), kMost = std::chrono::minutes(10);
  if (record.failures == 0) return Duration::zero();
  Duration wait = kFirst;
  for (int i = 1; i < record.failures && wait < kMost; ++i) wait = std::min(wait * 2, kMost);
  return std::max(wait - (now - schema::to_wall(record.last_failure)), Duration::zero());
}

// ---- many pods -------------------------------------------------------------------------------------------------------------

namespace {

int phase_rank(const Pod& pod) {
  if (pod.status.phase == "Pending") return 0;
  return pod.status.phase == "Unknown" ? 1 : 2;
}

int32_t restarts_of(const Pod& pod) {
  int32_t most = 0;
  for (const ContainerStatus& status : pod.status.container_statuses) most = std::max(most, status.restart_count);
  return most;
}

bool later_or_zero(schema::Time a, schema::Time b) { return a.is_zero() || b.is_zero() ? a.is_zero() : a > b; }

bool is_given_up_before(const PodPtr& x, const PodPtr& y) {
  const Pod &a = *x, &b = *y;
  if (a.spec.node_name.empty() != b.spec.node_name.empty()) return a.spec.node_name.empty();
  if (phase_rank(a) != phase_rank(b)) return phase_rank(a) < phase_rank(b);
  bool a_ready = is_pod_ready(a), b_ready = is_pod_ready(b);
  if (a_ready != b_ready) return !a_ready;
  if (a_ready) {
    schema::Time ta = pod_condition(a, "Ready")->last_transition_time, tb = pod_condition(b, "Ready")->last_transition_time;
    if (ta != tb) return later_or_zero(ta, tb);
  }
  if (restarts_of(a) != restarts_of(b)) return restarts_of(a) > restarts_of(b);
  schema::Time ta = a.metadata.creation_timestamp, tb = b.metadata.creation_timestamp;
  return ta != tb && later_or_zero(ta, tb);
}

bool has_lower_index(const PodPtr& a, const PodPtr& b) { return completion_index(*a) < completion_index(*b); }

}  // namespace

void sort_active_pods(std::vector<PodPtr>& pods) { std::stable_sort(pods.begin(), pods.end(), is_given_up_before); }

std::vector<PodPtr> active_pods_for_removal(const BatchJob& job, std::vector<PodPtr> active, size_t at_least) {
  std::vector<PodPtr> removed, left;
  if (is_indexed(job)) {
    std::stable_sort(active.begin(), active.end(), has_lower_index);
    for (size_t i = 0; i < active.size();) {
      size_t end = i + 1;
      while (end < active.size() && completion_index(*active[end]) == completion_index(*active[i])) ++end;
      std::vector<PodPtr> same(active.begin() + static_cast<ptrdiff_t>(i), active.begin() + static_cast<ptrdiff_t>(end));
      sort_active_pods(same);
      if (has_valid_index(*same.back(), job)) {
        left.push_back(std::move(same.back()));
        same.pop_back();
      }
      removed.insert(removed.end(), same.begin(), same.end());
      i = end;
    }
  } else {
    left = std::move(active);
  }
  if (removed.size() >= at_least) return removed;
  sort_active_pods(left);
  size_t more = std::min(at_least - removed.size(), left.size());
  removed.insert(removed.end(), left.begin(), left.begin() + static_cast<ptrdiff_t>(more));
  return removed;
}

// ---- pods to make ----------------------------------------------------------------------------------------------------------

std::string pod_name_prefix_of_index(std::string_view job_name, int index) {
  constexpr size_t kMaxPrefix = 58;  // of a label's 63, after the five random characters
  std::string suffix = fmt::format("-{}-", index);
  return std::string(job_name.substr(0, std::min(job_name.size(), kMaxPrefix - suffix.size()))) + suffix;
}

namespace {

void add_index_variable(schema::List<api::core_v1::Container>& containers) {
  constexpr std::string_view kName = "JOB_COMPLETION_INDEX";
  for (auto& container : containers) {
    auto& env = container.env;
    if (std::any_of(env.begin(), env.end(), [&](const auto& one) { return one.name == kName; })) continue;
    auto& variable = env.emplace_back();
    variable.name = kName;
    variable.value_from.ensure().field_ref.ensure().field_path = fmt::format("metadata.labels['{}']", kCompletionIndex);
  }
}

}  // namespace

Pod pod_of_job(const BatchJob& job, int index) {
  Pod pod = pod_of_template(job.spec.template_, job.metadata.name, controller_ref(job));
  if (!has_tracking_finalizer(pod)) pod.metadata.finalizers.push_back(kJobTracking);
  if (index == kUnknownIndex) return pod;
  std::string text = std::to_string(index);
  add_index_variable(pod.spec.init_containers);
  add_index_variable(pod.spec.containers);
  pod.metadata.annotations[kCompletionIndex] = text;
  pod.metadata.labels[kCompletionIndex] = text;
  pod.spec.hostname = job.metadata.name.str() + "-" + text;
  pod.metadata.generate_name = pod_name_prefix_of_index(job.metadata.name, index);
  return pod;
}

// ---- one round -------------------------------------------------------------------------------------------------------------

namespace {

// The status knows nothing of this pod yet.
bool is_news(const JobRound& round, const Pod& pod, const UidSet& uncounted) {
  if (!has_tracking_finalizer(pod)) return false;
  std::string uid = pod.metadata.uid.str();
  if (uncounted.contains(uid) || round.expected_removals.contains(uid)) return false;
  return !is_indexed(round.job) || has_valid_index(pod, round.job);
}

}  // namespace

std::vector<PodPtr> newly_succeeded(const JobRound& round) {
  std::vector<PodPtr> found;
  for (const PodPtr& pod : round.pods)
    if (pod->status.phase == "Succeeded" && is_news(round, *pod, round.uncounted_succeeded)) found.push_back(pod);
  return found;
}

std::vector<PodPtr> newly_failed(const JobRound& round) {
  std::vector<PodPtr> found;
  for (const PodPtr& pod : round.pods)
    if (has_pod_failed(*pod, round.job) && is_news(round, *pod, round.uncounted_failed)) found.push_back(pod);
  return found;
}

int32_t failures_that_count(const BatchJob& job, const std::vector<PodPtr>& failed) {
  return static_cast<int32_t>(std::count_if(failed.begin(), failed.end(), [&](const PodPtr& pod) {
    return match_failure_policy(job.spec.pod_failure_policy.get(), *pod).counts;
  }));
}

std::optional<std::string> failed_by_policy(const BatchJob& job, const std::vector<PodPtr>& pods) {
  if (!job.spec.pod_failure_policy) return std::nullopt;
  for (const PodPtr& pod : pods) {
    if (!has_pod_failed(*pod, job)) continue;
    FailureMatch match = match_failure_policy(job.spec.pod_failure_policy.get(), *pod);
    if (match.fail_job) return match.fail_job;
  }
  return std::nullopt;
}

void find_succeeded_indexes(JobRound& round) {
  std::set<int> found;
  for (const PodPtr& pod : round.pods)
    if (pod->status.phase == "Succeeded" && has_valid_index(*pod, round.job) && has_tracking_finalizer(*pod))
      found.insert(completion_index(*pod));
  round.old_indexes = IndexSet::parse(round.job.status.completed_indexes, round.job.spec.completions.value_or(0));
  round.indexes = round.old_indexes.merged(IndexSet(found));
  round.succeeded = round.indexes.total();
}

namespace {

// Enters one pod into the status; says whether that changed it. `new_indexes` collects what an Indexed Job gained.
bool enter_uncounted(JobRound& round, const Pod& pod, bool failed, std::set<int>& new_indexes) {
  auto& uncounted = *round.job.status.uncounted_terminated_pods;
  std::string uid = pod.metadata.uid.str();
  bool indexed = is_indexed(round.job);
  if (pod.status.phase == "Succeeded" && !round.uncounted_failed.contains(uid)) {
    if (indexed) {
      // The index itself keeps it from being counted twice.
      int index = completion_index(pod);
      return has_valid_index(pod, round.job) && !round.old_indexes.contains(index) && new_indexes.insert(index).second;
    }
    if (round.uncounted_succeeded.contains(uid)) return false;
    uncounted.succeeded.push_back(uid);
    return true;
  }
  // When a Job has ended, every pod that has not ended is taken as failed.
  if (!failed && !round.finished) return false;
  if (round.uncounted_failed.contains(uid) || (indexed && !has_valid_index(pod, round.job))) return false;
  if (!match_failure_policy(round.job.spec.pod_failure_policy.get(), pod).counts) return false;
  uncounted.failed.push_back(uid);
  return true;
}

}  // namespace

TrackingPlan plan_tracking(JobRound& round) {
  TrackingPlan plan;
  BatchJob& job = round.job;
  bool indexed = is_indexed(job);
  if (indexed) std::stable_sort(round.pods.begin(), round.pods.end(), has_lower_index);
  std::vector<PodPtr> tracked;
  for (const PodPtr& pod : round.pods) {
    if (!has_tracking_finalizer(*pod) || round.expected_removals.contains(pod->metadata.uid.str())) continue;
    tracked.push_back(pod);
    plan.held.insert(pod->metadata.uid.str());
  }
  auto& uncounted = job.status.uncounted_terminated_pods.ensure();
  plan.changed = count_released(job.status, plan.held);
  std::set<int> new_indexes;
  for (const PodPtr& pod : tracked) {
    bool failed = has_pod_failed(*pod, job);
    if (!failed && pod->status.phase != "Succeeded" && !job.metadata.deletion_timestamp && !round.finished) continue;
    plan.release.push_back(pod);
    if (enter_uncounted(round, *pod, failed, new_indexes)) plan.changed = true;
    plan.at_limit = new_indexes.size() + uncounted.succeeded.size() + uncounted.failed.size() >= kMaxUncountedPods;
    if (plan.at_limit) break;
  }
  if (!indexed) return plan;
  // Only those found now: others may have lost their finalizer meanwhile.
  round.indexes = round.indexes.merged(IndexSet(new_indexes));
  std::string text = round.indexes.to_string();
  plan.changed = plan.changed || job.status.completed_indexes != text || job.status.failed_indexes;
  job.status.succeeded = round.indexes.total();
  job.status.completed_indexes = text;
  job.status.failed_indexes.reset();
  return plan;
}

bool count_released(api::batch_v1::JobStatus& status, const UidSet& held) {
  auto& uncounted = status.uncounted_terminated_pods.ensure();
  auto released = [&](const schema::Str& uid) { return !held.contains(uid.str()); };
  auto succeeded = static_cast<int32_t>(uncounted.succeeded.erase_if(released));
  auto failed = static_cast<int32_t>(uncounted.failed.erase_if(released));
  status.succeeded += succeeded;
  status.failed += failed;
  return succeeded + failed > 0;
}

}  // namespace knarr::controller
