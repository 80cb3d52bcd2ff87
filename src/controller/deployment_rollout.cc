// SPDX-License-Identifier: Apache-2.0
// The two strategies, progress and its deadline, rollback.
#include "controller/deployment.h"
#include "controller/util.h"

namespace knarr::controller {

Task<Status> DeploymentController::rollout_rolling(Deployment& d, RsList list) {
  auto found = co_await family(d, std::move(list), true);
  if (!found.ok()) co_return found.status();
  Family family = std::move(*found);
  RsPtr new_rs = family.new_rs;

  // Up first; one step a round, the next one is driven by the status that it causes.
  bool moved = false;
  if (wanted(*new_rs) != wanted(d)) {
    int32_t size = wanted(*new_rs) > wanted(d) ? wanted(d) : new_rs_size(d, family.all(), *new_rs);
    moved = size != wanted(*new_rs);
    auto scaled = co_await scale_rs_if_needed(d, new_rs, size);
    if (!scaled.ok()) co_return scaled.status();
  }
  if (!moved) {
    Family copy = family;
    auto scaled = co_await scale_down_old(d, std::move(copy));
    if (!scaled.ok()) co_return scaled.status();
    moved = *scaled;
  }
  if (!moved && is_complete(d, d.status)) {
    RsList old = family.old;
    Status status = co_await clean_up(d, std::move(old));
    if (!status.ok()) co_return status;
  }
  Status status = co_await sync_rollout_status(d, std::move(family));
  co_return status;
}

// Old pods go: the unhealthy ones first, then as many available ones as may be missing.
Task<Result<bool>> DeploymentController::scale_down_old(Deployment& d, Family family) {
  RsList old = active(family.old);
  if (total_wanted(old) == 0) co_return false;
  const ReplicaSet& new_rs = *family.new_rs;
  int32_t min_available = wanted(d) - max_unavailable(d);
  int32_t new_unavailable = wanted(new_rs) - new_rs.status.available_replicas;
  int32_t may_go = total_wanted(family.all()) - min_available - new_unavailable;
  if (may_go <= 0) co_return false;

  std::sort(old.begin(), old.end(), older);
  int32_t cleaned = 0;
  for (RsPtr& rs : old) {
    if (cleaned >= may_go) break;
    int32_t unhealthy = wanted(*rs) - rs->status.available_replicas;
    if (wanted(*rs) == 0 || unhealthy <= 0) continue;
    int32_t count = std::min(may_go - cleaned, unhealthy);
    int32_t size = wanted(*rs) - count;
    auto scaled = co_await scale_rs_if_needed(d, rs, size);
    // As upstream: what could not be scaled is tried again when the caches have caught up.
    if (!scaled.ok()) co_return false;
    cleaned += count;
    rs = std::move(*scaled);
  }
  int32_t available = total_available(with(old, family.new_rs));
  int32_t surplus = available - min_available, gone = 0;
  for (const RsPtr& rs : old) {
    if (gone >= surplus) break;
    if (wanted(*rs) == 0) continue;
    int32_t count = std::min(wanted(*rs), surplus - gone);
    int32_t size = wanted(*rs) - count;
    auto scaled = co_await scale_rs_if_needed(d, rs, size);
    if (!scaled.ok()) co_return false;
    gone += count;
  }
  co_return cleaned + gone > 0;
}

bool DeploymentController::old_pods_running(const Deployment& d, const Family& family) const {
  if (total_actual(family.old) > 0) return true;
  auto selector = schema::LabelSelector::from(d.spec.selector.get());
  for (const RsPtr& rs : family.old) {
    for (const PodPtr& pod : pods_of_controller(pods_, rs->metadata.uid))
      if (!is_pod_terminal(*pod) && selector.ok() && selector->matches(pod->metadata.labels)) return true;
  }
  return false;
}

Task<Status> DeploymentController::rollout_recreate(Deployment& d, RsList list) {
  auto found = co_await family(d, list, false);
  if (!found.ok()) co_return found.status();
  Family family = std::move(*found);
  bool scaled_down = false;
  for (const RsPtr& rs : active(family.old)) {
    auto scaled = co_await scale_rs_if_needed(d, rs, 0);
    if (!scaled.ok()) co_return scaled.status();
    scaled_down = true;
  }
  if (scaled_down || old_pods_running(d, family)) {
    Status status = co_await sync_rollout_status(d, std::move(family));
    co_return status;
  }
  if (family.new_rs == nullptr) {
    auto made = co_await this->family(d, std::move(list), true);
    if (!made.ok()) co_return made.status();
    family = std::move(*made);
  }
  RsPtr new_rs = family.new_rs;
  int32_t size = wanted(d);
  auto scaled = co_await scale_rs_if_needed(d, std::move(new_rs), size);
  if (!scaled.ok()) co_return scaled.status();
  if (is_complete(d, d.status)) {
    RsList old = family.old;
    Status status = co_await clean_up(d, std::move(old));
    if (!status.ok()) co_return status;
  }
  Status status = co_await sync_rollout_status(d, std::move(family));
  co_return status;
}

void DeploymentController::set_progress(const Deployment& d, const RsPtr& new_rs, DeploymentStatus& status) const {
  if (!has_progress_deadline(d)) return remove_condition(status, "Progressing");
  const Condition* present = condition_of(d.status, "Progressing");
  bool done = status.replicas == status.updated_replicas && present != nullptr && present->reason == "NewReplicaSetAvailable";
  if (done) return;
  std::string what = new_rs != nullptr ? "ReplicaSet " + quote(new_rs->metadata.name) : "Deployment " + quote(d.metadata.name);
  schema::Time now = context_->now();
  if (is_complete(d, status)) {
    set_condition(status, make_condition("Progressing", "True", "NewReplicaSetAvailable", what + " has successfully progressed.", now));
  } else if (is_progressing(d, status)) {
    Condition condition = make_condition("Progressing", "True", "ReplicaSetUpdated", what + " is progressing.", now);
    if (present != nullptr && present->status == "True") condition.last_transition_time = present->last_transition_time;
    remove_condition(status, "Progressing");  // so that the update time moves on
    set_condition(status, std::move(condition));
  } else if (has_timed_out(d, status, now)) {
    set_condition(status, make_condition("Progressing", "False", "ProgressDeadlineExceeded", what + " has timed out progressing.", now));
  }
}

namespace {

// A ReplicaSet's failure to make pods shows on the Deployment; the new one's first.
std::optional<Condition> replica_failure(const RsPtr& new_rs, const RsList& old) {
  RsList order;
  if (new_rs != nullptr) order.push_back(new_rs);
  order.insert(order.end(), old.begin(), old.end());
  for (const RsPtr& rs : order) {
    for (const auto& from : rs->status.conditions) {
      if (from.type != "ReplicaFailure") continue;
      Condition condition = make_condition(from.type, from.status, from.reason, from.message.str(), from.last_transition_time);
      return condition;
    }
  }
  return std::nullopt;
}

}  // namespace

Task<Status> DeploymentController::sync_rollout_status(Deployment& d, Family family) {
  DeploymentStatus status = compute_status(family.all(), family.new_rs, d, context_->now());
  set_progress(d, family.new_rs, status);
  if (auto failure = replica_failure(family.new_rs, family.old)) {
    set_condition(status, std::move(*failure));
  } else {
    remove_condition(status, "ReplicaFailure");
  }
  if (status == d.status) {
    requeue_stuck(d, status);
    co_return Status();
  }
  d.status = std::move(status);
  Status written = co_await write_status(d);
  co_return written;
}

// Nothing will happen by itself when a rollout is stuck: look again when its deadline has passed.
void DeploymentController::requeue_stuck(const Deployment& d, const DeploymentStatus& status) {
  const Condition* condition = condition_of(d.status, "Progressing");
  if (!has_progress_deadline(d) || condition == nullptr) return;
  if (is_complete(d, status) || condition->reason == "ProgressDeadlineExceeded") return;
  int64_t after = condition->last_update_time.unix_seconds() + *d.spec.progress_deadline_seconds - context_->now().unix_seconds();
  if (after < 1) {
    queue_->add_rate_limited(key_of(d));
  } else {
    queue_->add_after(key_of(d), std::chrono::seconds(after + 1));
  }
}

Task<Status> DeploymentController::rollback(Deployment& d, RsList list, int64_t revision) {
  auto found = co_await family(d, std::move(list), true);
  if (!found.ok()) co_return found.status();
  RsList all = found->all();
  if (revision == 0) revision = last_revision(all);
  RsPtr target;
  for (const RsPtr& rs : all)
    if (revision != 0 && revision_of(*rs) == revision) target = rs;
  bool performed = false;
  if (revision == 0) {
    tell(d, "Warning", "DeploymentRollbackRevisionNotFound", "Unable to find last revision.");
  } else if (target == nullptr) {
    tell(d, "Warning", "DeploymentRollbackRevisionNotFound", "Unable to find the revision to rollback to.");
  } else if (same_template(d.spec.template_, target->spec.template_)) {
    tell(d, "Warning", "DeploymentRollbackTemplateUnchanged",
         "The rollback revision contains the same template as current deployment " + quote(d.metadata.name));
  } else {
    d.spec.template_ = target->spec.template_;
    d.spec.template_.metadata.labels.erase(kTemplateHash);
    schema::Map<schema::Str> annotations;
    for (const auto& entry : d.metadata.annotations)
      if (skip_annotation(entry.key)) annotations[entry.key] = entry.value;
    for (const auto& entry : target->metadata.annotations)
      if (!skip_annotation(entry.key)) annotations[entry.key] = entry.value;
    d.metadata.annotations = std::move(annotations);
    performed = true;
  }
  d.metadata.annotations.erase(kRollbackTo);
  Deployment copy = d;
  auto updated = co_await context_->client.update(std::move(copy));
  if (updated.ok() && performed)
    tell(d, "Normal", "DeploymentRollback", fmt::format("Rolled back deployment {} to revision {}", quote(d.metadata.name), revision));
  co_return updated.status();
}

}  // namespace knarr::controller
