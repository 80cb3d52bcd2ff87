// SPDX-License-Identifier: Apache-2.0
#include "controller/slice_plan.h"

#include "controller/util.h"
#include "schema/codec.h"

namespace knarr::controller {
namespace {

constexpr std::string_view kHeadless = "service.kubernetes.io/headless";

bool is_reserved(std::string_view label) { return label == kServiceNameLabel || label == kManagedByLabel || label == kHeadless; }

// The service's labels and ours. True when the slice's differ in what comes from the service.
bool make_labels(const EndpointSlice& slice, const Service& service, schema::Map<schema::Str>& labels) {
  schema::Map<schema::Str> present;
  for (const auto& entry : slice.metadata.labels)
    if (!is_reserved(entry.key)) present[entry.key] = entry.value;
  for (const auto& entry : service.metadata.labels)
    if (!is_reserved(entry.key)) labels[entry.key] = entry.value;
  bool changed = !(present == labels);
  if (!has_cluster_ip(service)) labels[kHeadless] = "";
  labels[kServiceNameLabel] = service.metadata.name;
  labels[kManagedByLabel] = kSliceController;
  return changed;
}

EndpointSlice new_slice(const Service& service, const std::string& address_type, const schema::List<SlicePort>& ports) {
  constexpr size_t kMaxName = 253;
  EndpointSlice slice;
  std::string prefix = service.metadata.name.str();
  if (prefix.size() + 1 <= kMaxName) prefix += '-';
  slice.metadata.generate_name = prefix;
  slice.metadata.namespace_ = service.metadata.namespace_;
  slice.metadata.owner_references.push_back(controller_ref(service));
  slice.ports = ports;
  slice.address_type = address_type;
  slice.endpoints.reserve(1);  // present, if empty
  make_labels(slice, service, slice.metadata.labels);
  return slice;
}

bool owned_by(const EndpointSlice& slice, const Service& service) {
  for (const auto& owner : slice.metadata.owner_references)
    if (owner.uid == service.metadata.uid && owner.kind == "Service" && owner.api_version == "v1") return true;
  return false;
}

// What may change about an endpoint that stays the same one.
bool same_state(const Endpoint& a, const Endpoint& b) {
  return a.node_name == b.node_name && a.zone == b.zone && a.conditions == b.conditions && a.target_ref == b.target_ref;
}

// Slices of one set of ports.
class PortGroupPlanner {
 public:
  PortGroupPlanner(const Service& service, const std::string& address_type, DesiredPortGroup& group)
      : service_(service), address_type_(address_type), desired_(group.endpoints), ports_(group.ports) {}

  void run(const std::vector<SlicePtr>& present, SlicePlan& plan) {
    for (const SlicePtr& slice : present) keep_what_stays(slice, plan);
    fill_changed();
    while (!desired_.empty()) fill_another(plan);
    for (EndpointSlice& slice : changed_) plan.update.push_back(std::move(slice));
  }

 private:
  void keep_what_stays(const SlicePtr& slice, SlicePlan& plan) {
    schema::List<Endpoint> kept;
    kept.reserve(1);
    bool touched = false;
    for (const Endpoint& endpoint : slice->endpoints) {
      auto at = desired_.find(endpoint_key(endpoint));
      if (at == desired_.end()) continue;
      touched = touched || !same_state(at->second, endpoint);
      kept.push_back(std::move(at->second));
      desired_.erase(at);
    }
    schema::Map<schema::Str> labels;
    bool relabel = make_labels(*slice, service_, labels);
    bool endpoints_changed = touched || kept.size() != slice->endpoints.size();
    if (endpoints_changed && kept.empty()) {
      plan.remove.push_back(slice);
    } else if (endpoints_changed || relabel) {
      EndpointSlice& copy = changed_.emplace_back(*slice);
      if (endpoints_changed) copy.endpoints = std::move(kept);
      copy.metadata.labels = std::move(labels);
    } else {
      unchanged_.push_back(slice);
    }
  }
  void fill(EndpointSlice& slice) {
    while (!desired_.empty() && slice.endpoints.size() < kMaxEndpointsPerSlice) {
      slice.endpoints.push_back(std::move(desired_.begin()->second));
      desired_.erase(desired_.begin());
    }
  }
  // Slices that are written anyway, the fullest first.
  void fill_changed() {
    std::stable_sort(changed_.begin(), changed_.end(),
                     [](const EndpointSlice& a, const EndpointSlice& b) { return a.endpoints.size() > b.endpoints.size(); });
    for (EndpointSlice& slice : changed_) fill(slice);
  }
  // The unchanged slice that the rest fits into most tightly, else a new one.
  void fill_another(SlicePlan& plan) {
    size_t best = unchanged_.size(), best_room = kMaxEndpointsPerSlice;
    for (size_t i = 0; i < unchanged_.size() && desired_.size() < kMaxEndpointsPerSlice; ++i) {
      size_t filled = desired_.size() + unchanged_[i]->endpoints.size();
      if (filled > kMaxEndpointsPerSlice || kMaxEndpointsPerSlice - filled >= best_room) continue;
      best = i;
      best_room = kMaxEndpointsPerSlice - filled;
    }
    if (best == unchanged_.size()) return fill(plan.create.emplace_back(new_slice(service_, address_type_, ports_)));
    EndpointSlice& copy = changed_.emplace_back(*unchanged_[best]);
    unchanged_.erase(unchanged_.begin() + static_cast<ptrdiff_t>(best));
    fill(copy);
  }

