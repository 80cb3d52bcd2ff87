// SPDX-License-Identifier: Apache-2.0
#include "kubelet/qos.h"

#include <algorithm>

namespace knarr::kubelet {

using schema::QuantityValue;

namespace {

constexpr int64_t kGuaranteedOom = -997;
constexpr int64_t kBestEffortOom = 1000;

void add(ResourceList& to, const ResourceList& from) {
  for (const auto& entry : from) {
    QuantityValue sum = QuantityValue::of(entry.value);
    if (const schema::Quantity* old = to.find(entry.key)) {
      QuantityValue total = QuantityValue::of(*old);
      total += sum;
      sum = total;
    }
    to[entry.key] = sum.to_quantity();
  }
}

void raise(ResourceList& to, const ResourceList& from) {
  for (const auto& entry : from) {
    const schema::Quantity* old = to.find(entry.key);
    if (old == nullptr || QuantityValue::of(entry.value) > QuantityValue::of(*old)) to[entry.key] = entry.value;
  }
}

// The sums of cpu and memory over every container, for the QoS class only.
struct ComputeSums {
  QuantityValue values[2];
  bool present[2] = {false, false};
  void add(const ResourceList& list, bool found[2]) {
    constexpr std::string_view kNames[2] = {"cpu", "memory"};
    for (int i = 0; i < 2; ++i) {
      const schema::Quantity* quantity = list.find(kNames[i]);
      found[i] = false;
      if (quantity == nullptr) continue;
      QuantityValue value = QuantityValue::of(*quantity);
      if (value.sign() <= 0) continue;
      values[i] += value;
      present[i] = found[i] = true;
    }
  }
};

template <class Get>
ResourceList pod_total(const core::Pod& pod, Get get) {
  ResourceList total;
  for (const core::Container& container : pod.spec.containers) add(total, get(container));
  ResourceList init;
  for (const core::Container& container : pod.spec.init_containers) raise(init, get(container));
  raise(total, init);
  return total;
}

}  // namespace

std::string_view pod_qos_class(const core::Pod& pod) {
  ComputeSums requests, limits;
  bool guaranteed = true;
  auto visit = [&](const core::Container& container) {
    bool found[2];
    requests.add(container.resources.requests, found);
    limits.add(container.resources.limits, found);
    if (!found[0] || !found[1]) guaranteed = false;
  };
  for (const core::Container& container : pod.spec.containers) visit(container);
  for (const core::Container& container : pod.spec.init_containers) visit(container);
  bool any = false;
  for (int i = 0; i < 2; ++i) {
    any = any || requests.present[i] || limits.present[i];
    if (requests.present[i] != limits.present[i]) guaranteed = false;
    if (requests.present[i] && !(requests.values[i] == limits.values[i])) guaranteed = false;
  }
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}

int64_t milli_cpu_to_shares(int64_t milli) {
  if (milli <= 0) return kMinShares;
  return std::clamp(milli * 1024 / 1000, kMinShares, kMaxShares);
}

int64_t milli_cpu_to_quota(int64_t milli, int64_t period) {
  if (milli <= 0) return 0;
  return std::max<int64_t>(milli * period / 1000, 1000);
}

int64_t oom_score_adj(const core::Pod& pod, const core::Container& container, int64_t memory_capacity) {
  // Node critical pods are the last to go.
  if (is_critical_pod(pod) && pod.spec.priority_class_name == "system-node-critical") return kGuaranteedOom;
  std::string_view qos = pod_qos_class(pod);
  if (qos == "Guaranteed") return kGuaranteedOom;
  if (qos == "BestEffort") return kBestEffortOom;
  // The more of the node a container asks for, the less likely it is killed, but always after best-effort and before guaranteed ones.
  int64_t request = whole_value(container.resources.requests, "memory");
  int64_t score = memory_capacity > 0 ? 1000 - static_cast<int64_t>(static_cast<__int128>(1000) * request / memory_capacity) : 1000;
  if (score < 1000 + kGuaranteedOom) return 1000 + kGuaranteedOom;
  return score == kBestEffortOom ? score - 1 : score;
}

ResourceList pod_requests(const core::Pod& pod) {
  ResourceList total = pod_total(pod, [](const core::Container& c) -> const ResourceList& { return c.resources.requests; });
  add(total, pod.spec.overhead);
  return total;
}

ResourceList pod_limits(const core::Pod& pod) {
  ResourceList total = pod_total(pod, [](const core::Container& c) -> const ResourceList& { return c.resources.limits; });
  for (const auto& entry : pod.spec.overhead) {
    const schema::Quantity* limit = total.find(entry.key);
    if (limit == nullptr || QuantityValue::of(*limit).is_zero()) continue;
    QuantityValue sum = QuantityValue::of(*limit);
    sum += QuantityValue::of(entry.value);
    total[entry.key] = sum.to_quantity();
  }
  return total;
}

int64_t milli_value(const ResourceList& list, std::string_view name) {
  const schema::Quantity* quantity = list.find(name);
  return quantity == nullptr ? 0 : QuantityValue::of(*quantity).milli_value();
}

int64_t whole_value(const ResourceList& list, std::string_view name) {
  const schema::Quantity* quantity = list.find(name);
  return quantity == nullptr ? 0 : QuantityValue::of(*quantity).value();
}

PodCgroupLimits pod_cgroup_limits(const core::Pod& pod, bool enforce_cpu_quota) {
  ResourceList requests = pod_requests(pod), limits = pod_limits(pod);
  bool cpu_limited = true, memory_limited = true;
  auto visit = [&](const core::Container& container) {
    if (milli_value(container.resources.limits, "cpu") == 0) cpu_limited = false;
    if (whole_value(container.resources.limits, "memory") == 0) memory_limited = false;
  };
  for (const core::Container& container : pod.spec.containers) visit(container);
  for (const core::Container& container : pod.spec.init_containers) visit(container);

  PodCgroupLimits result;
  std::string_view qos = pod_qos_class(pod);
  if (qos == "BestEffort") {
    result.cpu_shares = kMinShares;
    return result;
  }
  bool guaranteed = qos == "Guaranteed";
  result.cpu_shares = milli_cpu_to_shares(milli_value(requests, "cpu"));
  if ((guaranteed || cpu_limited) && enforce_cpu_quota) {
    result.cpu_quota = milli_cpu_to_quota(milli_value(limits, "cpu"));
    result.cpu_period = kCpuPeriod;
  }
  if (guaranteed || memory_limited) result.memory = whole_value(limits, "memory");
  return result;
}

}  // namespace knarr::kubelet
