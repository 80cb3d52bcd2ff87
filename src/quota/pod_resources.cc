// SPDX-License-Identifier: Apache-2.0
#include "quota/pod_resources.h"

namespace knarr::quota {
namespace {

using api::core_v1::Container;

void raise(Amounts& most, const Amounts& other) {
  for (const auto& [name, value] : other) {
    auto [at, fresh] = most.try_emplace(name, value);
    if (!fresh && at->second < value) at->second = value;
  }
}

template <class Get>
Amounts total(const Pod& pod, Get get) {
  Amounts sum, sidecars, most;
  for (const Container& container : pod.spec.containers) add(sum, get(container));
  for (const Container& container : pod.spec.init_containers) {
    Amounts own = get(container);
    if (container.restart_policy.value_or("") == "Always") {
      // A sidecar runs on beside the containers and the later init containers.
      add(sum, own);
      add(sidecars, own);
      raise(most, sidecars);
    } else {
      add(own, sidecars);
      raise(most, own);
    }
  }
  raise(sum, most);
  return sum;
}

}  // namespace

Amounts pod_requests(const Pod& pod) {
  Amounts sum = total(pod, [](const Container& container) { return from_map(container.resources.requests); });
  add(sum, from_map(pod.spec.overhead));
  return sum;
}

Amounts pod_limits(const Pod& pod) {
  Amounts sum = total(pod, [](const Container& container) { return from_map(container.resources.limits); });
  // Overhead only raises limits that there are.
  for (const auto& [name, value] : from_map(pod.spec.overhead))
    if (auto at = sum.find(name); at != sum.end()) at->second += value;
  return sum;
}

bool is_best_effort(const Pod& pod) {
  auto asks = [](const schema::Map<schema::Quantity>& map) {
    for (const char* name : {"cpu", "memory"}) {
      const schema::Quantity* value = map.find(name);
      if (value != nullptr && schema::QuantityValue::of(*value).sign() > 0) return true;
    }
    return false;
  };
  for (const auto* list : {&pod.spec.containers, &pod.spec.init_containers})
    for (const Container& container : *list)
      if (asks(container.resources.requests) || asks(container.resources.limits)) return false;
  return true;
}

}  // namespace knarr::quota
