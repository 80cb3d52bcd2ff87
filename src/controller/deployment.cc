// SPDX-License-Identifier: Apache-2.0
#include "controller/deployment.h"

#include "controller/claim.h"
#include "controller/util.h"

namespace knarr::controller {

using api::core_v1::Pod;

DeploymentController::DeploymentController(ContextPtr context)
    : context_(std::move(context)),
      deployments_(context_->informers.get<Deployment>()),
      sets_(context_->informers.get<ReplicaSet>()),
      pods_(context_->informers.get<Pod>()),
      queue_(context_->make_queue("deployment")),
      events_(context_->recorder("deployment-controller")) {}

void DeploymentController::start() {
  auto self = shared_from_this();
  index_by_controller_of(pods_);
  index_by_controller_of(sets_);
  deployments_.add_handler([self](const DeploymentPtr& old, const DeploymentPtr& now) {
    self->queue_->add(key_of(now != nullptr ? *now : *old));
  });
  sets_.add_handler([self](const RsPtr& old, const RsPtr& now) { self->rs_changed(old, now); });
  pods_.add_handler([self](const PodPtr& old, const PodPtr& now) {
    if (now == nullptr) self->pod_gone(*old);
  });
  context_->run_when_synced({deployments_.core_ptr(), sets_.core_ptr(), pods_.core_ptr()}, queue_, "deployment", 5,
                            [self](std::string key) { return self->reconcile(std::move(key)); });
}

void DeploymentController::tell(const Deployment& d, std::string type, std::string reason, std::string message) {
  events_->event(client::reference_to(d), std::move(type), std::move(reason), std::move(message));
}

DeploymentController::DeploymentPtr DeploymentController::resolve(std::string_view ns,
                                                                  const api::meta_v1::OwnerReference* reference) const {
  if (reference == nullptr || reference->kind != "Deployment") return nullptr;
  DeploymentPtr d = deployments_.get(ns, reference->name);
  return d != nullptr && d->metadata.uid == reference->uid ? d : nullptr;
}

void DeploymentController::enqueue_matching(const ReplicaSet& rs) {
  if (rs.metadata.labels.empty()) return;
  deployments_.for_each_in(rs.metadata.namespace_, [&](const DeploymentPtr& d) {
    auto selector = schema::LabelSelector::from(d->spec.selector.get());
    if (!selector.ok() || selector->matches_everything() || !selector->matches(rs.metadata.labels)) return;
    queue_->add(key_of(*d));
  });
}

void DeploymentController::rs_changed(const RsPtr& old, const RsPtr& now) {
  const auto* before = old == nullptr ? nullptr : controller_of(old->metadata);
  const auto* after = now == nullptr ? nullptr : controller_of(now->metadata);
  // The owner before and the owner after: mostly one and the same, which the queue takes once.
  if (before != nullptr) {
    if (DeploymentPtr d = resolve(old->metadata.namespace_, before)) queue_->add(key_of(*d));
  }
  if (after != nullptr) {
    if (DeploymentPtr d = resolve(now->metadata.namespace_, after)) queue_->add(key_of(*d));
    return;
  }
  if (now == nullptr || now->metadata.deletion_timestamp) return;
  if (old == nullptr || before != nullptr || !(old->metadata.labels == now->metadata.labels)) enqueue_matching(*now);
}

// A Recreate rollout waits for the last old pod.
void DeploymentController::pod_gone(const Pod& pod) {
  const auto* reference = controller_of(pod.metadata);
  if (reference == nullptr || reference->kind != "ReplicaSet") return;
  RsPtr rs = sets_.get(pod.metadata.namespace_, reference->name);
  if (rs == nullptr || rs->metadata.uid != reference->uid) return;
  DeploymentPtr d = resolve(rs->metadata.namespace_, controller_of(rs->metadata));
  if (d != nullptr && d->spec.strategy.type == "Recreate") queue_->add(key_of(*d));
}

Task<Result<RsList>> DeploymentController::claim(DeploymentPtr d) {
  auto selector = schema::LabelSelector::from(d->spec.selector.get());
  if (!selector.ok()) co_return selector.status().with_context("deployment " + key_of(*d) + " has invalid label selector");
  RsList candidates = claimable(sets_, d->metadata);
  std::function<bool(const ReplicaSet&)> matches = [selector = std::move(*selector)](const ReplicaSet& rs) {
    return selector.matches(rs.metadata.labels);
  };
  auto claimed = co_await claim_all<ReplicaSet, Deployment>(context_->client, d, std::move(candidates), std::move(matches));
  co_return claimed;
}

Task<Status> DeploymentController::reconcile(std::string key) {
  DeploymentPtr cached = deployments_.get(key);
  if (cached == nullptr) co_return Status();
  Deployment d = *cached;
  const auto* selector = d.spec.selector.get();
  if (selector != nullptr && selector->match_labels.empty() && selector->match_expressions.empty()) {
    tell(d, "Warning", "SelectingAll", "This deployment is selecting all pods. A non-empty selector is required.");
    if (d.status.observed_generation >= d.metadata.generation) co_return Status();
    d.status.observed_generation = d.metadata.generation;
    Status ignored = co_await write_status(d);
    (void)ignored;
    co_return Status();
  }
  auto claimed = co_await claim(cached);
  if (!claimed.ok()) co_return claimed.status();
  RsList list = std::move(*claimed);
  Status status;
  if (d.metadata.deletion_timestamp) {
    status = co_await sync_status_only(d, std::move(list));
    co_return status;
  }
  status = co_await check_paused(d);
  if (!status.ok()) co_return status;
  bool scaled = d.spec.paused;
  if (!scaled) {
    if (auto revision = rollback_revision(d)) {
      status = co_await rollback(d, std::move(list), *revision);
      co_return status;
    }
    // A change of replicas is spread over all ReplicaSets before the rollout goes on.
    for (const RsPtr& rs : active(list)) {
      auto desired = int_annotation(*rs, kDesiredReplicas);
      scaled = scaled || (desired && *desired != wanted(d));
    }
  }
  if (scaled) {
    status = co_await sync(d, std::move(list));
  } else if (d.spec.strategy.type == "Recreate") {
    status = co_await rollout_recreate(d, std::move(list));
  } else if (is_rolling(d)) {
    status = co_await rollout_rolling(d, std::move(list));
  } else {
    status = Status::error("unexpected deployment strategy type: " + d.spec.strategy.type.str());
  }
  // Gone meanwhile, or its namespace is going: nothing to retry.
  if (status.code() == 404 || is_namespace_terminating(status)) co_return Status();
  co_return status;
}

void start_deployment(const ContextPtr& context) { std::make_shared<DeploymentController>(context)->start(); }

}  // namespace knarr::controller
