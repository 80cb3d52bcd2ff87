// SPDX-License-Identifier: Apache-2.0
// The cgroups that hold this node's pods: ROOT/kubepods, its burstable and besteffort parts, and one for each pod.
//
// cgroup v1 (every mounted hierarchy) and v2, driver cgroupfs; with driver systemd only the names are given and the runtime makes the slices.
// All calls block briefly: run them in run_blocking(), never two at once for the same pod. The mount point is a parameter, so tests use a folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "kubelet/qos.h"

namespace knarr::kubelet {

class CgroupManager {
 public:
  struct Options {
    std::string mount = "/sys/fs/cgroup";
    std::string root;                       // "" or "/lab"
    bool systemd = false;
    bool enforce_cpu_quota = true;
    int64_t pod_pids_limit = -1;
  };
  explicit CgroupManager(Options options);

  // ROOT/kubepods and the two classes; limits of the whole: milli-CPU for shares, bytes of memory (0 = none).
  Status setup(int64_t allocatable_milli_cpu, int64_t allocatable_memory);
  // What the runtime gets as the parent of the pod's containers.
  std::string pod_parent(const core::Pod& pod) const;
  Status create_pod(const std::string& parent, const PodCgroupLimits& limits);
  bool pod_exists(const std::string& parent) const;
  // Kills what is left inside and removes the tree.
  Status destroy_pod(const std::string& parent);
  // CPU shares of the burstable class follow the sum of its pods' requests.
  void set_burstable_milli_cpu(int64_t milli);
  // Parents of all pods present, for the removal of orphans: (uid, parent).
  std::vector<std::pair<std::string, std::string>> list_pods() const;
  bool v2() const { return v2_; }

 private:
  std::string kubepods() const { return options_.root + "/kubepods"; }
  std::vector<std::string> hierarchies() const;   // folders of the mounted v1 controllers, or the one of v2
  Status make_cgroup(const std::string& path);
  void apply(const std::string& path, const PodCgroupLimits& limits, int64_t pids);
  void put(const std::string& controller, const std::string& path, std::string_view file, const std::string& value);

  Options options_;
  bool v2_ = false;
};

}  // namespace knarr::kubelet
