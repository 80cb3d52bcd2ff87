// SPDX-License-Identifier: Apache-2.0
// The extension points of a scheduling cycle, and the table of plugins that fill them.
//
// A plugin is a small file whose decision is a pure function of a pod and a node; its record here says at which points it takes part. State that
// is worth computing once per pod goes from pre_filter or pre_score to filter and score through the cycle.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/cache.h"

namespace knarr::scheduler {

inline constexpr int64_t kMaxNodeScore = 100;
inline constexpr size_t kMaxPlugins = 24;

// Why a node will not do. Empty reasons: it will.
struct Verdict {
  std::vector<std::string> reasons;
  // No eviction of pods would help (a name, a taint, a label).
  bool unresolvable = false;
  bool ok() const { return reasons.empty(); }
  static Verdict unschedulable(std::string reason) { return {{std::move(reason)}, false}; }
  static Verdict hopeless(std::string reason) { return {{std::move(reason)}, true}; }
};

// What happened in the cluster, for pods that wait for something to change.
enum ClusterEvent : uint32_t {
  kNodeAdd = 1, kNodeAllocatable = 2, kNodeLabel = 4, kNodeTaint = 8, kNodeCondition = 16, kNodeDelete = 32,
  kPodAdd = 64, kPodUpdate = 128, kPodDelete = 256,   // of placed pods
  kVolume = 512,                                      // claims, volumes, classes
  kAnyEvent = 1023,
  kNodeUpdate = kNodeAllocatable | kNodeLabel | kNodeTaint | kNodeCondition,
};

// What plugins may read beside the pod and the node.
struct Handle {
  Cache& cache;
};

class Cycle {
 public:
  Cycle(Handle& h, const PodInfo& p) : handle(h), pod(p) {}
  Handle& handle;
  const PodInfo& pod;
  // One slot a plugin, by its place in the table.
  template <class T>
  void set_state(size_t plugin, T value) { state_[plugin] = std::make_shared<T>(std::move(value)); }
  template <class T>
  const T* state(size_t plugin) const { return static_cast<const T*>(state_[plugin].get()); }

 private:
  std::array<std::shared_ptr<void>, kMaxPlugins> state_;
};

struct PreFilter {
  Verdict verdict;                                    // not ok: no node will do
  bool skip = false;                                  // the plugin's filter has nothing to say of this pod
  bool narrowed = false;                              // only `nodes` need be looked at
  std::vector<std::string> nodes;
};

struct Plugin {
  std::string_view name;
  uint32_t events = 0;                                // after which a pod that this plugin refused may fit
  PreFilter (*pre_filter)(Cycle& cycle, size_t self) = nullptr;
  Verdict (*filter)(const Cycle& cycle, const NodeInfo& node, size_t self) = nullptr;
  // True: score() has nothing to add for this pod.
  bool (*pre_score)(Cycle& cycle, std::span<NodeInfo* const> nodes, size_t self) = nullptr;
  int64_t (*score)(const Cycle& cycle, const NodeInfo& node, size_t self) = nullptr;
  void (*normalize)(const Cycle& cycle, std::span<int64_t> scores, size_t self) = nullptr;
  int64_t weight = 1;
};

// Upstream's default plugins, in its order.
std::span<const Plugin> plugin_table();

// Scales scores so that the largest is 100, and turns them round when `reverse`.
void normalize_to_max(std::span<int64_t> scores, bool reverse);

}  // namespace knarr::scheduler
