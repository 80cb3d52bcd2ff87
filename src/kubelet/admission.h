// SPDX-License-Identifier: Apache-2.0
// The node's last word on whether a pod may run here (upstream's admit handlers): resources, node selector and affinity, host ports,
// sysctls. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kubelet/pod_status.h"
#include "kubelet/qos.h"
#include "kubelet/types.h"

namespace knarr::kubelet {

struct AdmissionInputs {
  const core::Pod* pod = nullptr;
  const core::Node* node = nullptr;  // null while unknown: then its labels are not looked at
  const ResourceList* allocatable = nullptr;
  const std::vector<std::string>* allowed_unsafe_sysctls = nullptr;
  std::vector<PodPtr> others;        // what runs here already
};

// Reason and message of the refusal: OutOfcpu, NodeAffinity, SysctlForbidden, ...
std::optional<StartFailure> admit_pod(const AdmissionInputs& inputs);

bool sysctl_allowed(std::string_view name, const std::vector<std::string>& unsafe_patterns, bool host_network, bool host_ipc);

}  // namespace knarr::kubelet
