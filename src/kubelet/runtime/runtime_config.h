// SPDX-License-Identifier: Apache-2.0
// CRI configurations of sandboxes and containers from a pod's spec (upstream's generatePodSandboxConfig, generateContainerConfig). Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kubelet/config.h"
#include "kubelet/cri/runtime_service.h"
#include "kubelet/runtime/security_context.h"
#include "kubelet/types.h"

namespace knarr::kubelet {

std::string pod_log_dir(const Config& config, const core::Pod& pod);

struct SandboxInputs {
  const core::Pod* pod = nullptr;
  uint32_t attempt = 0;
  std::string log_dir, cgroup_parent;
  std::string hostname;  // "" with hostNetwork
  cri::DNSConfig dns;
  bool cfs_quota = true;
};
cri::PodSandboxConfig make_sandbox_config(const SandboxInputs& inputs);

struct ContainerInputs {
  const core::Pod* pod = nullptr;
  const core::Container* container = nullptr;
  int restart_count = 0;
  std::string image_ref;
  ImageUser image_user;
  std::vector<std::pair<std::string, std::string>> env;
  std::vector<std::string> command, args;  // expanded
  std::vector<cri::Mount> mounts;
  std::string target_id;                   // of an ephemeral container's target
  int64_t memory_capacity = 0;
  bool cfs_quota = true;
  bool swap_accounting = false;            // the memory controller can limit swap
  bool cgroup_v2 = false;
  SecurityDefaults security;
};
Result<cri::ContainerConfig> make_container_config(const ContainerInputs& inputs);
cri::LinuxContainerResources container_resources(const ContainerInputs& inputs);

}  // namespace knarr::kubelet
