// SPDX-License-Identifier: Apache-2.0
#include "kubelet/runtime/pod_runtime.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "base/files.h"
#include "base/log.h"
#include "kubelet/env/container_env.h"
#include "kubelet/env/pod_network_files.h"
#include "kubelet/runtime/runtime_config.h"
#include "schema/json.h"

namespace knarr::kubelet {

namespace {

constexpr size_t kMaxLegacyLinkName = 251;

std::string random_name() {
  static thread_local std::minstd_rand generator{std::random_device{}()};
  return fmt::format("{:08x}", static_cast<uint32_t>(generator()));
}

StartFailure failure(std::string_view reason, std::string_view message) { return {std::string(reason), std::string(message)}; }

}  // namespace

Task<Result<ContainerRecord>> PodRuntime::load_container(std::string id) {
  auto status = co_await context_.runtime.container_status(std::move(id));
  if (!status.ok()) co_return status.status();
  co_return to_record(*status);
}

Task<Result<SandboxRecord>> PodRuntime::load_sandbox(std::string id) {
  auto status = co_await context_.runtime.pod_sandbox_status(std::move(id));
  if (!status.ok()) co_return status.status();
  co_return to_record(*status);
}

Task<Result<PodRecord>> PodRuntime::load(std::string uid, PodRecord known) {
  cri::PodSandboxFilter sandbox_filter;
  sandbox_filter.label_selector[kPodUidLabel] = uid;
  auto sandboxes = co_await context_.runtime.list_pod_sandboxes(std::move(sandbox_filter));
  if (!sandboxes.ok()) co_return sandboxes.status();
  cri::ContainerFilter container_filter;
  container_filter.label_selector[kPodUidLabel] = uid;
  auto containers = co_await context_.runtime.list_containers(std::move(container_filter));
  if (!containers.ok()) co_return containers.status();

  PodRecord record;
  for (const cri::PodSandbox& sandbox : *sandboxes) {
    std::string id = sandbox.id.str();
    auto loaded = co_await load_sandbox(id);
    if (!loaded.ok()) {
      if (loaded.status().is("NotFound")) continue;  // removed between the list and now
      co_return loaded.status();
    }
    record.sandboxes.push_back(std::move(*loaded));
  }
  for (const cri::Container& container : *containers) {
    std::string id = container.id.str();
    const ContainerRecord* old = known.by_id(id);
    if (old != nullptr && old->state == CriContainerState::kExited) {
      record.containers.push_back(*old);
      continue;
    }
    auto loaded = co_await load_container(id);
    if (!loaded.ok()) {
      if (loaded.status().is("NotFound")) continue;
      co_return loaded.status();
    }
    record.containers.push_back(std::move(*loaded));
  }
  record.sort();
  co_return record;
}

Result<cri::PodSandboxConfig> PodRuntime::sandbox_config(const core::Pod& pod, uint32_t attempt) {
  const Config& config = context_.config;
  SandboxInputs inputs;
  inputs.pod = &pod;
  inputs.attempt = attempt;
  inputs.log_dir = pod_log_dir(config, pod);
  if (config.cgroups_per_qos) inputs.cgroup_parent = context_.cgroups.pod_parent(pod);
  inputs.cfs_quota = config.cpu_cfs_quota;
  if (!pod.spec.host_network) {
    TRY_ASSIGN(PodHostname hostname, pod_hostname(pod, config.cluster_domain));
    inputs.hostname = hostname.kernel_name;
  }
  DnsSettings dns;
  dns.cluster_dns = config.cluster_dns;
  dns.cluster_domain = config.cluster_domain;
  dns.resolv_conf = config.resolv_conf;
  dns.node_addresses = context_.host_ips;
  auto event = [this, &pod](const std::string& type, const std::string& reason, const std::string& message) {
    context_.events.pod(pod, type, reason, message);
  };
  TRY_ASSIGN(inputs.dns, pod_dns_config(pod, dns, event));
  return make_sandbox_config(inputs);
}

Task<Result<SandboxRecord>> PodRuntime::create_sandbox(PodPtr pod, cri::PodSandboxConfig config) {
  Status made = make_dirs(config.log_directory.str(), 0755);
  if (!made.ok()) co_return made;
  std::string handler;
  auto id = co_await context_.runtime.run_pod_sandbox(std::move(config), std::move(handler));
  if (!id.ok()) co_return Status::error(fmt::format("rpc error: code = {} desc = {}", id.status().reason(), id.status().message()));
  auto record = co_await load_sandbox(*id);
  if (!record.ok()) {
    context_.events.pod(*pod, "Warning", "FailedPodSandBoxStatus", fmt::format("Unable to get pod sandbox status: {}", record.status().message()));
  }
  co_return record;
}

int PodRuntime::restart_count_from_logs(const core::Pod& pod, const core::Container& container) const {
  auto names = list_dir(pod_log_dir(context_.config, pod) + "/" + container.name.str());
  int count = 0;
  if (!names.ok()) return 0;
  for (const std::string& name : *names) {
    size_t dot = name.find(".log");
    if (dot == 0 || dot == std::string::npos || dot > 9) continue;
    if (name.find_first_not_of("0123456789") != dot) continue;
    count = std::max(count, std::atoi(name.c_str()) + 1);
  }
  return count;
}

Result<cri::Mount> PodRuntime::termination_log(const core::Pod& pod, const core::Container& container) {
  std::string folder = context_.volumes.pod_dir(pod.metadata.uid) + "/containers/" + container.name.str();
  TRY(make_dirs(folder, 0750));
  std::string file = folder + "/" + random_name();
  int fd = ::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) return Status::from_errno("termination-log file " + file, errno);
  ::fchmod(fd, 0666);  // whatever the umask says: the container's user must be able to write
  ::close(fd);
  cri::Mount mount;
  mount.host_path = file;
  mount.container_path = container.termination_message_path;
  if (container.termination_message_path.view().substr(0, 1) != "/") mount.container_path = "/" + container.termination_message_path.str();
  return mount;
}

