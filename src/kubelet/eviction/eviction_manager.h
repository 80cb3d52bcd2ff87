// SPDX-License-Identifier: Apache-2.0
// Watches what the node has left, each ten seconds as upstream, and ends pods while it is too little: one at a time, the most replaceable
// first, after images that nobody uses. Also ends pods that outgrow their own limits of local storage. One executor.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kubelet/context.h"
#include "kubelet/eviction/thresholds.h"
#include "kubelet/image/image_gc.h"
#include "kubelet/server/stats.h"

namespace knarr::kubelet {

class EvictionManager {
 public:
  struct Parts {
    Context& context;
    StatsCollector& stats;
    ImageGc& images;
    std::function<std::vector<PodPtr>()> active_pods;
    // Ends a pod with this message. `pressure`: because of the node, not of itself.
    std::function<void(const core::Pod& pod, std::string message, int64_t grace, bool pressure)> evict;
    std::function<bool(std::string_view uid)> is_over;  // nothing of the pod runs any more
    std::function<void()> conditions_changed;
  };
  EvictionManager(Parts parts, PressureState state, Duration max_grace);
  ~EvictionManager();
  void start();
  void stop();
  const PressureState& pressure() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace knarr::kubelet
