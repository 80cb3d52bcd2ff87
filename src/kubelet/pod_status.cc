// SPDX-License-Identifier: Apache-2.0
#include "kubelet/pod_status.h"

#include "kubelet/container_status.h"
#include "kubelet/qos.h"
#include "schema/json.h"

namespace knarr::kubelet {

namespace {

std::string join_names(const std::vector<std::string>& names) {
  std::string out = "[";
  for (size_t i = 0; i < names.size(); ++i) out += (i == 0 ? "" : " ") + names[i];
  return out + "]";
}

std::string quoted(std::string_view text) {
  std::string out;
  json::write_string(out, text);
  return out;
}

core::PodCondition condition(std::string_view type, bool value, std::string_view reason = {}, std::string message = {}) {
  core::PodCondition made;
  made.type = type;
  made.status = value ? "True" : "False";
  made.reason = reason;
  made.message = message;
  return made;
}

void join_message(std::string& to, std::string_view what, const std::vector<std::string>& names) {
  if (names.empty()) return;
  if (!to.empty()) to += ", ";
  to += what;
  to += join_names(names);
}

bool regular_container_started(const core::Pod& pod, const core::PodStatus& status) {
  for (const core::Container& container : pod.spec.containers) {
    const core::ContainerStatus* found = find_status(status, container.name);
    if (found == nullptr) continue;
    if (found->state.running || found->state.terminated) return true;
  }
  return false;
}

bool any_sandbox_ready(const PodRecord& record) {
  for (const SandboxRecord& sandbox : record.sandboxes)
    if (sandbox.state == CriSandboxState::kReady) return true;
  return false;
}

core::ContainerStateTerminated lost_state() {
  core::ContainerStateTerminated lost;
  lost.reason = "ContainerStatusUnknown";
  lost.message = "The container could not be located when the pod was terminated";
  lost.exit_code = 137;
  return lost;
}

// Whether a regular container may ever have started.
bool pod_initialized(const core::Pod& pod) {
  if (pod.spec.init_containers.empty()) return true;
  for (const core::ContainerStatus& status : pod.status.container_statuses)
    if (status.last_state.terminated || !status.state.waiting) return true;
  if (pod.status.init_container_statuses.empty()) return false;
  const core::ContainerStatus& last = pod.status.init_container_statuses.back();
  if (last.last_state.terminated && last.last_state.terminated->exit_code == 0) return true;
  return last.state.terminated && last.state.terminated->exit_code == 0;
}

void keep_reason(const core::Pod& pod, const core::PodStatus& old, core::PodStatus& status) {
  if (status.phase != old.phase) return;
  status.reason = old.reason.empty() ? pod.status.reason : old.reason;
  status.message = old.message.empty() ? pod.status.message : old.message;
}

}  // namespace

const core::ContainerStatus* find_status(const core::PodStatus& status, std::string_view container) {
  for (const core::ContainerStatus& found : status.init_container_statuses)
    if (found.name == container) return &found;
  for (const core::ContainerStatus& found : status.container_statuses)
    if (found.name == container) return &found;
  return nullptr;
}

core::PodCondition* find_condition(core::PodStatus& status, std::string_view type) {
  for (core::PodCondition& found : status.conditions)
    if (found.type == type) return &found;
  return nullptr;
}

const core::PodCondition* find_condition(const core::PodStatus& status, std::string_view type) {
  return find_condition(const_cast<core::PodStatus&>(status), type);
}

void set_condition(core::PodStatus& status, core::PodCondition condition) {
  if (core::PodCondition* old = find_condition(status, condition.type)) {
    *old = std::move(condition);
  } else {
    status.conditions.push_back(std::move(condition));
  }
}

bool condition_of_kubelet(std::string_view type) {
  return type == "PodScheduled" || type == "Ready" || type == "Initialized" || type == "ContainersReady" || type == "PodReadyToStartContainers";
}

std::string pod_phase(const core::Pod& pod, const std::vector<const core::ContainerStatus*>& statuses, bool terminal) {
  auto find = [&](std::string_view name) -> const core::ContainerStatus* {
    for (const core::ContainerStatus* status : statuses)
      if (status->name == name) return status;
    return nullptr;
  };
  int init_pending = 0, init_failed = 0;
  for (const core::Container& container : pod.spec.init_containers) {
    const core::ContainerStatus* status = find(container.name);
    if (status != nullptr && status->state.terminated) {
      if (status->state.terminated->exit_code != 0) ++init_failed;
    } else if (status != nullptr && status->state.waiting && status->last_state.terminated) {
      if (status->last_state.terminated->exit_code != 0) ++init_failed;
    } else {
      ++init_pending;
    }
  }
  int unknown = 0, running = 0, waiting = 0, stopped = 0, succeeded = 0;
  bool any_started = false;
  for (const core::Container& container : pod.spec.containers) {
    const core::ContainerStatus* status = find(container.name);
    if (status == nullptr) {
      ++unknown;
    } else if (status->state.running) {
      ++running;
      any_started = true;
    } else if (status->state.terminated) {
      ++stopped;
      any_started = true;
      if (status->state.terminated->exit_code == 0) ++succeeded;
    } else if (status->state.waiting) {
      if (status->last_state.terminated) {
        ++stopped;
      } else {
        ++waiting;
      }
    } else {
      ++unknown;
    }
  }
  std::string_view policy = pod.spec.restart_policy;
  if (init_failed > 0 && policy == "Never") return "Failed";
  if ((init_pending > 0 && !any_started) || waiting > 0) return "Pending";
  if (running > 0 && unknown == 0) return "Running";
  if (running == 0 && stopped > 0 && unknown == 0) {
    if (terminal && !is_static_pod(pod)) return stopped == succeeded ? "Succeeded" : "Failed";
    if (policy == "Always") return "Running";
    if (stopped == succeeded) return "Succeeded";
    return policy == "Never" ? "Failed" : "Running";
  }
  return "Pending";
}

core::PodCondition containers_ready_condition(const core::Pod& pod, const core::PodStatus& status) {
  if (status.container_statuses.empty() && status.init_container_statuses.empty()) {
    return condition("ContainersReady", false, "UnknownContainerStatuses");
  }
  std::vector<std::string> unknown, unready;
  for (const core::Container& container : pod.spec.containers) {
    const core::ContainerStatus* found = find_status(status, container.name);
    if (found == nullptr) {
      unknown.push_back(container.name.str());
    } else if (!found->ready) {
      unready.push_back(container.name.str());
    }
  }
  if (status.phase == "Succeeded" && unknown.empty()) return condition("ContainersReady", false, "PodCompleted");
  if (status.phase == "Failed") return condition("ContainersReady", false, "PodFailed");
  std::string message;
  join_message(message, "containers with unknown status: ", unknown);
  join_message(message, "containers with unready status: ", unready);
  if (!message.empty()) return condition("ContainersReady", false, "ContainersNotReady", std::move(message));
  return condition("ContainersReady", true);
}

core::PodCondition ready_condition(const core::Pod& pod, const core::PodStatus& status) {
  core::PodCondition ready = containers_ready_condition(pod, status);
  ready.type = "Ready";
  if (ready.status != "True") return ready;
  std::string message;
  for (const core::PodReadinessGate& gate : pod.spec.readiness_gates) {
    const core::PodCondition* found = find_condition(status, gate.condition_type);
    std::string text;
    if (found == nullptr) {
      text = "corresponding condition of pod readiness gate " + quoted(gate.condition_type) + " does not exist.";
    } else if (found->status != "True") {
      text = "the status of pod readiness gate " + quoted(gate.condition_type) + " is not \"True\", but " + found->status.str();
    } else {
      continue;
    }
    if (!message.empty()) message += ", ";
    message += text;
  }
  if (!message.empty()) return condition("Ready", false, "ReadinessGatesNotReady", std::move(message));
  return ready;
}

core::PodCondition initialized_condition(const core::Pod& pod, const core::PodStatus& status) {
  if (status.container_statuses.empty() && status.init_container_statuses.empty() && !pod.spec.init_containers.empty()) {
    return condition("Initialized", false, "UnknownContainerStatuses");
  }
  std::vector<std::string> unknown, incomplete;
  for (const core::Container& container : pod.spec.init_containers) {
    const core::ContainerStatus* found = find_status(status, container.name);
    if (found == nullptr) {
      unknown.push_back(container.name.str());
    } else if (!found->ready) {
      incomplete.push_back(container.name.str());
    }
  }
  if (status.phase == "Succeeded" && unknown.empty()) return condition("Initialized", true, "PodCompleted");
  if (regular_container_started(pod, status)) return condition("Initialized", true);
  std::string message;
  join_message(message, "containers with unknown status: ", unknown);
  join_message(message, "containers with incomplete status: ", incomplete);
  if (!message.empty()) return condition("Initialized", false, "ContainersNotInitialized", std::move(message));
  return condition("Initialized", true);
}

core::PodStatus generate_pod_status(const StatusInputs& inputs) {
  const core::Pod& pod = *inputs.pod;
  const core::PodStatus& old = *inputs.old_status;
  core::PodStatus status;
  for (const std::string& ip : inputs.record->ips()) {
    core::PodIP item;
    item.ip = ip;
    status.pod_ips.push_back(std::move(item));
  }
  // A pod whose sandbox has stopped keeps the addresses it had.
  if (status.pod_ips.empty() && !any_sandbox_ready(*inputs.record)) status.pod_ips = old.pod_ips;
  if (!status.pod_ips.empty()) status.pod_ip = status.pod_ips.front().ip;
  status.qos_class = pod_qos_class(pod);
  fill_container_statuses(inputs, status);

  std::vector<const core::ContainerStatus*> all;
  for (const core::ContainerStatus& item : status.container_statuses) all.push_back(&item);
  for (const core::ContainerStatus& item : status.init_container_statuses) all.push_back(&item);
  status.phase = pod_phase(pod, all, inputs.terminal);
  // A terminal phase is never left.
  if (!is_terminal_phase(status.phase)) {
    if (is_terminal_phase(old.phase)) {
      status.phase = old.phase;
    } else if (is_terminal_phase(pod.status.phase)) {
      status.phase = pod.status.phase;
    }
  }
  keep_reason(pod, old, status);
  if (is_terminal_phase(pod.status.phase)) status.phase = pod.status.phase;

  if (inputs.probe_state) inputs.probe_state(status);
  for (const core::PodCondition& item : pod.status.conditions)
    if (!condition_of_kubelet(item.type)) status.conditions.push_back(item);
  if (const core::PodCondition* disruption = find_condition(old, "DisruptionTarget")) set_condition(status, *disruption);
  status.conditions.push_back(initialized_condition(pod, status));
  status.conditions.push_back(ready_condition(pod, status));
  status.conditions.push_back(containers_ready_condition(pod, status));
  status.conditions.push_back(condition("PodScheduled", true));

  status.host_ip = inputs.host_ip;
  if (pod.spec.host_network && status.pod_ip.empty() && !inputs.host_ip.empty()) {
    status.pod_ip = inputs.host_ip;
    core::PodIP item;
    item.ip = inputs.host_ip;
    status.pod_ips.push_back(std::move(item));
  }
  return status;
}

void mark_terminated(const core::Pod& pod, core::PodStatus& status) {
  if (pod_initialized(pod)) {
    for (core::ContainerStatus& item : status.container_statuses) {
      if (item.state.terminated) continue;
      item.state.waiting.reset();
      item.state.running.reset();
      item.state.terminated = lost_state();
    }
  }
  // Init containers up to the last one that shows signs of life (at least the first).
  size_t count = status.init_container_statuses.size();
  while (count > 1) {
    const core::ContainerStatus& item = status.init_container_statuses[count - 1];
    if (!item.state.waiting || item.last_state.terminated) break;
    --count;
  }
  for (size_t i = 0; i < count; ++i) {
    core::ContainerStatus& item = status.init_container_statuses[i];
    if (item.state.terminated) continue;
    item.state.waiting.reset();
    item.state.running.reset();
    item.state.terminated = lost_state();
  }
  if (!is_static_pod(pod) && !is_terminal_phase(status.phase)) status.phase = "Failed";
}

}  // namespace knarr::kubelet
