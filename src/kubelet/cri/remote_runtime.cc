// SPDX-License-Identifier: Apache-2.0
#include "kubelet/cri/remote_runtime.h"

#include <utility>

#include "schema/codec.h"

namespace knarr::kubelet {

namespace {

constexpr Duration kCallTimeout = std::chrono::minutes(2);
constexpr Duration kSandboxTimeout = std::chrono::minutes(4);

constexpr std::string_view kRuntime = "/runtime.v1.RuntimeService/";
constexpr std::string_view kImages = "/runtime.v1.ImageService/";

// One unary call: everything by value, as the coroutine outlives its caller's temporaries.
template <class Response>
Task<Result<Response>> finish_call(std::shared_ptr<net::GrpcChannel> channel, std::string method, std::string message, Duration timeout) {
  auto answer = co_await channel->call(std::move(method), std::move(message), timeout);
  if (!answer.ok()) co_return answer.status();
  co_return schema::from_proto<Response>(*answer);
}

template <class Response, class Request>
Task<Result<Response>> call(const std::shared_ptr<net::GrpcChannel>& channel, std::string_view service, std::string_view name,
                            const Request& request, Duration timeout = kCallTimeout) {
  std::string method(service);
  method.append(name);
  return finish_call<Response>(channel, std::move(method), schema::to_proto(request), timeout);
}

template <class Response>
Task<Status> only_status(Task<Result<Response>> task) {
  auto answer = co_await std::move(task);
  co_return answer.status();
}

template <class T>
std::vector<T> to_vector(schema::List<T>& list) {
  std::vector<T> items;
  items.reserve(list.size());
  for (T& item : list) items.push_back(std::move(item));
  return items;
}

}  // namespace

RemoteRuntime::RemoteRuntime(std::shared_ptr<net::GrpcChannel> channel) : channel_(std::move(channel)) {}

Task<Result<cri::VersionResponse>> RemoteRuntime::version() {
  cri::VersionRequest request;
  request.version = "0.1.0";
  return call<cri::VersionResponse>(channel_, kRuntime, "Version", request);
}

Task<Result<cri::StatusResponse>> RemoteRuntime::status(bool verbose) {
  cri::StatusRequest request;
  request.verbose = verbose;
  return call<cri::StatusResponse>(channel_, kRuntime, "Status", request);
}

Task<Status> RemoteRuntime::update_pod_cidr(std::string pod_cidr) {
  cri::UpdateRuntimeConfigRequest request;
  request.runtime_config.ensure().network_config.ensure().pod_cidr = pod_cidr;
  return only_status(call<cri::UpdateRuntimeConfigResponse>(channel_, kRuntime, "UpdateRuntimeConfig", request));
}

Task<Result<std::string>> RemoteRuntime::run_pod_sandbox(cri::PodSandboxConfig config, std::string runtime_handler) {
  cri::RunPodSandboxRequest request;
  request.config = std::move(config);
  request.runtime_handler = runtime_handler;
  auto answer = co_await call<cri::RunPodSandboxResponse>(channel_, kRuntime, "RunPodSandbox", request, kSandboxTimeout);
  if (!answer.ok()) co_return answer.status();
  if (answer->pod_sandbox_id.empty()) {
    co_return Status::error("PodSandboxId is not set for sandbox \"" + request.config->metadata->name.str() + "\"");
  }
  co_return answer->pod_sandbox_id.str();
}

Task<Status> RemoteRuntime::stop_pod_sandbox(std::string id) {
  cri::StopPodSandboxRequest request;
  request.pod_sandbox_id = id;
  return only_status(call<cri::StopPodSandboxResponse>(channel_, kRuntime, "StopPodSandbox", request));
}

Task<Status> RemoteRuntime::remove_pod_sandbox(std::string id) {
  cri::RemovePodSandboxRequest request;
  request.pod_sandbox_id = id;
  return only_status(call<cri::RemovePodSandboxResponse>(channel_, kRuntime, "RemovePodSandbox", request));
}

Task<Result<cri::PodSandboxStatus>> RemoteRuntime::pod_sandbox_status(std::string id) {
  cri::PodSandboxStatusRequest request;
  request.pod_sandbox_id = id;
  auto answer = co_await call<cri::PodSandboxStatusResponse>(channel_, kRuntime, "PodSandboxStatus", request);
  if (!answer.ok()) co_return answer.status();
  if (!answer->status) co_return Status::error("PodSandboxStatus is not set for sandbox \"" + id + "\"");
  co_return std::move(*answer->status);
}

Task<Result<std::vector<cri::PodSandbox>>> RemoteRuntime::list_pod_sandboxes(cri::PodSandboxFilter filter) {
  cri::ListPodSandboxRequest request;
  request.filter = std::move(filter);
  auto answer = co_await call<cri::ListPodSandboxResponse>(channel_, kRuntime, "ListPodSandbox", request);
  if (!answer.ok()) co_return answer.status();
  co_return to_vector(answer->items);
}

Task<Result<std::string>> RemoteRuntime::create_container(std::string sandbox_id, cri::ContainerConfig config, cri::PodSandboxConfig sandbox) {
  cri::CreateContainerRequest request;
  request.pod_sandbox_id = sandbox_id;
  request.config = std::move(config);
  request.sandbox_config = std::move(sandbox);
  auto answer = co_await call<cri::CreateContainerResponse>(channel_, kRuntime, "CreateContainer", request);
  if (!answer.ok()) co_return answer.status();
  if (answer->container_id.empty()) {
    co_return Status::error("ContainerId is not set for container \"" + request.config->metadata->name.str() + "\"");
  }
  co_return answer->container_id.str();
}

Task<Status> RemoteRuntime::start_container(std::string id) {
  cri::StartContainerRequest request;
  request.container_id = id;
  return only_status(call<cri::StartContainerResponse>(channel_, kRuntime, "StartContainer", request));
}

Task<Status> RemoteRuntime::stop_container(std::string id, int64_t grace_seconds) {
  cri::StopContainerRequest request;
  request.container_id = id;
  request.timeout = grace_seconds;
  Duration timeout = kCallTimeout + std::chrono::seconds(grace_seconds);
  return only_status(call<cri::StopContainerResponse>(channel_, kRuntime, "StopContainer", request, timeout));
}

Task<Status> RemoteRuntime::remove_container(std::string id) {
  cri::RemoveContainerRequest request;
  request.container_id = id;
  return only_status(call<cri::RemoveContainerResponse>(channel_, kRuntime, "RemoveContainer", request));
}

Task<Result<std::vector<cri::Container>>> RemoteRuntime::list_containers(cri::ContainerFilter filter) {
  cri::ListContainersRequest request;
  request.filter = std::move(filter);
  auto answer = co_await call<cri::ListContainersResponse>(channel_, kRuntime, "ListContainers", request);
  if (!answer.ok()) co_return answer.status();
  co_return to_vector(answer->containers);
}

Task<Result<cri::ContainerStatus>> RemoteRuntime::container_status(std::string id) {
  cri::ContainerStatusRequest request;
  request.container_id = id;
  auto answer = co_await call<cri::ContainerStatusResponse>(channel_, kRuntime, "ContainerStatus", request);
  if (!answer.ok()) co_return answer.status();
  if (!answer->status) co_return Status::error("container status is nil");
  co_return std::move(*answer->status);
}

Task<Status> RemoteRuntime::update_container_resources(std::string id, cri::LinuxContainerResources resources) {
  cri::UpdateContainerResourcesRequest request;
  request.container_id = id;
  request.linux_ = std::move(resources);
  return only_status(call<cri::UpdateContainerResourcesResponse>(channel_, kRuntime, "UpdateContainerResources", request));
}

Task<Status> RemoteRuntime::reopen_container_log(std::string id) {
  cri::ReopenContainerLogRequest request;
  request.container_id = id;
  return only_status(call<cri::ReopenContainerLogResponse>(channel_, kRuntime, "ReopenContainerLog", request));
}

Task<Result<cri::ExecSyncResponse>> RemoteRuntime::exec_sync(std::string id, std::vector<std::string> command, Duration timeout) {
  cri::ExecSyncRequest request;
  request.container_id = id;
  for (const std::string& word : command) request.cmd.push_back(word);
  request.timeout = std::chrono::duration_cast<std::chrono::seconds>(timeout).count();
  // The runtime enforces the limit; the call itself gets the usual time on top to bring the answer.
  Duration limit = timeout > Duration::zero() ? timeout + kCallTimeout : Duration::zero();
  return call<cri::ExecSyncResponse>(channel_, kRuntime, "ExecSync", request, limit);
}

Task<Result<cri::ExecResponse>> RemoteRuntime::exec(cri::ExecRequest request) {
  return call<cri::ExecResponse>(channel_, kRuntime, "Exec", request);
}

Task<Result<cri::AttachResponse>> RemoteRuntime::attach(cri::AttachRequest request) {
  return call<cri::AttachResponse>(channel_, kRuntime, "Attach", request);
}

Task<Result<cri::PortForwardResponse>> RemoteRuntime::port_forward(cri::PortForwardRequest request) {
  return call<cri::PortForwardResponse>(channel_, kRuntime, "PortForward", request);
}

Task<Result<cri::ListContainerStatsResponse>> RemoteRuntime::list_container_stats(cri::ContainerStatsFilter filter) {
  cri::ListContainerStatsRequest request;
  request.filter = std::move(filter);
  return call<cri::ListContainerStatsResponse>(channel_, kRuntime, "ListContainerStats", request);
}

Task<Result<cri::ListPodSandboxStatsResponse>> RemoteRuntime::list_pod_sandbox_stats(cri::PodSandboxStatsFilter filter) {
  cri::ListPodSandboxStatsRequest request;
  request.filter = std::move(filter);
  return call<cri::ListPodSandboxStatsResponse>(channel_, kRuntime, "ListPodSandboxStats", request);
}

Task<Result<std::vector<cri::Image>>> RemoteRuntime::list_images() {
  cri::ListImagesRequest request;
  auto answer = co_await call<cri::ListImagesResponse>(channel_, kImages, "ListImages", request);
  if (!answer.ok()) co_return answer.status();
  co_return to_vector(answer->images);
}

Task<Result<cri::Image>> RemoteRuntime::image_status(cri::ImageSpec image) {
  cri::ImageStatusRequest request;
  request.image = std::move(image);
  auto answer = co_await call<cri::ImageStatusResponse>(channel_, kImages, "ImageStatus", request);
  if (!answer.ok()) co_return answer.status();
  if (!answer->image) co_return cri::Image{};
  co_return std::move(*answer->image);
}

Task<Result<std::string>> RemoteRuntime::pull_image(cri::ImageSpec image, cri::AuthConfig auth, cri::PodSandboxConfig sandbox) {
  cri::PullImageRequest request;
  request.image = std::move(image);
  if (!schema::is_zero(cri::AuthConfig::table(), &auth)) request.auth = std::move(auth);
  request.sandbox_config = std::move(sandbox);
  auto answer = co_await call<cri::PullImageResponse>(channel_, kImages, "PullImage", request, Duration::zero());
  if (!answer.ok()) co_return answer.status();
  if (answer->image_ref.empty()) co_return Status::error("imageRef of image \"" + request.image->image.str() + "\" is not set");
  co_return answer->image_ref.str();
}

Task<Status> RemoteRuntime::remove_image(cri::ImageSpec image) {
  cri::RemoveImageRequest request;
  request.image = std::move(image);
  return only_status(call<cri::RemoveImageResponse>(channel_, kImages, "RemoveImage", request));
}

Task<Result<cri::ImageFsInfoResponse>> RemoteRuntime::image_fs_info() {
  cri::ImageFsInfoRequest request;
  return call<cri::ImageFsInfoResponse>(channel_, kImages, "ImageFsInfo", request);
}

}  // namespace knarr::kubelet
