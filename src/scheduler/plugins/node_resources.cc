// SPDX-License-Identifier: Apache-2.0
// NodeResourcesFit (with LeastAllocated scoring) and NodeResourcesBalancedAllocation.
#include <algorithm>
#include <cmath>

#include "scheduler/plugins/plugins.h"

namespace knarr::scheduler::plugins {

std::vector<std::string> insufficient_resources(const PodInfo& pod, const NodeInfo& node) {
  std::vector<std::string> reasons;
  if (static_cast<int64_t>(node.pods.size()) + 1 > node.allowed_pods) reasons.emplace_back("Too many pods");
  const Resources& request = pod.requests.total;
  if (request.milli_cpu > 0 && request.milli_cpu > node.allocatable.milli_cpu - node.requested.milli_cpu) reasons.emplace_back("Insufficient cpu");
  if (request.memory > 0 && request.memory > node.allocatable.memory - node.requested.memory) reasons.emplace_back("Insufficient memory");
  if (request.ephemeral_storage > 0 && request.ephemeral_storage > node.allocatable.ephemeral_storage - node.requested.ephemeral_storage)
    reasons.emplace_back("Insufficient ephemeral-storage");
  for (const auto& [name, amount] : request.extended) {
    if (amount == 0) continue;
    if (amount > node.allocatable.extended_amount(name) - node.requested.extended_amount(name)) reasons.push_back("Insufficient " + name);
  }
  return reasons;
}

namespace {

Verdict filter(const Cycle& cycle, const NodeInfo& node, size_t) { return {insufficient_resources(cycle.pod, node), false}; }

int64_t free_share(int64_t requested, int64_t capacity) {
  return capacity == 0 || requested > capacity ? 0 : (capacity - requested) * kMaxNodeScore / capacity;
}

int64_t least_allocated(const Cycle& cycle, const NodeInfo& node, size_t) {
  int64_t sum = 0, weights = 0;
  if (node.allocatable.milli_cpu != 0) {
    sum += free_share(node.nonzero_milli_cpu + cycle.pod.requests.nonzero_milli_cpu, node.allocatable.milli_cpu);
    ++weights;
  }
  if (node.allocatable.memory != 0) {
    sum += free_share(node.nonzero_memory + cycle.pod.requests.nonzero_memory, node.allocatable.memory);
    ++weights;
  }
  return weights == 0 ? 0 : sum / weights;
}

// The closer the used shares of cpu and memory, the better. Counts what was asked for, not the stand-ins for nothing.
int64_t balanced_allocation(const Cycle& cycle, const NodeInfo& node, size_t) {
  const Resources& request = cycle.pod.requests.total;
  if (node.allocatable.milli_cpu == 0 || node.allocatable.memory == 0) return kMaxNodeScore;
  double cpu = std::min(1.0, static_cast<double>(node.requested.milli_cpu + request.milli_cpu) / static_cast<double>(node.allocatable.milli_cpu));
  double memory = std::min(1.0, static_cast<double>(node.requested.memory + request.memory) / static_cast<double>(node.allocatable.memory));
  return static_cast<int64_t>((1 - std::abs((cpu - memory) / 2)) * static_cast<double>(kMaxNodeScore));
}

}  // namespace

const Plugin kNodeResourcesFit = {
    .name = "NodeResourcesFit", .events = kPodDelete | kNodeAdd | kNodeUpdate, .filter = filter, .score = least_allocated, .weight = 1};
const Plugin kBalancedAllocation = {.name = "NodeResourcesBalancedAllocation", .score = balanced_allocation, .weight = 1};

}  // namespace knarr::scheduler::plugins
