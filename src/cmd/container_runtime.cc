// SPDX-License-Identifier: Apache-2.0
#include "cmd/container_runtime.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/log.h"
#include "net/client.h"

namespace knarr::cmd {
namespace {

constexpr const char* kSandboxImage = "registry.k8s.io/pause:3.9";

// containerd refuses to start pods when it may not lower oom_score_adj, unless it is told to do without.
bool may_lower_oom_score() {
  Result<std::string> status = read_file("/proc/self/status");
  if (!status.ok()) return false;
  size_t at = status->find("CapEff:");
  if (at == std::string::npos) return false;
  constexpr int kCapSysResource = 24;
  return std::stoull(status->substr(at + 7), nullptr, 16) >> kCapSysResource & 1;
}

std::string cni_bin_dir() {
  for (const char* dir : {"/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"})
    if (file_exists(std::string(dir) + "/bridge")) return dir;
  return "/opt/cni/bin";
}

// Snapshotters that are not used cost a slow start each (they probe their file systems).
std::string containerd_config(const std::string& dir) {
  return fmt::format(R"(version = 2
root = "{0}/root"
state = "{0}/state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{0}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = {1}
  sandbox_image = "{2}"
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{3}"
    conf_dir = "{0}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
)",
                     dir, may_lower_oom_score() ? "false" : "true", kSandboxImage, cni_bin_dir());
}

std::string cni_config(const std::string& dir, const std::string& pod_cidr) {
  return fmt::format(R"({{
  "cniVersion": "0.4.0",
  "name": "knarr",
  "plugins": [
    {{"type": "bridge", "bridge": "knarr0", "isGateway": true, "ipMasq": true, "hairpinMode": true, "promiscMode": false,
      "ipam": {{"type": "host-local", "dataDir": "{0}/ipam", "ranges": [[{{"subnet": "{1}"}}]], "routes": [{{"dst": "0.0.0.0/0"}}]}}}},
    {{"type": "portmap", "capabilities": {{"portMappings": true}}}}
  ]
}}
)",
                     dir, pod_cidr);
}

}  // namespace

ContainerRuntime::ContainerRuntime(RuntimeOptions options) : options_(std::move(options)) {}

std::string ContainerRuntime::socket_path() const { return options_.data_dir + "/containerd/containerd.sock"; }

Status ContainerRuntime::write_configuration() const {
  std::string dir = options_.data_dir + "/containerd";
  TRY(make_dirs(dir + "/cni", 0711));
  TRY(write_file(dir + "/config.toml", containerd_config(dir)));
  return write_file(dir + "/cni/10-knarr.conflist", cni_config(dir, options_.pod_cidr));
}

Task<Status> ContainerRuntime::start() {
  CO_TRY(write_configuration());
  std::string address = "unix:" + socket_path();
  auto already = co_await net::dial(address, nullptr, std::chrono::seconds(1));
  if (already.ok()) co_return Status();
  ProcessOptions process;
  process.args = {"containerd", "--config", options_.data_dir + "/containerd/config.toml"};
  process.log_file = options_.data_dir + "/containerd/containerd.log";
  process.new_session = true;
  auto started = Process::start(process);
  if (!started.ok()) co_return started.status().with_context("containerd (apt-get install containerd, or give --container-runtime-endpoint)");
  process_ = std::move(*started);
  // containerd says nothing when it is ready, so its socket is tried until it answers.
  for (int attempt = 0; attempt < 3000; ++attempt) {
    auto connection = co_await net::dial(address, nullptr, std::chrono::seconds(1));
    if (connection.ok()) co_return Status();
    if (!process_->running()) break;
    co_await sleep_for(std::chrono::milliseconds(10));
  }
  co_return Status::error("containerd did not start; see " + process.log_file);
}

Task<Status> ContainerRuntime::load_images() {
  auto names = list_dir(options_.images_dir);
  if (!names.ok()) co_return Status();  // an installation without images pulls them
  std::string loaded_dir = options_.data_dir + "/containerd/loaded";
  CO_TRY(make_dirs(loaded_dir));
  for (const std::string& name : *names) {
    std::string archive = options_.images_dir + "/" + name;
    // The mark holds what was loaded: a rebuilt archive is loaded again.
    struct stat info {};
    ::stat(archive.c_str(), &info);
    std::string version = fmt::format("{}.{}", info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    auto mark = read_file(loaded_dir + "/" + name);
    if (mark.ok() && *mark == version) continue;
    std::string socket = socket_path();
    auto imported = co_await import_image(std::move(socket), archive);
    CO_TRY(imported.status());
    CO_TRY(write_file(loaded_dir + "/" + name, version));
  }
  co_return Status();
}

Task<void> ContainerRuntime::stop() {
  if (process_ == nullptr) co_return;
  co_await process_->stop(std::chrono::seconds(10));
}

Task<Result<std::string>> import_image(std::string socket, std::string archive) {
  std::vector<std::string> args = {"ctr", "--address", std::move(socket), "--namespace", "k8s.io", "images", "import", std::move(archive)};
  auto result = co_await run_process(std::move(args));
  co_return result;
}

}  // namespace knarr::cmd
