// SPDX-License-Identifier: Apache-2.0
#include "controller/statefulset.h"

#include <set>

#include "controller/util.h"

namespace knarr::controller {

StatefulSetController::StatefulSetController(ContextPtr context)
    : context_(std::move(context)),
      sets_(context_->informers.get<StatefulSet>()),
      revisions_(context_->informers.get<ControllerRevision>()),
      pods_(context_->informers.get<Pod>()),
      claims_(context_->informers.get<PersistentVolumeClaim>()),
      queue_(context_->make_queue("statefulset")),
      events_(context_->recorder("statefulset-controller")) {}

void StatefulSetController::start() {
  auto self = shared_from_this();
  index_by_controller_of(pods_);
  index_by_controller_of(revisions_);
  sets_.add_handler([self](const StatefulSetPtr& old, const StatefulSetPtr& now) { self->queue_->add(key_of(now != nullptr ? *now : *old)); });
  pods_.add_handler([self](const PodPtr& old, const PodPtr& now) { self->pod_changed(old, now); });
  context_->run_when_synced({sets_.core_ptr(), revisions_.core_ptr(), pods_.core_ptr(), claims_.core_ptr()}, queue_, "statefulset", 5,
                            [self](std::string key) { return self->reconcile(std::move(key)); });
}

// ---- events ----------------------------------------------------------------------------------------------------------------

StatefulSetPtr StatefulSetController::resolve(std::string_view ns, const api::meta_v1::OwnerReference* reference) const {
  if (reference == nullptr || reference->kind != "StatefulSet") return nullptr;
  StatefulSetPtr set = sets_.get(ns, reference->name);
  return set != nullptr && set->metadata.uid == reference->uid ? set : nullptr;
}

void StatefulSetController::enqueue_matching(const Pod& pod) {
  if (pod.metadata.labels.empty()) return;
  sets_.for_each_in(pod.metadata.namespace_, [&](const StatefulSetPtr& set) {
    auto selector = schema::LabelSelector::from(set->spec.selector.get());
    if (!selector.ok() || selector->matches_everything() || !selector->matches(pod.metadata.labels)) return;
    queue_->add(key_of(*set));
  });
}

void StatefulSetController::pod_changed(const PodPtr& old, const PodPtr& now) {
  const auto* before = old == nullptr ? nullptr : controller_of(old->metadata);
  const auto* after = now == nullptr ? nullptr : controller_of(now->metadata);
  // The owner before and the owner after: mostly one and the same, which the queue takes once.
  if (before != nullptr) {
    if (StatefulSetPtr set = resolve(old->metadata.namespace_, before)) queue_->add(key_of(*set));
  }
  if (now == nullptr) return;
  if (after != nullptr) {
    StatefulSetPtr set = resolve(now->metadata.namespace_, after);
    if (set == nullptr) return;
    queue_->add(key_of(*set));
    int32_t wait = set->spec.min_ready_seconds;
    // It becomes available without an event: look again then.
    if (wait > 0 && old != nullptr && !is_pod_ready(*old) && is_pod_ready(*now)) queue_->add_after(key_of(*set), std::chrono::seconds(wait + 1));
    return;
  }
  if (now->metadata.deletion_timestamp) return;
  if (old == nullptr || before != nullptr || !(old->metadata.labels == now->metadata.labels)) enqueue_matching(*now);
}

// ---- reconciling -----------------------------------------------------------------------------------------------------------

Task<Status> StatefulSetController::reconcile(std::string key) {
  StatefulSetPtr set = sets_.get(key);
  if (set == nullptr) co_return Status();
  Status status = co_await adopt_revisions(set);
  if (!status.ok()) co_return status;
  auto pods = co_await claim_pods(set);
  if (!pods.ok()) co_return pods.status();
  status = co_await sync(set, std::move(*pods));
  if (is_namespace_terminating(status)) co_return Status();
  co_return status;
}

RevisionList StatefulSetController::revisions_of(const StatefulSet& set) const {
  auto selector = schema::LabelSelector::from(set.spec.selector.get());
  RevisionList list = claimable(revisions_, set.metadata);
  std::erase_if(list, [&](const RevisionPtr& revision) { return !selector.ok() || !selector->matches(revision->metadata.labels); });
  std::sort(list.begin(), list.end(), older_revision);
  return list;
}

Task<Status> StatefulSetController::adopt_revisions(StatefulSetPtr set) {
  RevisionList orphans = revisions_of(*set);
  std::erase_if(orphans, [](const RevisionPtr& revision) { return controller_of(revision->metadata) != nullptr; });
  if (orphans.empty()) co_return Status();
  Status status = co_await may_adopt<StatefulSet>(context_->client, set);
  if (!status.ok()) co_return status.with_context("can't adopt ControllerRevisions");
  for (const RevisionPtr& revision : orphans) {
    std::string patch = adopt_patch(controller_ref(*set), revision->metadata.uid);
    status = co_await patch_owner<ControllerRevision>(context_->client, revision, std::move(patch));
    if (!status.ok()) co_return status;
  }
  co_return Status();
}

Task<Result<std::vector<PodPtr>>> StatefulSetController::claim_pods(StatefulSetPtr set) {
  auto selector = schema::LabelSelector::from(set->spec.selector.get());
  if (!selector.ok()) co_return selector.status();
  std::vector<PodPtr> candidates = claimable(pods_, set->metadata);
  std::function<bool(const Pod&)> matches = [selector = std::move(*selector), set](const Pod& pod) {
    return selector.matches(pod.metadata.labels) && is_member(*set, pod);
  };
  auto claimed = co_await claim_all<Pod, StatefulSet>(context_->client, set, std::move(candidates), std::move(matches));
  co_return claimed;
}

Task<Status> StatefulSetController::sync(StatefulSetPtr set, std::vector<PodPtr> pods) {
  RevisionList list = revisions_of(*set), known = list;
  auto found = co_await find_revisions(set, std::move(known));
  if (!found.ok()) co_return found.status();
  auto current = at_revision(*set, *found->current), update = at_revision(*set, *found->update);
  if (!current.ok()) co_return current.status();
  if (!update.ok()) co_return update.status();

  auto round = std::make_shared<StatefulRound>();
  round->set = set;
  round->current = std::move(*current);
  round->update = std::move(*update);
  round->current_revision = found->current->metadata.name.str();
  round->update_revision = found->update->metadata.name.str();
  round->ordered = !(set->spec.pod_management_policy == "Parallel");
  round->status.observed_generation = set->metadata.generation;
  round->status.current_revision = round->current_revision;
  round->status.update_revision = round->update_revision;
  round->status.collision_count = found->collision_count;
  std::vector<PodPtr> present = pods;
  Status result = co_await run_round(round, std::move(present));
  StatefulSetStatus status = round->status;
  complete_rollout(*set, status);
  int32_t available = status.available_replicas;
  Status written;
  if (status_differs(set->status, status)) written = co_await write_status(set, std::move(status));
  if (result.ok()) result = written;
  Status cleaned = co_await clean_up(set, std::move(pods), std::move(list), std::move(*found));
  std::vector<Status> failures{result, cleaned};
  result = aggregate(failures);
  // Clocks may differ by a little: look once more when the last pod should have become available.
  if (result.ok() && set->spec.min_ready_seconds > 0 && available != wanted(*set))
    queue_->add_after(key_of(*set), std::chrono::seconds(set->spec.min_ready_seconds));
  co_return result;
}

Task<Result<StatefulSetController::Revisions>> StatefulSetController::find_revisions(StatefulSetPtr set, RevisionList list) {
  Revisions found;
  found.collision_count = set->status.collision_count.value_or(0);
  ControllerRevision wanted_revision = new_revision(*set, list.empty() ? 1 : list.back()->revision + 1, found.collision_count);
  RevisionPtr equal;
  for (const RevisionPtr& revision : list)
    if (has_data(*revision, wanted_revision.data.bytes)) equal = revision;
  if (equal != nullptr && equal == list.back()) {
    found.update = equal;
  } else if (equal != nullptr) {
    // Gone back to: it is the newest again.
    int64_t number = wanted_revision.revision;
    auto renumbered = co_await renumber(context_->client, std::move(equal), number);
    if (!renumbered.ok()) co_return renumbered.status();
    found.update = std::move(*renumbered);
  } else {
    auto created = co_await create_revision(set, std::move(wanted_revision), found.collision_count);
    if (!created.ok()) co_return created.status();
    found.update = std::move(*created);
  }
  for (const RevisionPtr& revision : list)
    if (revision->metadata.name == set->status.current_revision) found.current = revision;
  if (found.current == nullptr) found.current = found.update;
  co_return found;
}

Task<Result<RevisionPtr>> StatefulSetController::create_revision(StatefulSetPtr set, ControllerRevision revision, int32_t& collision_count) {
  while (true) {
    revision.metadata.name = revision_name(set->metadata.name, revision_hash(revision.data.bytes, collision_count));
    ControllerRevision copy = revision;
    auto created = co_await context_->client.create(std::move(copy));
    if (created.ok()) co_return std::make_shared<const ControllerRevision>(std::move(*created));
    if (!created.status().is("AlreadyExists")) co_return created.status();
    std::string ns = revision.metadata.namespace_.str(), name = revision.metadata.name.str();
    auto present = co_await context_->client.get<ControllerRevision>(std::move(ns), std::move(name));
    if (!present.ok()) co_return present.status();
    if (has_data(*present, revision.data.bytes)) co_return std::make_shared<const ControllerRevision>(std::move(*present));
    ++collision_count;
  }
}

Task<Status> StatefulSetController::clean_up(StatefulSetPtr set, std::vector<PodPtr> pods, RevisionList list, Revisions kept) {
  std::set<std::string, std::less<>> live{kept.current->metadata.name.str(), kept.update->metadata.name.str()};
  for (const PodPtr& pod : pods) live.emplace(revision_of(*pod));
  std::erase_if(list, [&](const RevisionPtr& revision) { return live.contains(revision->metadata.name.view()); });
  int64_t surplus = static_cast<int64_t>(list.size()) - set->spec.revision_history_limit.value_or(10);
  for (int64_t i = 0; i < surplus; ++i) {
    RevisionPtr revision = list[static_cast<size_t>(i)];
    Status status = co_await remove_revision(context_->client, std::move(revision));
    if (!status.ok()) co_return status;
  }
  co_return Status();
}

Task<Status> StatefulSetController::write_status(StatefulSetPtr set, StatefulSetStatus status) {
  constexpr int kAttempts = 5;
  StatefulSet changed = *set;
  for (int attempt = 1;; ++attempt) {
    changed.status = status;
    StatefulSet copy = changed;
    auto updated = co_await context_->client.update_status(std::move(copy));
    if (updated.ok() || updated.status().code() == 404) co_return Status();
    if (!updated.status().is("Conflict") || attempt >= kAttempts) co_return updated.status();
    std::string ns = set->metadata.namespace_.str(), name = set->metadata.name.str();
    auto fresh = co_await context_->client.get<StatefulSet>(std::move(ns), std::move(name));
    if (!fresh.ok()) co_return fresh.status();
    changed = std::move(*fresh);
  }
}

void start_statefulset(const ContextPtr& context) { std::make_shared<StatefulSetController>(context)->start(); }

}  // namespace knarr::controller
