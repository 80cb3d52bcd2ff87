// SPDX-License-Identifier: Apache-2.0
// When a node is short of something, and which pod goes first: upstream's eviction rules as pure functions of configuration, observations and
// time. Quantities are bytes, inodes or processes.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "kubelet/types.h"

namespace knarr::kubelet {

enum class Signal : uint8_t { kMemoryAvailable, kNodeFsAvailable, kNodeFsInodesFree, kImageFsAvailable, kImageFsInodesFree, kPidAvailable };
inline constexpr size_t kSignals = 6;
std::string_view signal_name(Signal signal);       // "memory.available"
std::string_view resource_of(Signal signal);       // "memory", "ephemeral-storage", "inodes", "pids"
std::string_view condition_of_signal(Signal signal);  // "MemoryPressure", ...

// An amount, or a share of the capacity.
struct Amount {
  int64_t fixed = 0;
  std::optional<double> share;
  int64_t of(int64_t capacity) const { return share ? static_cast<int64_t>(static_cast<double>(capacity) * *share) : fixed; }
};

struct Threshold {
  Signal signal{};
  Amount amount;
  bool hard = true;
  Duration grace{};        // of a soft one
  Amount min_reclaim;
};

struct EvictionSettings {
  std::map<std::string, std::string> hard, soft, soft_grace, min_reclaim;  // as KubeletConfiguration has them; hard: empty = upstream's defaults
};
Result<std::vector<Threshold>> parse_thresholds(const EvictionSettings& settings);

struct Observation {
  int64_t available = 0, capacity = 0;
};
using Observations = std::array<std::optional<Observation>, kSignals>;

// Remembers since when thresholds are crossed. One owner.
class PressureState {
 public:
  PressureState(std::vector<Threshold> thresholds, Duration transition_period)
      : thresholds_(std::move(thresholds)), transition_period_(transition_period) {}
  // The thresholds to act on now, the most urgent first.
  std::vector<Threshold> observe(const Observations& observations, MonoTime now);
  // Conditions that the node shows: those seen within the transition period.
  bool under(std::string_view condition) const;
  std::vector<std::string> conditions() const;
  // Whether enough is free again, counting what has to be reclaimed at least.
  bool satisfied(const Observations& observations) const;
  bool idle() const { return thresholds_.empty(); }

 private:
  std::vector<Threshold> thresholds_, acting_;
  Duration transition_period_;
  std::map<std::pair<Signal, bool>, MonoTime> first_seen_;
  std::map<std::string, MonoTime, std::less<>> last_seen_;
  std::vector<std::string> conditions_;
};

// What a pod uses of the resource that is short; nothing known: it goes first.
struct Candidate {
  PodPtr pod;
  std::optional<int64_t> usage;
  std::map<std::string, int64_t, std::less<>> by_container;
};
// Those that use more than they asked for, then by priority, then by how much more.
void rank(std::vector<Candidate>& candidates, std::string_view resource);

// What the pod's status and event say.
std::string eviction_message(const Threshold& threshold, const Observations& observations, const Candidate& candidate);
std::string empty_dir_message(std::string_view volume, std::string_view limit);
std::string pod_storage_message(std::string_view limit);
std::string container_storage_message(std::string_view container, std::string_view limit);

// Why a new pod may not run on a node in this state; "" = it may.
std::string pressure_refusal(const core::Pod& pod, const std::vector<std::string>& conditions);

}  // namespace knarr::kubelet