  const Service& service_;
  const std::string& address_type_;
  std::map<std::string, Endpoint>& desired_;
  const schema::List<SlicePort>& ports_;
  std::vector<EndpointSlice> changed_;
  std::vector<SlicePtr> unchanged_;
};

// Only labels count: a placeholder has nothing else.
bool is_placeholder_like(const EndpointSlice& slice, const EndpointSlice& placeholder) {
  return slice.metadata.labels == placeholder.metadata.labels && slice.endpoints.empty() && slice.ports.empty() &&
         slice.address_type == placeholder.address_type && slice.metadata.namespace_ == placeholder.metadata.namespace_;
}

}  // namespace

bool is_managed_by_us(const EndpointSlice& slice) {
  return schema::get_or_empty(slice.metadata.labels, kManagedByLabel) == kSliceController;
}

std::set<std::string> address_types(const Service& service) {
  std::set<std::string> types;
  for (const schema::Str& family : service.spec.ip_families)
    if (family == "IPv4" || family == "IPv6") types.insert(family.str());
  if (!types.empty()) return types;
  // From an API server of old, which did not default the families.
  if (has_cluster_ip(service)) return {is_ipv6(service.spec.cluster_ip) ? "IPv6" : "IPv4"};
  return {"IPv4", "IPv6"};
}

schema::List<SlicePort> slice_ports(const Service& service, const api::core_v1::Pod& pod) {
  schema::List<SlicePort> ports;
  ports.reserve(1);
  for (const auto& from : service.spec.ports) {
    auto number = find_port(pod, from);
    if (!number) continue;
    SlicePort& port = ports.emplace_back();
    port.name = from.name;
    port.port = *number;
    port.protocol = from.protocol;
    port.app_protocol = from.app_protocol;
  }
  return ports;
}

std::string port_key(const schema::List<SlicePort>& ports) {
  std::vector<std::string> texts;
  for (const SlicePort& port : ports) texts.push_back(schema::to_json(port));
  std::sort(texts.begin(), texts.end());
  std::string key;
  for (const std::string& text : texts) key += text + "\n";
  return key;
}

std::string endpoint_key(const Endpoint& endpoint) {
  std::vector<std::string> addresses;
  for (const schema::Str& address : endpoint.addresses) addresses.push_back(address.str());
  std::sort(addresses.begin(), addresses.end());
  std::string key;
  for (const std::string& address : addresses) key += address + ",";
  key += "\n";
  key += endpoint.hostname.value_or("");
  if (endpoint.target_ref) key += "\n" + endpoint.target_ref->namespace_.str() + "/" + endpoint.target_ref->name.str();
  return key;
}

Endpoint pod_to_endpoint(const api::core_v1::Pod& pod, const api::core_v1::Node* node, const Service& service, bool v6) {
  bool serving = is_pod_ready(pod), terminating = pod.metadata.deletion_timestamp.has_value();
  Endpoint endpoint;
  for (const auto& ip : pod.status.pod_ips)
    if (is_ipv6(ip.ip) == v6) endpoint.addresses.push_back(ip.ip);
  endpoint.conditions.ready = service.spec.publish_not_ready_addresses || (serving && !terminating);
  endpoint.conditions.serving = serving;
  endpoint.conditions.terminating = terminating;
  auto& target = endpoint.target_ref.ensure();
  target.kind = "Pod";
  target.namespace_ = pod.metadata.namespace_;
  target.name = pod.metadata.name;
  target.uid = pod.metadata.uid;
  if (!pod.spec.node_name.empty()) endpoint.node_name = pod.spec.node_name;
  if (node != nullptr) {
    std::string_view zone = schema::get_or_empty(node->metadata.labels, "topology.kubernetes.io/zone");
    if (!zone.empty()) endpoint.zone = zone;
  }
  if (should_set_hostname(pod, service)) endpoint.hostname = pod.spec.hostname;
  return endpoint;
}

SlicePlan plan_slices(const Service& service, const std::string& address_type, const std::vector<SlicePtr>& present,
                      std::map<std::string, DesiredPortGroup> groups) {
  SlicePlan plan;
  std::map<std::string, std::vector<SlicePtr>> by_ports;
  for (const SlicePtr& slice : present) {
    if (owned_by(*slice, service)) {
      by_ports[port_key(slice->ports)].push_back(slice);
    } else {
      plan.remove.push_back(slice);
    }
  }
  for (auto& [key, group] : groups) PortGroupPlanner(service, address_type, group).run(by_ports[key], plan);
  for (const auto& [key, slices] : by_ports)
    if (!groups.contains(key)) plan.remove.insert(plan.remove.end(), slices.begin(), slices.end());

  // A service is never without a slice: consumers tell "no endpoints" from "not looked at yet" by it.
  if (present.size() == plan.remove.size() && plan.create.empty()) {
    schema::List<SlicePort> no_ports;
    no_ports.reserve(1);
    EndpointSlice placeholder = new_slice(service, address_type, no_ports);
    if (plan.remove.size() == 1 && is_placeholder_like(*plan.remove.front(), placeholder) && owned_by(*plan.remove.front(), service)) {
      plan.remove.clear();
    } else {
      plan.create.push_back(std::move(placeholder));
    }
  }
  return plan;
}

void reuse_removed(const Service& service, SlicePlan& plan) {
  for (size_t i = 0; i < plan.remove.size() && !plan.create.empty();) {
    const EndpointSlice& old = *plan.remove[i];
    if (old.address_type != plan.create.back().address_type || !owned_by(old, service)) {
      ++i;
      continue;
    }
    EndpointSlice slice = std::move(plan.create.back());
    plan.create.pop_back();
    slice.metadata.name = old.metadata.name;
    plan.update.push_back(std::move(slice));
    plan.remove.erase(plan.remove.begin() + static_cast<ptrdiff_t>(i));
  }
}

}  // namespace knarr::controller
