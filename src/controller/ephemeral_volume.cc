// SPDX-License-Identifier: Apache-2.0
// ephemeral-volume: a claim, owned by the pod, for each of its generic ephemeral volumes.
#include "api/core_v1.h"
#include "controller/controller.h"
#include "controller/pod_util.h"
#include "controller/util.h"

namespace knarr::controller {
namespace {

using api::core_v1::PersistentVolumeClaim;
using api::core_v1::Pod;
using api::core_v1::Volume;
using ClaimPtr = std::shared_ptr<const PersistentVolumeClaim>;

bool has_ephemeral_volumes(const Pod& pod) {
  const auto& volumes = pod.spec.volumes;
  return std::any_of(volumes.begin(), volumes.end(), [](const Volume& one) { return one.volume_source.ephemeral.has_value(); });
}

class EphemeralVolumes : public std::enable_shared_from_this<EphemeralVolumes> {
 public:
  explicit EphemeralVolumes(ContextPtr context)
      : context_(std::move(context)),
        pods_(context_->informers.get<Pod>()),
        claims_(context_->informers.get<PersistentVolumeClaim>()),
        queue_(context_->make_queue("ephemeral_volume")),
        events_(context_->recorder("ephemeral_volume")) {}

  void start() {
    auto self = shared_from_this();
    // Volumes never change, and the collector of garbage ends what the pod owned.
    pods_.add_handler([self](const PodPtr& old, const PodPtr& now) {
      bool is_new = now != nullptr && (old == nullptr || old->metadata.uid != now->metadata.uid);
      if (is_new) self->enqueue(*now);
    });
    // A claim that somebody deleted is made again.
    claims_.add_handler([self](const ClaimPtr& old, const ClaimPtr& now) {
      if (now != nullptr) return;
      const auto* owner = controller_of(old->metadata);
      if (owner == nullptr || owner->kind != "Pod") return;
      PodPtr pod = self->pods_.get(old->metadata.namespace_, owner->name);
      if (pod != nullptr && pod->metadata.uid == owner->uid) self->enqueue(*pod);
    });
    context_->run_when_synced({pods_.core_ptr(), claims_.core_ptr()}, queue_, "ephemeral-volume", 5,
                              [self](std::string key) { return self->reconcile(std::move(key)); });
  }

 private:
  void enqueue(const Pod& pod) {
    if (!pod.metadata.deletion_timestamp && has_ephemeral_volumes(pod))
      queue_->add(pod.metadata.namespace_.str() + "/" + pod.metadata.name.str());
  }

  Task<Status> reconcile(std::string key) {
    PodPtr pod = pods_.get(key);
    if (pod == nullptr || pod->metadata.deletion_timestamp) co_return Status();
    for (const Volume& volume : pod->spec.volumes) {
      if (!volume.volume_source.ephemeral || !volume.volume_source.ephemeral->volume_claim_template) continue;
      Status status = co_await make_claim(pod, volume);
      if (status.ok()) continue;
      std::string what = fmt::format("ephemeral volume {}: {}", volume.name.view(), status.message());
      events_->event(client::reference_to(*pod), "Warning", "FailedBinding", what);
      co_return Status::error(fmt::format("pod {}, {}", key, what));
    }
    co_return Status();
  }

  Task<Status> make_claim(PodPtr pod, const Volume& volume) {
    std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str() + "-" + volume.name.str();
    if (ClaimPtr present = claims_.get(ns, name)) {
      const auto* owner = controller_of(present->metadata);
      if (owner != nullptr && owner->uid == pod->metadata.uid) co_return Status();
      co_return Status::error(
          fmt::format("PVC {}/{} was not created for pod {}/{} (pod is not owner)", ns, name, ns, pod->metadata.name.view()));
    }
    const auto& claim_template = *volume.volume_source.ephemeral->volume_claim_template;
    PersistentVolumeClaim claim;
    claim.metadata.namespace_ = ns;
    claim.metadata.name = name;
    claim.metadata.annotations = claim_template.metadata.annotations;
    claim.metadata.labels = claim_template.metadata.labels;
    claim.metadata.owner_references.push_back(controller_ref(*pod));
    claim.spec = claim_template.spec;
    auto created = co_await context_->client.create(std::move(claim));
    if (!created.ok()) co_return created.status().with_context("create PVC " + name);
    co_return Status();
  }

  ContextPtr context_;
  client::Informer<Pod> pods_;
  client::Informer<PersistentVolumeClaim> claims_;
  std::shared_ptr<client::WorkQueue> queue_;
  std::shared_ptr<client::EventRecorder> events_;
};

}  // namespace

void start_ephemeral_volume(const ContextPtr& context) { std::make_shared<EphemeralVolumes>(context)->start(); }

}  // namespace knarr::controller
