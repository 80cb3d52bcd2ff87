// SPDX-License-Identifier: Apache-2.0
#include "kubelet/pod_worker.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "schema/time.h"

namespace knarr::kubelet {

namespace {

// The runtime hears of an exit when we do, and may need a moment to write it down.
constexpr Duration kFirstLook = std::chrono::milliseconds(3);
constexpr Duration kLastLook = std::chrono::milliseconds(100);
constexpr Duration kSlowLook = std::chrono::milliseconds(500);

template <class T>
bool same(const T& a, const T& b) {
  return schema::equal(T::table(), &a, &b);
}

// A status that we wrote ourselves comes back as an update, and is no reason to look at the pod again.
bool needs_sync(const core::Pod& before, const core::Pod& after) {
  const auto& a = before.metadata;
  const auto& b = after.metadata;
  if (a.deletion_timestamp != b.deletion_timestamp || a.deletion_grace_period_seconds != b.deletion_grace_period_seconds) return true;
  if (!(a.labels == b.labels) || !(a.annotations == b.annotations)) return true;
  if (!same(before.spec, after.spec)) return true;
  if (is_terminal_phase(after.status.phase) && !is_terminal_phase(before.status.phase)) return true;
  // A gate that somebody opened or closed changes whether the pod is ready.
  for (const core::PodReadinessGate& gate : after.spec.readiness_gates) {
    const core::PodCondition* old = find_condition(before.status, gate.condition_type);
    const core::PodCondition* now = find_condition(after.status, gate.condition_type);
    if ((old == nullptr) != (now == nullptr) || (old != nullptr && old->status != now->status)) return true;
  }
  return false;
}

}  // namespace

PodWorker::PodWorker(Parts parts, PodPtr pod, PodRecord record)
    : parts_(std::move(parts)),
      context_(parts_.context),
      pod_(std::move(pod)),
      uid_(pod_->metadata.uid.str()),
      record_(std::move(record)),
      work_(context_.executor) {}

void PodWorker::start() { spawn(context_.executor, run(shared_from_this())); }

void PodWorker::wake() {
  dirty_ = true;
  work_.notify();
}

void PodWorker::update(PodPtr pod) {
  bool news = needs_sync(*pod_, *pod);
  pod_ = std::move(pod);
  if (!news) return;
  release_volumes();
  wake();
}

void PodWorker::removed() {
  gone_ = true;
  release_volumes();
  wake();
}

void PodWorker::runtime_event(std::string id) {
  if (id.empty()) {
    reload_ = true;
  } else if (std::find(changed_ids_.begin(), changed_ids_.end(), id) == changed_ids_.end()) {
    changed_ids_.push_back(std::move(id));
  }
  wake();
}

void PodWorker::evict(std::string reason, std::string message, std::optional<int64_t> grace, bool disrupted) {
  disrupted_ = disrupted;
  verdict_ = StartFailure{std::move(reason), std::move(message)};
  grace_override_ = grace;
  wake();
}

// A prepare() that waits for an object would hold up the end of a pod that has nothing running yet.
void PodWorker::release_volumes() {
  if (!ending() || volumes_released_ || record_.any_running()) return;
  context_.volumes.release(uid_);
  volumes_released_ = true;
}

bool PodWorker::ending() const {
  return gone_ || verdict_.has_value() || completed_ || pod_->metadata.deletion_timestamp.has_value() || is_terminal_phase(pod_->status.phase);
}

int64_t PodWorker::grace() const {
  int64_t seconds = 0;
  if (pod_->metadata.deletion_grace_period_seconds) seconds = *pod_->metadata.deletion_grace_period_seconds;
  if (grace_override_ && (seconds == 0 || *grace_override_ < seconds)) seconds = *grace_override_;
  if (seconds == 0 && !pod_->metadata.deletion_grace_period_seconds && pod_->spec.termination_grace_period_seconds)
    seconds = *pod_->spec.termination_grace_period_seconds;
  return std::max<int64_t>(seconds, 1);
}

void PodWorker::retry_in(Duration delay) {
  MonoTime at = context_.clock.mono() + delay;
  if (!wake_at_ || at < *wake_at_) wake_at_ = at;
}

void PodWorker::note_failure(std::string_view container, StartFailure failure) { failures_[std::string(container)] = std::move(failure); }

Task<void> PodWorker::wait_for_work() {
  while (!dirty_) {
    if (!wake_at_) {
      co_await work_.wait();
      continue;
    }
    Duration left = *wake_at_ - context_.clock.mono();
    if (left <= Duration::zero()) break;
    co_await work_.wait_for(left);
  }
  dirty_ = false;
  wake_at_.reset();
}

Task<void> PodWorker::run(std::shared_ptr<PodWorker> self) {
  while (self->state_ != State::kRemoved) {
    co_await self->wait_for_work();
    if (self->reload_ || !self->changed_ids_.empty()) co_await self->refresh();
    if (self->state_ == State::kTerminated) {
      if (self->gone_) {
        co_await self->remove_from_runtime();
      } else if (self->pod_->metadata.deletion_timestamp && !self->finished_) {
        co_await self->terminate();  // a rejected pod: its end is only told now
      } else {
        // The newest version may ask for the deletion that the status manager completes.
        self->parts_.statuses.pod_updated(self->pod_);
      }
      continue;
    }
    if (self->ending()) {
      co_await self->terminate();
      continue;
    }
    co_await self->sync();
  }
  self->parts_.ended(self->uid_);
}

// ---- what the runtime has --------------------------------------------------------------------------------------------------

Task<bool> PodWorker::refresh_one(std::string id) {
  if (SandboxRecord* sandbox = record_.sandbox_by_id(id)) {
    bool was_ready = sandbox->state == CriSandboxState::kReady;
    auto loaded = co_await parts_.runtime.load_sandbox(id);
    SandboxRecord* now = record_.sandbox_by_id(id);
    if (now == nullptr) co_return true;
    if (loaded.ok()) {
      *now = std::move(*loaded);
      co_return !was_ready || now->state != CriSandboxState::kReady;
    }
    if (loaded.status().is("NotFound")) now->state = CriSandboxState::kNotReady;
    co_return true;
  }
  ContainerRecord* container = record_.by_id(id);
  if (container == nullptr || container->state == CriContainerState::kExited) co_return true;
  auto loaded = co_await parts_.runtime.load_container(id);
  ContainerRecord* now = record_.by_id(id);
  if (now == nullptr) co_return true;
  if (loaded.ok()) {
    *now = std::move(*loaded);
    co_return !now->running();
  }
  if (loaded.status().is("NotFound")) reload_ = true;
  co_return true;
}

Task<void> PodWorker::refresh() {
  std::vector<std::string> ids = std::move(changed_ids_);
  changed_ids_.clear();
  for (std::string& id : ids) {
    if (reload_) break;
    for (Duration wait = kFirstLook;; wait *= 2) {
      std::string one = id;
      bool settled = co_await refresh_one(std::move(one));
      if (settled || reload_) break;
      if (wait > kLastLook) {
        // A loaded machine: keep asking, now and then, while other work goes on.
        changed_ids_.push_back(id);
        retry_in(kSlowLook);
        break;
      }
      co_await sleep_for(wait);
    }
  }
  if (reload_) {
    reload_ = false;
    std::string uid = uid_;
    PodRecord known = record_;
    auto loaded = co_await parts_.runtime.load(std::move(uid), std::move(known));
    if (loaded.ok()) {
      record_ = std::move(*loaded);
    } else {
      log_warning("Failed to read the pod's state from the runtime", {{"pod", pod_key(*pod_)}, {"err", loaded.status().message()}});
      reload_ = true;
      retry_in(std::chrono::seconds(1));
    }
  }
  parts_.record_changed(*this);
}

void PodWorker::publish(bool terminal, bool finished) {
  const core::PodStatus* old = parts_.statuses.get(uid_);
  StatusInputs inputs;
  inputs.pod = pod_.get();
  inputs.record = &record_;
  inputs.old_status = old != nullptr ? old : &pod_->status;
  inputs.failures = &failures_;
  inputs.runtime_name = context_.runtime_name;
  if (!context_.host_ips.empty()) inputs.host_ip = context_.host_ips.front();
  inputs.terminal = terminal;
  ProbeManager& probes = parts_.probes;
  const core::Pod& pod = *pod_;
  inputs.probe_state = [&probes, &pod](core::PodStatus& status) { probes.fill(pod, status); };
  core::PodStatus status = generate_pod_status(inputs);
  if (verdict_ && (state_ != State::kSyncing || !record_.any_running())) {
    status.phase = "Failed";
    status.reason = verdict_->reason;
    status.message = verdict_->message;
    // Conditions depend on the phase.
    set_condition(status, initialized_condition(pod, status));
    set_condition(status, ready_condition(pod, status));
    set_condition(status, containers_ready_condition(pod, status));
    if (disrupted_ && find_condition(status, "DisruptionTarget") == nullptr) {
      core::PodCondition condition;
      condition.type = "DisruptionTarget";
      condition.status = "True";
      condition.reason = "TerminationByKubelet";
      condition.message = verdict_->message;
      condition.last_transition_time = schema::to_time(context_.clock.now());
      set_condition(status, std::move(condition));
    }
  }
  if (finished) mark_terminated(pod, status);
  if (state_ == State::kSyncing && is_terminal_phase(status.phase)) completed_ = true;
  parts_.probes.status_updated(pod_, status);
  if (gone_ && !is_static_pod(pod)) return;  // nowhere to write it
  parts_.statuses.set_status(pod_, std::move(status), finished, !finished && record_.any_running());
}

// ---- the way up ------------------------------------------------------------------------------------------------------------

void PodWorker::reject(StartFailure why) {
  context_.events.pod(*pod_, "Warning", why.reason, why.message);
  why.message = "Pod was rejected: " + why.message;
  verdict_ = std::move(why);
  // Nothing was made and nothing has to be ended: only the phase and the reason are told, as upstream does.
  core::PodStatus status;
  status.phase = "Failed";
  status.reason = verdict_->reason;
  status.message = verdict_->message;
  status.qos_class = pod_qos_class(*pod_);
  parts_.statuses.set_status(pod_, std::move(status), false, false);
  state_ = State::kTerminated;
}

bool PodWorker::past_deadline() {
  if (!pod_->spec.active_deadline_seconds) return false;
  const core::PodStatus* status = parts_.statuses.get(uid_);
  const schema::Opt<schema::Time>& start = status != nullptr ? status->start_time : pod_->status.start_time;
  if (!start.has_value()) return false;
  Duration left = schema::to_wall(*start) + std::chrono::seconds(*pod_->spec.active_deadline_seconds) - context_.clock.now();
  if (left <= Duration::zero()) return true;
  retry_in(left);
  return false;
}

Task<bool> PodWorker::may_run() {
  if (admitted_) co_return true;
  admitted_ = true;
  if (!record_.containers.empty() || !parts_.admit) co_return true;
  std::optional<StartFailure> refusal = parts_.admit(*pod_);
  if (refusal && refusal->reason == "NodeAffinity" && parts_.refresh_node) {
    // The scheduler may have seen a new label of the node before us.
    co_await parts_.refresh_node();
    refusal = parts_.admit(*pod_);
  }
  if (!refusal) co_return true;
  reject(std::move(*refusal));
  co_return false;
}

Task<void> PodWorker::sync() {
  bool admitted = co_await may_run();
  if (!admitted) co_return;
  if (past_deadline()) {
    context_.events.pod(*pod_, "Normal", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
    verdict_ = StartFailure{"DeadlineExceeded", "Pod was active on the node longer than the specified deadline"};
    dirty_ = true;
    co_return;
  }
  PodActions actions = compute_pod_actions(*pod_, record_, parts_.probes);
  if (actions.nothing()) {
    failures_.clear();
    publish(false, false);
    if (completed_) dirty_ = true;
    // Also the first sight of a pod that ran before this kubelet started: its volumes' content is to follow again.
    if (volumes_for_ != pod_ && (volumes_ || !record_.containers.empty())) {
      context_.volumes.pod_updated(pod_);
      volumes_for_ = pod_;
    }
    if (!volumes_ && !resuming_volumes_ && !ending()) {
      resuming_volumes_ = true;
      spawn(context_.executor, resume_volumes(shared_from_this()));
    }
    parts_.probes.add_pod(pod_);
    past_deadline();  // the start time may be new
    co_return;
  }
  publish(false, false);
  if (completed_) {
    dirty_ = true;
    co_return;
  }
  if (!context_.network_error.empty() && !pod_->spec.host_network) {
    context_.events.pod(*pod_, "Warning", "NetworkNotReady", "network is not ready: " + context_.network_error);
    retry_in(std::chrono::seconds(5));
    co_return;
  }
  co_await act(std::move(actions));
  parts_.record_changed(*this);
  publish(false, false);
  if (completed_) dirty_ = true;
  past_deadline();
}

Task<void> PodWorker::act(PodActions actions) {
  PodPtr pod = pod_;  // this pass works on one version
  if (actions.kill_pod) {
    PodRecord record = record_;
    bool had_something = !record.sandboxes.empty();
    if (had_something) {
      Status killed = co_await parts_.runtime.kill_pod(pod, std::move(record), std::nullopt);
      reload_ = true;
      if (!killed.ok()) {
        context_.events.pod(*pod, "Warning", "FailedKillPod", fmt::format("error killing pod: {}", killed.message()));
        retry_in(std::chrono::seconds(10));
        co_return;
      }
      co_await refresh();
    }
    if (actions.create_sandbox) {
      co_await prune_init_containers(true);
    } else {
      dirty_ = true;  // the containers have ended: their final state decides the phase
      co_return;
    }
  }
  for (ContainerToKill& what : actions.kill) {
    std::string id = what.id, name = what.name;
    Status killed = co_await parts_.runtime.kill_container(pod, std::move(what), std::nullopt);
    if (!killed.ok()) {
      log_error("Failed to kill container", {{"pod", pod_key(*pod)}, {"containerName", name}, {"err", killed.message()}});
      retry_in(std::chrono::seconds(10));
      co_return;
    }
    changed_ids_.push_back(std::move(id));
  }
  if (!actions.kill.empty()) {
    co_await refresh();
    publish(false, false);
  }
  co_await prune_init_containers(false);

  bool ready = co_await make_cgroup();
  if (!ready || ending()) co_return;
  if (actions.create_sandbox) {
    bool made = co_await make_sandbox(actions);
    if (!made || ending()) co_return;
  }
  if (!volumes_) {
    bool prepared = co_await prepare_volumes();
    if (!prepared || ending()) co_return;
  } else if (volumes_for_ != pod) {
    context_.volumes.pod_updated(pod);
    volumes_for_ = pod;
  }
  parts_.probes.add_pod(pod);

  for (int index : actions.ephemeral) {
    const core::EphemeralContainer& ephemeral = pod->spec.ephemeral_containers[static_cast<size_t>(index)];
    core::Container container = container_of(ephemeral);
    std::string target;
    if (!ephemeral.target_container_name.empty()) {
      const ContainerRecord* found = record_.newest(ephemeral.target_container_name);
      if (found == nullptr) {
        note_failure(container.name, {"CreateContainerConfigError",
                                      fmt::format("unable to find target container {}", ephemeral.target_container_name.view())});
        retry_in(std::chrono::seconds(10));
        continue;
      }
      target = found->id;
    }
    co_await start(&container, actions, std::move(target));
  }
  if (actions.next_init >= 0) {
    std::string no_target;
    co_await start(&pod->spec.init_containers[static_cast<size_t>(actions.next_init)], actions, std::move(no_target));
    co_return;
  }
  for (int index : actions.containers) {
    std::string no_target;
    co_await start(&pod->spec.containers[static_cast<size_t>(index)], actions, std::move(no_target));
    if (gone_ || pod_->metadata.deletion_timestamp) co_return;
  }
  co_await prune_dead_containers();
}

}  // namespace knarr::kubelet
