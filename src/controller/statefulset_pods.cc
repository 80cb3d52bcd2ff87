// SPDX-License-Identifier: Apache-2.0
// Pods of a StatefulSet and their claims: made, put right, removed, each with an event about the set.
#include "controller/statefulset.h"
#include "controller/util.h"

namespace knarr::controller {

void StatefulSetController::tell_pod(const StatefulSet& set, std::string_view verb, const Pod& pod, const Status& status) {
  std::string reason(verb);
  reason[0] = static_cast<char>(reason[0] - 'a' + 'A');
  std::string message = fmt::format("{} Pod {} in StatefulSet {} ", verb, pod.metadata.name.view(), set.metadata.name.view());
  if (status.ok()) {
    events_->event(client::reference_to(set), "Normal", "Successful" + reason, message + "successful");
  } else {
    events_->event(client::reference_to(set), "Warning", "Failed" + reason, message + "failed error: " + std::string(status.message()));
  }
}

void StatefulSetController::tell_claim(const StatefulSet& set, const PersistentVolumeClaim& claim, const Pod& pod, const Status& status) {
  std::string_view claim_name = claim.metadata.name, pod_name = pod.metadata.name, set_name = set.metadata.name;
  if (status.ok()) {
    std::string message = fmt::format("create Claim {} Pod {} in StatefulSet {} success", claim_name, pod_name, set_name);
    events_->event(client::reference_to(set), "Normal", "SuccessfulCreate", std::move(message));
  } else {
    std::string message = fmt::format("create Claim {} for Pod {} in StatefulSet {} failed error: {}", claim_name, pod_name, set_name,
                                      status.message());
    events_->event(client::reference_to(set), "Warning", "FailedCreate", std::move(message));
  }
}

Task<Status> StatefulSetController::create_pod(StatefulSetPtr set, PodPtr pod) {
  // A pod that cannot have its claims would never start.
  Status status = co_await create_claims(set, pod);
  if (!status.ok()) {
    tell_pod(*set, "create", *pod, status);
    co_return status;
  }
  Pod copy = *pod;
  auto created = co_await context_->client.create(std::move(copy));
  // The cache is behind: an earlier round has made it.
  if (created.status().is("AlreadyExists")) co_return created.status();
  Status owners = co_await update_claim_owners(set, pod);
  if (!owners.ok()) {
    tell_pod(*set, "update", *pod, owners);
    co_return owners;
  }
  if (!is_namespace_terminating(created.status())) tell_pod(*set, "create", *pod, created.status());
  co_return created.status();
}

Task<Status> StatefulSetController::update_pod(StatefulSetPtr set, PodPtr pod) {
  constexpr int kAttempts = 4;
  Pod changed = *pod;
  for (int attempt = 1;; ++attempt) {
    bool consistent = true;
    if (!identity_matches(*set, changed)) {
      set_identity(*set, changed);
      consistent = false;
    }
    auto now = std::make_shared<const Pod>(changed);
    if (!storage_matches(*set, changed)) {
      set_storage(*set, changed);
      consistent = false;
      Status status = co_await create_claims(set, now);
      if (!status.ok()) {
        tell_pod(*set, "update", *now, status);
        co_return status;
      }
    }
    if (!claims_match(*set, changed)) {
      consistent = false;
      Status status = co_await update_claim_owners(set, now);
      if (!status.ok()) {
        tell_pod(*set, "update", *now, status);
        co_return status;
      }
    }
    if (consistent) co_return Status();
    Pod copy = changed;
    auto updated = co_await context_->client.update(std::move(copy));
    if (updated.ok() || !updated.status().is("Conflict") || attempt >= kAttempts) {
      tell_pod(*set, "update", *now, updated.status());
      co_return updated.status();
    }
    std::string ns = changed.metadata.namespace_.str(), name = changed.metadata.name.str();
    auto fresh = co_await context_->client.get<Pod>(std::move(ns), std::move(name));
    if (!fresh.ok()) co_return fresh.status();
    changed = std::move(*fresh);
  }
}

Task<Status> StatefulSetController::remove_pod(StatefulSetPtr set, PodPtr pod) {
  std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str();
  Status status = co_await context_->client.remove<Pod>(std::move(ns), std::move(name));
  tell_pod(*set, "delete", *pod, status);
  co_return status;
}

// ---- claims ----------------------------------------------------------------------------------------------------------------

Task<Status> StatefulSetController::create_claims(StatefulSetPtr set, PodPtr pod) {
  std::vector<Status> failures;
  std::vector<PersistentVolumeClaim> wanted_claims = claims_of(*set, ordinal_of(*pod));
  for (const PersistentVolumeClaim& claim : wanted_claims) {
    std::string name = claim.metadata.name.str();
    auto present = claims_.get(claim.metadata.namespace_, name);
    if (present != nullptr) {
      if (present->metadata.deletion_timestamp) failures.push_back(Status::error("pvc " + name + " is being deleted"));
      continue;
    }
    PersistentVolumeClaim copy = claim;
    auto created = co_await context_->client.create(std::move(copy));
    const Status& status = created.status();
    // Unlike any other failure, a namespace that is going is nothing to tell.
    if (is_namespace_terminating(status)) co_return status;
    if (!status.ok()) failures.push_back(Status::error("failed to create PVC " + name + ": " + std::string(status.message())));
    if (!status.is("AlreadyExists")) tell_claim(*set, claim, *pod, status);
  }
  co_return aggregate(failures);
}

Task<Status> StatefulSetController::create_missing_claims(StatefulSetPtr set, PodPtr pod) {
  Status status = co_await create_claims(set, pod);
  if (!status.ok()) co_return status;
  status = co_await update_claim_owners(set, pod);
  if (!status.ok()) tell_pod(*set, "update", *pod, status);
  co_return status;
}

bool StatefulSetController::claims_match(const StatefulSet& set, const Pod& pod) const {
  int ordinal = ordinal_of(pod);
  for (const PersistentVolumeClaim& claim_template : set.spec.volume_claim_templates) {
    auto claim = claims_.get(set.metadata.namespace_, claim_name(set, claim_template, ordinal));
    if (claim != nullptr && !owners_match(*claim, set, pod)) return false;
  }
  return true;
}

Task<Status> StatefulSetController::update_claim_owners(StatefulSetPtr set, PodPtr pod) {
  int ordinal = ordinal_of(*pod);
  for (const PersistentVolumeClaim& claim_template : set->spec.volume_claim_templates) {
    std::string name = claim_name(*set, claim_template, ordinal);
    auto claim = claims_.get(set->metadata.namespace_, name);
    if (claim == nullptr || owners_match(*claim, *set, *pod)) continue;
    PersistentVolumeClaim copy = *claim;
    if (!set_owners(copy, *set, *pod)) continue;
    auto updated = co_await context_->client.update(std::move(copy));
    if (!updated.ok()) co_return updated.status().with_context("Could not update claim " + name + " for delete policy ownerRefs");
  }
  co_return Status();
}

bool StatefulSetController::has_stale_claim(const StatefulSet& set, const Pod& pod) const {
  if (retains_on_scale(set)) return false;
  int ordinal = ordinal_of(pod);
  for (const PersistentVolumeClaim& claim_template : set.spec.volume_claim_templates) {
    auto claim = claims_.get(set.metadata.namespace_, claim_name(set, claim_template, ordinal));
    if (claim != nullptr && has_stale_owner(*claim, pod)) return true;
  }
  return false;
}

}  // namespace knarr::controller
