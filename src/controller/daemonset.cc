// SPDX-License-Identifier: Apache-2.0
#include "controller/daemonset.h"

#include "controller/util.h"

namespace knarr::controller {

DaemonSetController::DaemonSetController(ContextPtr context)
    : context_(std::move(context)),
      sets_(context_->informers.get<DaemonSet>()),
      revisions_(context_->informers.get<ControllerRevision>()),
      pods_(context_->informers.get<Pod>()),
      nodes_(context_->informers.get<Node>()),
      queue_(context_->make_queue("daemonset")),
      events_(context_->recorder("daemonset-controller")),
      expectations_(context_->clock),
      backoff_(context_->clock),
      control_(context_->client, events_) {}

void DaemonSetController::start() {
  auto self = shared_from_this();
  index_by_controller_of(pods_);
  index_by_controller_of(revisions_);
  sets_.add_handler([self](const DaemonSetPtr& old, const DaemonSetPtr& now) {
    bool gone = now == nullptr || (old != nullptr && old->metadata.uid != now->metadata.uid);
    std::string key = key_of(now != nullptr ? *now : *old);
    if (gone) self->expectations_.forget(key);
    self->queue_->add(key);
  });
  revisions_.add_handler([self](const RevisionPtr& old, const RevisionPtr& now) { self->revision_changed(old, now); });
  pods_.add_handler([self](const PodPtr& old, const PodPtr& now) { self->pod_changed(old, now); });
  nodes_.add_handler([self](const NodePtr& old, const NodePtr& now) { self->node_changed(old, now); });
  context_->run_when_synced({sets_.core_ptr(), revisions_.core_ptr(), pods_.core_ptr(), nodes_.core_ptr()}, queue_, "daemonset", 2,
                            [self](std::string key) { return self->reconcile(std::move(key)); });
}

void DaemonSetController::tell(const DaemonSet& set, std::string type, std::string reason, std::string message) {
  events_->event(client::reference_to(set), std::move(type), std::move(reason), std::move(message));
}

// ---- events ----------------------------------------------------------------------------------------------------------------

DaemonSetPtr DaemonSetController::resolve(std::string_view ns, const api::meta_v1::OwnerReference* reference) const {
  if (reference == nullptr || reference->kind != "DaemonSet") return nullptr;
  DaemonSetPtr set = sets_.get(ns, reference->name);
  return set != nullptr && set->metadata.uid == reference->uid ? set : nullptr;
}

void DaemonSetController::enqueue_matching(const api::meta_v1::ObjectMeta& object) {
  if (object.labels.empty()) return;
  sets_.for_each_in(object.namespace_, [&](const DaemonSetPtr& set) {
    auto selector = schema::LabelSelector::from(set->spec.selector.get());
    if (!selector.ok() || selector->matches_everything() || !selector->matches(object.labels)) return;
    queue_->add(key_of(*set));
  });
}

void DaemonSetController::pod_changed(const PodPtr& old, const PodPtr& now) {
  if (old != nullptr && now != nullptr && old->metadata.uid == now->metadata.uid) return pod_updated(*old, *now);
  if (old != nullptr) pod_deleted(*old);
  if (now == nullptr) return;
  if (now->metadata.deletion_timestamp) return pod_deleted(*now);
  const auto* reference = controller_of(now->metadata);
  if (reference == nullptr) return enqueue_matching(now->metadata);
  DaemonSetPtr set = resolve(now->metadata.namespace_, reference);
  if (set == nullptr) return;
  expectations_.creation_observed(key_of(*set));
  queue_->add(key_of(*set));
}

void DaemonSetController::pod_updated(const Pod& old, const Pod& now) {
  if (now.metadata.deletion_timestamp) return pod_deleted(now);
  const auto* before = controller_of(old.metadata);
  const auto* after = controller_of(now.metadata);
  bool same = before == nullptr ? after == nullptr : after != nullptr && *before == *after;
  if (!same && before != nullptr) {
    if (DaemonSetPtr set = resolve(old.metadata.namespace_, before)) queue_->add(key_of(*set));
  }
  if (after == nullptr) {
    if (!same || !(old.metadata.labels == now.metadata.labels)) enqueue_matching(now.metadata);
    return;
  }
  DaemonSetPtr set = resolve(now.metadata.namespace_, after);
  if (set == nullptr) return;
  queue_->add(key_of(*set));
  int32_t wait = set->spec.min_ready_seconds;
  // It becomes available without an event: look again then.
  if (wait > 0 && !is_pod_ready(old) && is_pod_ready(now)) queue_->add_after(key_of(*set), std::chrono::seconds(wait + 1));
}

void DaemonSetController::pod_deleted(const Pod& pod) {
  DaemonSetPtr set = resolve(pod.metadata.namespace_, controller_of(pod.metadata));
  if (set == nullptr) return;
  expectations_.deletion_observed(key_of(*set), key_of(pod));
  queue_->add(key_of(*set));
}

void DaemonSetController::revision_changed(const RevisionPtr& old, const RevisionPtr& now) {
  const auto* before = old == nullptr ? nullptr : controller_of(old->metadata);
  const auto* after = now == nullptr ? nullptr : controller_of(now->metadata);
  // A new one of its own is the set's own doing.
  if (before != nullptr) {
    if (DaemonSetPtr set = resolve(old->metadata.namespace_, before)) queue_->add(key_of(*set));
  }
  if (now == nullptr) return;
  if (after != nullptr) {
    DaemonSetPtr set = old == nullptr ? nullptr : resolve(now->metadata.namespace_, after);
    if (set != nullptr) queue_->add(key_of(*set));
    return;
  }
  if (now->metadata.deletion_timestamp) return;
  if (old == nullptr || before != nullptr || !(old->metadata.labels == now->metadata.labels)) enqueue_matching(now->metadata);
}

void DaemonSetController::node_changed(const NodePtr& old, const NodePtr& now) {
  if (now == nullptr) return;
  // Only name, labels and taints count: heartbeats end here.
  if (old != nullptr && old->spec.taints == now->spec.taints && old->metadata.labels == now->metadata.labels) return;
  sets_.for_each([&](const DaemonSetPtr& set) {
    DaemonPlacement placement(*set);
    DaemonPlacement::Verdict verdict = placement.on(*now);
    if (old == nullptr ? verdict.run : verdict != placement.on(*old)) queue_->add(key_of(*set));
  });
}

// ---- reconciling -----------------------------------------------------------------------------------------------------------

std::vector<NodePtr> DaemonSetController::nodes() const {
  std::vector<NodePtr> list;
  nodes_.for_each([&](const NodePtr& node) { list.push_back(node); });
  return list;
}

Task<Result<std::vector<PodPtr>>> DaemonSetController::claim_pods(DaemonSetPtr set) {
  auto selector = schema::LabelSelector::from(set->spec.selector.get());
  if (!selector.ok()) co_return selector.status();
  std::vector<PodPtr> candidates = claimable(pods_, set->metadata);
  std::function<bool(const Pod&)> matches = [selector = std::move(*selector)](const Pod& pod) { return selector.matches(pod.metadata.labels); };
  auto claimed = co_await claim_all<Pod, DaemonSet>(context_->client, set, std::move(candidates), std::move(matches));
  co_return claimed;
}

Task<Result<PodsByNode>> DaemonSetController::pods_by_node(DaemonSetPtr set, bool all) {
  auto claimed = co_await claim_pods(set);
  if (!claimed.ok())
    co_return claimed.status().with_context("couldn't get node to daemon pod mapping for daemon set " + quote(set->metadata.name));
  PodsByNode map;
  for (const PodPtr& pod : *claimed) {
    if (!all && is_pod_terminal(*pod) && pod->metadata.deletion_timestamp) continue;
    if (auto node = target_node(*pod)) map[*node].push_back(pod);
  }
  co_return map;
}

Task<Status> DaemonSetController::reconcile(std::string key) {
  DaemonSetPtr set = sets_.get(key);
  if (set == nullptr) {
    expectations_.forget(key);
    co_return Status();
  }
  const auto* selector = set->spec.selector.get();
  if (selector != nullptr && selector->match_labels.empty() && selector->match_expressions.empty()) {
    tell(*set, "Warning", "SelectingAll", "This daemon set is selecting all pods. A non-empty selector is required.");
    co_return Status();
  }
  if (set->metadata.deletion_timestamp) co_return Status();
  auto found = co_await history(set);
  if (!found.ok()) {
    // A namespace on its way out takes no new revision; the set goes with it.
    if (is_namespace_terminating(found.status())) co_return Status();
    co_return found.status().with_context("failed to construct revisions of DaemonSet");
  }
  std::string hash = found->hash();
  Status updated;
  bool settled = expectations_.satisfied(key);
  if (settled) {
    std::string revision = hash;
    updated = co_await update_set(set, std::move(revision), std::move(found->old));
  }
  Status written = co_await write_status(set, std::move(hash), settled);
  co_return updated.ok() ? written : updated;
}

Task<Status> DaemonSetController::update_set(DaemonSetPtr set, std::string hash, RevisionList old) {
  std::string revision = hash;
  Status status = co_await manage(set, std::move(revision));
  if (!status.ok()) co_return status;
  if (set->spec.update_strategy.type == "RollingUpdate" && expectations_.satisfied(key_of(*set))) {
    status = co_await roll(set, std::move(hash));
    if (!status.ok()) co_return status;
  }
  status = co_await clean_up(set, std::move(old));
  co_return status.ok() ? status : status.with_context("failed to clean up revisions of DaemonSet");
}

Task<Status> DaemonSetController::manage(DaemonSetPtr set, std::string hash) {
  auto present = co_await pods_by_node(set, false);
  if (!present.ok()) co_return present.status();
  DaemonPlacement placement(*set);
  std::vector<NodePtr> all = nodes();
  PodChanges changes;
  for (const NodePtr& node : all) {
    std::string name = node->metadata.name.str();
    auto at = present->find(name);
    NodeNeeds needs = node_needs(*set, placement.on(*node), at == present->end() ? nullptr : &at->second, hash, context_->now());
    if (needs.create) changes.create_on.push_back(name);
    for (const PodPtr& pod : needs.failed) {
      Duration wait = backoff_.next(fmt::format("{}/{}/{}", set->metadata.uid.view(), set->status.observed_generation, name));
      if (wait > Duration::zero()) {
        queue_->add_after(key_of(*set), wait);
        continue;
      }
      tell(*set, "Warning", "FailedDaemonPod", fmt::format("Found failed daemon pod {} on node {}, will try to kill it", key_of(*pod), name));
      changes.remove.push_back(pod);
    }
    for (const PodPtr& pod : needs.succeeded) {
      tell(*set, "Normal", "SucceededDaemonPod",
           fmt::format("Found succeeded daemon pod {} on node {}, will try to delete it", key_of(*pod), name));
      changes.remove.push_back(pod);
    }
    changes.remove.insert(changes.remove.end(), needs.remove.begin(), needs.remove.end());
  }
  std::vector<PodPtr> lost = pods_without_node(all, *present);
  changes.remove.insert(changes.remove.end(), lost.begin(), lost.end());
  Status status = co_await apply(set, std::move(changes), std::move(hash));
  co_return status;
}

Task<Status> DaemonSetController::roll(DaemonSetPtr set, std::string hash) {
  auto present = co_await pods_by_node(set, false);
  if (!present.ok()) co_return present.status();
  DaemonPlacement placement(*set);
  auto changes = rolling_changes(*set, placement, nodes(), *present, hash, context_->now());
  if (!changes.ok()) co_return changes.status();
  Status status = co_await apply(set, std::move(*changes), std::move(hash));
  co_return status;
}

Task<Status> DaemonSetController::apply(DaemonSetPtr set, PodChanges changes, std::string hash) {
  if (changes.create_on.size() > kBurst) changes.create_on.resize(kBurst);
  if (changes.remove.size() > kBurst) changes.remove.resize(kBurst);
  std::vector<std::string> keys;
  std::vector<Job> jobs;
  auto self = shared_from_this();
  for (const PodPtr& pod : changes.remove) {
    keys.push_back(key_of(*pod));
    jobs.push_back([self, set, pod] { return self->remove_one(set, pod); });
  }
  expectations_.expect(key_of(*set), static_cast<int>(changes.create_on.size()), keys);
  std::vector<Status> results;
  Status made = co_await make_pods(set, std::move(changes.create_on), std::move(hash));
  results.push_back(std::move(made));
  std::vector<Status> removed = co_await run_together(std::move(jobs));
  for (Status& status : removed) results.push_back(std::move(status));
  co_return aggregate(results);
}

Task<Status> DaemonSetController::make_one(DaemonSetPtr set, PodPtr pod) {
  std::string ns = set->metadata.namespace_.str();
  auto reference = client::reference_to(*set);
  Status status = co_await control_.create(std::move(ns), std::move(pod), std::move(reference));
  if (is_namespace_terminating(status)) co_return Status();
  if (!status.ok()) expectations_.creation_observed(key_of(*set));
  co_return status;
}

// In growing batches, as upstream: what fails once is not tried hundreds of times.
Task<Status> DaemonSetController::make_pods(DaemonSetPtr set, std::vector<std::string> nodes, std::string hash) {
  Pod model = pod_of_template(daemon_template(*set, hash), set->metadata.name, controller_ref(*set));
  auto self = shared_from_this();
  std::vector<Status> failures;
  size_t at = 0;
  for (size_t batch = 1; at < nodes.size() && failures.empty(); batch *= 2) {
    std::vector<Job> jobs;
    for (; at < nodes.size() && jobs.size() < batch; ++at) {
      auto pod = std::make_shared<Pod>(model);
      pin_to_node(pod->spec, nodes[at]);
      jobs.push_back([self, set, pod] { return self->make_one(set, pod); });
    }
    std::vector<Status> results = co_await run_together(std::move(jobs));
    for (Status& status : results)
      if (!status.ok()) failures.push_back(std::move(status));
  }
  // What was not made will not be seen.
  for (; at < nodes.size(); ++at) expectations_.creation_observed(key_of(*set));
  co_return aggregate(failures);
}

Task<Status> DaemonSetController::remove_one(DaemonSetPtr set, PodPtr pod) {
  std::string ns = set->metadata.namespace_.str(), name = pod->metadata.name.str();
  auto reference = client::reference_to(*set);
  Status status = co_await control_.remove(std::move(ns), std::move(name), std::move(reference));
  if (!status.ok()) expectations_.deletion_observed(key_of(*set), key_of(*pod));
  co_return status.code() == 404 ? Status() : status;
}

Task<Status> DaemonSetController::write_status(DaemonSetPtr set, std::string hash, bool observed) {
  auto present = co_await pods_by_node(set, false);
  if (!present.ok()) co_return present.status();
  DaemonCounts counts = count_daemons(*set, DaemonPlacement(*set), nodes(), *present, hash, context_->now());
  // Clocks may differ by a little: look once more when the last pod should have become available.
  if (set->spec.min_ready_seconds > 0 && counts.ready != counts.available)
    queue_->add_after(key_of(*set), std::chrono::seconds(set->spec.min_ready_seconds));
  if (same_counts(set->status, counts) && set->status.observed_generation >= set->metadata.generation) co_return Status();
  DaemonSet changed = *set;
  for (int attempt = 0;; ++attempt) {
    if (observed) changed.status.observed_generation = set->metadata.generation;
    set_counts(changed.status, counts);
    DaemonSet copy = changed;
    auto updated = co_await context_->client.update_status(std::move(copy));
    if (updated.ok() || updated.status().code() == 404) co_return Status();
    if (attempt >= kStatusRetries)
      co_return updated.status().with_context("error storing status for daemon set " + key_of(*set));
    std::string ns = set->metadata.namespace_.str(), name = set->metadata.name.str();
    auto fresh = co_await context_->client.get<DaemonSet>(std::move(ns), std::move(name));
    if (!fresh.ok()) co_return fresh.status();
    changed = std::move(*fresh);
  }
}

void start_daemonset(const ContextPtr& context) { std::make_shared<DaemonSetController>(context)->start(); }

}  // namespace knarr::controller
