// SPDX-License-Identifier: Apache-2.0
#include "controller/endpoint_util.h"

#include "schema/selector.h"
#include "schema/time.h"

namespace knarr::controller {

using api::core_v1::Pod;

std::optional<int32_t> find_port(const Pod& pod, const api::core_v1::ServicePort& port) {
  if (!port.target_port.is_string) return port.target_port.number;
  for (const auto& container : pod.spec.containers)
    for (const auto& candidate : container.ports)
      if (candidate.name == port.target_port.text && candidate.protocol == port.protocol) return candidate.container_port;
  return std::nullopt;
}

bool belongs_in_endpoints(const Pod& pod, bool include_terminating) {
  if (is_pod_terminal(pod)) return false;
  if (pod.status.pod_ip.empty() && pod.status.pod_ips.empty()) return false;
  return include_terminating || !pod.metadata.deletion_timestamp;
}

bool should_set_hostname(const Pod& pod, const Service& service) {
  return !pod.spec.hostname.empty() && pod.spec.subdomain == service.metadata.name &&
         pod.metadata.namespace_ == service.metadata.namespace_;
}

bool has_cluster_ip(const Service& service) { return !service.spec.cluster_ip.empty() && service.spec.cluster_ip != "None"; }

bool is_filled_by_selector(const Service& service) {
  return service.spec.type != "ExternalName" && !service.spec.selector.empty();
}

bool endpoints_differ(const Pod& a, const Pod& b) {
  return a.metadata.uid != b.metadata.uid || a.metadata.deletion_timestamp.has_value() != b.metadata.deletion_timestamp.has_value() ||
         is_pod_ready(a) != is_pod_ready(b) || is_pod_terminal(a) != is_pod_terminal(b) || !(a.status.pod_ips == b.status.pod_ips) ||
         a.status.pod_ip != b.status.pod_ip || !(a.metadata.labels == b.metadata.labels) || a.spec.hostname != b.spec.hostname ||
         a.spec.subdomain != b.spec.subdomain || a.spec.node_name != b.spec.node_name;
}

void for_each_service_of(const client::Informer<Service>& services, const PodPtr& old, const PodPtr& now,
                         const std::function<void(std::string key)>& visit) {
  if (old != nullptr && now != nullptr && !endpoints_differ(*old, *now)) return;
  const PodPtr& any = now != nullptr ? now : old;
  services.for_each_in(any->metadata.namespace_, [&](const ServicePtr& service) {
    if (!is_filled_by_selector(*service)) return;
    schema::LabelSelector selector = schema::LabelSelector::from_set(service->spec.selector);
    bool concerned = (old != nullptr && selector.matches(old->metadata.labels)) || (now != nullptr && selector.matches(now->metadata.labels));
    if (concerned) visit(service->metadata.namespace_.str() + "/" + service->metadata.name.str());
  });
}

std::vector<PodPtr> selected_pods(const client::Informer<Pod>& pods, const Service& service) {
  schema::LabelSelector selector = schema::LabelSelector::from_set(service.spec.selector);
  std::vector<PodPtr> found;
  pods.for_each_in(service.metadata.namespace_, [&](const PodPtr& pod) {
    if (selector.matches(pod->metadata.labels)) found.push_back(pod);
  });
  // Caches have no order; what is written should have one.
  std::sort(found.begin(), found.end(), [](const PodPtr& a, const PodPtr& b) { return a->metadata.name < b->metadata.name; });
  return found;
}

schema::Time TriggerTimes::compute(const std::string& key, const Service& service, const std::vector<PodPtr>& pods) {
  State& state = known_[key];
  schema::Time earliest;
  auto consider = [&earliest](schema::Time time, schema::Time seen) {
    if (time.is_zero() || time <= seen) return;
    if (earliest.is_zero() || time < earliest) earliest = time;
  };
  consider(service.metadata.creation_timestamp, state.service);
  State next;
  next.service = service.metadata.creation_timestamp;
  for (const PodPtr& pod : pods) {
    const auto* ready = pod_condition(*pod, "Ready");
    if (ready == nullptr) continue;
    auto seen = state.pods.find(pod->metadata.name.str());
    consider(ready->last_transition_time, seen == state.pods.end() ? schema::Time() : seen->second);
    next.pods[pod->metadata.name.str()] = ready->last_transition_time;
  }
  state = std::move(next);
  return earliest;
}

void set_trigger_time(schema::Map<schema::Str>& annotations, schema::Time time) {
  constexpr std::string_view kAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";
  if (time.is_zero()) {
    annotations.erase(kAnnotation);
  } else {
    annotations[kAnnotation] = schema::format_time(time);
  }
}

}  // namespace knarr::controller
