// SPDX-License-Identifier: Apache-2.0
// Finding or making the ReplicaSet of the template, revisions, scaling, clean-up.
#include "controller/deployment.h"
#include "controller/util.h"

namespace knarr::controller {

Task<Status> DeploymentController::write_status(Deployment& d) {
  Deployment copy = d;
  auto updated = co_await context_->client.update_status(std::move(copy));
  if (updated.ok()) d = std::move(*updated);
  co_return updated.status();
}

Task<Result<DeploymentController::Family>> DeploymentController::family(Deployment& d, RsList list, bool create) {
  Family family;
  RsPtr found = find_new(d, list);
  family.old = without(list, found);
  int64_t revision = max_revision(family.old) + 1;
  if (found != nullptr) {
    auto updated = co_await update_new_rs(d, found, revision);
    if (!updated.ok()) co_return updated.status();
    family.new_rs = std::move(*updated);
  } else if (create) {
    auto created = co_await create_new_rs(d, family.old, revision);
    if (!created.ok()) co_return created.status();
    family.new_rs = std::move(*created);
  }
  co_return family;
}

Task<Result<RsPtr>> DeploymentController::update_new_rs(Deployment& d, RsPtr rs, int64_t revision) {
  ReplicaSet copy = *rs;
  bool changed = set_new_rs_annotations(d, copy, revision, true);
  if (changed || copy.spec.min_ready_seconds != d.spec.min_ready_seconds) {
    copy.spec.min_ready_seconds = d.spec.min_ready_seconds;
    auto updated = co_await context_->client.update(std::move(copy));
    if (!updated.ok()) co_return updated.status();
    co_return RsPtr(std::make_shared<const ReplicaSet>(std::move(*updated)));
  }
  bool write = set_revision(d, std::string(schema::get_or_empty(copy.metadata.annotations, kRevision)));
  if (has_progress_deadline(d) && condition_of(d.status, "Progressing") == nullptr) {
    std::string message = "Found new replica set " + quote(rs->metadata.name);
    set_condition(d.status, make_condition("Progressing", "True", "FoundNewReplicaSet", message, context_->now()));
    write = true;
  }
  if (write) {
    Status status = co_await write_status(d);
    if (!status.ok()) co_return status;
  }
  co_return rs;
}

namespace {

ReplicaSet make_new_rs(const Deployment& d, const RsList& old, int64_t revision) {
  std::string hash = template_hash(d.spec.template_, d.status.collision_count);
  ReplicaSet rs;
  rs.metadata.name = d.metadata.name.str() + "-" + hash;
  rs.metadata.namespace_ = d.metadata.namespace_;
  rs.metadata.owner_references.push_back(controller_ref(d));
  rs.spec.template_ = d.spec.template_;
  rs.spec.template_.metadata.labels[kTemplateHash] = hash;
  rs.metadata.labels = rs.spec.template_.metadata.labels;
  rs.spec.selector = d.spec.selector;
  rs.spec.selector.ensure().match_labels[kTemplateHash] = hash;
  rs.spec.min_ready_seconds = d.spec.min_ready_seconds;
  rs.spec.replicas = 0;
  rs.spec.replicas = new_rs_size(d, old, rs);
  set_new_rs_annotations(d, rs, revision, false);
  return rs;
}

}  // namespace

Task<Result<RsPtr>> DeploymentController::create_new_rs(Deployment& d, const RsList& old, int64_t revision) {
  ReplicaSet rs = make_new_rs(d, old, revision);
  std::string name = rs.metadata.name.str();
  int32_t size = wanted(rs);
  auto created = co_await context_->client.create(std::move(rs));
  if (created.status().is("AlreadyExists")) {
    auto taken = co_await name_taken(d, name, created.status());
    if (!taken.ok()) co_return taken.status();
    if (set_revision(d, std::to_string(revision))) {
      Status status = co_await write_status(d);
      if (!status.ok()) co_return status;
    }
    co_return std::move(*taken);
  }
  if (!created.ok()) {
    if (is_namespace_terminating(created.status())) co_return created.status();
    std::string message = "Failed to create new replica set " + quote(name) + ": " + std::string(created.status().message());
    if (has_progress_deadline(d)) {
      set_condition(d.status, make_condition("Progressing", "False", "ReplicaSetCreateError", message, context_->now()));
      Status ignored = co_await write_status(d);  // the failure itself is what counts
      (void)ignored;
    }
    tell(d, "Warning", "ReplicaSetCreateError", message);
    co_return created.status();
  }
  if (size > 0) tell(d, "Normal", "ScalingReplicaSet", fmt::format("Scaled up replica set {} to {}", name, size));
  bool write = set_revision(d, std::to_string(revision));
  if (has_progress_deadline(d)) {
    std::string message = "Created new replica set " + quote(name);
    set_condition(d.status, make_condition("Progressing", "True", "NewReplicaSetCreated", message, context_->now()));
    write = true;
  }
  if (write) {
    Status status = co_await write_status(d);
    if (!status.ok()) co_return status;
  }
  co_return RsPtr(std::make_shared<const ReplicaSet>(std::move(*created)));
}

// The name is in use: by what an earlier round made (the cache was behind), or by another template with this hash, which the collision count
// keeps apart from now on.
Task<Result<RsPtr>> DeploymentController::name_taken(Deployment& d, std::string name, Status conflict) {
  RsPtr rs = sets_.get(d.metadata.namespace_, name);
  if (rs == nullptr) co_return Status::make(409, "Conflict", "replicaset.apps " + quote(name) + " exists but was not seen yet");
  const auto* owner = controller_of(rs->metadata);
  if (owner != nullptr && owner->uid == d.metadata.uid && same_template(d.spec.template_, rs->spec.template_)) co_return rs;
  d.status.collision_count = d.status.collision_count.value_or(0) + 1;
  Status ignored = co_await write_status(d);
  (void)ignored;
  co_return conflict;
}

Task<Status> DeploymentController::sync_status_only(Deployment& d, RsList list) {
  auto found = co_await family(d, std::move(list), false);
  if (!found.ok()) co_return found.status();
  DeploymentStatus status = compute_status(found->all(), found->new_rs, d, context_->now());
  if (status == d.status) co_return Status();
  d.status = std::move(status);
  Status written = co_await write_status(d);
  co_return written;
}

Task<Status> DeploymentController::sync(Deployment& d, RsList list) {
  auto found = co_await family(d, list, false);
  if (!found.ok()) co_return found.status();
  Family copy = *found;
  Status status = co_await scale(d, std::move(copy));
  if (!status.ok()) co_return status;
  if (d.spec.paused && !rollback_revision(d)) {
    RsList old = found->old;
    status = co_await clean_up(d, std::move(old));
    if (!status.ok()) co_return status;
  }
  DeploymentStatus fresh = compute_status(found->all(), found->new_rs, d, context_->now());
  if (fresh == d.status) co_return Status();
  d.status = std::move(fresh);
  status = co_await write_status(d);
  co_return status;
}

Task<Status> DeploymentController::check_paused(Deployment& d) {
  if (!has_progress_deadline(d)) co_return Status();
  const Condition* condition = condition_of(d.status, "Progressing");
  if (condition != nullptr && condition->reason == "ProgressDeadlineExceeded") co_return Status();
  bool noted = condition != nullptr && condition->reason == "DeploymentPaused";
  if (d.spec.paused == noted) co_return Status();
  const char* reason = d.spec.paused ? "DeploymentPaused" : "DeploymentResumed";
  std::string message = d.spec.paused ? "Deployment is paused" : "Deployment is resumed";
  set_condition(d.status, make_condition("Progressing", "Unknown", reason, message, context_->now()));
  Status status = co_await write_status(d);
  co_return status;
}

Task<Status> DeploymentController::scale(Deployment& d, Family family) {
  if (RsPtr only = active_or_latest(family.new_rs, family.old)) {
    int32_t size = wanted(d);
    auto scaled = co_await scale_rs_if_needed(d, std::move(only), size);
    co_return scaled.status();
  }
  if (family.new_rs != nullptr && saturated(d, *family.new_rs)) {
    for (const RsPtr& rs : active(family.old)) {
      auto scaled = co_await scale_rs_if_needed(d, rs, 0);
      if (!scaled.ok()) co_return scaled.status();
    }
    co_return Status();
  }
  if (!is_rolling(d)) co_return Status();
  RsList all = active(family.all());
  Status status = co_await scale_proportionally(d, std::move(all));
  co_return status;
}

Task<Status> DeploymentController::scale_proportionally(Deployment& d, RsList all) {
  int32_t allowed = wanted(d) > 0 ? wanted(d) + max_surge(d) : 0;
  int32_t to_add = allowed - total_wanted(all), added = 0;
  bool up = to_add > 0;
  // The largest first; among equals the newer one grows, the older one shrinks.
  std::sort(all.begin(), all.end(), [up](const RsPtr& a, const RsPtr& b) {
    if (wanted(*a) != wanted(*b)) return wanted(*a) > wanted(*b);
    return up ? older(b, a) : older(a, b);
  });
  std::vector<int32_t> sizes;
  for (const RsPtr& rs : all) {
    int32_t share = proportion(*rs, d, to_add, added);
    added += share;
    sizes.push_back(wanted(*rs) + share);
  }
  std::string direction = up ? "up" : to_add < 0 ? "down" : "";
  for (size_t i = 0; i < all.size(); ++i) {
    // What rounding left over goes to the largest.
    if (i == 0) sizes[i] = std::max(0, sizes[i] + to_add - added);
    std::string word = direction;
    int32_t size = sizes[i];
    auto scaled = co_await scale_rs(d, all[i], size, std::move(word));
    if (!scaled.ok()) co_return scaled.status();
  }
  co_return Status();
}

Task<Result<RsPtr>> DeploymentController::scale_rs_if_needed(Deployment& d, RsPtr rs, int32_t size) {
  if (wanted(*rs) == size) co_return rs;
  std::string direction = wanted(*rs) < size ? "up" : "down";
  auto scaled = co_await scale_rs(d, std::move(rs), size, std::move(direction));
  co_return scaled;
}

Task<Result<RsPtr>> DeploymentController::scale_rs(Deployment& d, RsPtr rs, int32_t size, std::string direction) {
  ReplicaSet copy = *rs;
  bool resize = wanted(*rs) != size;
  bool annotate = set_replicas_annotations(copy, d);
  if (!resize && !annotate) co_return rs;
  copy.spec.replicas = size;
  auto updated = co_await context_->client.update(std::move(copy));
  if (!updated.ok()) co_return updated.status();
  if (resize)
    tell(d, "Normal", "ScalingReplicaSet",
         fmt::format("Scaled {} replica set {} to {} from {}", direction, rs->metadata.name.view(), size, wanted(*rs)));
  co_return RsPtr(std::make_shared<const ReplicaSet>(std::move(*updated)));
}

Task<Status> DeploymentController::clean_up(const Deployment& d, RsList old) {
  if (!d.spec.revision_history_limit || *d.spec.revision_history_limit == std::numeric_limits<int32_t>::max()) co_return Status();
  std::erase_if(old, [](const RsPtr& rs) { return rs->metadata.deletion_timestamp.has_value(); });
  int64_t surplus = static_cast<int64_t>(old.size()) - *d.spec.revision_history_limit;
  std::sort(old.begin(), old.end(), [](const RsPtr& a, const RsPtr& b) {
    auto x = revision_of(*a), y = revision_of(*b);
    if (!x || !y || *x == *y) return older(a, b);
    return *x < *y;
  });
  for (int64_t i = 0; i < surplus; ++i) {
    const ReplicaSet& rs = *old[static_cast<size_t>(i)];
    if (rs.status.replicas != 0 || wanted(rs) != 0 || rs.metadata.generation > rs.status.observed_generation) continue;
    std::string ns = rs.metadata.namespace_.str(), name = rs.metadata.name.str();
    Status status = co_await context_->client.remove<ReplicaSet>(std::move(ns), std::move(name));
    if (!status.ok() && status.code() != 404) co_return status;
  }
  co_return Status();
}

}  // namespace knarr::controller
