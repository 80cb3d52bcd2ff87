// SPDX-License-Identifier: Apache-2.0
// pvc-protection and pv-protection: a claim stays while a pod uses it, a volume while a claim holds it; then the finalizer that admission put
// there comes off.
#include "api/core_v1.h"
#include "controller/controller.h"
#include "controller/pod_util.h"
#include "controller/util.h"

namespace knarr::controller {
namespace {

using api::core_v1::PersistentVolume;
using api::core_v1::PersistentVolumeClaim;
using api::core_v1::Pod;

constexpr std::string_view kClaimFinalizer = "kubernetes.io/pvc-protection";
constexpr std::string_view kVolumeFinalizer = "kubernetes.io/pv-protection";

bool has(const schema::List<schema::Str>& list, std::string_view text) {
  for (const schema::Str& one : list)
    if (one == text) return true;
  return false;
}

// The names of the claims that a pod refers to; ephemeral ones are POD-VOLUME.
void for_each_claim(const Pod& pod, const std::function<void(std::string name, bool ephemeral)>& visit) {
  for (const auto& volume : pod.spec.volumes) {
    if (volume.volume_source.persistent_volume_claim) visit(volume.volume_source.persistent_volume_claim->claim_name.str(), false);
    if (volume.volume_source.ephemeral) visit(pod.metadata.name.str() + "-" + volume.name.str(), true);
  }
}

bool uses_claim(const Pod& pod, const PersistentVolumeClaim& claim) {
  // The kubelet starts no pod with a claim that is being deleted, so unscheduled ones do not count.
  if (pod.spec.node_name.empty() || pod.metadata.namespace_ != claim.metadata.namespace_) return false;
  bool shut_down = pod.metadata.deletion_timestamp && pod.metadata.deletion_grace_period_seconds.value_or(-1) == 0;
  const auto* owner = controller_of(claim.metadata);
  bool owned = owner != nullptr && owner->uid == pod.metadata.uid;
  bool used = false;
  for_each_claim(pod, [&](const std::string& name, bool ephemeral) {
    if (claim.metadata.name == name && (!ephemeral || (owned && !shut_down))) used = true;
  });
  return used;
}

// Writes the object with the finalizer added or removed.
template <class T>
Task<Status> set_finalizer(client::Client& client, T object, std::string finalizer, bool present) {
  if (present) {
    object.metadata.finalizers.push_back(finalizer);
  } else {
    object.metadata.finalizers.erase_if([&](const schema::Str& one) { return one == finalizer; });
  }
  auto updated = co_await client.update(std::move(object));
  co_return updated.status().code() == 404 ? Status() : updated.status();
}

struct ClaimProtection : std::enable_shared_from_this<ClaimProtection> {
  explicit ClaimProtection(ContextPtr c)
      : context(std::move(c)),
        claims(context->informers.get<PersistentVolumeClaim>()),
        pods(context->informers.get<Pod>()),
        queue(context->make_queue("pvcprotection")) {}
  ContextPtr context;
  client::Informer<PersistentVolumeClaim> claims;
  client::Informer<Pod> pods;
  std::shared_ptr<client::WorkQueue> queue;

  Task<Result<bool>> is_used(std::shared_ptr<const PersistentVolumeClaim> claim) {
    bool used = false;
    pods.for_each_in(claim->metadata.namespace_, [&](const PodPtr& pod) { used = used || uses_claim(*pod, *claim); });
    if (used) co_return true;
    // The cache may be behind: a claim that goes too early is data lost.
    std::string ns = claim->metadata.namespace_.str();
    auto live = co_await context->client.list<Pod>(std::move(ns));
    if (!live.ok()) co_return live.status();
    for (const Pod& pod : live->items) used = used || uses_claim(pod, *claim);
    co_return used;
  }

  Task<Status> reconcile(std::string key) {
    auto claim = claims.get(key);
    if (claim == nullptr) co_return Status();
    bool present = has(claim->metadata.finalizers, kClaimFinalizer);
    std::string finalizer(kClaimFinalizer);
    PersistentVolumeClaim copy = *claim;
    if (!claim->metadata.deletion_timestamp) {
      if (present) co_return Status();
      Status status = co_await set_finalizer(context->client, std::move(copy), std::move(finalizer), true);
      co_return status;
    }
    if (!present) co_return Status();
    auto used = co_await is_used(claim);
    if (!used.ok()) co_return used.status();
    if (*used) co_return Status();
    Status status = co_await set_finalizer(context->client, std::move(copy), std::move(finalizer), false);
    co_return status;
  }

  void pod_changed(const PodPtr& old, const PodPtr& now) {
    // Only a pod that ends, goes or was never scheduled can set a claim free.
    const PodPtr& pod = now != nullptr ? now : old;
    if (now != nullptr && !is_pod_terminal(*now) && !now->metadata.deletion_timestamp && !now->spec.node_name.empty()) return;
    for_each_claim(*pod, [&](const std::string& name, bool) {
      std::string key = pod->metadata.namespace_.str() + "/" + name;
      auto claim = claims.get(key);
      if (claim != nullptr && claim->metadata.deletion_timestamp) queue->add(std::move(key));
    });
  }
};

struct VolumeProtection : std::enable_shared_from_this<VolumeProtection> {
  explicit VolumeProtection(ContextPtr c)
      : context(std::move(c)), volumes(context->informers.get<PersistentVolume>()), queue(context->make_queue("pvprotection")) {}
  ContextPtr context;
  client::Informer<PersistentVolume> volumes;
  std::shared_ptr<client::WorkQueue> queue;

  Task<Status> reconcile(std::string name) {
    auto volume = volumes.get(name);
    if (volume == nullptr) co_return Status();
    bool present = has(volume->metadata.finalizers, kVolumeFinalizer), deleting = volume->metadata.deletion_timestamp.has_value();
    if (deleting != present || (deleting && volume->status.phase == "Bound")) co_return Status();
    std::string finalizer(kVolumeFinalizer);
    PersistentVolume copy = *volume;
    Status status = co_await set_finalizer(context->client, std::move(copy), std::move(finalizer), !deleting);
    co_return status;
  }
};

}  // namespace

void start_pvc_protection(const ContextPtr& context) {
  auto self = std::make_shared<ClaimProtection>(context);
  self->claims.add_handler([self](const auto&, const auto& now) {
    if (now != nullptr) self->queue->add(now->metadata.namespace_.str() + "/" + now->metadata.name.str());
  });
  self->pods.add_handler([self](const PodPtr& old, const PodPtr& now) { self->pod_changed(old, now); });
  context->run_when_synced({self->claims.core_ptr(), self->pods.core_ptr()}, self->queue, "pvc-protection", 2,
                           [self](std::string key) { return self->reconcile(std::move(key)); });
}

void start_pv_protection(const ContextPtr& context) {
  auto self = std::make_shared<VolumeProtection>(context);
  self->volumes.add_handler([self](const auto&, const auto& now) {
    if (now != nullptr) self->queue->add(now->metadata.name.str());
  });
  context->run_when_synced({self->volumes.core_ptr()}, self->queue, "pv-protection", 1,
                           [self](std::string key) { return self->reconcile(std::move(key)); });
}

}  // namespace knarr::controller
