// SPDX-License-Identifier: Apache-2.0
// Pods coming and going: from the API, from the manifest folder, and what is left over from before.
#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "kubelet/admission.h"
#include "kubelet/env/container_env.h"
#include "kubelet/kubelet_impl.h"

namespace knarr::kubelet {

namespace {

Task<std::vector<std::shared_ptr<const core::Service>>> visible_services(std::shared_ptr<client::InformerCore> informer, PodPtr pod) {
  // A pod that starts before its services are known would miss them for good; static pods may have to bring the API server up.
  if (!is_static_pod(*pod)) co_await informer->wait_synced();
  client::Informer<core::Service> typed(informer);
  co_return collect_services(typed, *pod);
}

}  // namespace

void Kubelet::Impl::watch_pods() {
  std::weak_ptr<Impl> weak = weak_from_this();
  client::InformerCore::Options service_options;
  service_informer = std::make_shared<client::InformerCore>(client, core::Service::resource(), service_options, executor);
  service_informer->start();
  std::shared_ptr<client::InformerCore> informer = service_informer;
  context->services = [informer](PodPtr pod) { return visible_services(informer, std::move(pod)); };

  client::InformerCore::Options pod_options;
  pod_options.field_selector = "spec.nodeName=" + config.node_name;
  pod_informer = std::make_shared<client::InformerCore>(client, core::Pod::resource(), pod_options, executor);
  client::Informer<core::Pod> typed(pod_informer);
  typed.add_handler([weak](const PodPtr& before, const PodPtr& after) {
    if (auto self = weak.lock()) self->pod_event(before, after);
  });
  pod_informer->start();

  if (!config.pod_manifest_path.empty()) {
    auto set = [weak](const PodPtr& pod) {
      if (auto self = weak.lock()) self->static_pod_set(pod);
    };
    auto gone = [weak](const PodPtr& pod) {
      if (auto self = weak.lock()) self->pod_gone(pod);
    };
    static_pods = std::make_unique<StaticPodSource>(config.pod_manifest_path, config.node_name, executor, set, gone);
    static_pods->start();
  }
}

void Kubelet::Impl::pod_event(const PodPtr& before, const PodPtr& after) {
  if (stopped) return;
  if (before && after && before->metadata.uid != after->metadata.uid) {
    // Deleted and made anew between two looks.
    is_mirror_pod(*before) ? mirror_gone(before) : pod_gone(before);
  }
  const PodPtr& pod = after ? after : before;
  if (is_mirror_pod(*pod)) {
    after ? mirror_set(after) : mirror_gone(before);
  } else {
    after ? pod_set(after) : pod_gone(before);
  }
}

std::shared_ptr<PodWorker> Kubelet::Impl::make_worker(const PodPtr& pod) {
  std::weak_ptr<Impl> weak = weak_from_this();
  auto admit = [weak](const core::Pod& candidate) -> std::optional<StartFailure> {
    auto self = weak.lock();
    return self ? self->admit(candidate) : std::nullopt;
  };
  auto ended = [weak](const std::string& uid) {
    if (auto self = weak.lock()) self->worker_ended(uid);
  };
  auto resized = [weak](const core::Pod&) {
    if (auto self = weak.lock()) self->resize_burstable();
  };
  auto changed = [weak](PodWorker& worker) {
    if (auto self = weak.lock()) self->index(worker);
  };
  NodeManager* manager = node.get();
  auto refresh_node = [manager] { return manager->refresh(); };
  PodWorker::Parts parts{*context, *pod_runtime, *statuses, *probes, admit, ended, resized, changed, refresh_node};
  auto worker = std::make_shared<PodWorker>(std::move(parts), pod, PodRecord{});
  std::string uid = pod->metadata.uid.str();
  workers[uid] = worker;
  config.trace->add_now(uid, trace::Step::kSeen, left_over.contains(uid) ? "runs since before this kubelet started" : "");
  // A pod that the runtime knows from before is looked at first; any other starts from nothing without asking.
  if (left_over.erase(uid) > 0) worker->runtime_event({});
  worker->start();
  return worker;
}

void Kubelet::Impl::pod_set(const PodPtr& pod) {
  auto it = workers.find(pod->metadata.uid.view());
  if (it == workers.end()) {
    make_worker(pod);
    return;
  }
  statuses->pod_updated(pod);
  it->second->update(pod);
}

void Kubelet::Impl::static_pod_set(const PodPtr& pod) {
  context->static_pods = true;
  std::string key = pod_key(*pod);
  for (const auto& [uid, worker] : workers) {
    if (uid == pod->metadata.uid.view() || pod_key(*worker->pod()) != key) continue;
    waiting_static[key] = pod;  // both would want the same ports and folders
    return;
  }
  auto it = workers.find(pod->metadata.uid.view());
  if (it == workers.end()) {
    make_worker(pod);
  } else {
    it->second->update(pod);
  }
  auto mirror = mirrors.find(key);
  if (mirror == mirrors.end()) {
    spawn(executor, create_mirror(shared_from_this(), pod));
  } else {
    mirror_set(mirror->second);
  }
}

void Kubelet::Impl::pod_gone(const PodPtr& pod) {
  if (is_static_pod(*pod)) {
    auto waiting = waiting_static.find(pod_key(*pod));
    if (waiting != waiting_static.end() && waiting->second->metadata.uid == pod->metadata.uid) waiting_static.erase(waiting);
  }
  auto it = workers.find(pod->metadata.uid.view());
  if (it == workers.end()) return;
  // The last version tells the grace period that the deletion came with.
  if (!is_static_pod(*pod)) it->second->update(pod);
  it->second->removed();
}

void Kubelet::Impl::index(PodWorker& worker) {
  for (const ContainerRecord& record : worker.record().containers) {
    if (!owners.insert_or_assign(record.id, worker.uid()).second) continue;
    auto early = std::find(early_exits.begin(), early_exits.end(), record.id);
    if (early == early_exits.end()) continue;
    early_exits.erase(early);
    worker.runtime_event(record.id);
  }
  for (const SandboxRecord& record : worker.record().sandboxes) owners[record.id] = worker.uid();
  tell_exits(worker);
}

void Kubelet::Impl::worker_ended(const std::string& uid) {
  for (auto it = owners.begin(); it != owners.end();) it = it->second == uid ? owners.erase(it) : std::next(it);
  auto found = workers.find(uid);
  if (found == workers.end()) return;
  PodPtr pod = found->second->pod();
  workers.erase(found);
  if (!is_static_pod(*pod)) return;
  std::string key = pod_key(*pod);
  auto mirror = mirrors.find(key);
  if (mirror != mirrors.end()) spawn(executor, delete_mirror(shared_from_this(), mirror->second));
  auto next = waiting_static.find(key);
  if (next == waiting_static.end()) return;
  PodPtr successor = next->second;
  waiting_static.erase(next);
  static_pod_set(successor);
}

std::optional<StartFailure> Kubelet::Impl::admit(const core::Pod& pod) const {
  if (eviction) {
    std::string refusal = pressure_refusal(pod, eviction->pressure().conditions());
    if (!refusal.empty()) return StartFailure{"Evicted", std::move(refusal)};
  }
  AdmissionInputs inputs;
  inputs.pod = &pod;
  inputs.node = node->node();
  inputs.allocatable = &context->allocatable;
  inputs.allowed_unsafe_sysctls = &config.allowed_unsafe_sysctls;
  for (const auto& [uid, worker] : workers) {
    if (worker->uid() == pod.metadata.uid.view()) continue;
    if (worker->state() == PodWorker::State::kSyncing || worker->state() == PodWorker::State::kTerminating) inputs.others.push_back(worker->pod());
  }
  return admit_pod(inputs);
}

void Kubelet::Impl::resize_burstable() {
  if (!config.cgroups_per_qos) return;
  int64_t milli = 0;
  for (const auto& [uid, worker] : workers) {
    if (worker->state() == PodWorker::State::kTerminated || worker->state() == PodWorker::State::kRemoved) continue;
    if (pod_qos_class(*worker->pod()) == "Burstable") milli += milli_value(pod_requests(*worker->pod()), "cpu");
  }
  if (milli == burstable_milli) return;
  burstable_milli = milli;
  spawn(executor, set_burstable(shared_from_this(), milli));
}

Task<void> Kubelet::Impl::set_burstable(std::shared_ptr<Impl> self, int64_t milli) {
  CgroupManager* manager = self->cgroups.get();
  std::function<void()> work = [manager, milli] { manager->set_burstable_milli_cpu(milli); };
  co_await run_blocking(std::move(work));
}

// ---- left-overs ------------------------------------------------------------------------------------------------------------

Task<void> Kubelet::Impl::remove_orphans(std::shared_ptr<Impl> self) {
  co_await self->pod_informer->wait_synced();
  if (self->static_pods) co_await self->static_pods->wait_scanned();
  std::vector<PodPtr> known_mirrors;
  for (const auto& [key, mirror] : self->mirrors) known_mirrors.push_back(mirror);
  for (const PodPtr& mirror : known_mirrors) self->mirror_set(mirror);
  std::vector<std::string> uids(self->left_over.begin(), self->left_over.end());
  for (std::string& uid : uids) {
    if (self->stopped) co_return;
    if (self->workers.count(uid) > 0 || self->left_over.erase(uid) == 0) continue;
    co_await self->remove_orphan(std::move(uid));
  }
}

Task<void> Kubelet::Impl::remove_orphan(std::string uid) {
  cri::PodSandboxFilter filter;
  filter.label_selector[kPodUidLabel] = uid;
  auto sandboxes = co_await runtime->list_pod_sandboxes(std::move(filter));
  auto pod = std::make_shared<core::Pod>();
  pod->metadata.uid = uid;
  if (sandboxes.ok() && !sandboxes->empty() && sandboxes->front().metadata) {
    pod->metadata.name = sandboxes->front().metadata->name;
    pod->metadata.namespace_ = sandboxes->front().metadata->namespace_;
  }
  std::string loaded_uid = uid;
  PodRecord nothing;
  auto record = co_await pod_runtime->load(std::move(loaded_uid), std::move(nothing));
  if (record.ok() && (!record->containers.empty() || !record->sandboxes.empty())) {
    log_info("Removing a pod that is gone from the API", {{"pod", pod_key(*pod)}, {"podUID", uid}});
    PodRecord to_kill = *record;
    Status killed = co_await pod_runtime->kill_pod(pod, std::move(to_kill), 1);
    if (!killed.ok()) log_warning("Failed to stop an orphaned pod", {{"podUID", uid}, {"err", killed.message()}});
    PodRecord to_remove = std::move(*record);
    co_await pod_runtime->remove_pod(pod, std::move(to_remove));
  }
  std::string cleaned_uid = uid;
  Status cleaned = co_await volumes->cleanup(std::move(cleaned_uid));
  if (!cleaned.ok()) log_warning("Failed to remove an orphaned pod's volumes", {{"podUID", uid}, {"err", cleaned.message()}});
  for (auto& [found, parent] : cgroups->list_pods()) {
    if (found != uid) continue;
    CgroupManager* manager = cgroups.get();
    std::string path = parent;
    std::function<void()> work = [manager, path] { (void)manager->destroy_pod(path).ok(); };
    co_await run_blocking(std::move(work));
  }
}

// ---- mirror pods -----------------------------------------------------------------------------------------------------------

void Kubelet::Impl::mirror_set(const PodPtr& mirror) {
  std::string key = pod_key(*mirror);
  mirrors[key] = mirror;
  for (auto& [uid, worker] : workers) {
    if (!is_static_pod(*worker->pod()) || pod_key(*worker->pod()) != key) continue;
    std::string_view hash = schema::get_or_empty(mirror->metadata.annotations, kConfigMirrorAnnotation);
    bool stale = mirror->metadata.deletion_timestamp.has_value() || hash != schema::get_or_empty(worker->pod()->metadata.annotations, kConfigHashAnnotation);
    if (stale) {
      spawn(executor, delete_mirror(shared_from_this(), mirror));
    } else {
      statuses->set_mirror(uid, mirror);
    }
    return;
  }
  // A mirror without its static pod.
  bool scanned = !static_pods || static_pods->scanned();
  if (scanned && waiting_static.count(key) == 0) spawn(executor, delete_mirror(shared_from_this(), mirror));
}

void Kubelet::Impl::mirror_gone(const PodPtr& mirror) {
  std::string key = pod_key(*mirror);
  mirrors.erase(key);
  for (auto& [uid, worker] : workers) {
    if (!is_static_pod(*worker->pod()) || pod_key(*worker->pod()) != key) continue;
    statuses->set_mirror(uid, nullptr);
    if (worker->wanted()) spawn(executor, create_mirror(shared_from_this(), worker->pod()));
  }
}

Task<void> Kubelet::Impl::create_mirror(std::shared_ptr<Impl> self, PodPtr pod) {
  Duration retry = std::chrono::milliseconds(200);
  while (!self->stopped) {
    auto worker = self->workers.find(pod->metadata.uid.view());
    if (worker == self->workers.end() || !worker->second->wanted() || self->mirrors.count(pod_key(*pod)) > 0) co_return;
    const core::Node* node = self->node->node();
    if (node != nullptr) {
      core::Pod mirror = *pod;
      mirror.metadata.uid.reset();
      mirror.metadata.annotations[kConfigMirrorAnnotation] = schema::get_or_empty(pod->metadata.annotations, kConfigHashAnnotation);
      api::meta_v1::OwnerReference owner;
      owner.api_version = "v1";
      owner.kind = "Node";
      owner.name = node->metadata.name;
      owner.uid = node->metadata.uid;
      owner.controller = true;
      mirror.metadata.owner_references.clear();
      mirror.metadata.owner_references.push_back(std::move(owner));
      mirror.status = core::PodStatus();
      auto created = co_await self->client.create<core::Pod>(std::move(mirror));
      if (created.ok() || created.status().is("AlreadyExists")) co_return;
      log_warning("Failed creating a mirror pod", {{"pod", pod_key(*pod)}, {"err", created.status().message()}});
    }
    co_await sleep_for(retry);
    retry = std::min<Duration>(retry * 2, std::chrono::seconds(10));
  }
}

Task<void> Kubelet::Impl::delete_mirror(std::shared_ptr<Impl> self, PodPtr mirror) {
  client::DeleteOptions options;
  options.grace_period_seconds = 0;
  options.uid = mirror->metadata.uid.str();
  std::string ns = mirror->metadata.namespace_.str(), name = mirror->metadata.name.str();
  Status removed = co_await self->client.remove<core::Pod>(std::move(ns), std::move(name), std::move(options));
  if (!removed.ok() && !removed.is("NotFound") && !removed.is("Conflict")) {
    log_warning("Failed deleting a mirror pod", {{"pod", pod_key(*mirror)}, {"err", removed.message()}});
  }
}

}  // namespace knarr::kubelet
