// SPDX-License-Identifier: Apache-2.0
#include "kubelet/eviction/eviction_manager.h"

#include <sys/statvfs.h>

#include "base/log.h"
#include "kubelet/volume/tree.h"
#include "schema/quantity.h"

namespace knarr::kubelet {
namespace {

using schema::QuantityValue;
using namespace std::chrono_literals;

constexpr Duration kPeriod = 10s, kCleanupLook = 1s, kCleanupPatience = 30s;

std::optional<Observation> observed(const std::optional<uint64_t>& available, const std::optional<uint64_t>& capacity) {
  if (!available || !capacity) return std::nullopt;
  return Observation{static_cast<int64_t>(*available), static_cast<int64_t>(*capacity)};
}

void observe_image_fs(const std::string& path, Observations& seen) {
  struct statvfs disk {};
  if (path.empty() || ::statvfs(path.c_str(), &disk) != 0) return;
  seen[static_cast<size_t>(Signal::kImageFsAvailable)] =
      Observation{static_cast<int64_t>(disk.f_bavail * disk.f_frsize), static_cast<int64_t>(disk.f_blocks * disk.f_frsize)};
  seen[static_cast<size_t>(Signal::kImageFsInodesFree)] = Observation{static_cast<int64_t>(disk.f_ffree), static_cast<int64_t>(disk.f_files)};
}

// Local storage of one pod: writable layers and logs by container, volumes by name.
struct LocalStorage {
  std::map<std::string, int64_t, std::less<>> containers, volumes;
  int64_t total() const {
    int64_t sum = 0;
    for (const auto* part : {&containers, &volumes})
      for (const auto& [name, bytes] : *part) sum += bytes;
    return sum;
  }
};

bool limits_storage(const core::Pod& pod) {
  for (const core::Volume& volume : pod.spec.volumes)
    if (volume.volume_source.empty_dir && volume.volume_source.empty_dir->size_limit) return true;
  for (const core::Container& container : pod.spec.containers)
    if (container.resources.limits.contains("ephemeral-storage")) return true;
  return false;
}

// The message when a pod has outgrown a limit of its own; "" else.
std::string storage_verdict(const core::Pod& pod, const LocalStorage& used) {
  for (const core::Volume& volume : pod.spec.volumes) {
    if (!volume.volume_source.empty_dir || !volume.volume_source.empty_dir->size_limit) continue;
    QuantityValue limit = QuantityValue::of(*volume.volume_source.empty_dir->size_limit);
    auto bytes = used.volumes.find(volume.name.view());
    if (limit.sign() > 0 && bytes != used.volumes.end() && bytes->second > limit.value()) return empty_dir_message(volume.name, limit.to_string());
  }
  ResourceList limits = pod_limits(pod);
  if (const schema::Quantity* limit = limits.find("ephemeral-storage")) {
    QuantityValue value = QuantityValue::of(*limit);
    if (used.total() > value.value()) return pod_storage_message(value.to_string());
  }
  for (const core::Container& container : pod.spec.containers) {
    const schema::Quantity* limit = container.resources.limits.find("ephemeral-storage");
    auto bytes = used.containers.find(container.name.view());
    if (limit == nullptr || bytes == used.containers.end()) continue;
    QuantityValue value = QuantityValue::of(*limit);
    if (!value.is_zero() && bytes->second > value.value()) return container_storage_message(container.name, value.to_string());
  }
  return {};
}

}  // namespace

struct EvictionManager::Impl {
  Impl(Parts p, PressureState s, Duration g) : parts(std::move(p)), state(std::move(s)), max_grace(g), stopping(parts.context.executor) {}
  Parts parts;
  PressureState state;
  const Duration max_grace;
  Notifier stopping;
  bool stopped = false;

  static Task<Observations> look(std::shared_ptr<Impl> self) {
    NodeUsage node = self->parts.stats.node();
    Observations seen;
    auto put = [&seen](Signal signal, std::optional<Observation> value) { seen[static_cast<size_t>(signal)] = value; };
    std::optional<uint64_t> memory;
    if (node.memory.available && node.memory.working_set) memory = *node.memory.available + *node.memory.working_set;
    put(Signal::kMemoryAvailable, observed(node.memory.available, memory));
    put(Signal::kNodeFsAvailable, observed(node.fs.available, node.fs.capacity));
    put(Signal::kNodeFsInodesFree, observed(node.fs.inodes_free, node.fs.inodes));
    if (node.max_pid > 0) put(Signal::kPidAvailable, Observation{node.max_pid - node.processes, node.max_pid});
    std::string image_fs = co_await self->parts.images.mount_point();
    observe_image_fs(image_fs, seen);
    co_return seen;
  }

  static Task<LocalStorage> storage_of(std::shared_ptr<Impl> self, PodPtr pod, std::vector<ContainerUsage> usage) {
    LocalStorage storage;
    std::string uid = pod->metadata.uid.str();
    auto volumes = co_await self->parts.context.volumes.empty_dir_usage(uid);
    if (volumes.ok())
      for (const auto& [name, bytes] : *volumes) storage.volumes[name] = bytes;
    std::string logs = self->parts.context.config.pod_logs_dir + "/" + pod->metadata.namespace_.str() + "_" + pod->metadata.name.str() + "_" + uid;
    for (const ContainerUsage& one : usage)
      if (one.uid == uid) storage.containers[one.container] += static_cast<int64_t>(one.root_fs && one.root_fs->used ? *one.root_fs->used : 0);
    std::function<void()> work = [&storage, &pod, logs] {
      for (const core::Container& container : pod->spec.containers)
        if (auto bytes = disk_usage(logs + "/" + container.name.str()); bytes.ok()) storage.containers[container.name.str()] += *bytes;
    };
    co_await run_blocking(std::move(work));
    co_return storage;
  }

