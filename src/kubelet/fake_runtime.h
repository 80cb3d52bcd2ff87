// SPDX-License-Identifier: Apache-2.0
// A container runtime in memory that records what it is asked, for tests.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "kubelet/cri/runtime_service.h"

namespace knarr::kubelet {

class FakeRuntime : public RuntimeService, public ImageService {
 public:
  std::vector<std::string> calls;                        // "start c1", "stop c1 30"
  std::map<std::string, cri::PodSandboxStatus> sandboxes;
  std::map<std::string, cri::ContainerStatus> containers;
  std::map<std::string, cri::ContainerConfig> configs;
  std::set<std::string> images = {"image"};
  std::map<std::string, Status> fail;                    // by call: "run_pod_sandbox", "create", "start", "pull"
  int next = 1;

  void finish(const std::string& id, int code) {
    cri::ContainerStatus& status = containers[id];
    status.state = static_cast<int32_t>(CriContainerState::kExited);
    status.exit_code = code;
    status.reason = code == 0 ? "Completed" : "Error";
    status.finished_at = status.started_at + 1;
  }

  Task<Result<cri::VersionResponse>> version() override {
    cri::VersionResponse response;
    response.runtime_name = "fake";
    co_return response;
  }
  Task<Result<cri::StatusResponse>> status(bool) override { co_return cri::StatusResponse(); }
  Task<Status> update_pod_cidr(std::string) override { co_return Status(); }
  Task<Result<std::string>> run_pod_sandbox(cri::PodSandboxConfig config, std::string) override {
    calls.push_back("run_pod_sandbox " + config.metadata->name.str());
    if (!fail["run_pod_sandbox"].ok()) co_return fail["run_pod_sandbox"];
    std::string id = "s" + std::to_string(next++);
    cri::PodSandboxStatus status;
    status.id = id;
    status.metadata = config.metadata;
    status.created_at = next;
    status.network.ensure().ip = "10.0.0.1";
    status.labels = config.labels;
    sandboxes[id] = status;
    co_return id;
  }
  Task<Status> stop_pod_sandbox(std::string id) override {
    calls.push_back("stop_pod_sandbox " + id);
    sandboxes[id].state = static_cast<int32_t>(CriSandboxState::kNotReady);
    co_return Status();
  }
  Task<Status> remove_pod_sandbox(std::string id) override {
    calls.push_back("remove_pod_sandbox " + id);
    sandboxes.erase(id);
    co_return Status();
  }
  Task<Result<cri::PodSandboxStatus>> pod_sandbox_status(std::string id) override {
    auto it = sandboxes.find(id);
    if (it == sandboxes.end()) co_return Status::make(404, "NotFound", "no such sandbox");
    co_return it->second;
  }
  Task<Result<std::vector<cri::PodSandbox>>> list_pod_sandboxes(cri::PodSandboxFilter) override {
    std::vector<cri::PodSandbox> found;
    for (const auto& [id, status] : sandboxes) {
      cri::PodSandbox sandbox;
      sandbox.id = id;
      sandbox.state = status.state;
      sandbox.labels = status.labels;
      found.push_back(std::move(sandbox));
    }
    co_return found;
  }
  Task<Result<std::string>> create_container(std::string, cri::ContainerConfig config, cri::PodSandboxConfig) override {
    calls.push_back("create " + config.metadata->name.str());
    if (!fail["create"].ok()) co_return fail["create"];
    std::string id = "c" + std::to_string(next++);
    cri::ContainerStatus status;
    status.id = id;
    status.metadata = config.metadata;
    status.image = config.image;
    status.created_at = next;
    status.labels = config.labels;
    status.annotations = config.annotations;
    containers[id] = status;
    configs[id] = config;
    co_return id;
  }
  Task<Status> start_container(std::string id) override {
    calls.push_back("start " + id);
    if (!fail["start"].ok()) co_return fail["start"];
    containers[id].state = static_cast<int32_t>(CriContainerState::kRunning);
    containers[id].started_at = next++;
    co_return Status();
  }
  Task<Status> stop_container(std::string id, int64_t grace) override {
    calls.push_back("stop " + id + " " + std::to_string(grace));
    finish(id, 143);
    co_return Status();
  }
  Task<Status> remove_container(std::string id) override {
    calls.push_back("remove " + id);
    containers.erase(id);
    co_return Status();
  }
  Task<Result<std::vector<cri::Container>>> list_containers(cri::ContainerFilter) override {
    std::vector<cri::Container> found;
    for (const auto& [id, status] : containers) {
      cri::Container container;
      container.id = id;
      container.state = status.state;
      found.push_back(std::move(container));
    }
    co_return found;
  }
  Task<Result<cri::ContainerStatus>> container_status(std::string id) override {
    auto it = containers.find(id);
    if (it == containers.end()) co_return Status::make(404, "NotFound", "no such container");
    co_return it->second;
  }
  Task<Status> update_container_resources(std::string, cri::LinuxContainerResources) override { co_return Status(); }
  Task<Status> reopen_container_log(std::string) override { co_return Status(); }
  Task<Result<cri::ExecSyncResponse>> exec_sync(std::string id, std::vector<std::string> command, Duration) override {
    calls.push_back("exec " + id + " " + command.front());
    co_return cri::ExecSyncResponse();
  }
  Task<Result<cri::ExecResponse>> exec(cri::ExecRequest) override { co_return cri::ExecResponse(); }
  Task<Result<cri::AttachResponse>> attach(cri::AttachRequest) override { co_return cri::AttachResponse(); }
  Task<Result<cri::PortForwardResponse>> port_forward(cri::PortForwardRequest) override { co_return cri::PortForwardResponse(); }
  Task<Result<cri::ListContainerStatsResponse>> list_container_stats(cri::ContainerStatsFilter) override { co_return cri::ListContainerStatsResponse(); }
  Task<Result<cri::ListPodSandboxStatsResponse>> list_pod_sandbox_stats(cri::PodSandboxStatsFilter) override {
    co_return cri::ListPodSandboxStatsResponse();
  }

  Task<Result<std::vector<cri::Image>>> list_images() override { co_return std::vector<cri::Image>(); }
  Task<Result<cri::Image>> image_status(cri::ImageSpec image) override {
    cri::Image found;
    std::string name = image.image.str();
    if (images.count(name) > 0 || images.count(name.substr(0, name.rfind(':'))) > 0) found.id = "sha256:" + name;
    co_return found;
  }
  Task<Result<std::string>> pull_image(cri::ImageSpec image, cri::AuthConfig, cri::PodSandboxConfig) override {
    calls.push_back("pull " + image.image.str());
    if (!fail["pull"].ok()) co_return fail["pull"];
    images.insert(image.image.str());
    co_return "sha256:" + image.image.str();
  }
  Task<Status> remove_image(cri::ImageSpec) override { co_return Status(); }
  Task<Result<cri::ImageFsInfoResponse>> image_fs_info() override { co_return cri::ImageFsInfoResponse(); }
};

}  // namespace knarr::kubelet
