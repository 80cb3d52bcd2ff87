// SPDX-License-Identifier: Apache-2.0
// What the controllers of Endpoints and of EndpointSlices share. Pure, but for the tracker's memory.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <optional>
#include <string>
#include <vector>

#include "api/core_v1.h"
#include "controller/pod_util.h"

namespace knarr::controller {

using api::core_v1::Service;
using ServicePtr = std::shared_ptr<const Service>;

// The container port behind a service port; nullopt when a named one is not there.
std::optional<int32_t> find_port(const api::core_v1::Pod& pod, const api::core_v1::ServicePort& port);
bool belongs_in_endpoints(const api::core_v1::Pod& pod, bool include_terminating);
bool should_set_hostname(const api::core_v1::Pod& pod, const Service& service);
bool has_cluster_ip(const Service& service);  // neither headless nor without an address
// Services that a selector-driven controller fills.
bool is_filled_by_selector(const Service& service);
inline bool is_ipv6(std::string_view ip) { return ip.find(':') != std::string_view::npos; }

// Whether a change of a pod can change endpoints.
bool endpoints_differ(const api::core_v1::Pod& a, const api::core_v1::Pod& b);
// Calls back with the key of each service that selects the pod as it was or is.
void for_each_service_of(const client::Informer<Service>& services, const PodPtr& old, const PodPtr& now,
                         const std::function<void(std::string key)>& visit);
std::vector<PodPtr> selected_pods(const client::Informer<api::core_v1::Pod>& pods, const Service& service);

// When the change began that a write of endpoints answers: the earliest of the service's creation and its pods' changes of readiness that
// were not seen before. Zero when nothing new happened.
class TriggerTimes {
 public:
  schema::Time compute(const std::string& key, const Service& service, const std::vector<PodPtr>& pods);
  void forget(const std::string& key) { known_.erase(key); }

 private:
  struct State {
    schema::Time service;
    absl::flat_hash_map<std::string, schema::Time> pods;
  };
  absl::flat_hash_map<std::string, State> known_;
};
// Sets or clears endpoints.kubernetes.io/last-change-trigger-time.
void set_trigger_time(schema::Map<schema::Str>& annotations, schema::Time time);

}  // namespace knarr::controller
