// SPDX-License-Identifier: Apache-2.0
#include "kubelet/eviction/thresholds.h"

#include <algorithm>
#include <cstdlib>

#include "kubelet/qos.h"
#include "schema/quantity.h"
#include "schema/time.h"

namespace knarr::kubelet {
namespace {

using schema::QuantityValue;

struct SignalInfo {
  std::string_view name, resource, condition, fallback;
};
constexpr SignalInfo kInfo[kSignals] = {
    {"memory.available", "memory", "MemoryPressure", "100Mi"},
    {"nodefs.available", "ephemeral-storage", "DiskPressure", "10%"},
    {"nodefs.inodesFree", "inodes", "DiskPressure", "5%"},
    {"imagefs.available", "ephemeral-storage", "DiskPressure", "15%"},
    {"imagefs.inodesFree", "inodes", "DiskPressure", ""},
    {"pid.available", "pids", "PIDPressure", ""},
};
const SignalInfo& info(Signal signal) { return kInfo[static_cast<size_t>(signal)]; }

std::optional<Signal> signal_of(std::string_view name) {
  for (size_t i = 0; i < kSignals; ++i)
    if (kInfo[i].name == name) return static_cast<Signal>(i);
  return std::nullopt;
}

Result<Amount> parse_amount(const std::string& text) {
  Amount amount;
  if (text.ends_with('%')) {
    amount.share = std::strtod(text.c_str(), nullptr) / 100;
    return amount;
  }
  TRY_ASSIGN(QuantityValue quantity, QuantityValue::parse(text));
  if (quantity.sign() < 0) return Status::error("eviction threshold must be positive: " + text);
  amount.fixed = quantity.value();
  return amount;
}

// The amount of a signal in one of the maps; nothing and "0%" and "100%" switch it off.
Result<std::optional<Amount>> find(const std::map<std::string, std::string>& values, std::string_view name) {
  auto found = values.find(std::string(name));
  if (found == values.end() || found->second == "0%" || found->second == "100%") return std::optional<Amount>();
  TRY_ASSIGN(Amount amount, parse_amount(found->second));
  return std::optional<Amount>(amount);
}

bool crossed(const Threshold& threshold, const Observations& observations, bool with_reclaim) {
  const auto& seen = observations[static_cast<size_t>(threshold.signal)];
  if (!seen) return false;
  int64_t least = threshold.amount.of(seen->capacity);
  if (with_reclaim) least += threshold.min_reclaim.of(seen->capacity);
  return least > seen->available;
}

std::string binary_text(int64_t value) { return QuantityValue::from_int(value, QuantityValue::Format::kBinarySI).to_string(); }
std::string text_of(Signal signal, int64_t value) {
  bool bytes = info(signal).resource == "memory" || info(signal).resource == "ephemeral-storage";
  return bytes ? binary_text(value) : QuantityValue::from_int(value).to_string();
}

int64_t priority_of(const core::Pod& pod) { return pod.spec.priority ? *pod.spec.priority : 0; }

}  // namespace

std::string_view signal_name(Signal signal) { return info(signal).name; }
std::string_view resource_of(Signal signal) { return info(signal).resource; }
std::string_view condition_of_signal(Signal signal) { return info(signal).condition; }

Result<std::vector<Threshold>> parse_thresholds(const EvictionSettings& settings) {
  std::map<std::string, std::string> hard = settings.hard;
  if (hard.empty())
    for (const SignalInfo& signal : kInfo)
      if (!signal.fallback.empty()) hard[std::string(signal.name)] = signal.fallback;
  using Values = std::map<std::string, std::string>;
  for (const Values* values : std::initializer_list<const Values*>{&hard, &settings.soft, &settings.soft_grace, &settings.min_reclaim})
    for (const auto& [name, value] : *values)
      if (!signal_of(name)) return Status::error("unsupported eviction signal " + name);
  std::vector<Threshold> thresholds;
  for (size_t i = 0; i < kSignals; ++i) {
    Threshold threshold;
    threshold.signal = static_cast<Signal>(i);
    TRY_ASSIGN(std::optional<Amount> reclaim, find(settings.min_reclaim, kInfo[i].name));
    if (reclaim) threshold.min_reclaim = *reclaim;
    TRY_ASSIGN(std::optional<Amount> at_once, find(hard, kInfo[i].name));
    if (at_once) {
      threshold.amount = *at_once;
      thresholds.push_back(threshold);
    }
    TRY_ASSIGN(std::optional<Amount> later, find(settings.soft, kInfo[i].name));
    if (!later) continue;
    auto grace = settings.soft_grace.find(std::string(kInfo[i].name));
    if (grace == settings.soft_grace.end()) return Status::error("grace period must be specified for the soft eviction threshold " + std::string(kInfo[i].name));
    TRY_ASSIGN(int64_t nanos, schema::parse_duration(grace->second));
    threshold.amount = *later;
    threshold.hard = false;
    threshold.grace = Duration(nanos);
    thresholds.push_back(threshold);
  }
  return thresholds;
}

std::vector<Threshold> PressureState::observe(const Observations& observations, MonoTime now) {
  std::vector<Threshold> met;
  auto has = [&met](const Threshold& one) {
    return std::any_of(met.begin(), met.end(), [&](const Threshold& other) { return other.signal == one.signal && other.hard == one.hard; });
  };
  for (const Threshold& threshold : thresholds_)
    if (crossed(threshold, observations, false)) met.push_back(threshold);
  // What was acted on goes on until the least that has to be reclaimed is.
  for (const Threshold& threshold : acting_)
    if (!has(threshold) && crossed(threshold, observations, true)) met.push_back(threshold);
  std::map<std::pair<Signal, bool>, MonoTime> seen;
  for (const Threshold& threshold : met) {
    std::pair<Signal, bool> key(threshold.signal, threshold.hard);
    auto before = first_seen_.find(key);
    seen[key] = before == first_seen_.end() ? now : before->second;
    last_seen_[std::string(condition_of_signal(threshold.signal))] = now;
  }
  first_seen_ = std::move(seen);
  conditions_.clear();
  for (const auto& [condition, at] : last_seen_)
    if (now - at < transition_period_ || now == at) conditions_.push_back(condition);
  acting_.clear();
  for (const Threshold& threshold : met)
    if (now - first_seen_[{threshold.signal, threshold.hard}] >= threshold.grace) acting_.push_back(threshold);
  std::stable_sort(acting_.begin(), acting_.end(),
                   [](const Threshold& a, const Threshold& b) { return a.signal == Signal::kMemoryAvailable && b.signal != Signal::kMemoryAvailable; });
  return acting_;
}

bool PressureState::under(std::string_view condition) const { return std::find(conditions_.begin(), conditions_.end(), condition) != conditions_.end(); }
std::vector<std::string> PressureState::conditions() const { return conditions_; }
bool PressureState::satisfied(const Observations& observations) const {
  return std::none_of(thresholds_.begin(), thresholds_.end(), [&](const Threshold& threshold) { return crossed(threshold, observations, true); });
}

void rank(std::vector<Candidate>& candidates, std::string_view resource) {
  auto over = [&](const Candidate& candidate) { return *candidate.usage - whole_value(pod_requests(*candidate.pod), resource); };
  std::stable_sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    if (a.usage.has_value() != b.usage.has_value()) return !a.usage.has_value();
    if (a.usage && (over(a) > 0) != (over(b) > 0)) return over(a) > 0;
    if (priority_of(*a.pod) != priority_of(*b.pod)) return priority_of(*a.pod) < priority_of(*b.pod);
    return a.usage && over(a) > over(b);
  });
}

