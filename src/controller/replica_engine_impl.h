// SPDX-License-Identifier: Apache-2.0
// Bodies of ReplicaEngine; included by the two files that make one.
#pragma once

#include "base/log.h"
#include "controller/claim.h"
#include "controller/replica_engine.h"

namespace knarr::controller {

template <class Traits>
ReplicaEngine<Traits>::ReplicaEngine(ContextPtr context)
    : context_(std::move(context)),
      owners_(context_->informers.template get<Owner>()),
      pods_(context_->informers.template get<Pod>()),
      queue_(context_->make_queue(std::string(Traits::name()))),
      expectations_(context_->clock),
      control_(context_->client, context_->recorder(std::string(Traits::component()))) {}

template <class Traits>
void ReplicaEngine<Traits>::start() {
  auto self = this->shared_from_this();
  index_by_controller(pods_);
  owners_.add_index("owner", [](const Owner& owner, std::vector<std::string>& values) {
    if (const auto* reference = controller_of(owner.metadata)) values.push_back(reference->uid.str());
  });
  owners_.add_handler([self](const OwnerPtr& old, const OwnerPtr& now) { self->owner_changed(old, now); });
  pods_.add_handler([self](const PodPtr& old, const PodPtr& now) { self->pod_changed(old, now); });
  context_->run_when_synced({owners_.core_ptr(), pods_.core_ptr()}, queue_, std::string(Traits::name()), 5,
                            [self](std::string key) { return self->reconcile(std::move(key)); });
}

// ---- events ----------------------------------------------------------------------------------------------------------------

template <class Traits>
void ReplicaEngine<Traits>::owner_changed(const OwnerPtr& old, const OwnerPtr& now) {
  // One that was deleted, or replaced by another of its name, starts clean.
  bool gone = now == nullptr || (old != nullptr && old->metadata.uid != now->metadata.uid);
  const Owner& owner = now != nullptr ? *now : *old;
  if (gone) expectations_.forget(key_of(owner));
  queue_->add(key_of(owner));
}

template <class Traits>
typename ReplicaEngine<Traits>::OwnerPtr ReplicaEngine<Traits>::resolve(std::string_view ns,
                                                                       const api::meta_v1::OwnerReference* reference) const {
  if (reference == nullptr || reference->kind != Owner::kind_info().kind) return nullptr;
  OwnerPtr owner = owners_.get(ns, reference->name);
  return owner != nullptr && owner->metadata.uid == reference->uid ? owner : nullptr;
}

template <class Traits>
void ReplicaEngine<Traits>::enqueue_matching(const Pod& pod) {
  if (pod.metadata.labels.empty()) return;
  owners_.for_each_in(pod.metadata.namespace_, [&](const OwnerPtr& owner) {
    schema::LabelSelector selector = Traits::selector(*owner);
    if (selector.matches_everything() || !selector.matches(pod.metadata.labels)) return;
    queue_->add(key_of(*owner));
  });
}

template <class Traits>
void ReplicaEngine<Traits>::pod_changed(const PodPtr& old, const PodPtr& now) {
  if (old != nullptr && now != nullptr && old->metadata.uid == now->metadata.uid) return pod_updated(*old, *now);
  if (old != nullptr) pod_deleted(*old);
  if (now != nullptr) pod_added(*now);
}

template <class Traits>
void ReplicaEngine<Traits>::pod_added(const Pod& pod) {
  if (pod.metadata.deletion_timestamp) return pod_deleted(pod);
  if (const auto* reference = controller_of(pod.metadata)) {
    OwnerPtr owner = resolve(pod.metadata.namespace_, reference);
    if (owner == nullptr) return;
    expectations_.creation_observed(key_of(*owner));
    queue_->add(key_of(*owner));
    return;
  }
  enqueue_matching(pod);
}

template <class Traits>
void ReplicaEngine<Traits>::pod_updated(const Pod& old, const Pod& now) {
  bool labels_changed = !(old.metadata.labels == now.metadata.labels);
  if (now.metadata.deletion_timestamp) {
    // Graceful deletion shows as a timestamp long before the pod goes: a replacement should come at once.
    pod_deleted(now);
    if (labels_changed) pod_deleted(old);
    return;
  }
  const auto* old_reference = controller_of(old.metadata);
  const auto* reference = controller_of(now.metadata);
  bool same = old_reference == nullptr ? reference == nullptr : reference != nullptr && *old_reference == *reference;
  if (!same && old_reference != nullptr) {
    if (OwnerPtr owner = resolve(old.metadata.namespace_, old_reference)) queue_->add(key_of(*owner));
  }
  if (reference != nullptr) {
    OwnerPtr owner = resolve(now.metadata.namespace_, reference);
    if (owner == nullptr) return;
    queue_->add(key_of(*owner));
    int32_t wait = owner->spec.min_ready_seconds;
    // It becomes available without an event: look again then.
    if (wait > 0 && !is_pod_ready(old) && is_pod_ready(now)) queue_->add_after(key_of(*owner), std::chrono::seconds(wait + 1));
    return;
  }
  if (labels_changed || !same) enqueue_matching(now);
}

template <class Traits>
void ReplicaEngine<Traits>::pod_deleted(const Pod& pod) {
  OwnerPtr owner = resolve(pod.metadata.namespace_, controller_of(pod.metadata));
  if (owner == nullptr) return;
  expectations_.deletion_observed(key_of(*owner), key_of(pod));
  queue_->add(key_of(*owner));
}

// ---- reconciling -----------------------------------------------------------------------------------------------------------

template <class Traits>
Task<Status> ReplicaEngine<Traits>::reconcile(std::string key) {
  OwnerPtr owner = owners_.get(key);
  if (owner == nullptr) {
    expectations_.forget(key);
    co_return Status();
  }
  bool settled = expectations_.satisfied(key);
  schema::LabelSelector selector = Traits::selector(*owner);
  std::vector<PodPtr> pods;
  Status status = co_await claim(owner, std::move(selector), pods);
  if (!status.ok()) co_return status;

  Status managed;
  if (settled && !owner->metadata.deletion_timestamp) {
    std::vector<PodPtr> copy = pods;
    managed = co_await manage(owner, std::move(copy));
  }
  Owner changed = *owner;
  compute_status(changed, pods, managed);
  bool available_later = false;
  status = co_await write_status(owner, std::move(changed), available_later);
  if (!status.ok()) co_return status;
  // Clocks may differ by a little: look once more when the last pod should have become available.
  if (managed.ok() && available_later) queue_->add_after(key, std::chrono::seconds(owner->spec.min_ready_seconds));
  co_return managed;
}

template <class Traits>
Task<Status> ReplicaEngine<Traits>::claim(OwnerPtr owner, schema::LabelSelector selector, std::vector<PodPtr>& claimed) {
  std::vector<PodPtr> candidates = claimable(pods_, owner->metadata);
  std::erase_if(candidates, [](const PodPtr& pod) { return !is_pod_active(*pod); });
  std::function<bool(const Pod&)> matches = [selector = std::move(selector)](const Pod& pod) { return selector.matches(pod.metadata.labels); };
  auto result = co_await claim_all<Pod, Owner>(context_->client, owner, std::move(candidates), std::move(matches));
  if (result.ok()) claimed = std::move(*result);
  co_return result.status();
}

template <class Traits>
Task<Status> ReplicaEngine<Traits>::manage(OwnerPtr owner, std::vector<PodPtr> pods) {
  int difference = static_cast<int>(pods.size()) - owner->spec.replicas.value_or(1);
  Status status;
  if (difference < 0) {
    int count = std::min(-difference, kBurst);
    status = co_await make_pods(owner, count);
  } else if (difference > 0) {
    auto count = static_cast<size_t>(std::min(difference, kBurst));
    status = co_await remove_pods(owner, std::move(pods), count);
  }
  co_return status;
}

template <class Traits>
Task<Status> ReplicaEngine<Traits>::make_one(OwnerPtr owner, PodPtr pod) {
  std::string ns = owner->metadata.namespace_.str();
  auto reference = client::reference_to(*owner);
  Status status = co_await control_.create(std::move(ns), std::move(pod), std::move(reference));
  co_return is_namespace_terminating(status) ? Status() : status;
}

template <class Traits>
Task<Status> ReplicaEngine<Traits>::make_pods(OwnerPtr owner, int count) {
  const auto* pod_template = Traits::pod_template(*owner);
  if (pod_template == nullptr) co_return Status();
  std::string key = key_of(*owner);
  auto pod = std::make_shared<const Pod>(pod_of_template(*pod_template, owner->metadata.name, controller_ref(*owner)));
  expectations_.expect_creations(key, count);
  auto self = this->shared_from_this();
  Job job = [self, owner, pod] { return self->make_one(owner, pod); };
  BatchResult result = co_await slow_start(count, std::move(job));
  // What was not made will not be seen.
  for (int i = result.successes; i < count; ++i) expectations_.creation_observed(key);
  co_return result.first_error;
}

template <class Traits>
Task<Status> ReplicaEngine<Traits>::remove_one(OwnerPtr owner, PodPtr pod) {
  std::string ns = owner->metadata.namespace_.str(), name = pod->metadata.name.str();
  auto reference = client::reference_to(*owner);
  Status status = co_await control_.remove(std::move(ns), std::move(name), std::move(reference));
  if (!status.ok()) expectations_.deletion_observed(key_of(*owner), key_of(*pod));
  co_return status.code() == 404 ? Status() : status;
}

template <class Traits>
Task<Status> ReplicaEngine<Traits>::remove_pods(OwnerPtr owner, std::vector<PodPtr> pods, size_t count) {
  if (count < pods.size()) sort_for_deletion(pods, related_pods(*owner), context_->now());
  pods.resize(count);
  std::vector<std::string> keys;
  std::vector<Job> jobs;
  auto self = this->shared_from_this();
  for (const PodPtr& pod : pods) {
    keys.push_back(key_of(*pod));
    jobs.push_back([self, owner, pod] { return self->remove_one(owner, pod); });
  }
  expectations_.expect_deletions(key_of(*owner), keys);
  std::vector<Status> results = co_await run_together(std::move(jobs));
  for (const Status& status : results)
    if (!status.ok()) co_return status;
  co_return Status();
}

// The pods of every owner that has the same controller (the ReplicaSets of one Deployment): nodes with many of them give up first.
template <class Traits>
std::vector<PodPtr> ReplicaEngine<Traits>::related_pods(const Owner& owner) const {
  std::vector<PodPtr> related;
  std::vector<OwnerPtr> family;
  const auto* reference = controller_of(owner.metadata);
  if (reference == nullptr) {
    family.push_back(owners_.get(key_of(owner)));
  } else {
    owners_.for_each_indexed("owner", reference->uid, [&](const OwnerPtr& one) { family.push_back(one); });
  }
  for (const OwnerPtr& one : family) {
    if (one == nullptr) continue;
    schema::LabelSelector selector = Traits::selector(*one);
    for (const PodPtr& pod : pods_of_controller(pods_, one->metadata.uid))
      if (selector.matches(pod->metadata.labels)) related.push_back(pod);
  }
  return related;
}

template <class Traits>
void ReplicaEngine<Traits>::compute_status(Owner& owner, const std::vector<PodPtr>& pods, const Status& managed) const {
  auto& status = owner.status;
  const auto* pod_template = Traits::pod_template(owner);
  schema::LabelSelector full =
      pod_template == nullptr ? schema::LabelSelector() : schema::LabelSelector::from_set(pod_template->metadata.labels);
  int32_t labeled = 0, ready = 0, available = 0;
  schema::Time now = context_->now();
  for (const PodPtr& pod : pods) {
    if (full.matches(pod->metadata.labels)) ++labeled;
    if (!is_pod_ready(*pod)) continue;
    ++ready;
    if (is_pod_available(*pod, owner.spec.min_ready_seconds, now)) ++available;
  }
  auto is_failure = [](const auto& condition) { return condition.type == "ReplicaFailure"; };
  bool failed_before = std::any_of(status.conditions.begin(), status.conditions.end(), is_failure);
  if (!managed.ok() && !failed_before) {
    auto& condition = status.conditions.emplace_back();
    condition.type = "ReplicaFailure";
    condition.status = "True";
    condition.last_transition_time = now;
    auto have = static_cast<int32_t>(pods.size());
    condition.reason = have < owner.spec.replicas.value_or(1) ? "FailedCreate" : "FailedDelete";
    condition.message = managed.message();
  } else if (managed.ok() && failed_before) {
    status.conditions.erase_if(is_failure);
  }
  status.replicas = static_cast<int32_t>(pods.size());
  status.fully_labeled_replicas = labeled;
  status.ready_replicas = ready;
  status.available_replicas = available;
}

template <class Traits>
Task<Status> ReplicaEngine<Traits>::write_status(OwnerPtr cached, Owner changed, bool& available_later) {
  int32_t wanted = changed.spec.replicas.value_or(1);
  available_later = changed.spec.min_ready_seconds > 0 && changed.status.ready_replicas == wanted &&
                    changed.status.available_replicas != wanted;
  if (changed.status == cached->status && cached->metadata.generation == cached->status.observed_generation) co_return Status();
  // The generation that was acted on, also when the write is repeated on a newer object.
  changed.status.observed_generation = changed.metadata.generation;
  for (int attempt = 0;; ++attempt) {
    Owner copy = changed;
    auto updated = co_await context_->client.update_status(std::move(copy));
    if (updated.status().code() == 404) co_return Status();  // deleted meanwhile
    if (updated.ok() || attempt >= kStatusRetries) co_return updated.status();
    std::string ns = changed.metadata.namespace_.str(), name = changed.metadata.name.str();
    auto fresh = co_await context_->client.template get<Owner>(std::move(ns), std::move(name));
    if (!fresh.ok()) co_return fresh.status();
    auto status = std::move(changed.status);
    changed = std::move(*fresh);
    changed.status = std::move(status);
  }
}

}  // namespace knarr::controller
