// SPDX-License-Identifier: Apache-2.0
// The single steps by which a pod comes up: cgroup, volumes, sandbox, containers; and what is thrown away on the way.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "kubelet/pod_worker.h"
#include "schema/time.h"

namespace knarr::kubelet {

// A step of this pod that began at `asked` and ends now, with its error.
void PodWorker::trace_step(trace::Step step, WallTime asked, const Status& status) {
  context_.trace->add_since(uid_, step, asked, status.message());
}

Task<void> PodWorker::prepare_volumes_into(std::shared_ptr<std::optional<Result<MountedVolumes>>> slot) {
  WallTime asked = context_.trace->now();
  auto mounted = co_await context_.volumes.prepare(pod_);
  trace_step(trace::Step::kVolumes, asked, mounted.status());
  slot->emplace(std::move(mounted));
}

Task<bool> PodWorker::prepare_volumes() {
  PodPtr version = pod_;
  WallTime asked = context_.trace->now();
  auto mounted = co_await context_.volumes.prepare(version);
  trace_step(trace::Step::kVolumes, asked, mounted.status());
  if (!mounted.ok()) {
    // The manager has written the events and waited; it is asked again as long as the pod should run.
    if (!ending()) retry_in(std::chrono::milliseconds(500));
    co_return false;
  }
  volumes_ = std::move(*mounted);
  volumes_for_ = version;
  co_return true;
}

// A pod that ran before we started: its volumes are there, but nothing keeps their content current yet.
Task<void> PodWorker::resume_volumes(std::shared_ptr<PodWorker> self) {
  PodPtr version = self->pod_;
  auto mounted = co_await self->context_.volumes.prepare(version);
  self->resuming_volumes_ = false;
  if (!mounted.ok() || self->volumes_) co_return;
  self->volumes_ = std::move(*mounted);
  self->volumes_for_ = version;
}

Task<bool> PodWorker::make_cgroup() {
  if (cgroup_made_ || !context_.config.cgroups_per_qos) co_return true;
  std::string parent = context_.cgroups.pod_parent(*pod_);
  PodCgroupLimits limits = pod_cgroup_limits(*pod_, context_.config.cpu_cfs_quota);
  auto status = std::make_shared<Status>();
  CgroupManager* cgroups = &context_.cgroups;
  std::function<void()> work = [cgroups, parent, limits, status] { *status = cgroups->create_pod(parent, limits); };
  WallTime asked = context_.trace->now();
  co_await run_blocking(std::move(work));
  trace_step(trace::Step::kCgroup, asked, *status);
  if (!status->ok()) {
    context_.events.pod(*pod_, "Warning", "FailedCreatePodContainer", fmt::format("unable to ensure pod container exists: {}", status->message()));
    retry_in(std::chrono::seconds(10));
    co_return false;
  }
  cgroup_made_ = true;
  parts_.cgroup_changed(*pod_);
  co_return true;
}

Task<bool> PodWorker::make_sandbox(const PodActions& actions) {
  if (!actions.sandbox_id.empty()) {
    context_.events.pod(*pod_, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
  }
  auto config = parts_.runtime.sandbox_config(*pod_, actions.attempt);
  if (!config.ok()) {
    context_.events.pod(*pod_, "Warning", "FailedCreatePodSandBox", fmt::format("Failed to create pod sandbox: {}", config.status().message()));
    retry_in(std::chrono::seconds(10));
    co_return false;
  }
  // Volumes are made while the runtime makes the sandbox.
  TaskGroup volumes(context_.executor);
  auto slot = std::make_shared<std::optional<Result<MountedVolumes>>>();
  PodPtr version = pod_;
  volumes.add(prepare_volumes_into(slot));
  WallTime asked = context_.trace->now();
  auto sandbox = co_await parts_.runtime.create_sandbox(pod_, std::move(*config));
  trace_step(trace::Step::kSandbox, asked, sandbox.status());
  if (sandbox.ok()) {
    record_.sandboxes.insert(record_.sandboxes.begin(), std::move(*sandbox));
    parts_.record_changed(*this);
  }
  co_await volumes.wait();
  if ((*slot)->ok()) {
    volumes_ = std::move(***slot);
    volumes_for_ = version;
  }
  if (!sandbox.ok()) {
    if (!ending()) {
      context_.events.pod(*pod_, "Warning", "FailedCreatePodSandBox", fmt::format("Failed to create pod sandbox: {}", sandbox.status().message()));
    }
    reload_ = true;
    retry_in(std::chrono::seconds(10));
    co_return false;
  }
  co_return true;
}

bool PodWorker::in_crash_backoff(const core::Container& container) {
  const ContainerRecord* last = nullptr;
  for (const ContainerRecord& item : record_.containers) {
    if (item.name == container.name && item.state == CriContainerState::kExited) {
      last = &item;
      break;
    }
  }
  if (last == nullptr) return false;
  WallTime finished{std::chrono::nanoseconds(last->finished_at)};
  std::string key = fmt::format("{}_{}_{}_{}_{:x}", pod_->metadata.name.view(), pod_->metadata.namespace_.view(), uid_, container.name.view(),
                                hash_container(container));
  Duration left = context_.restart_backoff.remaining(key, finished);
  if (left <= Duration::zero()) {
    context_.restart_backoff.next(key, finished);
    return false;
  }
  context_.events.container(*pod_, container.name, "Warning", "BackOff",
                            fmt::format("Back-off restarting failed container {} in pod {}", container.name.view(), format_pod(*pod_)));
  note_failure(container.name, {"CrashLoopBackOff", fmt::format("back-off {} restarting failed container={} pod={}",
                                                               schema::format_duration(context_.restart_backoff.delay(key).count()),
                                                               container.name.view(), format_pod(*pod_))});
  retry_in(left);
  return true;
}

Task<bool> PodWorker::start(const core::Container* container, const PodActions& actions, std::string target_id) {
  std::string name = container->name.str();
  if (in_crash_backoff(*container)) co_return false;
  PodRuntime::StartInputs inputs;
  inputs.pod = pod_;
  inputs.container = container;
  inputs.sandbox_id = record_.sandboxes.empty() ? actions.sandbox_id : record_.sandboxes.front().id;
  auto config = parts_.runtime.sandbox_config(*pod_, actions.attempt);
  if (!config.ok()) co_return false;
  inputs.sandbox = std::move(*config);
  if (volumes_) inputs.volumes = *volumes_;
  if (pod_->spec.host_network) {
    inputs.pod_ips = context_.host_ips;
  } else {
    inputs.pod_ips = record_.ips();
  }
  const ContainerRecord* before = record_.newest(name);
  inputs.restart_count = before != nullptr ? before->restart_count + 1 : parts_.runtime.restart_count_from_logs(*pod_, *container);
  inputs.target_id = std::move(target_id);
  auto outcome = co_await parts_.runtime.start_container(std::move(inputs));
  if (!outcome.container_id.empty()) {
    std::string id = outcome.container_id;
    auto loaded = co_await parts_.runtime.load_container(std::move(id));
    if (loaded.ok()) {
      record_.containers.insert(record_.containers.begin(), std::move(*loaded));
      record_.sort();
      parts_.record_changed(*this);
    } else {
      reload_ = true;
      dirty_ = true;
    }
  }
  if (outcome.failure) {
    note_failure(name, std::move(*outcome.failure));
    retry_in(outcome.retry_after > Duration::zero() ? outcome.retry_after : std::chrono::seconds(10));
    co_return false;
  }
  failures_.erase(name);
  co_return true;
}

Task<void> PodWorker::prune_init_containers(bool all) {
  for (const core::Container& container : pod_->spec.init_containers) {
    bool kept = false;
    for (size_t i = 0; i < record_.containers.size();) {
      ContainerRecord& item = record_.containers[i];
      bool dead = item.state == CriContainerState::kExited || item.state == CriContainerState::kUnknown;
      if (item.name != container.name || (!all && (!dead || !kept))) {
        if (item.name == container.name && dead) kept = true;
        ++i;
        continue;
      }
      std::string id = item.id, link = parts_.runtime.legacy_link(*pod_, item);
      record_.containers.erase(record_.containers.begin() + static_cast<long>(i));
      co_await parts_.runtime.remove_container(std::move(id), std::move(link));
    }
  }
}

// Of each container the running one and the newest dead ones stay (their logs are `kubectl logs --previous`).
Task<void> PodWorker::prune_dead_containers() {
  std::map<std::string, int> dead;
  std::vector<std::pair<std::string, std::string>> remove;
  for (const ContainerRecord& item : record_.containers) {
    if (item.state != CriContainerState::kExited) continue;
    const ContainerRecord* newest = record_.newest(item.name);
    bool is_newest = newest == &item;
    if (is_newest) continue;
    if (++dead[item.name] > context_.config.max_dead_containers_per_container) remove.emplace_back(item.id, parts_.runtime.legacy_link(*pod_, item));
  }
  for (auto& [id, link] : remove) {
    auto it = std::find_if(record_.containers.begin(), record_.containers.end(), [&id = id](const ContainerRecord& r) { return r.id == id; });
    if (it != record_.containers.end()) {
      if (!it->log_path.empty()) ::unlink(it->log_path.c_str());
      record_.containers.erase(it);
    }
    std::string gone = id, gone_link = link;
    co_await parts_.runtime.remove_container(std::move(gone), std::move(gone_link));
  }
}

}  // namespace knarr::kubelet
