// SPDX-License-Identifier: Apache-2.0
// The container runtime as the kubelet uses it: CRI v1, one method a call. Implementations: RemoteRuntime (gRPC) and test doubles.
//
// Every call may be under way at the same time as any other; one executor. Errors keep the gRPC code's name as their reason
// ("NotFound", "Unavailable", "DeadlineExceeded") and the runtime's message unchanged.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/cri_v1.h"
#include "base/task.h"

namespace knarr::kubelet {

namespace cri = api::cri_v1;

// The enumerations of CRI, which the structs carry as numbers.
enum class CriContainerState : int32_t { kCreated = 0, kRunning = 1, kExited = 2, kUnknown = 3 };
enum class CriSandboxState : int32_t { kReady = 0, kNotReady = 1 };
enum class CriNamespace : int32_t { kPod = 0, kContainer = 1, kNode = 2, kTarget = 3 };
enum class CriSecurityProfile : int32_t { kRuntimeDefault = 0, kUnconfined = 1, kLocalhost = 2 };
enum class CriProtocol : int32_t { kTcp = 0, kUdp = 1, kSctp = 2 };

class RuntimeService {
 public:
  virtual ~RuntimeService() = default;
  virtual Task<Result<cri::VersionResponse>> version() = 0;
  virtual Task<Result<cri::StatusResponse>> status(bool verbose) = 0;
  virtual Task<Status> update_pod_cidr(std::string pod_cidr) = 0;

  virtual Task<Result<std::string>> run_pod_sandbox(cri::PodSandboxConfig config, std::string runtime_handler) = 0;
  virtual Task<Status> stop_pod_sandbox(std::string id) = 0;
  virtual Task<Status> remove_pod_sandbox(std::string id) = 0;
  virtual Task<Result<cri::PodSandboxStatus>> pod_sandbox_status(std::string id) = 0;
  virtual Task<Result<std::vector<cri::PodSandbox>>> list_pod_sandboxes(cri::PodSandboxFilter filter) = 0;

  virtual Task<Result<std::string>> create_container(std::string sandbox_id, cri::ContainerConfig config, cri::PodSandboxConfig sandbox) = 0;
  virtual Task<Status> start_container(std::string id) = 0;
  // `grace_seconds` between the stop signal and the kill.
  virtual Task<Status> stop_container(std::string id, int64_t grace_seconds) = 0;
  virtual Task<Status> remove_container(std::string id) = 0;
  virtual Task<Result<std::vector<cri::Container>>> list_containers(cri::ContainerFilter filter) = 0;
  virtual Task<Result<cri::ContainerStatus>> container_status(std::string id) = 0;
  virtual Task<Status> update_container_resources(std::string id, cri::LinuxContainerResources resources) = 0;
  virtual Task<Status> reopen_container_log(std::string id) = 0;

  // timeout 0 = none. A command that outlasts it fails with reason DeadlineExceeded.
  virtual Task<Result<cri::ExecSyncResponse>> exec_sync(std::string id, std::vector<std::string> command, Duration timeout) = 0;
  virtual Task<Result<cri::ExecResponse>> exec(cri::ExecRequest request) = 0;
  virtual Task<Result<cri::AttachResponse>> attach(cri::AttachRequest request) = 0;
  virtual Task<Result<cri::PortForwardResponse>> port_forward(cri::PortForwardRequest request) = 0;

  virtual Task<Result<cri::ListContainerStatsResponse>> list_container_stats(cri::ContainerStatsFilter filter) = 0;
  virtual Task<Result<cri::ListPodSandboxStatsResponse>> list_pod_sandbox_stats(cri::PodSandboxStatsFilter filter) = 0;
};

class ImageService {
 public:
  virtual ~ImageService() = default;
  virtual Task<Result<std::vector<cri::Image>>> list_images() = 0;
  // An image without id when the runtime does not have it.
  virtual Task<Result<cri::Image>> image_status(cri::ImageSpec image) = 0;
  virtual Task<Result<std::string>> pull_image(cri::ImageSpec image, cri::AuthConfig auth, cri::PodSandboxConfig sandbox) = 0;
  virtual Task<Status> remove_image(cri::ImageSpec image) = 0;
  virtual Task<Result<cri::ImageFsInfoResponse>> image_fs_info() = 0;
};

}  // namespace knarr::kubelet
