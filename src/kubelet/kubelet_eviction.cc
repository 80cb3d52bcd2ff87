// SPDX-License-Identifier: Apache-2.0
// What the kubelet does when its node runs short: wiring of eviction and of the garbage collection of images.
#include "kubelet/kubelet_impl.h"

namespace knarr::kubelet {

Status Kubelet::Impl::start_eviction() {
  EvictionSettings settings{config.eviction_hard, config.eviction_soft, config.eviction_soft_grace, config.eviction_min_reclaim};
  TRY_ASSIGN(std::vector<Threshold> thresholds, parse_thresholds(settings));
  ImageGcPolicy policy{config.image_gc_high_percent, config.image_gc_low_percent, config.image_min_age, config.sandbox_image};
  image_gc = std::make_unique<ImageGc>(*context, std::move(policy));
  image_gc->start();
  stats_options.root_dir = config.root_dir;
  stats_options.node_name = config.node_name;
  eviction_stats = std::make_unique<StatsCollector>(*this, stats_options);
  std::weak_ptr<Impl> weak = weak_from_this();
  EvictionManager::Parts parts{*context, *eviction_stats, *image_gc, nullptr, nullptr, nullptr, nullptr};
  parts.active_pods = [weak] {
    std::vector<PodPtr> active;
    if (auto self = weak.lock())
      for (const auto& [uid, worker] : self->workers)
        if (worker->state() == PodWorker::State::kSyncing && worker->record().any_running()) active.push_back(worker->pod());
    return active;
  };
  parts.evict = [weak](const core::Pod& pod, std::string message, int64_t grace, bool pressure) {
    if (auto self = weak.lock()) self->evict(pod, std::move(message), grace, pressure);
  };
  parts.is_over = [weak](std::string_view uid) {
    auto self = weak.lock();
    if (!self) return true;
    auto worker = self->workers.find(uid);
    return worker == self->workers.end() || worker->second->state() >= PodWorker::State::kTerminated;
  };
  parts.conditions_changed = [weak] {
    auto self = weak.lock();
    if (!self) return;
    const PressureState& pressure = self->eviction->pressure();
    self->node->set_pressure(pressure.under("MemoryPressure"), pressure.under("DiskPressure"), pressure.under("PIDPressure"));
  };
  PressureState state(std::move(thresholds), config.eviction_transition_period);
  eviction = std::make_unique<EvictionManager>(std::move(parts), std::move(state), std::chrono::seconds(config.eviction_max_grace_seconds));
  eviction->start();
  return {};
}

void Kubelet::Impl::evict(const core::Pod& pod, std::string message, int64_t grace, bool pressure) {
  auto worker = workers.find(pod.metadata.uid.view());
  if (worker != workers.end()) worker->second->evict("Evicted", std::move(message), grace, pressure);
}

}  // namespace knarr::kubelet
