// SPDX-License-Identifier: Apache-2.0
#include "kubelet/pod_actions.h"

namespace knarr::kubelet {

namespace {

bool restarts_on_failure(const core::Pod& pod) { return pod.spec.restart_policy != "Never"; }

bool succeeded(const core::Container& container, const PodRecord& record) {
  const ContainerRecord* status = record.newest(container.name);
  return status != nullptr && !status->running() && status->exit_code == 0;
}

struct InitProgress {
  bool done = false;
  int next = -1;
  const ContainerRecord* failed = nullptr;
};

InitProgress next_init_container(const core::Pod& pod, const PodRecord& record) {
  int count = static_cast<int>(pod.spec.init_containers.size());
  if (count == 0) return {true, -1, nullptr};
  // A running main container proves that all of them have run once, even if the runtime has forgotten them.
  for (const core::Container& container : pod.spec.containers) {
    const ContainerRecord* status = record.newest(container.name);
    if (status != nullptr && status->running()) return {true, -1, nullptr};
  }
  for (int i = count - 1; i >= 0; --i) {
    const ContainerRecord* status = record.newest(pod.spec.init_containers[i].name);
    if (status != nullptr && init_container_failed(*status)) return {false, i, status};
  }
  for (int i = count - 1; i >= 0; --i) {
    const ContainerRecord* status = record.newest(pod.spec.init_containers[i].name);
    if (status == nullptr) continue;
    if (status->running()) return {false, -1, nullptr};
    if (status->state == CriContainerState::kExited) {
      if (i == count - 1) return {true, -1, nullptr};
      return {false, i + 1, nullptr};
    }
  }
  return {false, 0, nullptr};
}

void start_from_nothing(const core::Pod& pod, const PodRecord& record, PodActions& actions) {
  if (!restarts_on_failure(pod) && actions.attempt != 0 && !record.containers.empty()) {
    // It ran once and must not run again; the sandbox is not needed any more.
    actions.create_sandbox = false;
    return;
  }
  std::vector<int> to_start;
  for (size_t i = 0; i < pod.spec.containers.size(); ++i) {
    if (pod.spec.restart_policy == "OnFailure" && succeeded(pod.spec.containers[i], record)) continue;
    to_start.push_back(static_cast<int>(i));
  }
  if (to_start.empty() && next_init_container(pod, record).done) {
    actions.create_sandbox = false;
    return;
  }
  if (!pod.spec.init_containers.empty()) {
    actions.next_init = 0;
    return;
  }
  actions.containers = std::move(to_start);
}

// Why a running container must go, or "".
std::string kill_message(const core::Container& container, const ContainerRecord& status, const ProbeResults& probes, bool& restart,
                         KillReason& reason) {
  std::string name = container.name.str();
  if (status.hash != 0 && status.hash != hash_container(container)) {
    restart = true;  // whatever the policy: the spec changed
    return "Container " + name + " definition changed";
  }
  if (probes.liveness(status.id) == ProbeResult::kFailure) {
    reason = KillReason::kLivenessProbe;
    return "Container " + name + " failed liveness probe";
  }
  if (probes.startup(status.id) == ProbeResult::kFailure) {
    reason = KillReason::kStartupProbe;
    return "Container " + name + " failed startup probe";
  }
  return {};
}

}  // namespace

bool init_container_failed(const ContainerRecord& record) {
  if (record.reason == "OOMKilled") return true;
  if (record.state == CriContainerState::kExited && record.exit_code != 0) return true;
  return record.state == CriContainerState::kUnknown;
}

bool should_restart(const core::Container& container, const core::Pod& pod, const PodRecord& record) {
  if (pod.metadata.deletion_timestamp) return false;
  const ContainerRecord* status = record.newest(container.name);
  if (status == nullptr) return true;
  if (status->running()) return false;
  if (status->state == CriContainerState::kUnknown || status->state == CriContainerState::kCreated) return true;
  if (pod.spec.restart_policy == "Never") return false;
  return !(pod.spec.restart_policy == "OnFailure" && status->exit_code == 0);
}

bool sandbox_changed(const core::Pod& pod, const PodRecord& record, uint32_t* attempt, std::string* sandbox_id) {
  *attempt = 0;
  sandbox_id->clear();
  if (record.sandboxes.empty()) return true;
  int ready = 0;
  for (const SandboxRecord& sandbox : record.sandboxes)
    if (sandbox.state == CriSandboxState::kReady) ++ready;
  const SandboxRecord& newest = record.sandboxes.front();
  *attempt = newest.attempt + 1;
  *sandbox_id = newest.id;
  if (ready > 1 || newest.state != CriSandboxState::kReady) return true;
  CriNamespace wanted = pod.spec.host_network ? CriNamespace::kNode : CriNamespace::kPod;
  if (newest.network != wanted) {
    sandbox_id->clear();
    return true;
  }
  if (!pod.spec.host_network && newest.has_network && newest.ips.empty()) return true;
  *attempt = newest.attempt;
  return false;
}

PodActions compute_pod_actions(const core::Pod& pod, const PodRecord& record, const ProbeResults& probes) {
  PodActions actions;
  actions.create_sandbox = sandbox_changed(pod, record, &actions.attempt, &actions.sandbox_id);
  actions.kill_pod = actions.create_sandbox;
  if (actions.create_sandbox) {
    start_from_nothing(pod, record, actions);
    return actions;
  }

  for (size_t i = 0; i < pod.spec.ephemeral_containers.size(); ++i) {
    // Ephemeral containers run once.
    if (record.newest(pod.spec.ephemeral_containers[i].ephemeral_container_common.name) == nullptr) actions.ephemeral.push_back(static_cast<int>(i));
  }

  InitProgress init = next_init_container(pod, record);
  if (!init.done) {
    if (init.next < 0) return actions;  // one is running
    if (init.failed != nullptr && !restarts_on_failure(pod)) {
      actions.kill_pod = true;
      return actions;
    }
    if (init.failed != nullptr && init.failed->state == CriContainerState::kUnknown) {
      actions.kill.push_back({init.failed->id, init.failed->name, "Init container is in \"unknown\" state, try killing it before restart", KillReason::kUnknown});
    }
    actions.next_init = init.next;
    return actions;
  }

  int kept = 0;
  for (size_t i = 0; i < pod.spec.containers.size(); ++i) {
    const core::Container& container = pod.spec.containers[i];
    const ContainerRecord* status = record.newest(container.name);
    if (status == nullptr || !status->running()) {
      if (!should_restart(container, pod, record)) continue;
      actions.containers.push_back(static_cast<int>(i));
      if (status != nullptr && status->state == CriContainerState::kUnknown) {
        actions.kill.push_back({status->id, status->name, "Container is in \"unknown\" state, try killing it before restart", KillReason::kUnknown});
      }
      continue;
    }
    bool restart = restarts_on_failure(pod);
    KillReason reason = KillReason::kNone;
    std::string message = kill_message(container, *status, probes, restart, reason);
    if (message.empty()) {
      ++kept;
      continue;
    }
    if (restart) {
      message += ", will be restarted";
      actions.containers.push_back(static_cast<int>(i));
    }
    actions.kill.push_back({status->id, status->name, std::move(message), reason});
  }
  if (kept == 0 && actions.containers.empty()) actions.kill_pod = true;
  return actions;
}

}  // namespace knarr::kubelet
