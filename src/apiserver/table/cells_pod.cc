// SPDX-License-Identifier: Apache-2.0
#include "apiserver/table/cells_pod.h"

#include <algorithm>

namespace knarr::apiserver::table {

using api::core_v1::Container;
using api::core_v1::ContainerStateTerminated;
using api::core_v1::ContainerStatus;
using api::core_v1::Pod;

namespace {

bool has_condition(const Pod& pod, std::string_view type) {
  return std::any_of(pod.status.conditions.begin(), pod.status.conditions.end(),
                     [&](const auto& condition) { return condition.type == type && condition.status == "True"; });
}

// "Error", or what little is known of the end.
std::string end_reason(const ContainerStateTerminated& ended) {
  if (!ended.reason.empty()) return ended.reason.str();
  return ended.signal != 0 ? "Signal:" + std::to_string(ended.signal) : "ExitCode:" + std::to_string(ended.exit_code);
}

struct Restarts {
  int64_t count = 0;
  schema::Time last;
  void add(const ContainerStatus& status) {
    count += status.restart_count;
    if (status.last_state.terminated) last = std::max(last, status.last_state.terminated->finished_at);
  }
};

struct Summary {
  std::string reason;
  int64_t ready = 0, total = 0;
  Restarts restarts;
  Restarts sidecar_restarts;  // what of them goes on counting after the initialization
};

// Init containers that go on running beside the others.
bool is_sidecar(const Container& container) { return container.restart_policy.has_value() && *container.restart_policy == "Always"; }

bool is_sidecar(const Pod& pod, const schema::Str& name) {
  return std::any_of(pod.spec.init_containers.begin(), pod.spec.init_containers.end(),
                     [&](const Container& container) { return container.name == name && is_sidecar(container); });
}

// What the first init container that is not done is doing; false when all are: they have succeeded, or they have started and stay.
bool add_init_containers(const Pod& pod, Summary* summary) {
  const auto& statuses = pod.status.init_container_statuses;
  for (size_t i = 0; i < statuses.size(); ++i) {
    const ContainerStatus& status = statuses[i];
    bool sidecar = is_sidecar(pod, status.name);
    summary->restarts.add(status);
    if (sidecar) summary->sidecar_restarts.add(status);
    if (status.state.terminated && status.state.terminated->exit_code == 0) continue;
    if (sidecar && status.started.value_or(false)) {
      if (status.ready) ++summary->ready;
      continue;
    }
    if (status.state.terminated) {
      summary->reason = "Init:" + end_reason(*status.state.terminated);
    } else if (status.state.waiting && !status.state.waiting->reason.empty() && !(status.state.waiting->reason == "PodInitializing")) {
      summary->reason = "Init:" + status.state.waiting->reason.str();
    } else {
      summary->reason = "Init:" + std::to_string(i) + "/" + std::to_string(pod.spec.init_containers.size());
    }
    return true;
  }
  return false;
}

void add_containers_state(const Pod& pod, Summary* summary) {
  summary->restarts = summary->sidecar_restarts;
  bool running = false;
  for (size_t i = pod.status.container_statuses.size(); i-- > 0;) {
    const ContainerStatus& status = pod.status.container_statuses[i];
    summary->restarts.add(status);
    if (status.state.waiting && !status.state.waiting->reason.empty()) {
      summary->reason = status.state.waiting->reason.str();
    } else if (status.state.terminated) {
      summary->reason = end_reason(*status.state.terminated);
    } else if (status.ready && status.state.running) {
      running = true;
      ++summary->ready;
    }
  }
  // One that ended well beside one that still runs.
  if (summary->reason == "Completed" && running) summary->reason = has_condition(pod, "Ready") ? "Running" : "NotReady";
}

Summary summarize(const Pod& pod) {
  Summary summary;
  summary.reason = pod.status.reason.empty() ? pod.status.phase.str() : pod.status.reason.str();
  for (const auto& condition : pod.status.conditions)
    if (condition.type == "PodScheduled" && condition.reason == "SchedulingGated") summary.reason = "SchedulingGated";
  summary.total = static_cast<int64_t>(pod.spec.containers.size());
  for (const Container& container : pod.spec.init_containers)
    if (is_sidecar(container)) ++summary.total;
  bool initializing = add_init_containers(pod, &summary);
  if (!initializing || has_condition(pod, "Initialized")) add_containers_state(pod, &summary);
  if (pod.metadata.deletion_timestamp) summary.reason = pod.status.reason == "NodeLost" ? "Unknown" : "Terminating";
  return summary;
}

std::string readiness_gates(const Pod& pod) {
  if (pod.spec.readiness_gates.empty()) return "<none>";
  auto open = std::count_if(pod.spec.readiness_gates.begin(), pod.spec.readiness_gates.end(),
                            [&](const auto& gate) { return has_condition(pod, gate.condition_type); });
  return std::to_string(open) + "/" + std::to_string(pod.spec.readiness_gates.size());
}

}  // namespace

void pod_row(const Pod& pod, WallTime now, Row& row) {
  Summary summary = summarize(pod);
  std::string restarts = std::to_string(summary.restarts.count);
  if (summary.restarts.count != 0 && !summary.restarts.last.is_zero()) restarts += " (" + age(summary.restarts.last, now) + " ago)";
  row.emplace_back(pod.metadata.name.view());
  row.emplace_back(std::to_string(summary.ready) + "/" + std::to_string(summary.total));
  row.emplace_back(summary.reason);
  row.emplace_back(restarts);
  row.emplace_back(age_of(pod.metadata, now));
  row.emplace_back(or_none(pod.status.pod_ips.empty() ? std::string_view() : pod.status.pod_ips[0].ip.view()));
  row.emplace_back(or_none(pod.spec.node_name));
  row.emplace_back(or_none(pod.status.nominated_node_name));
  row.emplace_back(readiness_gates(pod));
}

}  // namespace knarr::apiserver::table
