// SPDX-License-Identifier: Apache-2.0
// What has to be done so that a pod runs as its spec says: a pure function of the spec and of what the runtime has
// (upstream's kuberuntime computePodActions).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kubelet/runtime/pod_record.h"
#include "kubelet/types.h"

namespace knarr::kubelet {

enum class ProbeResult : uint8_t { kUnknown, kSuccess, kFailure };

// What liveness and startup probes say of a running container; kUnknown when there is no probe or no result yet.
class ProbeResults {
 public:
  virtual ~ProbeResults() = default;
  virtual ProbeResult liveness(std::string_view container_id) const = 0;
  virtual ProbeResult startup(std::string_view container_id) const = 0;
};

enum class KillReason : uint8_t { kNone, kLivenessProbe, kStartupProbe, kFailedPostStart, kUnknown };

struct ContainerToKill {
  std::string id, name, message;
  KillReason reason = KillReason::kNone;
};

struct PodActions {
  bool kill_pod = false;
  bool create_sandbox = false;
  std::string sandbox_id;
  uint32_t attempt = 0;
  int next_init = -1;                     // index, -1 = none
  std::vector<int> containers, ephemeral;  // indexes to start
  std::vector<ContainerToKill> kill;

  bool nothing() const { return !kill_pod && !create_sandbox && next_init < 0 && containers.empty() && ephemeral.empty() && kill.empty(); }
};

PodActions compute_pod_actions(const core::Pod& pod, const PodRecord& record, const ProbeResults& probes);

// Whether the pod needs a new sandbox; fills attempt and the old one's id.
bool sandbox_changed(const core::Pod& pod, const PodRecord& record, uint32_t* attempt, std::string* sandbox_id);

bool should_restart(const core::Container& container, const core::Pod& pod, const PodRecord& record);
bool init_container_failed(const ContainerRecord& record);

}  // namespace knarr::kubelet