Task<Result<cri::ContainerConfig>> PodRuntime::container_config(const StartInputs& inputs, const ImagePuller::Outcome& image) {
  const core::Pod& pod = *inputs.pod;
  const core::Container& container = *inputs.container;
  EnvInputs env_inputs;
  env_inputs.pod = inputs.pod;
  env_inputs.container = inputs.container;
  env_inputs.pod_ips = inputs.pod_ips;
  env_inputs.host_ips = context_.host_ips;
  env_inputs.allocatable = context_.allocatable;
  if (context_.services) {
    auto services = co_await context_.services(inputs.pod);
    env_inputs.services = std::move(services);
  }
  Context* context = &context_;
  PodPtr shared = inputs.pod;
  env_inputs.event = [context, shared](const std::string& type, const std::string& reason, const std::string& message) {
    context->events.pod(*shared, type, reason, message);
  };
  auto env = co_await make_container_env(context_.objects, std::move(env_inputs));
  if (!env.ok()) co_return env.status();

  auto hostname = pod_hostname(pod, context_.config.cluster_domain);
  if (!hostname.ok()) co_return hostname.status();
  VolumeManager::ContainerContext volume_context;
  volume_context.pod = inputs.pod;
  volume_context.container = inputs.container;
  volume_context.volumes = inputs.volumes;
  volume_context.env = *env;
  volume_context.pod_ips = inputs.pod_ips;
  volume_context.hostname = hostname->hostname;
  volume_context.domain = hostname->domain;
  auto mounts = co_await context_.volumes.container_mounts(std::move(volume_context));
  if (!mounts.ok()) co_return mounts.status();

  ContainerInputs config;
  config.pod = &pod;
  config.container = &container;
  config.restart_count = inputs.restart_count;
  config.image_ref = image.image_ref;
  config.image_user = image.user;
  CommandLine command = expand_command(container, *env);
  config.command = std::move(command.command);
  config.args = std::move(command.args);
  config.env = std::move(*env);
  config.mounts = std::move(*mounts);
  if (!container.termination_message_path.empty()) {
    auto log = termination_log(pod, container);
    if (log.ok()) {
      config.mounts.push_back(std::move(*log));
    } else {
      log_error("Could not make the termination log", {{"pod", pod_key(pod)}, {"err", log.status().message()}});
    }
  }
  config.target_id = inputs.target_id;
  config.memory_capacity = context_.memory_capacity;
  config.cfs_quota = context_.config.cpu_cfs_quota;
  config.swap_accounting = context_.swap_accounting;
  config.cgroup_v2 = context_.cgroups.v2();
  config.security.seccomp_root = context_.config.root_dir + "/seccomp";
  config.security.seccomp_default = context_.config.seccomp_default;
  co_return make_container_config(config);
}

std::string PodRuntime::legacy_link(const core::Pod& pod, const ContainerRecord& record) const {
  if (context_.config.container_logs_dir.empty()) return {};
  std::string name = pod.metadata.name.str() + "_" + pod.metadata.namespace_.str() + "_" + record.name;
  size_t room = kMaxLegacyLinkName - record.id.size() - 1;
  if (name.size() > room) name.resize(room);
  return context_.config.container_logs_dir + "/" + name + "-" + record.id + ".log";
}

