// SPDX-License-Identifier: Apache-2.0
#include "scheduler/framework.h"

#include <algorithm>

#include "scheduler/plugins/plugins.h"

namespace knarr::scheduler {

std::span<const Plugin> plugin_table() {
  using namespace plugins;
  static const Plugin table[] = {kNodeUnschedulable, kNodeName,     kTaintToleration, kNodeAffinity,
                                 kNodePorts,         kNodeResourcesFit, kBalancedAllocation, kImageLocality};
  static_assert(std::size(table) <= kMaxPlugins);
  return table;
}

void normalize_to_max(std::span<int64_t> scores, bool reverse) {
  int64_t highest = 0;
  for (int64_t score : scores) highest = std::max(highest, score);
  for (int64_t& score : scores) {
    if (highest == 0) {
      if (reverse) score = kMaxNodeScore;
      continue;
    }
    score = kMaxNodeScore * score / highest;
    if (reverse) score = kMaxNodeScore - score;
  }
}

}  // namespace knarr::scheduler
