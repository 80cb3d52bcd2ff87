// SPDX-License-Identifier: Apache-2.0
// The way down of a pod: stop, clean up, remove.
#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "kubelet/pod_worker.h"

namespace knarr::kubelet {

// Also wakes the worker, which waits for this and for news at the same time.
Task<void> PodWorker::kill_into(std::shared_ptr<PodWorker> self, std::optional<int64_t> grace, std::shared_ptr<Killing> killing) {
  PodRecord record = self->record_;
  PodPtr pod = self->pod_;
  Status status = co_await self->parts_.runtime.kill_pod(std::move(pod), std::move(record), grace);
  killing->status = status;
  killing->done = true;
  self->work_.notify();
}

// Asks again, with less time; the first call then returns as well.
Task<void> PodWorker::hurry(std::shared_ptr<PodWorker> self, int64_t grace) {
  PodRecord record = self->record_;
  for (const ContainerRecord& container : record.containers) {
    if (!container.running()) continue;
    std::string id = container.id;
    int64_t seconds = std::max<int64_t>(grace, 2);
    Status stopped = co_await self->context_.runtime.stop_container(std::move(id), seconds);
    if (!stopped.ok()) log_debug("Could not shorten the grace period", {{"pod", pod_key(*self->pod_)}, {"err", stopped.message()}});
  }
}

// All containers and sandboxes, however long it takes; a shorter grace period that arrives meanwhile is honoured.
Task<bool> PodWorker::stop_everything() {
  int64_t seconds = grace();
  auto killing = std::make_shared<Killing>();
  spawn(context_.executor, kill_into(shared_from_this(), seconds, killing));
  while (!killing->done) {
    if (!dirty_) co_await work_.wait();
    if (killing->done || !dirty_) continue;
    dirty_ = false;
    if (int64_t now = grace(); now < seconds) {
      seconds = now;
      spawn(context_.executor, hurry(shared_from_this(), seconds));
    }
    publish(false, false);
  }
  if (!killing->status.ok()) {
    context_.events.pod(*pod_, "Warning", "FailedKillPod", fmt::format("error killing pod: {}", killing->status.message()));
    co_return false;
  }
  co_return true;
}

Task<void> PodWorker::terminate() {
  if (state_ == State::kSyncing) {
    state_ = State::kTerminating;
    parts_.probes.stop_liveness_and_startup(uid_);
    release_volumes();
  }
  publish(false, false);
  bool stopped = co_await stop_everything();
  reload_ = true;
  co_await refresh();
  if (!stopped || reload_ || record_.any_running()) {
    retry_in(std::chrono::seconds(2));
    co_return;
  }
  parts_.probes.remove_pod(uid_);
  publish(true, false);
  co_await clean_up();
  state_ = State::kTerminated;
  finished_ = true;
  publish(true, true);
  parts_.cgroup_changed(*pod_);
  dirty_ = true;
}

Task<void> PodWorker::clean_up() {
  std::string uid = uid_;
  Status cleaned = co_await context_.volumes.cleanup(std::move(uid));
  if (!cleaned.ok()) log_warning("Failed to clean up the pod's volumes", {{"pod", pod_key(*pod_)}, {"err", cleaned.message()}});
  context_.objects.unregister_pod(uid_);
  if (context_.config.cgroups_per_qos) {
    std::string parent = context_.cgroups.pod_parent(*pod_);
    CgroupManager* cgroups = &context_.cgroups;
    auto status = std::make_shared<Status>();
    std::function<void()> work = [cgroups, parent, status] { *status = cgroups->destroy_pod(parent); };
    co_await run_blocking(std::move(work));
    if (!status->ok()) log_warning("Failed to remove the pod's cgroup", {{"pod", pod_key(*pod_)}, {"err", status->message()}});
    cgroup_made_ = false;
  }
}

Task<void> PodWorker::remove_from_runtime() {
  PodRecord record = record_;
  co_await parts_.runtime.remove_pod(pod_, std::move(record));
  parts_.statuses.forget(uid_);
  state_ = State::kRemoved;
}

}  // namespace knarr::kubelet