Task<PodRuntime::StartOutcome> PodRuntime::start_container(StartInputs inputs) {
  StartOutcome outcome;
  cri::PodSandboxConfig sandbox = inputs.sandbox;
  WallTime asked = context_.trace->now();
  auto image = co_await puller_.ensure(inputs.pod, inputs.container, std::move(sandbox));
  std::string found = image.ok() ? (image.pulled ? "pulled" : "present") : image.failure;
  context_.trace->add_since(inputs.pod->metadata.uid, trace::Step::kImage, asked, inputs.container->name.str() + ": " + inputs.container->image.str() + " " + found);
  if (!image.ok()) {
    outcome.failure = failure(image.failure, image.message);
    outcome.retry_after = image.retry_after;
    context_.events.container(*inputs.pod, inputs.container->name, "Warning", "Failed", "Error: " + image.failure);
    co_return outcome;
  }
  auto config = co_await container_config(inputs, image);
  if (!config.ok()) {
    std::string text(config.status().message());
    outcome.failure = failure("CreateContainerConfigError", text);
    context_.events.container(*inputs.pod, inputs.container->name, "Warning", "Failed", "Error: " + text);
    co_return outcome;
  }
  std::string folder = pod_log_dir(context_.config, *inputs.pod) + "/" + inputs.container->name.str();
  Status made = make_dirs(folder, 0755);
  if (!made.ok()) {
    outcome.failure = failure("CreateContainerConfigError",
                              fmt::format("create container log directory for container {} failed: {}", inputs.container->name.view(), made.message()));
    co_return outcome;
  }
  cri::ContainerConfig whole = std::move(*config);
  co_return co_await run_container(std::move(inputs), std::move(whole));
}

Task<PodRuntime::StartOutcome> PodRuntime::run_container(StartInputs inputs, cri::ContainerConfig config) {
  StartOutcome outcome;
  PodPtr pod = inputs.pod;
  std::string name = inputs.container->name.str();
  std::string log_path = inputs.sandbox.log_directory.str() + "/" + config.log_path.str();
  trace::Ring& trace = *context_.trace;
  WallTime asked = trace.now();
  auto created = co_await context_.runtime.create_container(inputs.sandbox_id, std::move(config), std::move(inputs.sandbox));
  trace.add_since(pod->metadata.uid, trace::Step::kCreate, asked, created.ok() ? name : name + ": " + std::string(created.status().message()));
  if (!created.ok()) {
    std::string text(created.status().message());
    outcome.failure = failure("CreateContainerError", text);
    context_.events.container(*pod, name, "Warning", "Failed", "Error: " + text);
    co_return outcome;
  }
  std::string id = *created;
  outcome.container_id = id;
  context_.events.container(*pod, name, "Normal", "Created", "Created container " + name, id);
  asked = trace.now();
  Status started = co_await context_.runtime.start_container(id);
  trace.add_since(pod->metadata.uid, trace::Step::kStart, asked, started.ok() ? name : name + ": " + std::string(started.message()));
  if (!started.ok()) {
    std::string text(started.message());
    outcome.failure = failure("RunContainerError", text);
    context_.events.container(*pod, name, "Warning", "Failed", "Error: " + text, id);
    co_return outcome;
  }
  context_.events.container(*pod, name, "Normal", "Started", "Started container " + name, id);
  ContainerRecord link;
  link.id = id;
  link.name = name;
  std::string path = legacy_link(*pod, link);
  if (!path.empty() && ::symlink(log_path.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    log_debug("Could not link the container's log", {{"path", path}});
  }

  if (inputs.container->lifecycle && inputs.container->lifecycle->post_start) {
    core::LifecycleHandler hook = *inputs.container->lifecycle->post_start;
    std::string message;
    Status hooked = co_await run_hook(pod, inputs.container, std::move(hook), id, &message);
    if (!hooked.ok()) {
      // The message may hold secrets; it goes into the status only.
      context_.events.container(*pod, name, "Warning", "FailedPostStartHook", "PostStartHook failed", id);
      ContainerToKill what{id, name, "FailedPostStartHook", KillReason::kFailedPostStart};
      Status killed = co_await kill_container(pod, std::move(what), std::nullopt);
      if (!killed.ok()) log_error("Failed to kill container", {{"pod", pod_key(*pod)}, {"containerName", name}, {"err", killed.message()}});
      outcome.failure = failure("PostStartHookError", message);
    }
  }
  co_return outcome;
}

}  // namespace knarr::kubelet
