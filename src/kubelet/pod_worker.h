// SPDX-License-Identifier: Apache-2.0
// The life of one pod on this node: one coroutine that brings the pod's containers to what its spec says, until it is time to end them.
//
//   kSyncing      make what is missing, stop what must go, write the status          (upstream's SyncPod)
//   kTerminating  containers are being stopped, with grace                            (SyncTerminatingPod)
//   kTerminated   nothing runs; volumes and cgroup are gone, the last status is out    (SyncTerminatedPod)
//   kRemoved      also gone from the API: containers, sandboxes and logs are removed
//
// Parts: pod_worker.cc decides, pod_worker_start.cc does the steps up, pod_worker_end.cc the way down.
// Woken by events only: a new version of the pod, the runtime, a probe, or the time at which a back-off or a deadline ends.
// Owned by Kubelet, kept alive by its own coroutine. One executor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "kubelet/context.h"
#include "kubelet/pod_actions.h"
#include "kubelet/pod_status.h"
#include "kubelet/probe/probe_manager.h"
#include "kubelet/runtime/pod_runtime.h"
#include "kubelet/status_manager.h"

namespace knarr::kubelet {

class PodWorker : public std::enable_shared_from_this<PodWorker> {
 public:
  enum class State : uint8_t { kSyncing, kTerminating, kTerminated, kRemoved };
  struct Parts {
    Context& context;
    PodRuntime& runtime;
    StatusManager& statuses;
    ProbeManager& probes;
    // Why the pod may not run on this node, or nullopt (reason, message); asked once, before anything is made.
    std::function<std::optional<StartFailure>(const core::Pod& pod)> admit;
    std::function<void(const std::string& uid)> ended;            // kRemoved reached
    std::function<void(const core::Pod& pod)> cgroup_changed;     // requests of the burstable class changed
    std::function<void(PodWorker& worker)> record_changed;        // ids of containers
    std::function<Task<void>()> refresh_node;                     // reads the node's labels anew; may be null
  };

  PodWorker(Parts parts, PodPtr pod, PodRecord record);
  void start();

  void update(PodPtr pod);
  // Gone from the API, or from the folder of static pods.
  void removed();
  // Something happened to a container or sandbox ("" = anything may have).
  void runtime_event(std::string id);
  void wake();
  // Ends the pod with this status, whatever its spec says (eviction). `disrupted`: for no fault of its own, which a condition then says.
  void evict(std::string reason, std::string message, std::optional<int64_t> grace, bool disrupted);

  const PodPtr& pod() const { return pod_; }
  const std::string& uid() const { return uid_; }
  bool wanted() const { return !gone_ && state_ == State::kSyncing; }
  const PodRecord& record() const { return record_; }
  State state() const { return state_; }

 private:
  static Task<void> run(std::shared_ptr<PodWorker> self);
  Task<void> wait_for_work();
  bool ending() const;
  void release_volumes();
  int64_t grace() const;

  Task<void> refresh();
  Task<bool> refresh_one(std::string id);

  // kSyncing
  Task<void> sync();
  Task<bool> may_run();
  Task<void> act(PodActions actions);
  Task<bool> make_sandbox(const PodActions& actions);
  Task<bool> prepare_volumes();
  Task<void> prepare_volumes_into(std::shared_ptr<std::optional<Result<MountedVolumes>>> slot);
  static Task<void> resume_volumes(std::shared_ptr<PodWorker> self);
  Task<bool> make_cgroup();
  Task<bool> start(const core::Container* container, const PodActions& actions, std::string target_id);
  bool in_crash_backoff(const core::Container& container);
  Task<void> prune_init_containers(bool all);
  Task<void> prune_dead_containers();
  bool past_deadline();
  void reject(StartFailure why);

  // kTerminating and after
  Task<void> terminate();
  struct Killing {
    bool done = false;
    Status status;
  };
  static Task<void> kill_into(std::shared_ptr<PodWorker> self, std::optional<int64_t> grace, std::shared_ptr<Killing> killing);
  static Task<void> hurry(std::shared_ptr<PodWorker> self, int64_t grace);
  Task<bool> stop_everything();
  Task<void> clean_up();
  Task<void> remove_from_runtime();

  void publish(bool terminal, bool finished);
  void trace_step(trace::Step step, WallTime asked, const Status& status);
  void retry_in(Duration delay);
  void note_failure(std::string_view container, StartFailure failure);

  Parts parts_;
  Context& context_;
  PodPtr pod_;
  std::string uid_;
  PodRecord record_;
  State state_ = State::kSyncing;
  Notifier work_;
  bool dirty_ = true, reload_ = false, gone_ = false, admitted_ = false, completed_ = false, cgroup_made_ = false, volumes_released_ = false,
       finished_ = false, resuming_volumes_ = false, disrupted_ = false;
  std::vector<std::string> changed_ids_;
  std::optional<MonoTime> wake_at_;
  StartFailures failures_;
  std::optional<StartFailure> verdict_;       // phase Failed with this reason: rejected, evicted, past its deadline
  std::optional<int64_t> grace_override_;
  std::optional<MountedVolumes> volumes_;
  PodPtr volumes_for_;                        // version of the pod that was prepared
};

}  // namespace knarr::kubelet
