// SPDX-License-Identifier: Apache-2.0
// CRI v1 over gRPC. One channel to the runtime's socket serves both services; it reconnects by itself.
//
// Time limits are upstream's: 2 min a call, 4 min for RunPodSandbox, none for pulls, the grace period on top for StopContainer.
#pragma once

#include <memory>
#include <string>

#include "kubelet/cri/runtime_service.h"
#include "net/grpc.h"

namespace knarr::kubelet {

class RemoteRuntime final : public RuntimeService, public ImageService {
 public:
  explicit RemoteRuntime(std::shared_ptr<net::GrpcChannel> channel);

  Task<Result<cri::VersionResponse>> version() override;
  Task<Result<cri::StatusResponse>> status(bool verbose) override;
  Task<Status> update_pod_cidr(std::string pod_cidr) override;
  Task<Result<std::string>> run_pod_sandbox(cri::PodSandboxConfig config, std::string runtime_handler) override;
  Task<Status> stop_pod_sandbox(std::string id) override;
  Task<Status> remove_pod_sandbox(std::string id) override;
  Task<Result<cri::PodSandboxStatus>> pod_sandbox_status(std::string id) override;
  Task<Result<std::vector<cri::PodSandbox>>> list_pod_sandboxes(cri::PodSandboxFilter filter) override;
  Task<Result<std::string>> create_container(std::string sandbox_id, cri::ContainerConfig config, cri::PodSandboxConfig sandbox) override;
  Task<Status> start_container(std::string id) override;
  Task<Status> stop_container(std::string id, int64_t grace_seconds) override;
  Task<Status> remove_container(std::string id) override;
  Task<Result<std::vector<cri::Container>>> list_containers(cri::ContainerFilter filter) override;
  Task<Result<cri::ContainerStatus>> container_status(std::string id) override;
  Task<Status> update_container_resources(std::string id, cri::LinuxContainerResources resources) override;
  Task<Status> reopen_container_log(std::string id) override;
  Task<Result<cri::ExecSyncResponse>> exec_sync(std::string id, std::vector<std::string> command, Duration timeout) override;
  Task<Result<cri::ExecResponse>> exec(cri::ExecRequest request) override;
  Task<Result<cri::AttachResponse>> attach(cri::AttachRequest request) override;
  Task<Result<cri::PortForwardResponse>> port_forward(cri::PortForwardRequest request) override;
  Task<Result<cri::ListContainerStatsResponse>> list_container_stats(cri::ContainerStatsFilter filter) override;
  Task<Result<cri::ListPodSandboxStatsResponse>> list_pod_sandbox_stats(cri::PodSandboxStatsFilter filter) override;

  Task<Result<std::vector<cri::Image>>> list_images() override;
  Task<Result<cri::Image>> image_status(cri::ImageSpec image) override;
  Task<Result<std::string>> pull_image(cri::ImageSpec image, cri::AuthConfig auth, cri::PodSandboxConfig sandbox) override;
  Task<Status> remove_image(cri::ImageSpec image) override;
  Task<Result<cri::ImageFsInfoResponse>> image_fs_info() override;

  net::GrpcChannel& channel() { return *channel_; }

 private:
  std::shared_ptr<net::GrpcChannel> channel_;
};

}  // namespace knarr::kubelet
