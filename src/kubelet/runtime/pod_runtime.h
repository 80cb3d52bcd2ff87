// SPDX-License-Identifier: Apache-2.0
// The steps by which a pod's sandbox and containers are made and stopped, with their events, hooks and files.
//
// Stateless between calls but for ids of containers under way; what exists is the runtime's business (PodRecord). One executor.
// Failures of a container's start are a waiting reason and a message, worded as upstream.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kubelet/context.h"
#include "kubelet/image/image_puller.h"
#include "kubelet/pod_actions.h"
#include "kubelet/pod_status.h"
#include "kubelet/runtime/pod_record.h"

namespace knarr::kubelet {

class PodRuntime {
 public:
  PodRuntime(Context& context, ImagePuller& puller) : context_(context), puller_(puller) {}

  // Everything that the runtime has of a pod. Containers known as exited in `known` are not asked for again.
  Task<Result<PodRecord>> load(std::string uid, PodRecord known);
  Task<Result<ContainerRecord>> load_container(std::string id);
  Task<Result<SandboxRecord>> load_sandbox(std::string id);

  // The sandbox's configuration; also needed to create containers in it.
  Result<cri::PodSandboxConfig> sandbox_config(const core::Pod& pod, uint32_t attempt);
  Task<Result<SandboxRecord>> create_sandbox(PodPtr pod, cri::PodSandboxConfig config);

  struct StartInputs {
    PodPtr pod;
    const core::Container* container = nullptr;  // alive until the call returns
    std::string sandbox_id;
    cri::PodSandboxConfig sandbox;
    MountedVolumes volumes;
    std::vector<std::string> pod_ips;
    int restart_count = 0;
    std::string target_id;                       // of an ephemeral container's target
  };
  struct StartOutcome {
    std::string container_id;        // once it was created
    std::optional<StartFailure> failure;
    Duration retry_after{};          // 0 = the usual
  };
  Task<StartOutcome> start_container(StartInputs inputs);

  // How often the container was started before, from the log files that it left, when the runtime remembers nothing.
  int restart_count_from_logs(const core::Pod& pod, const core::Container& container) const;

  // preStop hook, stop signal, kill. `grace` overrides what pod and probe say. `pod` may be a stand-in for one that is gone.
  Task<Status> kill_container(PodPtr pod, ContainerToKill what, std::optional<int64_t> grace);
  // All running containers at once, then the sandboxes.
  Task<Status> kill_pod(PodPtr pod, PodRecord record, std::optional<int64_t> grace);
  // Containers, sandboxes and log files of a pod that is gone from the API.
  Task<void> remove_pod(PodPtr pod, PodRecord record);
  Task<void> remove_container(std::string id, std::string legacy_link);

  std::string legacy_link(const core::Pod& pod, const ContainerRecord& record) const;

 private:
  Task<Result<cri::ContainerConfig>> container_config(const StartInputs& inputs, const ImagePuller::Outcome& image);
  Result<cri::Mount> termination_log(const core::Pod& pod, const core::Container& container);
  Task<StartOutcome> run_container(StartInputs inputs, cri::ContainerConfig config);
  Task<Status> run_hook(PodPtr pod, const core::Container* container, core::LifecycleHandler hook, std::string container_id, std::string* message);
  Task<int64_t> run_pre_stop(PodPtr pod, core::Container container, std::string container_id, int64_t grace);
  Task<void> kill_one(PodPtr pod, ContainerToKill what, std::optional<int64_t> grace, Status* result);
  Task<void> stop_sandbox(std::string id, Status* result);

  Context& context_;
  ImagePuller& puller_;
};

// Grace period of a kill: the deletion's, else the probe's, else the pod's; 2 s at the least.
int64_t grace_period(const core::Pod& pod, const core::Container& container, KillReason reason);

}  // namespace knarr::kubelet
