// SPDX-License-Identifier: Apache-2.0
// The kubelet as its HTTPS server sees it, and the rotation of container logs.
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

#include "base/files.h"
#include "base/log.h"
#include "kubelet/kubelet_impl.h"
#include "net/event.h"

namespace knarr::kubelet {

namespace {
constexpr Duration kRotationPeriod = std::chrono::seconds(10);  // upstream's containerLogMonitorPeriod
}

std::vector<PodPtr> Kubelet::Impl::pods() {
  std::vector<PodPtr> found;
  for (const auto& [uid, worker] : workers) found.push_back(statuses->with_status(worker->pod()));
  return found;
}

PodPtr Kubelet::Impl::pod(std::string_view ns, std::string_view name) {
  PodPtr found;
  for (const auto& [uid, worker] : workers) {
    const core::Pod& pod = *worker->pod();
    if (pod.metadata.name != name || pod.metadata.namespace_ != ns) continue;
    // A successor of the same name wins over one on its way out.
    if (!found || found->metadata.deletion_timestamp) found = worker->pod();
  }
  return found ? statuses->with_status(found) : nullptr;
}

std::string Kubelet::Impl::container_id(std::string_view pod_uid, std::string_view container, bool previous) {
  auto it = workers.find(pod_uid);
  if (it == workers.end()) return {};
  if (!previous) {
    const ContainerRecord* newest = it->second->record().newest(container);
    return newest == nullptr ? std::string() : newest->id;
  }
  // What the status calls the last one: while a container waits for its restart that is the newest there is.
  const core::PodStatus* status = statuses->get(pod_uid);
  if (status == nullptr) return {};
  for (const auto* list : {&status->container_statuses, &status->init_container_statuses, &status->ephemeral_container_statuses}) {
    for (const core::ContainerStatus& item : *list)
      if (item.name == container && item.last_state.terminated) return std::string(bare_id(item.last_state.terminated->container_id));
  }
  return {};
}

std::string Kubelet::Impl::sandbox_id(std::string_view pod_uid) {
  auto it = workers.find(pod_uid);
  if (it == workers.end()) return {};
  for (const SandboxRecord& record : it->second->record().sandboxes)
    if (record.state == CriSandboxState::kReady) return record.id;
  return {};
}

const ContainerRecord* Kubelet::Impl::find_record(std::string_view id) const {
  auto owner = owners.find(id);
  if (owner == owners.end()) return nullptr;
  auto worker = workers.find(owner->second);
  if (worker == workers.end()) return nullptr;
  for (const ContainerRecord& record : worker->second->record().containers)
    if (record.id == id) return &record;
  return nullptr;
}

Task<Result<std::string>> Kubelet::Impl::container_log_path(std::string id) {
  if (const ContainerRecord* record = find_record(id); record != nullptr && !record->log_path.empty()) co_return record->log_path;
  auto status = co_await runtime->container_status(std::move(id));
  if (!status.ok()) co_return status.status();
  co_return status->log_path.str();
}

bool Kubelet::Impl::container_running(std::string_view id) {
  const ContainerRecord* record = find_record(id);
  return record != nullptr && record->running();
}

std::shared_ptr<void> Kubelet::Impl::on_container_exit(std::string id, std::function<void()> exited) {
  auto watch = std::make_shared<ExitWatch>(ExitWatch{std::move(id), std::move(exited)});
  if (!container_running(watch->id)) {
    std::weak_ptr<ExitWatch> weak = watch;
    net::post(executor, [weak] {
      if (auto alive = weak.lock()) alive->exited();
    });
    return watch;
  }
  exit_watches.push_back(watch);
  return watch;
}

void Kubelet::Impl::tell_exits(const PodWorker&) {
  std::vector<std::shared_ptr<ExitWatch>> told;
  for (auto it = exit_watches.begin(); it != exit_watches.end();) {
    std::shared_ptr<ExitWatch> watch = it->lock();
    if (!watch) {
      it = exit_watches.erase(it);
    } else if (!container_running(watch->id)) {
      told.push_back(std::move(watch));
      it = exit_watches.erase(it);
    } else {
      ++it;
    }
  }
  for (auto& watch : told) watch->exited();
}

Task<Result<cri::ExecResponse>> Kubelet::Impl::exec(cri::ExecRequest request) { return runtime->exec(std::move(request)); }
Task<Result<cri::AttachResponse>> Kubelet::Impl::attach(cri::AttachRequest request) { return runtime->attach(std::move(request)); }
Task<Result<cri::PortForwardResponse>> Kubelet::Impl::port_forward(cri::PortForwardRequest request) {
  return runtime->port_forward(std::move(request));
}

Task<Result<cri::ExecSyncResponse>> Kubelet::Impl::exec_sync(cri::ExecSyncRequest request) {
  std::vector<std::string> command;
  for (const schema::Str& word : request.cmd) command.push_back(word.str());
  return runtime->exec_sync(request.container_id.str(), std::move(command), std::chrono::seconds(request.timeout));
}

Task<Result<cri::ListContainerStatsResponse>> Kubelet::Impl::container_stats() {
  cri::ContainerStatsFilter filter;
  return runtime->list_container_stats(std::move(filter));
}

Status Kubelet::Impl::healthy() { return {}; }

// ---- logs ------------------------------------------------------------------------------------------------------------------

Task<void> Kubelet::Impl::rotate_logs_loop(std::shared_ptr<Impl> self) {
  while (!self->stopped) {
    co_await sleep_for(kRotationPeriod);
    if (self->anything_running()) co_await self->rotate_logs();
  }
}

Task<void> Kubelet::Impl::rotate_logs() {
  std::vector<std::pair<std::string, std::string>> large;
  for (const auto& [uid, worker] : workers) {
    for (const ContainerRecord& record : worker->record().containers) {
      struct stat info;
      if (!record.running() || record.log_path.empty() || ::stat(record.log_path.c_str(), &info) != 0) continue;
      if (info.st_size >= config.container_log_max_size) large.emplace_back(record.id, record.log_path);
    }
  }
  for (auto& [id, path] : large) {
    std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::tm parts;
    gmtime_r(&now, &parts);
    char stamp[32];
    std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &parts);
    std::string rotated = path + "." + stamp;
    if (::rename(path.c_str(), rotated.c_str()) != 0) continue;
    std::string reopened_id = id;
    Status reopened = co_await runtime->reopen_container_log(std::move(reopened_id));
    if (!reopened.ok()) {
      ::rename(rotated.c_str(), path.c_str());
      log_warning("Failed to rotate a container's log", {{"containerID", id}, {"err", reopened.message()}});
      continue;
    }
    // Oldest first by name; the current file counts.
    auto names = list_dir(dir_name(path));
    if (!names.ok()) continue;
    std::vector<std::string> old;
    std::string prefix = base_name(path) + ".";
    for (const std::string& name : *names)
      if (name.compare(0, prefix.size(), prefix) == 0) old.push_back(name);
    size_t keep = static_cast<size_t>(std::max(config.container_log_max_files - 1, 1));
    for (size_t i = 0; i + keep < old.size(); ++i) ::unlink((dir_name(path) + "/" + old[i]).c_str());
  }
}

}  // namespace knarr::kubelet
