// SPDX-License-Identifier: Apache-2.0
// The status of a pod as the API shows it: a pure function of the spec, of what the runtime has, of the last status, and of why containers
// are waiting (upstream's generateAPIPodStatus, getPhase and the condition generators). Texts and reasons are upstream's.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kubelet/runtime/pod_record.h"
#include "kubelet/types.h"

namespace knarr::kubelet {

// Why a container could not be started, by container name.
struct StartFailure {
  std::string reason, message;
};
using StartFailures = std::map<std::string, StartFailure, std::less<>>;

struct StatusInputs {
  const core::Pod* pod = nullptr;
  const PodRecord* record = nullptr;
  const core::PodStatus* old_status = nullptr;  // last computed, else the API's
  const StartFailures* failures = nullptr;
  std::string runtime_name = "containerd";      // in container ids
  std::string host_ip;
  bool terminal = false;                        // its containers are stopped for good
  // Fills started and ready of each container (the probe manager).
  std::function<void(core::PodStatus& status)> probe_state;
};

core::PodStatus generate_pod_status(const StatusInputs& inputs);

std::string pod_phase(const core::Pod& pod, const std::vector<const core::ContainerStatus*>& statuses, bool terminal);
core::PodCondition initialized_condition(const core::Pod& pod, const core::PodStatus& status);
core::PodCondition ready_condition(const core::Pod& pod, const core::PodStatus& status);
core::PodCondition containers_ready_condition(const core::Pod& pod, const core::PodStatus& status);
// Init and regular container statuses.
const core::ContainerStatus* find_status(const core::PodStatus& status, std::string_view container);
core::PodCondition* find_condition(core::PodStatus& status, std::string_view type);
const core::PodCondition* find_condition(const core::PodStatus& status, std::string_view type);
void set_condition(core::PodStatus& status, core::PodCondition condition);  // replaces or appends
// PodScheduled, Ready, Initialized, ContainersReady (and PodReadyToStartContainers).
bool condition_of_kubelet(std::string_view type);
// Upstream's TerminatePod: what never became known counts as failed, and the phase becomes terminal.
void mark_terminated(const core::Pod& pod, core::PodStatus& status);

}  // namespace knarr::kubelet
