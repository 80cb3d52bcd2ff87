// SPDX-License-Identifier: Apache-2.0
// What the runtime has of one pod: its sandboxes and containers, newest first (upstream's kubecontainer.PodStatus). Values; pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "kubelet/cri/runtime_service.h"
#include "kubelet/types.h"

namespace knarr::kubelet {

struct ContainerRecord {
  std::string id, name, image, image_id, log_path;
  std::string reason, message;
  CriContainerState state = CriContainerState::kUnknown;
  uint64_t hash = 0;
  int restart_count = 0;
  int exit_code = 0;
  int64_t created_at = 0, started_at = 0, finished_at = 0;  // nanoseconds since 1970

  bool running() const { return state == CriContainerState::kRunning; }
};

struct SandboxRecord {
  std::string id;
  CriSandboxState state = CriSandboxState::kNotReady;
  uint32_t attempt = 0;
  int64_t created_at = 0;
  CriNamespace network = CriNamespace::kPod;
  bool has_network = false;         // the status told of a network at all
  std::vector<std::string> ips;
};

struct PodRecord {
  std::vector<SandboxRecord> sandboxes;    // newest first
  std::vector<ContainerRecord> containers;  // newest first

  const ContainerRecord* newest(std::string_view name) const;
  ContainerRecord* by_id(std::string_view id);
  SandboxRecord* sandbox_by_id(std::string_view id);
  // Addresses of the newest sandbox while it is ready.
  std::vector<std::string> ips() const;
  bool any_running() const;
  void sort();
};

// Termination messages come from the file that the container wrote, or from its log: at most these many bytes.
inline constexpr size_t kMaxTerminationMessage = 4096;
inline constexpr size_t kMaxTerminationLog = 2048;
inline constexpr size_t kMaxTerminationLogLines = 80;
inline constexpr size_t kMaxPodTerminationMessages = 12 << 10;

// Reads files (the termination message): call it from where blocking briefly is fine.
ContainerRecord to_record(const cri::ContainerStatus& status);
SandboxRecord to_record(const cri::PodSandboxStatus& status);

// Last lines of a log in CRI's format, without their prefixes.
std::string tail_of_cri_log(std::string_view content, size_t max_lines, size_t max_bytes);

// Labels and annotations by which upstream marks what belongs to it; a pod may pass from its kubelet to ours.
inline constexpr std::string_view kPodNameLabel = "io.kubernetes.pod.name";
inline constexpr std::string_view kPodNamespaceLabel = "io.kubernetes.pod.namespace";
inline constexpr std::string_view kPodUidLabel = "io.kubernetes.pod.uid";
inline constexpr std::string_view kContainerNameLabel = "io.kubernetes.container.name";
inline constexpr std::string_view kHashAnnotation = "io.kubernetes.container.hash";
inline constexpr std::string_view kRestartCountAnnotation = "io.kubernetes.container.restartCount";
inline constexpr std::string_view kMessagePathAnnotation = "io.kubernetes.container.terminationMessagePath";
inline constexpr std::string_view kMessagePolicyAnnotation = "io.kubernetes.container.terminationMessagePolicy";
inline constexpr std::string_view kDeletionGraceAnnotation = "io.kubernetes.pod.deletionGracePeriod";
inline constexpr std::string_view kTerminationGraceAnnotation = "io.kubernetes.pod.terminationGracePeriod";
inline constexpr std::string_view kPreStopAnnotation = "io.kubernetes.container.preStopHandler";
inline constexpr std::string_view kPortsAnnotation = "io.kubernetes.container.ports";

// Upstream's hash of a container: FNV-1a over the decimal dump of its JSON.
uint64_t hash_container(const core::Container& container);

}  // namespace knarr::kubelet