  void end(const core::Pod& pod, std::string message, int64_t grace, bool pressure) {
    log_info("Evicting pod", {{"pod", pod_key(pod)}, {"message", message}});
    parts.context.events.pod(pod, "Warning", "Evicted", message);
    parts.evict(pod, std::move(message), grace, pressure);
  }

  // Pods beyond limits of their own. True when one was ended.
  static Task<bool> check_storage(std::shared_ptr<Impl> self, std::vector<PodPtr> pods, std::vector<ContainerUsage> usage) {
    bool ended = false;
    for (size_t i = 0; i < pods.size(); ++i) {
      PodPtr pod = pods[i];
      if (!limits_storage(*pod) || is_critical_pod(*pod)) continue;
      std::vector<ContainerUsage> copy = usage;
      LocalStorage storage = co_await storage_of(self, pod, std::move(copy));
      std::string verdict = storage_verdict(*pod, storage);
      if (verdict.empty()) continue;
      self->end(*pod, std::move(verdict), 0, false);
      ended = true;
    }
    co_return ended;
  }

  static Task<std::vector<Candidate>> candidates(std::shared_ptr<Impl> self, std::vector<PodPtr> pods, std::vector<ContainerUsage> usage, std::string resource) {
    std::vector<Candidate> found;
    for (size_t i = 0; i < pods.size(); ++i) {
      Candidate candidate;
      candidate.pod = pods[i];
      if (resource == "memory") {
        for (const ContainerUsage& one : usage) {
          if (one.uid != pods[i]->metadata.uid.view() || !one.memory || !one.memory->working_set) continue;
          auto bytes = static_cast<int64_t>(*one.memory->working_set);
          candidate.by_container[one.container] = bytes;
          candidate.usage = candidate.usage.value_or(0) + bytes;
        }
      } else if (resource == "ephemeral-storage") {
        PodPtr pod = pods[i];
        std::vector<ContainerUsage> copy = usage;
        LocalStorage storage = co_await storage_of(self, std::move(pod), std::move(copy));
        candidate.usage = storage.total();
        candidate.by_container = std::move(storage.containers);
      } else {
        candidate.usage = 0;
      }
      found.push_back(std::move(candidate));
    }
    rank(found, resource);
    co_return found;
  }

  // True when what was freed is enough.
  static Task<bool> reclaim(std::shared_ptr<Impl> self, Signal signal) {
    if (condition_of_signal(signal) != "DiskPressure") co_return false;
    co_await self->parts.images.delete_unused();
    Observations after = co_await look(self);
    co_return self->state.satisfied(after);
  }

  void tell_threshold(std::string_view resource) {
    core::ObjectReference about;
    about.kind = "Node";
    about.name = parts.context.config.node_name;
    about.uid = parts.context.config.node_name;
    parts.context.events.write(std::move(about), "Warning", "EvictionThresholdMet", "Attempting to reclaim " + std::string(resource));
  }

  static Task<void> wait_until_over(std::shared_ptr<Impl> self, std::string uid) {
    for (Duration waited{}; waited < kCleanupPatience && !self->stopped && !self->parts.is_over(uid); waited += kCleanupLook) {
      Duration pause = kCleanupLook;
      co_await sleep_for(pause);
    }
  }

  // UID of the pod that was ended, or "".
  static Task<std::string> step(std::shared_ptr<Impl> self) {
    std::vector<PodPtr> pods = self->parts.active_pods();
    auto usage = co_await self->parts.stats.containers();
    if (!usage.ok()) co_return std::string();
    Observations seen = co_await look(self);
    std::vector<std::string> before = self->state.conditions();
    std::vector<Threshold> due = self->state.observe(seen, self->parts.context.clock.mono());
    if (self->state.conditions() != before) self->parts.conditions_changed();
    bool ended = co_await check_storage(self, pods, *usage);
    if (ended || due.empty()) co_return std::string();
    Threshold threshold = due.front();
    std::string resource(resource_of(threshold.signal));
    self->tell_threshold(resource);
    Signal signal = threshold.signal;
    bool enough = co_await reclaim(self, signal);
    if (enough) co_return std::string();
    std::vector<Candidate> ranked = co_await candidates(self, pods, *usage, resource);
    for (const Candidate& candidate : ranked) {
      if (is_critical_pod(*candidate.pod)) continue;
      int64_t grace = threshold.hard ? 0 : std::chrono::duration_cast<std::chrono::seconds>(self->max_grace).count();
      self->end(*candidate.pod, eviction_message(threshold, seen, candidate), grace, true);
      co_return candidate.pod->metadata.uid.str();
    }
    co_return std::string();
  }

  static Task<void> run(std::shared_ptr<Impl> self) {
    while (!self->stopped) {
      Duration period = kPeriod;
      co_await self->stopping.wait_for(period);
      if (self->stopped) co_return;
      std::string ended = co_await step(self);
      if (!ended.empty()) co_await wait_until_over(self, ended);
    }
  }
};

EvictionManager::EvictionManager(Parts parts, PressureState state, Duration max_grace)
    : impl_(std::make_shared<Impl>(std::move(parts), std::move(state), max_grace)) {}
EvictionManager::~EvictionManager() { stop(); }
void EvictionManager::start() { spawn(impl_->parts.context.executor, Impl::run(impl_)); }
void EvictionManager::stop() {
  impl_->stopped = true;
  impl_->stopping.notify();
}
const PressureState& EvictionManager::pressure() const { return impl_->state; }

}  // namespace knarr::kubelet
