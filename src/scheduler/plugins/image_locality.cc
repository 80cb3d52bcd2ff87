// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "scheduler/plugins/plugins.h"

namespace knarr::scheduler::plugins {
namespace {

constexpr int64_t kMinThreshold = 23LL * 1024 * 1024;
constexpr int64_t kMaxContainerThreshold = 1000LL * 1024 * 1024;

// "busybox" is known to nodes as "busybox:latest".
std::string normalized_image(std::string_view image) {
  std::string name(image);
  if (name.rfind(':') == std::string::npos || name.rfind(':') <= (name.rfind('/') == std::string::npos ? 0 : name.rfind('/'))) name += ":latest";
  return name;
}

// An image that few nodes have counts less, so that pods do not pile up on the one node that has it.
int64_t score(const Cycle& cycle, const NodeInfo& node, size_t) {
  const auto& spec = cycle.pod.pod->spec;
  const Cache& cache = cycle.handle.cache;
  int64_t sum = 0;
  auto add = [&](const auto& container) {
    std::string name = normalized_image(container.image);
    auto at = node.image_sizes.find(name);
    if (at == node.image_sizes.end()) return;
    double spread = static_cast<double>(cache.nodes_with_image(name)) / static_cast<double>(cache.nodes().size());
    sum += static_cast<int64_t>(static_cast<double>(at->second) * spread);
  };
  for (const auto& container : spec.init_containers) add(container);
  for (const auto& container : spec.containers) add(container);
  int64_t count = static_cast<int64_t>(spec.init_containers.size() + spec.containers.size());
  int64_t max = kMaxContainerThreshold * std::max<int64_t>(count, 1);
  return kMaxNodeScore * (std::clamp(sum, kMinThreshold, max) - kMinThreshold) / (max - kMinThreshold);
}

}  // namespace

const Plugin kImageLocality = {.name = "ImageLocality", .score = score, .weight = 1};

}  // namespace knarr::scheduler::plugins
