// SPDX-License-Identifier: Apache-2.0
#include "kubelet/container_status.h"

#include <algorithm>

#include "kubelet/pod_actions.h"

namespace knarr::kubelet {

namespace {

using Statuses = schema::List<core::ContainerStatus>;

core::ContainerStatus* find(Statuses& list, std::string_view name) {
  for (core::ContainerStatus& status : list)
    if (status.name == name) return &status;
  return nullptr;
}

const core::ContainerStatus* find(const Statuses& list, std::string_view name) { return find(const_cast<Statuses&>(list), name); }

schema::Time seconds_of(int64_t nanos) {
  int64_t seconds = nanos / 1000000000;
  return schema::Time::from_unix(nanos < 0 && nanos % 1000000000 != 0 ? seconds - 1 : seconds);
}

core::ContainerState waiting(std::string_view reason, std::string_view message = {}) {
  core::ContainerState state;
  core::ContainerStateWaiting& made = state.waiting.ensure();
  made.reason = reason;
  made.message = message;
  return state;
}

core::ContainerStatus convert(const ContainerRecord& record, const core::ContainerStatus* old, std::string_view runtime) {
  core::ContainerStatus status;
  status.name = record.name;
  status.restart_count = record.restart_count;
  status.image = record.image;
  status.image_id = record.image_id;
  std::string id = std::string(runtime) + "://" + record.id;
  status.container_id = id;
  switch (record.state) {
    case CriContainerState::kRunning: status.state.running.ensure().started_at = seconds_of(record.started_at); break;
    case CriContainerState::kCreated: status.state.waiting.ensure(); break;
    case CriContainerState::kExited: {
      core::ContainerStateTerminated& ended = status.state.terminated.ensure();
      ended.exit_code = record.exit_code;
      ended.reason = record.reason;
      ended.message = record.message;
      ended.started_at = seconds_of(record.started_at);
      ended.finished_at = seconds_of(record.finished_at);
      ended.container_id = id;
      break;
    }
    default:
      if (old != nullptr && old->state.running) {
        // It ran and the runtime does not know any more how it ended: a failure, not a container that never was.
        core::ContainerStateTerminated& ended = status.state.terminated.ensure();
        ended.reason = "ContainerStatusUnknown";
        ended.message = "The container could not be located when the pod was terminated";
        ended.exit_code = 137;
        status.restart_count = old->restart_count + 1;
      } else {
        status.state.waiting.ensure();
      }
  }
  return status;
}

// A container that ran by the old status and is gone from the runtime.
void note_lost(const core::Pod& pod, const core::ContainerStatus& old, std::string_view default_reason, core::ContainerStatus& status) {
  if (old.state.terminated || !old.state.running) return;
  if (!status.state.waiting || status.state.waiting->reason != default_reason) return;
  if (status.last_state.terminated) return;
  core::ContainerStateTerminated& lost = status.last_state.terminated.ensure();
  lost.reason = "ContainerStatusUnknown";
  lost.message = "The container could not be located when the pod was deleted.  The container used to be Running";
  lost.exit_code = 137;
  if (!pod.metadata.deletion_timestamp) status.restart_count += 1;
}

struct ListInputs {
  const Statuses* old = nullptr;
  bool init = false;
};

Statuses convert_list(const StatusInputs& inputs, const std::vector<const core::Container*>& containers, ListInputs list) {
  const core::Pod& pod = *inputs.pod;
  std::string_view default_reason = pod.spec.init_containers.empty() ? "ContainerCreating" : "PodInitializing";
  Statuses statuses;
  for (const core::Container* container : containers) {
    core::ContainerStatus status;
    status.name = container->name;
    status.image = container->image;
    status.state = waiting(default_reason);
    const core::ContainerStatus* old = find(*list.old, container->name);
    if (old != nullptr) {
      if (old->state.terminated) {
        status = *old;
      } else {
        status.restart_count = old->restart_count;
        status.last_state = old->last_state;
      }
      if (inputs.record->newest(container->name) == nullptr) note_lost(pod, *old, default_reason, status);
    }
    statuses.push_back(std::move(status));
  }

  std::map<std::string, int, std::less<>> seen;
  for (const ContainerRecord& record : inputs.record->containers) {
    core::ContainerStatus* status = find(statuses, record.name);
    if (status == nullptr) continue;
    int& count = seen[record.name];
    if (count >= 2) continue;
    core::ContainerStatus converted = convert(record, find(*list.old, record.name), inputs.runtime_name);
    if (count == 0) {
      *status = std::move(converted);
    } else {
      status->last_state = std::move(converted.state);
    }
    ++count;
  }

  for (const core::Container* container : containers) {
    if (list.init) {
      const ContainerRecord* record = inputs.record->newest(container->name);
      if (record != nullptr && record->state == CriContainerState::kExited && record->exit_code == 0) continue;
    }
    if (!should_restart(*container, pod, *inputs.record)) continue;
    auto failure = inputs.failures->find(container->name.view());
    if (failure == inputs.failures->end()) continue;
    core::ContainerStatus* status = find(statuses, container->name);
    if (status->state.terminated) status->last_state = status->state;
    status->state = waiting(failure->second.reason, failure->second.message);
  }
  return statuses;
}

void sort_by_name(Statuses& list) {
  std::vector<core::ContainerStatus> items;
  for (core::ContainerStatus& status : list) items.push_back(std::move(status));
  std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return a.name.view() < b.name.view(); });
  list.clear();
  for (core::ContainerStatus& status : items) list.push_back(std::move(status));
}

}  // namespace

void fill_container_statuses(const StatusInputs& inputs, core::PodStatus& status) {
  const core::Pod& pod = *inputs.pod;
  const core::PodStatus& old = *inputs.old_status;
  std::vector<const core::Container*> containers;
  for (const core::Container& container : pod.spec.containers) containers.push_back(&container);
  status.container_statuses = convert_list(inputs, containers, {&old.container_statuses, false});
  sort_by_name(status.container_statuses);

  containers.clear();
  for (const core::Container& container : pod.spec.init_containers) containers.push_back(&container);
  status.init_container_statuses = convert_list(inputs, containers, {&old.init_container_statuses, true});

  std::vector<core::Container> ephemeral;
  for (const core::EphemeralContainer& container : pod.spec.ephemeral_containers) ephemeral.push_back(container_of(container));
  containers.clear();
  for (const core::Container& container : ephemeral) containers.push_back(&container);
  status.ephemeral_container_statuses = convert_list(inputs, containers, {&old.ephemeral_container_statuses, false});
  sort_by_name(status.ephemeral_container_statuses);
}

}  // namespace knarr::kubelet
