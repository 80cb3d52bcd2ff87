// SPDX-License-Identifier: Apache-2.0
// persistentvolume-binder: claims get volumes that fit, volumes that are released are reclaimed. Which volume fits is in volume_match.
//
// Binding is four writes: the volume's claimRef, its phase, the claim's volumeName, its phase. Any of them may fail or be seen late; a
// round goes on from what it finds, and a conflict tells that the cache was behind. Volumes are made by provisioners that run elsewhere.
//
// The scheduler does not choose nodes by volumes: a claim whose class waits for its first consumer is bound once such a pod has a node, to
// a volume that fits that node.
#include <filesystem>

#include "api/storage_v1.h"
#include "base/log.h"
#include "controller/controller.h"
#include "controller/pod_util.h"
#include "controller/util.h"
#include "controller/volume_match.h"

namespace knarr::controller {
namespace {

using api::core_v1::Node;
using api::core_v1::Pod;
using api::storage_v1::StorageClass;

constexpr std::string_view kNoProvisioner = "kubernetes.io/no-provisioner", kClaimIndex = "claim";
constexpr std::string_view kProvisioner = "volume.kubernetes.io/storage-provisioner",
                           kBetaProvisioner = "volume.beta.kubernetes.io/storage-provisioner";

std::string key_of(const PersistentVolumeClaim& claim) { return claim.metadata.namespace_.str() + "/" + claim.metadata.name.str(); }
std::string key_of(const api::core_v1::ObjectReference& reference) { return reference.namespace_.str() + "/" + reference.name.str(); }
bool is_scratch_path(std::string_view path) {
  return path.starts_with("/tmp/") && path.size() > 5 && path.find("..") == std::string_view::npos;
}
bool is_bound_once(const PersistentVolumeClaim& claim) { return claim.metadata.annotations.contains(kBindCompleted); }

class VolumeBinder : public std::enable_shared_from_this<VolumeBinder> {
 public:
  explicit VolumeBinder(ContextPtr context)
      : context_(std::move(context)),
        volumes_(context_->informers.get<PersistentVolume>()),
        claims_(context_->informers.get<PersistentVolumeClaim>()),
        classes_(context_->informers.get<StorageClass>()),
        pods_(context_->informers.get<Pod>()),
        nodes_(context_->informers.get<Node>()),
        claim_queue_(context_->make_queue("claims")),
        volume_queue_(context_->make_queue("volumes")),
        events_(context_->recorder("persistentvolume-controller")) {}

  void start();

 private:
  void volume_changed(const VolumePtr& old, const VolumePtr& now);
  void claim_changed(const ClaimPtr& old, const ClaimPtr& now);
  void pod_changed(const PodPtr& pod);
  void enqueue_waiting();

  Task<Status> sync_claim(std::string key);
  Task<Status> sync_unbound(ClaimPtr claim);
  Task<Status> sync_named(ClaimPtr claim);
  Task<Status> sync_bound(ClaimPtr claim);
  Task<Status> nothing_found(ClaimPtr claim, bool delayed);
  Task<Status> provision(ClaimPtr claim);
  Task<Status> bind(VolumePtr volume, ClaimPtr claim);
  Task<Status> set_claim(ClaimPtr claim, std::string phase, VolumePtr volume);
  Task<Status> lose_claim(ClaimPtr claim, std::string reason, std::string message);

  Task<Status> sync_volume(std::string name);
  Task<Result<ClaimPtr>> claim_of(VolumePtr volume);
  Task<Status> set_volume(PersistentVolume volume, std::string phase, std::string message);
  Task<Status> unbind(VolumePtr volume);
  Task<Status> release(VolumePtr volume);
  Task<Status> delete_host_path(VolumePtr volume);
  Task<Status> fail_volume(VolumePtr volume, std::string reason, std::string message);

  std::shared_ptr<const StorageClass> default_class() const;
  std::vector<PodPtr> pods_of(const PersistentVolumeClaim& claim) const;
  std::shared_ptr<const Node> node_of(const PersistentVolumeClaim& claim) const;
  template <class T>
  void tell(const T& about, std::string type, std::string reason, std::string message) {
    events_->event(client::reference_to(about), std::move(type), std::move(reason), std::move(message));
  }

