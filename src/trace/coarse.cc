// SPDX-License-Identifier: Apache-2.0
#include "trace/coarse.h"

#include <algorithm>

#include "schema/time.h"

namespace knarr::trace {
namespace core = api::core_v1;
namespace {

struct Reason {
  std::string_view name;
  Step step;
};
constexpr Reason kReasons[] = {
    {"Scheduled", Step::kBind},     {"FailedScheduling", Step::kTried}, {"FailedCreatePodSandBox", Step::kSandbox}, {"FailedMount", Step::kVolumes},
    {"Pulling", Step::kImage},      {"Pulled", Step::kImage},           {"Created", Step::kCreate},                 {"Started", Step::kStart},
    {"Unhealthy", Step::kReady},
};

void add(std::vector<Entry>& entries, const std::string& who, Step step, WallTime at, std::string detail) {
  entries.push_back({who, {step, at, at, std::move(detail)}, true});
}

bool has_step(const std::vector<Entry>& entries, Step step) {
  return std::any_of(entries.begin(), entries.end(), [step](const Entry& entry) { return entry.span.step == step; });
}

WallTime time_of(const core::Event& event) {
  if (!event.first_timestamp.is_zero()) return schema::to_wall(event.first_timestamp);
  if (!event.event_time.is_zero()) return WallTime(std::chrono::microseconds(event.event_time.unix_micros()));
  return schema::to_wall(event.metadata.creation_timestamp);
}

}  // namespace

std::vector<Entry> coarse_entries(const core::Pod& pod, const std::vector<core::Event>& events) {
  const std::string kubelet = "kubelet " + pod.spec.node_name.str(), scheduler(step_info(Step::kBind).part), server(step_info(Step::kReceived).part);
  std::vector<Entry> entries;
  add(entries, server, Step::kReceived, schema::to_wall(pod.metadata.creation_timestamp), "creationTimestamp");
  for (const core::Event& event : events) {
    for (const Reason& reason : kReasons) {
      if (event.reason != reason.name) continue;
      std::string detail = "event " + event.reason.str() + ": " + event.message.str();
      if (event.count > 1) detail += " (" + std::to_string(event.count) + " times)";
      add(entries, step_info(reason.step).part == scheduler ? scheduler : kubelet, reason.step, time_of(event), std::move(detail));
    }
  }
  for (const core::PodCondition& condition : pod.status.conditions) {
    if (condition.status != "True" || condition.last_transition_time.is_zero()) continue;
    WallTime at = schema::to_wall(condition.last_transition_time);
    if (condition.type == "PodScheduled" && !has_step(entries, Step::kBind)) add(entries, scheduler, Step::kBind, at, "condition PodScheduled");
    if (condition.type == "Ready") add(entries, kubelet, Step::kReady, at, "condition Ready");
  }
  if (pod.status.start_time.has_value()) add(entries, kubelet, Step::kSeen, schema::to_wall(*pod.status.start_time), "startTime");
  bool started = has_step(entries, Step::kStart);
  for (const core::ContainerStatus& status : pod.status.container_statuses) {
    if (started || !status.state.running || status.state.running->started_at.is_zero()) continue;
    add(entries, kubelet, Step::kStart, schema::to_wall(status.state.running->started_at), status.name.str() + ": startedAt");
  }
  return entries;
}

}  // namespace knarr::trace
