// SPDX-License-Identifier: Apache-2.0
// Startup, liveness and readiness probes of running containers.
//
// Each probe of each container has a worker that sleeps until there is a running container to look at, then keeps the probe's period.
// Results that change are told to the pod's worker. Thresholds, initial delays, and the rule that nothing but the startup probe runs before it
// has succeeded are upstream's. One executor.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kubelet/context.h"
#include "kubelet/pod_actions.h"

namespace knarr::kubelet {

enum class ProbeKind : uint8_t { kStartup, kLiveness, kReadiness };

// Counting of results against thresholds: what is kept of a probe between two tries. Pure.
class ProbeCounter {
 public:
  // True when `result` has been seen often enough in a row to count.
  bool add(ProbeResult result, const core::Probe& probe);
  void reset() { *this = {}; }

 private:
  ProbeResult last_ = ProbeResult::kUnknown;
  int run_ = 0;
};

class ProbeManager final : public ProbeResults {
 public:
  // `changed(uid)`: a result of that pod changed.
  ProbeManager(Context& context, std::function<void(const std::string& uid)> changed);
  ~ProbeManager();

  // Makes the pod's workers; idempotent. A newer version of the pod replaces the old one.
  void add_pod(const PodPtr& pod);
  void remove_pod(std::string_view uid);
  void stop_liveness_and_startup(std::string_view uid);
  // The status on which probing depends: which containers run, since when.
  void status_updated(const PodPtr& pod, const core::PodStatus& status);

  // Fills started and ready.
  void fill(const core::Pod& pod, core::PodStatus& status);

  ProbeResult liveness(std::string_view container_id) const override;   // ids without the runtime's name
  ProbeResult startup(std::string_view container_id) const override;

 private:
  struct Worker;
  using Workers = std::vector<std::shared_ptr<Worker>>;
  static Task<void> run(ProbeManager* manager, std::shared_ptr<Worker> worker);
  static Task<bool> probe_once(ProbeManager* manager, std::shared_ptr<Worker> worker);
  Task<ProbeResult> execute(std::shared_ptr<Worker> worker);
  void set_result(Worker& worker, ProbeResult result);
  ProbeResult result_of(ProbeKind kind, std::string_view container_id) const;
  Worker* find(std::string_view uid, std::string_view container, ProbeKind kind) const;
  bool is_started(std::string_view uid, const core::ContainerStatus& status) const;

  Context& context_;
  std::function<void(const std::string& uid)> changed_;
  std::map<std::string, Workers, std::less<>> pods_;
};

// "containerd://abc" without the runtime's name.
std::string_view bare_id(std::string_view container_id);

}  // namespace knarr::kubelet