  ContextPtr context_;
  client::Informer<PersistentVolume> volumes_;
  client::Informer<PersistentVolumeClaim> claims_;
  client::Informer<StorageClass> classes_;
  client::Informer<Pod> pods_;
  client::Informer<Node> nodes_;
  std::shared_ptr<client::WorkQueue> claim_queue_, volume_queue_;
  std::shared_ptr<client::EventRecorder> events_;
};

// ---- events ----------------------------------------------------------------------------------------------------------------

void VolumeBinder::start() {
  auto self = shared_from_this();
  pods_.add_index(std::string(kClaimIndex), [](const Pod& pod, std::vector<std::string>& values) {
    for (const auto& volume : pod.spec.volumes) {
      std::string ns = pod.metadata.namespace_.str() + "/";
      if (const auto& source = volume.volume_source.persistent_volume_claim) values.push_back(ns + source->claim_name.str());
      if (volume.volume_source.ephemeral) values.push_back(ns + pod.metadata.name.str() + "-" + volume.name.str());
    }
  });
  volumes_.add_handler([self](const VolumePtr& old, const VolumePtr& now) { self->volume_changed(old, now); });
  claims_.add_handler([self](const ClaimPtr& old, const ClaimPtr& now) { self->claim_changed(old, now); });
  // A class that comes may be what claims wait for.
  classes_.add_handler([self](const auto&, const auto& now) {
    if (now != nullptr) self->enqueue_waiting();
  });
  pods_.add_handler([self](const PodPtr& old, const PodPtr& now) {
    bool got_node = now != nullptr && (old == nullptr || old->spec.node_name != now->spec.node_name);
    if (got_node) self->pod_changed(now);
  });
  ControllerContext::Cores cores = {volumes_.core_ptr(), claims_.core_ptr(), classes_.core_ptr(), pods_.core_ptr(), nodes_.core_ptr()};
  // One worker each: two claims at the same time would choose the same volume.
  context_->run_when_synced(cores, claim_queue_, "persistentvolume-binder", 1,
                            [self](std::string key) { return self->sync_claim(std::move(key)); });
  context_->run_when_synced(cores, volume_queue_, "persistentvolume-binder", 1,
                            [self](std::string name) { return self->sync_volume(std::move(name)); });
}

void VolumeBinder::volume_changed(const VolumePtr& old, const VolumePtr& now) {
  const PersistentVolume& volume = now != nullptr ? *now : *old;
  if (volume.spec.claim_ref) claim_queue_->add(key_of(*volume.spec.claim_ref));
  if (now == nullptr) return;
  volume_queue_->add(volume.metadata.name.str());
  if (volume.status.phase == "Available" || !volume.spec.claim_ref) enqueue_waiting();
}

void VolumeBinder::claim_changed(const ClaimPtr& old, const ClaimPtr& now) {
  if (now != nullptr) claim_queue_->add(key_of(*now));
  bool gone = old != nullptr && (now == nullptr || now->metadata.uid != old->metadata.uid);
  const PersistentVolumeClaim& claim = now != nullptr && !gone ? *now : *old;
  if (!claim.spec.volume_name.empty()) volume_queue_->add(claim.spec.volume_name.str());
}

void VolumeBinder::pod_changed(const PodPtr& pod) {
  for (const auto& volume : pod->spec.volumes) {
    std::string ns = pod->metadata.namespace_.str() + "/";
    if (const auto& source = volume.volume_source.persistent_volume_claim) claim_queue_->add(ns + source->claim_name.str());
    if (volume.volume_source.ephemeral) claim_queue_->add(ns + pod->metadata.name.str() + "-" + volume.name.str());
  }
}

void VolumeBinder::enqueue_waiting() {
  claims_.for_each([this](const ClaimPtr& claim) {
    if (!is_bound_once(*claim)) claim_queue_->add(key_of(*claim));
  });
}

// ---- claims ----------------------------------------------------------------------------------------------------------------

std::shared_ptr<const StorageClass> VolumeBinder::default_class() const {
  std::shared_ptr<const StorageClass> newest;
  classes_.for_each([&](const std::shared_ptr<const StorageClass>& one) {
    auto says = [&](std::string_view name) { return schema::get_or_empty(one->metadata.annotations, name) == "true"; };
    if (!says("storageclass.kubernetes.io/is-default-class") && !says("storageclass.beta.kubernetes.io/is-default-class")) return;
    bool newer = newest == nullptr || newest->metadata.creation_timestamp < one->metadata.creation_timestamp ||
                 (newest->metadata.creation_timestamp == one->metadata.creation_timestamp && one->metadata.name < newest->metadata.name);
    if (newer) newest = one;
  });
  return newest;
}

std::vector<PodPtr> VolumeBinder::pods_of(const PersistentVolumeClaim& claim) const {
  std::vector<PodPtr> found;
  pods_.for_each_indexed(kClaimIndex, key_of(claim), [&](const PodPtr& pod) {
    if (!is_pod_terminal(*pod)) found.push_back(pod);
  });
  return found;
}

std::shared_ptr<const Node> VolumeBinder::node_of(const PersistentVolumeClaim& claim) const {
  std::string name(schema::get_or_empty(claim.metadata.annotations, kSelectedNode));
  if (!name.empty()) return nodes_.get(name);
  for (const PodPtr& pod : pods_of(claim))
    if (!pod->spec.node_name.empty()) return nodes_.get(pod->spec.node_name);
  return nullptr;
}

Task<Status> VolumeBinder::sync_claim(std::string key) {
  ClaimPtr claim = claims_.get(key);
  if (claim == nullptr) co_return Status();
  Status status;
  if (is_bound_once(*claim)) {
    status = co_await sync_bound(claim);
  } else if (claim->spec.volume_name.empty()) {
    status = co_await sync_unbound(claim);
  } else {
    status = co_await sync_named(claim);
  }
  co_return status.code() == 404 ? Status() : status;
}

Task<Status> VolumeBinder::sync_unbound(ClaimPtr claim) {
  auto storage_class = classes_.get(std::string(class_of(*claim)));
  bool delayed = storage_class != nullptr && storage_class->volume_binding_mode.value_or("Immediate") == "WaitForFirstConsumer";
  std::vector<VolumePtr> volumes;
  volumes_.for_each([&](const VolumePtr& volume) { volumes.push_back(volume); });
  std::shared_ptr<const Node> node;
  if (delayed) node = node_of(*claim);
  Result<VolumePtr> volume = find_volume(*claim, volumes, delayed, node.get());
  if (!volume.ok()) co_return volume.status().with_context(fmt::format("error finding PV for claim \"{}\"", key_of(*claim)));
  Status status;
  if (*volume != nullptr) {
    VolumePtr chosen = *volume;
    status = co_await bind(std::move(chosen), claim);
  } else {
    status = co_await nothing_found(claim, delayed);
  }
  co_return status;
}

Task<Status> VolumeBinder::nothing_found(ClaimPtr claim, bool delayed) {
  std::shared_ptr<const StorageClass> fallback;
  if (class_of(*claim).empty() && !claim->spec.storage_class_name) fallback = default_class();
  if (fallback != nullptr) {
    PersistentVolumeClaim copy = *claim;
    copy.spec.storage_class_name = fallback->metadata.name;
    auto updated = co_await context_->client.update(std::move(copy));
    co_return updated.status();  // its event brings the claim back
  }
  std::shared_ptr<const Node> node = node_of(*claim);
  if (delayed && node == nullptr) {
    std::string waiting;
    int count = 0;
    for (const PodPtr& pod : pods_of(*claim)) waiting += (count++ == 0 ? "" : ",") + pod->metadata.name.str();
    if (count == 0) {
      tell(*claim, "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding");
    } else {
      tell(*claim, "Normal", "WaitForPodScheduled", fmt::format("waiting for pod{} {} to be scheduled", count > 1 ? "s" : "", waiting));
    }
  } else if (!class_of(*claim).empty()) {
    Status status = co_await provision(claim);
    co_return status;
  } else {
    tell(*claim, "Normal", "FailedBinding", "no persistent volumes available for this claim and no storage class is set");
  }
  std::string phase = "Pending";
  Status status = co_await set_claim(claim, std::move(phase), nullptr);
  co_return status;
}

// Asks the provisioner of the class, which watches for the annotation.
Task<Status> VolumeBinder::provision(ClaimPtr claim) {
  std::string class_name(class_of(*claim));
  auto storage_class = classes_.get(class_name);
  if (storage_class == nullptr || storage_class->provisioner == kNoProvisioner) {
    std::string why = storage_class == nullptr ? fmt::format("storageclass.storage.k8s.io \"{}\" not found", class_name)
                                               : std::string("no volume plugin matched name: kubernetes.io/no-provisioner");
    tell(*claim, "Warning", "ProvisioningFailed", std::move(why));
    std::string phase = "Pending";
    Status status = co_await set_claim(claim, std::move(phase), nullptr);
    co_return status;
  }
  PersistentVolumeClaim copy = *claim;
  const std::string provisioner = storage_class->provisioner.str();
  copy.metadata.annotations[kProvisioner] = provisioner;
  copy.metadata.annotations[kBetaProvisioner] = provisioner;
  std::shared_ptr<const Node> node = node_of(*claim);
  bool delayed = storage_class->volume_binding_mode.value_or("Immediate") == "WaitForFirstConsumer";
  if (delayed && node != nullptr) copy.metadata.annotations[kSelectedNode] = node->metadata.name;
  if (!(copy == *claim)) {
    auto updated = co_await context_->client.update(std::move(copy));
    if (!updated.ok()) {
      tell(*claim, "Warning", "ProvisioningFailed", "Error saving claim: " + std::string(updated.status().message()));
      co_return updated.status();
    }
  }
  tell(*claim, "Normal", "ExternalProvisioning",
       fmt::format("Waiting for a volume to be created either by the external provisioner '{}' or manually by the system administrator. If "
                   "volume creation is delayed, please verify that the provisioner is running and correctly registered.",
                   provisioner));
  co_return Status();
}

// The user asked for this very volume.
Task<Status> VolumeBinder::sync_named(ClaimPtr claim) {
  VolumePtr volume = volumes_.get(claim->spec.volume_name.str());
  std::string phase = "Pending";
  Status status;
  if (volume != nullptr && (!volume->spec.claim_ref || is_for_claim(*volume, *claim))) {
    Status fits;
    if (!volume->spec.claim_ref) fits = check_satisfies(*volume, *claim);
    if (fits.ok()) {
      status = co_await bind(volume, claim);
      co_return status;
    }
    tell(*claim, "Warning", "VolumeMismatch",
         fmt::format("Cannot bind to requested volume \"{}\": {}", volume->metadata.name.view(), fits.message()));
  } else if (volume != nullptr) {
    tell(*claim, "Warning", "FailedBinding",
         fmt::format("volume \"{}\" already bound to a different claim.", volume->metadata.name.view()));
    if (claim->metadata.annotations.contains(kBoundByController))
      co_return Status::error(fmt::format("invalid binding of claim \"{}\" to volume \"{}\": volume already claimed by \"{}\"",
                                          key_of(*claim), claim->spec.volume_name.view(), key_of(*volume->spec.claim_ref)));
  }
  status = co_await set_claim(claim, std::move(phase), nullptr);
  co_return status;
}

Task<Status> VolumeBinder::sync_bound(ClaimPtr claim) {
  VolumePtr volume;
  if (!claim->spec.volume_name.empty()) volume = volumes_.get(claim->spec.volume_name.str());
  Status status;
  if (volume != nullptr && (!volume->spec.claim_ref || volume->spec.claim_ref->uid == claim->metadata.uid)) {
    status = co_await bind(volume, claim);
    co_return status;
  }
  std::string reason = "ClaimLost", message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
  if (claim->spec.volume_name.empty()) message = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
  if (volume != nullptr) {
    reason = "ClaimMisbound";
    message = "Two claims are bound to the same volume, this one is bound incorrectly";
  }
  status = co_await lose_claim(claim, std::move(reason), std::move(message));
  co_return status;
}

Task<Status> VolumeBinder::lose_claim(ClaimPtr claim, std::string reason, std::string message) {
  if (claim->status.phase == "Lost") co_return Status();
  std::string phase = "Lost";
  Status status = co_await set_claim(claim, std::move(phase), nullptr);
  if (status.ok()) tell(*claim, "Warning", std::move(reason), std::move(message));
  co_return status;
}

Task<Status> VolumeBinder::set_claim(ClaimPtr claim, std::string phase, VolumePtr volume) {
  PersistentVolumeClaim copy = *claim;
  Result<bool> changed = set_claim_status(copy, phase, volume.get());
  if (!changed.ok()) co_return changed.status();
  if (!*changed) co_return Status();
  auto updated = co_await context_->client.update_status(std::move(copy));
  co_return updated.status();
}

Task<Status> VolumeBinder::bind(VolumePtr volume, ClaimPtr claim) {
  PersistentVolume bound = *volume;
  if (bind_volume(bound, *claim)) {
    PersistentVolume copy = bound;
    auto updated = co_await context_->client.update(std::move(copy));
    if (!updated.ok()) co_return updated.status();
    bound = std::move(*updated);
  }
  std::string phase = "Bound", claim_phase = "Bound", message;
  PersistentVolume to_mark = bound;
  Status status = co_await set_volume(std::move(to_mark), std::move(phase), std::move(message));
  if (!status.ok()) co_return status;
  auto held = std::make_shared<PersistentVolumeClaim>(*claim);
  if (bind_claim(*held, bound)) {
    PersistentVolumeClaim copy = *held;
    auto updated = co_await context_->client.update(std::move(copy));
    if (!updated.ok()) co_return updated.status();
    *held = std::move(*updated);
  }
  auto shared = std::make_shared<const PersistentVolume>(std::move(bound));
  status = co_await set_claim(std::move(held), std::move(claim_phase), std::move(shared));
  co_return status;
}

// ---- volumes ---------------------------------------------------------------------------------------------------------------

Task<Status> VolumeBinder::set_volume(PersistentVolume volume, std::string phase, std::string message) {
  if (volume.status.phase == phase) co_return Status();
  volume.status.phase = phase;
  volume.status.message = message;
  auto updated = co_await context_->client.update_status(std::move(volume));
  co_return updated.status();
}

// The claim that the volume is bound to; null when it is gone. Asked of the server before a volume is given up.
Task<Result<ClaimPtr>> VolumeBinder::claim_of(VolumePtr volume) {
  const auto& reference = *volume->spec.claim_ref;
  ClaimPtr claim = claims_.get(key_of(reference));
  if (claim != nullptr && claim->metadata.uid == reference.uid) co_return claim;
  bool is_given_up = volume->status.phase == "Released" || volume->status.phase == "Failed";
  if (claim == nullptr && is_given_up) co_return ClaimPtr();
  std::string ns = reference.namespace_.str(), name = reference.name.str();
  auto fresh = co_await context_->client.get<PersistentVolumeClaim>(std::move(ns), std::move(name));
  if (!fresh.ok() && fresh.status().code() != 404) co_return fresh.status();
  if (!fresh.ok() || fresh->metadata.uid != reference.uid) co_return ClaimPtr();
  co_return std::make_shared<const PersistentVolumeClaim>(std::move(*fresh));
}

Task<Status> VolumeBinder::sync_volume(std::string name) {
  VolumePtr volume = volumes_.get(name);
  if (volume == nullptr) co_return Status();
  std::string phase = "Available", message;
  Status status;
  if (!volume->spec.claim_ref || volume->spec.claim_ref->uid.empty()) {
    PersistentVolume copy = *volume;
    status = co_await set_volume(std::move(copy), std::move(phase), std::move(message));
    co_return status.code() == 404 ? Status() : status;
  }
  auto claim = co_await claim_of(volume);
  if (!claim.ok()) co_return claim.status();
  if (*claim == nullptr) {
    status = co_await release(volume);
  } else if ((*claim)->spec.volume_name.empty()) {
    if (modes_differ(**claim, *volume)) {
      tell(*volume, "Warning", "VolumeMismatch",
           fmt::format("Cannot bind PersistentVolume to requested PersistentVolumeClaim \"{}\" due to incompatible volumeMode.",
                       (*claim)->metadata.name.view()));
      tell(**claim, "Warning", "VolumeMismatch",
           fmt::format("Cannot bind PersistentVolume \"{}\" to requested PersistentVolumeClaim due to incompatible volumeMode.",
                       volume->metadata.name.view()));
      co_return Status();
    }
    claim_queue_->add(key_of(**claim));
  } else if ((*claim)->spec.volume_name == volume->metadata.name) {
    phase = "Bound";
    PersistentVolume copy = *volume;
    status = co_await set_volume(std::move(copy), std::move(phase), std::move(message));
  } else if (volume->metadata.annotations.contains(kProvisionedBy) && volume->spec.persistent_volume_reclaim_policy == "Delete") {
    status = co_await release(volume);  // made for the claim, which took another
  } else {
    status = co_await unbind(volume);
  }
  co_return status.code() == 404 ? Status() : status;
}

Task<Status> VolumeBinder::unbind(VolumePtr volume) {
  PersistentVolume copy = *volume;
  unbind_volume(copy);
  auto updated = co_await context_->client.update(std::move(copy));
  if (!updated.ok()) co_return updated.status();
  std::string phase = "Available", message;
  PersistentVolume free = std::move(*updated);
  Status status = co_await set_volume(std::move(free), std::move(phase), std::move(message));
  co_return status;
}

Task<Status> VolumeBinder::fail_volume(VolumePtr volume, std::string reason, std::string message) {
  if (volume->status.phase == "Failed") co_return Status();
  PersistentVolume copy = *volume;
  std::string phase = "Failed", told = message;
  Status status = co_await set_volume(std::move(copy), std::move(phase), std::move(told));
  if (status.ok()) tell(*volume, "Warning", std::move(reason), std::move(message));
  co_return status;
}

// As upstream, for trials on one machine: a directory below /tmp goes with its volume.
Task<Status> VolumeBinder::delete_host_path(VolumePtr volume) {
  std::string path = volume->spec.persistent_volume_source.host_path->path.str(), name = volume->metadata.name.str(), ns;
  auto error = std::make_shared<std::error_code>();
  std::function<void()> work = [path, error] { std::filesystem::remove_all(path, *error); };
  co_await run_blocking(std::move(work));
  Status status;
  if (*error) {
    std::string reason = "VolumeFailedDelete", message = error->message();
    status = co_await fail_volume(volume, std::move(reason), std::move(message));
  } else {
    status = co_await context_->client.remove<PersistentVolume>(std::move(ns), std::move(name));
  }
  co_return status;
}

// Its claim is gone. What is stored on it is for others to delete: the provisioner that made it, or the administrator.
Task<Status> VolumeBinder::release(VolumePtr volume) {
  if (volume->status.phase != "Released" && volume->status.phase != "Failed") {
    PersistentVolume copy = *volume;
    std::string phase = "Released", message;
    Status status = co_await set_volume(std::move(copy), std::move(phase), std::move(message));
    co_return status;  // its event brings the volume back
  }
  std::string_view policy = volume->spec.persistent_volume_reclaim_policy;
  if (policy == "Retain" || volume->status.phase == "Failed") co_return Status();
  const auto& source = volume->spec.persistent_volume_source;
  std::string provisioner(schema::get_or_empty(volume->metadata.annotations, kProvisionedBy));
  bool is_external = source.csi || (!provisioner.empty() && !provisioner.starts_with("kubernetes.io/"));
  if (policy == "Delete" && is_external) co_return Status();
  if (policy == "Delete" && source.host_path && is_scratch_path(source.host_path->path)) {
    Status status = co_await delete_host_path(volume);
    co_return status;
  }
  std::string reason = "VolumeUnknownReclaimPolicy", message = "Volume has unrecognized PersistentVolumeReclaimPolicy";
  if (policy == "Delete") {
    reason = "VolumeFailedDelete";
    message = fmt::format("error getting deleter volume plugin for volume \"{}\": no deletable volume plugin matched",
                          volume->metadata.name.view());
    if (source.host_path) message = "host_path deleter only supports /tmp/.+ but received provided " + source.host_path->path.str();
  } else if (policy == "Recycle") {
    reason = "VolumeFailedRecycle";
    message = "No recycler plugin found for the volume!";
  }
  Status status = co_await fail_volume(volume, std::move(reason), std::move(message));
  co_return status;
}

}  // namespace

void start_persistentvolume_binder(const ContextPtr& context) { std::make_shared<VolumeBinder>(context)->start(); }

}  // namespace knarr::controller
