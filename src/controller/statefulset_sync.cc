// SPDX-License-Identifier: Apache-2.0
// A round over the pods of a StatefulSet: replicas upwards, condemned ones downwards, then one pod of the rolling update. In order, each pod
// waits until those before it run, are ready and available; in parallel nothing waits.
#include "controller/statefulset.h"
#include "controller/util.h"

namespace knarr::controller {

Task<Status> StatefulSetController::run_round(RoundPtr round, std::vector<PodPtr> pods) {
  round->count({pods}, context_->now());
  round->sort_pods(pods);
  if (round->set->metadata.deletion_timestamp) co_return Status();
  Status status = co_await run_steps(round);
  co_return status;
}

Task<Status> StatefulSetController::run_steps(RoundPtr round) {
  auto self = shared_from_this();
  Step steps[] = {[self, round](size_t i) { return self->process_replica(round, i); },
                  [self, round](size_t i) { return self->process_claims_of_condemned(round, i); },
                  [self, round](size_t i) { return self->process_condemned(round, i); }};
  const std::vector<PodPtr>* lists[] = {&round->replicas, &round->condemned, &round->condemned};
  for (size_t s = 0; s < std::size(steps); ++s) {
    Step step = steps[s];
    size_t count = lists[s]->size();
    auto ended = co_await run_for_all(round, count, std::move(step));
    // What was made or replaced counts as it was found: the next round sees it.
    round->count({round->replicas, round->condemned}, context_->now());
    if (!ended.ok()) co_return ended.status();
    if (*ended) co_return Status();
  }
  Status status = co_await update_next(round);
  co_return status;
}

namespace {

// A step as a job that keeps only the failure.
Task<Status> run_step(std::function<Task<Result<bool>>(size_t)> step, size_t i) {
  Task<Result<bool>> task = step(i);
  Result<bool> ended = co_await std::move(task);
  co_return ended.status();
}

}  // namespace

Task<Result<bool>> StatefulSetController::run_for_all(RoundPtr round, size_t count, Step step) {
  if (round->ordered) {
    for (size_t i = 0; i < count; ++i) {
      Task<Result<bool>> task = step(i);
      Result<bool> ended = co_await std::move(task);
      if (!ended.ok() || *ended) co_return ended;
    }
    co_return false;
  }
  constexpr size_t kMaxBatch = 500;
  size_t at = 0;
  for (size_t batch = 1; at < count; batch = std::min(2 * batch, kMaxBatch)) {
    std::vector<Job> jobs;
    for (; at < count && jobs.size() < batch; ++at) jobs.push_back([step, at] { return run_step(step, at); });
    std::vector<Status> results = co_await run_together(std::move(jobs));
    if (Status status = aggregate(results); !status.ok()) co_return status;
  }
  co_return false;
}

Task<Result<bool>> StatefulSetController::process_replica(RoundPtr round, size_t i) {
  StatefulSetPtr set = round->set;
  // Shares ownership with the round.
  StatefulSetPtr update(round, &round->update);
  Status status;
  PodPtr pod = round->replicas[i];
  if (pod->status.phase == "Failed") {
    std::string message = fmt::format("StatefulSet {} is recreating failed Pod {}", key_of(*set), pod->metadata.name.view());
    events_->event(client::reference_to(*set), "Warning", "RecreatingFailedPod", std::move(message));
    status = co_await remove_pod(set, pod);
    if (!status.ok()) co_return status;
    pod = round->replicas[i] = round->make_pod(static_cast<int>(i) + first_ordinal(*set));
  }
  if (!is_created(*pod)) {
    // Its claim belongs to a pod that was scaled away and is about to be collected with it.
    if (has_stale_claim(*set, *pod)) co_return true;
    status = co_await create_pod(set, pod);
    if (!status.ok()) co_return status;
    if (round->ordered) co_return true;
  }
  // A claim that went missing keeps it from being scheduled.
  if (pod->status.phase == "Pending") {
    status = co_await create_missing_claims(set, pod);
    if (!status.ok()) co_return status;
  }
  if (round->ordered) {
    bool up = !is_terminating(*pod) && is_running_and_ready(*pod) && is_pod_available(*pod, set->spec.min_ready_seconds, context_->now());
    if (!up) co_return true;
  }
  if (identity_matches(*set, *pod) && storage_matches(*set, *pod) && claims_match(*update, *pod)) co_return false;
  status = co_await update_pod(update, pod);
  if (!status.ok()) co_return status;
  co_return false;
}

Task<Result<bool>> StatefulSetController::process_claims_of_condemned(RoundPtr round, size_t i) {
  PodPtr pod = round->condemned[i];
  StatefulSetPtr update(round, &round->update);
  if (claims_match(*update, *pod)) co_return false;
  Status status = co_await update_claim_owners(update, pod);
  if (!status.ok()) co_return status;
  co_return false;
}

Task<Result<bool>> StatefulSetController::process_condemned(RoundPtr round, size_t i) {
  PodPtr pod = round->condemned[i];
  if (is_terminating(*pod)) co_return round->ordered;
  // Pods go in order, one at a time; the first that is ill may go although it is not ready.
  bool up = is_running_and_ready(*pod) && is_pod_available(*pod, round->set->spec.min_ready_seconds, context_->now());
  if (round->ordered && !up && pod != round->first_unhealthy) co_return true;
  StatefulSetPtr set = round->set;
  Status status = co_await remove_pod(std::move(set), std::move(pod));
  if (!status.ok()) co_return status;
  co_return true;
}

Task<Status> StatefulSetController::update_next(RoundPtr round) {
  PodPtr pod = next_to_update(*round);
  if (pod == nullptr) co_return Status();
  StatefulSetPtr set = round->set;
  Status status = co_await remove_pod(std::move(set), std::move(pod));
  if (!status.ok() && status.code() != 404) co_return status;
  --round->status.current_replicas;
  co_return status;
}

}  // namespace knarr::controller
