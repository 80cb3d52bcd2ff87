// SPDX-License-Identifier: Apache-2.0
// What a pod's requests and limits mean to the kernel: QoS class, CPU shares and quotas, OOM scores. Pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "kubelet/types.h"
#include "schema/quantity.h"

namespace knarr::kubelet {

inline constexpr int64_t kMinShares = 2;
inline constexpr int64_t kMaxShares = 262144;
inline constexpr int64_t kCpuPeriod = 100000;  // microseconds

// "Guaranteed", "Burstable" or "BestEffort" by the containers' cpu and memory.
std::string_view pod_qos_class(const core::Pod& pod);

int64_t milli_cpu_to_shares(int64_t milli);
int64_t milli_cpu_to_quota(int64_t milli, int64_t period = kCpuPeriod);  // 0 = no quota

// oom_score_adj of a container's process on a node with this much memory.
int64_t oom_score_adj(const core::Pod& pod, const core::Container& container, int64_t memory_capacity);

using ResourceList = schema::Map<schema::Quantity>;
// Sum over containers, at least the largest init container, plus overhead.
ResourceList pod_requests(const core::Pod& pod);
ResourceList pod_limits(const core::Pod& pod);
int64_t milli_value(const ResourceList& list, std::string_view name);  // 0 when absent
int64_t whole_value(const ResourceList& list, std::string_view name);

// Limits of the pod's own cgroup; -1 = not set.
struct PodCgroupLimits {
  int64_t cpu_shares = -1;
  int64_t cpu_quota = -1;
  int64_t cpu_period = -1;
  int64_t memory = -1;
};
PodCgroupLimits pod_cgroup_limits(const core::Pod& pod, bool enforce_cpu_quota);

}  // namespace knarr::kubelet
