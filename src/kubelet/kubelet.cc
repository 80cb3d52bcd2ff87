// SPDX-License-Identifier: Apache-2.0
#include "kubelet/kubelet.h"

#include <fmt/core.h>

#include "base/files.h"
#include "base/log.h"
#include "kubelet/env/container_env.h"
#include "kubelet/kubelet_impl.h"
#include "net/client.h"

namespace knarr::kubelet {

namespace {

constexpr Duration kFirstBackoff = std::chrono::seconds(10);
constexpr Duration kMaxBackoff = std::chrono::minutes(5);
constexpr size_t kMaxEarlyExits = 512;
constexpr Duration kRelistPeriod = std::chrono::seconds(1);

std::string socket_address(std::string_view endpoint) {
  constexpr std::string_view kUnix = "unix://";
  if (endpoint.substr(0, kUnix.size()) == kUnix) endpoint.remove_prefix(kUnix.size());
  if (!endpoint.empty() && endpoint.front() == '/') return "unix:" + std::string(endpoint);
  return std::string(endpoint);
}

}  // namespace

Kubelet::Impl::Impl(Config c, client::Client& api, Executor e)
    : config(std::move(c)),
      client(api),
      executor(e),
      restart_backoff(clock, kFirstBackoff, kMaxBackoff),
      image_backoff(clock, kFirstBackoff, kMaxBackoff),
      relist_now(e) {
  if (config.trace == nullptr) config.trace = std::make_shared<trace::Ring>();
  config.trace->add_part("kubelet " + config.node_name);
}

Kubelet::Impl::~Impl() = default;

Task<Status> Kubelet::Impl::connect() {
  net::ClientOptions options;
  options.address = socket_address(config.container_runtime_endpoint);
  options.authority = "localhost";
  options.version = net::HttpVersion::kHttp2;
  std::shared_ptr<net::Client> http = net::make_client(executor, options);
  channel = net::make_grpc_channel(std::move(http));
  runtime = std::make_unique<RemoteRuntime>(channel);
  events = std::make_unique<ApiEventSink>(client, executor, config.node_name);
  objects = make_object_source(client, executor);
  CgroupManager::Options cgroup_options;
  cgroup_options.mount = config.cgroup_mount;
  cgroup_options.root = config.cgroup_root;
  cgroup_options.systemd = config.cgroup_driver == "systemd";
  cgroup_options.enforce_cpu_quota = config.cpu_cfs_quota;
  cgroup_options.pod_pids_limit = config.pod_pids_limit;
  cgroups = std::make_unique<CgroupManager>(cgroup_options);

  VolumeManager::Config volume_config;
  volume_config.root_dir = config.root_dir;
  volume_config.node_name = config.node_name;
  volume_config.allocatable = [this] { return context->allocatable; };
  volume_config.host_ips = [this] { return context->host_ips; };
  volume_config.event = [this](const core::Pod& pod, const std::string& type, const std::string& reason, const std::string& message) {
    events->pod(pod, type, reason, message);
  };
  volumes = make_volume_manager(client, *objects, make_mounter(), executor, std::move(volume_config));
  context.reset(new Context{config, executor, clock, client, *runtime, *runtime, *events, *volumes, *objects, *cgroups, restart_backoff, image_backoff,
                            {}, "containerd", {}, 0, {}, false, false, {}, config.trace});

  MachineInfo machine = read_machine_info(config.root_dir, config.cgroup_mount);
  node = std::make_unique<NodeManager>(*context, std::move(machine));
  std::weak_ptr<Impl> weak = weak_from_this();
  node->on_network_change([weak] {
    if (auto self = weak.lock()) {
      for (auto& [uid, worker] : self->workers) worker->wake();
    }
  });
  co_await node->learn();
  puller = std::make_unique<ImagePuller>(*context);
  pod_runtime = std::make_unique<PodRuntime>(*context, *puller);
  statuses = std::make_unique<StatusManager>(client, clock, executor, config.trace);
  probes = std::make_unique<ProbeManager>(*context, [weak](const std::string& uid) {
    auto self = weak.lock();
    if (!self) return;
    auto it = self->workers.find(uid);
    if (it != self->workers.end()) it->second->wake();
  });
  runtime_events = std::make_unique<RuntimeEvents>(
      channel, executor,
      [weak](const TaskEvent& event) {
        if (auto self = weak.lock()) self->runtime_event(event);
      },
      [weak](bool up) {
        if (auto self = weak.lock()) self->runtime_connected(up);
      });
  co_return Status();
}

Task<Status> Kubelet::Impl::set_up_cgroups() {
  if (!config.cgroups_per_qos) co_return Status();
  int64_t milli = milli_value(context->allocatable, "cpu");
  int64_t memory = context->memory_capacity;
  auto status = std::make_shared<Status>();
  CgroupManager* manager = cgroups.get();
  std::function<void()> work = [manager, milli, memory, status] { *status = manager->setup(milli, memory); };
  co_await run_blocking(std::move(work));
  co_return *status;
}

// What runs already: from before a restart, or left behind by pods that are gone.
Task<Status> Kubelet::Impl::find_running_pods() {
  cri::PodSandboxFilter all_sandboxes;
  auto sandboxes = co_await runtime->list_pod_sandboxes(std::move(all_sandboxes));
  if (!sandboxes.ok()) co_return sandboxes.status();
  cri::ContainerFilter all_containers;
  auto containers = co_await runtime->list_containers(std::move(all_containers));
  if (!containers.ok()) co_return containers.status();
  for (const cri::PodSandbox& sandbox : *sandboxes)
    if (const schema::Str* uid = sandbox.labels.find(kPodUidLabel)) left_over.insert(uid->str());
  for (const cri::Container& container : *containers)
    if (const schema::Str* uid = container.labels.find(kPodUidLabel)) left_over.insert(uid->str());
  for (const std::string& uid : volumes->pods_on_disk()) left_over.insert(uid);
  if (config.cgroups_per_qos) {
    for (auto& [uid, parent] : cgroups->list_pods()) left_over.insert(uid);
  }
  co_return Status();
}

Task<Status> Kubelet::Impl::start() {
  for (const std::string& folder : {config.root_dir, config.root_dir + "/pods", config.pod_logs_dir, config.container_logs_dir}) {
    if (folder.empty()) continue;
    Status made = make_dirs(folder, 0755);
    if (!made.ok()) co_return made;
  }
  Status connected = co_await connect();
  if (!connected.ok()) co_return connected;
  if (config.fail_swap_on && read_machine_info(config.root_dir, config.cgroup_mount).swap_on) {
    co_return Status::error("running with swap on is not supported, please disable swap! or set --fail-swap-on flag to false");
  }
  Status grouped = co_await set_up_cgroups();
  if (!grouped.ok()) co_return grouped.with_context("failed to set up cgroups");
  Status found = co_await find_running_pods();
  if (!found.ok()) co_return found.with_context("failed to list what the runtime has");
  watch_pods();
  runtime_events->start();
  node->start();
  std::shared_ptr<Impl> self = shared_from_this();
  spawn(executor, relist_loop(self));
  spawn(executor, rotate_logs_loop(self));
  spawn(executor, remove_orphans(self));
  start_rotations();
  CO_TRY(start_eviction());
  if (config.serve) {
    Status served = co_await serve();
    if (!served.ok()) co_return served;
  }
  core::ObjectReference about;
  about.kind = "Node";
  about.name = config.node_name;
  about.uid = config.node_name;
  std::string message = "Starting kubelet.";
  events->write(std::move(about), "Normal", "Starting", std::move(message));
  co_return Status();
}

Task<void> Kubelet::Impl::stop() {
  stopped = true;
  if (runtime_events) runtime_events->stop();
  if (static_pods) static_pods->stop();
  if (pod_informer) pod_informer->stop();
  if (service_informer) service_informer->stop();
  if (node) node->stop();
  relist_now.notify();
  if (eviction) eviction->stop();
  if (image_gc) image_gc->stop();
  if (client_rotation) client_rotation->stop();
  if (serving_rotation) serving_rotation->stop();
  if (server) co_await server->shutdown(std::chrono::seconds(1));
  if (read_only_server) co_await read_only_server->shutdown(std::chrono::seconds(1));
  if (healthz_server) co_await healthz_server->shutdown(std::chrono::seconds(1));
}

// ---- runtime events --------------------------------------------------------------------------------------------------------

void Kubelet::Impl::runtime_event(const TaskEvent& event) {
  // An exit tells of every process; the task's deletion follows when the container itself has ended, and when it comes the runtime
  // is about to write the final state.
  if (event.topic == "/tasks/exit" && !event.exec_id.empty() && event.exec_id != event.container_id) return;
  auto owner = owners.find(event.container_id);
  if (owner == owners.end()) {
    // A container can end before its start has been answered.
    early_exits.push_back(event.container_id);
    if (early_exits.size() > kMaxEarlyExits) early_exits.pop_front();
    return;
  }
  auto worker = workers.find(owner->second);
  if (worker != workers.end()) worker->second->runtime_event(event.container_id);
}

void Kubelet::Impl::runtime_connected(bool up) {
  events_connected = up;
  if (up) {
    for (auto& [uid, worker] : workers) worker->runtime_event({});
  } else {
    relist_now.notify();
  }
}

bool Kubelet::Impl::anything_running() const {
  for (const auto& [uid, worker] : workers)
    if (worker->record().any_running()) return true;
  return false;
}

Task<void> Kubelet::Impl::relist() {
  cri::ContainerFilter all_containers;
  auto containers = co_await runtime->list_containers(std::move(all_containers));
  cri::PodSandboxFilter all_sandboxes;
  auto sandboxes = co_await runtime->list_pod_sandboxes(std::move(all_sandboxes));
  if (!containers.ok() || !sandboxes.ok()) co_return;
  std::map<std::string, int32_t> states;
  for (const cri::Container& container : *containers) states[container.id.str()] = container.state;
  for (const cri::PodSandbox& sandbox : *sandboxes) states[sandbox.id.str()] = sandbox.state;
  for (auto& [uid, worker] : workers) {
    for (const ContainerRecord& record : worker->record().containers) {
      auto found = states.find(record.id);
      if (found == states.end() || found->second != static_cast<int32_t>(record.state)) worker->runtime_event(record.id);
    }
    for (const SandboxRecord& record : worker->record().sandboxes) {
      auto found = states.find(record.id);
      if (found == states.end() || found->second != static_cast<int32_t>(record.state)) worker->runtime_event(record.id);
    }
  }
}

// Only while there is no event stream, and only while something runs that could end.
Task<void> Kubelet::Impl::relist_loop(std::shared_ptr<Impl> self) {
  while (!self->stopped) {
    if (self->events_connected) {
      co_await self->relist_now.wait();
      continue;
    }
    co_await self->relist_now.wait_for(kRelistPeriod);
    if (self->stopped) co_return;
    if (!self->events_connected && self->anything_running()) co_await self->relist();
  }
}

Kubelet::Kubelet(Config config, client::Client& client, Executor executor)
    : impl_(std::make_shared<Impl>(std::move(config), client, std::move(executor))) {}
Kubelet::~Kubelet() { impl_->stopped = true; }
Task<Status> Kubelet::start() { return impl_->start(); }
Task<void> Kubelet::stop() { return impl_->stop(); }
ServerHost& Kubelet::host() { return *impl_; }
RuntimeService& Kubelet::runtime() { return *impl_->runtime; }

}  // namespace knarr::kubelet
