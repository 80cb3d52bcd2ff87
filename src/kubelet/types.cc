// SPDX-License-Identifier: Apache-2.0
#include "kubelet/types.h"

namespace knarr::kubelet {

namespace {
constexpr int32_t kSystemCriticalPriority = 2000000000;
}

std::string format_pod(const core::Pod& pod) {
  return pod.metadata.name.str() + "_" + pod.metadata.namespace_.str() + "(" + pod.metadata.uid.str() + ")";
}

std::string pod_key(const core::Pod& pod) { return pod.metadata.namespace_.str() + "/" + pod.metadata.name.str(); }

core::Container container_of(const core::EphemeralContainer& ephemeral) {
  const core::EphemeralContainerCommon& from = ephemeral.ephemeral_container_common;
  core::Container to;
  to.name = from.name;
  to.image = from.image;
  to.command = from.command;
  to.args = from.args;
  to.working_dir = from.working_dir;
  to.ports = from.ports;
  to.env_from = from.env_from;
  to.env = from.env;
  to.resources = from.resources;
  to.resize_policy = from.resize_policy;
  to.restart_policy = from.restart_policy;
  to.volume_mounts = from.volume_mounts;
  to.volume_devices = from.volume_devices;
  to.liveness_probe = from.liveness_probe;
  to.readiness_probe = from.readiness_probe;
  to.startup_probe = from.startup_probe;
  to.lifecycle = from.lifecycle;
  to.termination_message_path = from.termination_message_path;
  to.termination_message_policy = from.termination_message_policy;
  to.image_pull_policy = from.image_pull_policy;
  to.security_context = from.security_context;
  to.stdin = from.stdin;
  to.stdin_once = from.stdin_once;
  to.tty = from.tty;
  return to;
}

const core::Container* find_container(const core::Pod& pod, std::string_view name, core::Container& storage) {
  for (const core::Container& container : pod.spec.containers)
    if (container.name == name) return &container;
  for (const core::Container& container : pod.spec.init_containers)
    if (container.name == name) return &container;
  for (const core::EphemeralContainer& ephemeral : pod.spec.ephemeral_containers) {
    if (ephemeral.ephemeral_container_common.name == name) {
      storage = container_of(ephemeral);
      return &storage;
    }
  }
  return nullptr;
}

bool is_static_pod(const core::Pod& pod) {
  const schema::Str* source = pod.metadata.annotations.find(kConfigSourceAnnotation);
  return source != nullptr && *source != "api";
}

bool is_mirror_pod(const core::Pod& pod) { return pod.metadata.annotations.contains(kConfigMirrorAnnotation); }

bool is_critical_pod(const core::Pod& pod) {
  if (is_static_pod(pod) || is_mirror_pod(pod)) return true;
  return pod.spec.priority.has_value() && *pod.spec.priority >= kSystemCriticalPriority;
}

bool is_terminal_phase(std::string_view phase) { return phase == "Succeeded" || phase == "Failed"; }

std::string container_field_path(const core::Pod& pod, std::string_view container) {
  std::string_view list;
  for (const core::Container& c : pod.spec.containers)
    if (c.name == container) list = "spec.containers";
  if (list.empty()) {
    for (const core::Container& c : pod.spec.init_containers)
      if (c.name == container) list = "spec.initContainers";
  }
  if (list.empty()) {
    for (const core::EphemeralContainer& c : pod.spec.ephemeral_containers)
      if (c.ephemeral_container_common.name == container) list = "spec.ephemeralContainers";
  }
  if (list.empty()) return {};
  return std::string(list) + "{" + std::string(container) + "}";
}

}  // namespace knarr::kubelet