std::string eviction_message(const Threshold& threshold, const Observations& observations, const Candidate& candidate) {
  std::string resource(resource_of(threshold.signal));
  std::string text = "The node was low on resource: " + resource + ". ";
  if (const auto& seen = observations[static_cast<size_t>(threshold.signal)]) {
    text += "Threshold quantity: " + text_of(threshold.signal, threshold.amount.of(seen->capacity)) +
            ", available: " + text_of(threshold.signal, seen->available) + ". ";
  }
  for (const core::Container& container : candidate.pod->spec.containers) {
    auto used = candidate.by_container.find(container.name.view());
    if (used == candidate.by_container.end()) continue;
    const schema::Quantity* request = container.resources.requests.find(resource);
    int64_t asked = request == nullptr ? 0 : QuantityValue::of(*request).value();
    if (used->second <= asked) continue;
    text += "Container " + container.name.str() + " was using " + binary_text(used->second) + ", request is " +
            (request == nullptr ? std::string("0") : QuantityValue::of(*request).to_string()) + ", has larger consumption of " + resource + ". ";
  }
  return text;
}

std::string empty_dir_message(std::string_view volume, std::string_view limit) {
  return "Usage of EmptyDir volume \"" + std::string(volume) + "\" exceeds the limit \"" + std::string(limit) + "\". ";
}
std::string pod_storage_message(std::string_view limit) {
  return "Pod ephemeral local storage usage exceeds the total limit of containers " + std::string(limit) + ". ";
}
std::string container_storage_message(std::string_view container, std::string_view limit) {
  return "Container " + std::string(container) + " exceeded its local ephemeral storage limit \"" + std::string(limit) + "\". ";
}

std::string pressure_refusal(const core::Pod& pod, const std::vector<std::string>& conditions) {
  if (conditions.empty() || is_critical_pod(pod)) return {};
  // Short memory alone keeps out only pods that promise nothing about it and do not live with that.
  if (conditions.size() == 1 && conditions[0] == "MemoryPressure") {
    if (pod_qos_class(pod) != "BestEffort") return {};
    for (const core::Toleration& toleration : pod.spec.tolerations) {
      bool key = toleration.key == "node.kubernetes.io/memory-pressure" || (toleration.key.empty() && toleration.operator_ == "Exists");
      if (key && (toleration.effect.empty() || toleration.effect == "NoSchedule")) return {};
    }
  }
  std::string list;
  for (const std::string& condition : conditions) list += (list.empty() ? "" : " ") + condition;
  return "The node had condition: [" + list + "]. ";
}

}  // namespace knarr::kubelet
