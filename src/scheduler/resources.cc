// SPDX-License-Identifier: Apache-2.0
#include "scheduler/resources.h"

#include <algorithm>

#include "schema/quantity.h"

namespace knarr::scheduler {
namespace {

constexpr int64_t kDefaultMilliCpu = 100;
constexpr int64_t kDefaultMemory = 200 * 1024 * 1024;

struct NonZero {
  int64_t milli_cpu = 0, memory = 0;
};

NonZero nonzero_of(const schema::Map<schema::Quantity>& requests, const Resources& parsed) {
  return {requests.contains("cpu") ? parsed.milli_cpu : kDefaultMilliCpu, requests.contains("memory") ? parsed.memory : kDefaultMemory};
}

}  // namespace

int64_t Resources::extended_amount(std::string_view name) const {
  for (const auto& [known, amount] : extended)
    if (known == name) return amount;
  return 0;
}

void Resources::add(const Resources& other, int64_t sign) {
  milli_cpu += sign * other.milli_cpu;
  memory += sign * other.memory;
  ephemeral_storage += sign * other.ephemeral_storage;
  for (const auto& [name, amount] : other.extended) {
    auto at = std::find_if(extended.begin(), extended.end(), [&](const auto& e) { return e.first == name; });
    if (at == extended.end()) {
      extended.emplace_back(name, sign * amount);
    } else {
      at->second += sign * amount;
    }
  }
}

void Resources::max_with(const Resources& other) {
  milli_cpu = std::max(milli_cpu, other.milli_cpu);
  memory = std::max(memory, other.memory);
  ephemeral_storage = std::max(ephemeral_storage, other.ephemeral_storage);
  for (const auto& [name, amount] : other.extended) {
    auto at = std::find_if(extended.begin(), extended.end(), [&](const auto& e) { return e.first == name; });
    if (at == extended.end()) {
      extended.emplace_back(name, amount);
    } else {
      at->second = std::max(at->second, amount);
    }
  }
}

Resources Resources::of(const schema::Map<schema::Quantity>& list) {
  Resources out;
  for (const auto& [name, quantity] : list) {
    schema::QuantityValue value = schema::QuantityValue::of(quantity);
    if (name == "cpu") {
      out.milli_cpu = value.milli_value();
    } else if (name == "memory") {
      out.memory = value.value();
    } else if (name == "ephemeral-storage") {
      out.ephemeral_storage = value.value();
    } else if (name != "pods") {
      out.extended.emplace_back(name.str(), value.value());
    }
  }
  return out;
}

// Containers run together, init containers one by one before them: the larger of their sum and of each single one.
PodRequests pod_requests(const api::core_v1::Pod& pod) {
  PodRequests requests;
  NonZero nonzero;
  for (const auto& container : pod.spec.containers) {
    Resources parsed = Resources::of(container.resources.requests);
    requests.total.add(parsed);
    NonZero one = nonzero_of(container.resources.requests, parsed);
    nonzero.milli_cpu += one.milli_cpu;
    nonzero.memory += one.memory;
  }
  for (const auto& container : pod.spec.init_containers) {
    Resources parsed = Resources::of(container.resources.requests);
    requests.total.max_with(parsed);
    NonZero one = nonzero_of(container.resources.requests, parsed);
    nonzero.milli_cpu = std::max(nonzero.milli_cpu, one.milli_cpu);
    nonzero.memory = std::max(nonzero.memory, one.memory);
  }
  Resources overhead = Resources::of(pod.spec.overhead);
  requests.total.add(overhead);
  requests.nonzero_milli_cpu = nonzero.milli_cpu + overhead.milli_cpu;
  requests.nonzero_memory = nonzero.memory + overhead.memory;
  return requests;
}

}  // namespace knarr::scheduler
