// SPDX-License-Identifier: Apache-2.0
#include "proxy/model.h"

#include <algorithm>
#include <set>

namespace knarr::proxy {
namespace core = api::core_v1;
namespace discovery = api::discovery_v1;
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == '\n')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\n')) text.remove_suffix(1);
  return text;
}

std::string cluster_ip_of(const core::Service& service, Family family) {
  const core::ServiceSpec& spec = service.spec;
  if (spec.ip_families.empty()) {  // an API server without dual stack
    auto address = parse_address(spec.cluster_ip);
    return address && address->family == family ? address->text() : std::string();
  }
  for (size_t i = 0; i < spec.ip_families.size() && i < spec.cluster_ips.size(); ++i)
    if (spec.ip_families[i] == family_name(family))
      if (auto address = parse_address(spec.cluster_ips[i])) return address->text();
  return {};
}

bool is_skipped(const core::Service& service) {
  return service.spec.cluster_ip.empty() || service.spec.cluster_ip == "None" || service.spec.type == "ExternalName";
}

void keep_family(std::vector<std::string>& out, std::string_view text, Family family, bool cidr) {
  text = trim(text);
  if (cidr) {
    if (auto parsed = parse_cidr(text); parsed && parsed->address.family == family) out.emplace_back(text);
  } else if (auto parsed = parse_address(text); parsed && parsed->family == family) {
    out.emplace_back(text);
  }
}

// What all ports of the service share.
ServicePort port_template(const core::Service& service, Family family) {
  const core::ServiceSpec& spec = service.spec;
  ServicePort port;
  for (const schema::Str& ip : spec.external_ips) keep_family(port.external_ips, ip, family, false);
  for (const schema::Str& range : spec.load_balancer_source_ranges) keep_family(port.source_ranges, range, family, true);
  for (const core::LoadBalancerIngress& ingress : service.status.load_balancer.ingress) keep_family(port.load_balancer_ips, ingress.ip, family, false);
  port.client_ip_affinity = spec.session_affinity == "ClientIP";
  if (port.client_ip_affinity && spec.session_affinity_config && spec.session_affinity_config->client_ip)
    port.affinity_seconds = spec.session_affinity_config->client_ip->timeout_seconds.value_or(10800);
  bool balanced = spec.type == "LoadBalancer";
  port.external_policy_local = (balanced || spec.type == "NodePort") && spec.external_traffic_policy == "Local";
  port.internal_policy_local = spec.internal_traffic_policy.value_or("") == "Local";
  if (balanced && port.external_policy_local) port.health_check_node_port = spec.health_check_node_port;
  // The deprecated annotation wins when both are there.
  const schema::Str* hints = service.metadata.annotations.find("service.kubernetes.io/topology-aware-hints");
  if (hints == nullptr) hints = service.metadata.annotations.find("service.kubernetes.io/topology-mode");
  if (hints != nullptr) port.hints_mode = hints->str();
  return port;
}

Endpoint make_endpoint(const discovery::Endpoint& from, const Address& address, int port, std::string_view node_name) {
  Endpoint made;
  made.ip = address.text();
  made.port = port;
  made.text = join_host_port(from.addresses[0], port);
  made.local = !node_name.empty() && from.node_name.has_value() && *from.node_name == node_name;
  made.ready = from.conditions.ready.value_or(true);
  made.serving = from.conditions.serving.value_or(true);
  made.terminating = from.conditions.terminating.value_or(false);
  if (from.hints)
    for (const discovery::ForZone& zone : from.hints->for_zones) made.zones.push_back(zone.name.str());
  return made;
}

// Adds what `slice` has for the port. An endpoint may be in two slices while it moves; one that is local wins.
void add_endpoints(std::map<std::string, Endpoint>& found, const discovery::EndpointSlice& slice, const ServicePort& port, Family family,
                   std::string_view node_name) {
  for (const discovery::EndpointPort& slice_port : slice.ports) {
    if (!slice_port.name.has_value() || *slice_port.name != port.port_name) continue;
    if (slice_port.protocol.value_or("TCP") != port.protocol || slice_port.port.value_or(0) == 0) continue;
    for (const discovery::Endpoint& endpoint : slice.endpoints) {
      if (endpoint.addresses.empty()) continue;
      auto address = parse_address(endpoint.addresses[0]);
      if (!address || address->family != family) continue;
      Endpoint made = make_endpoint(endpoint, *address, *slice_port.port, node_name);
      auto [at, added] = found.try_emplace(made.text, made);
      if (!added && made.local) at->second = std::move(made);
    }
  }
}

bool hinted(const Endpoint& endpoint, std::string_view zone) {
  return std::find(endpoint.zones.begin(), endpoint.zones.end(), zone) != endpoint.zones.end();
}

// Hints count only when the service asks for them, every ready endpoint has one, and one names our zone.
bool can_use_topology(const PortView& view, std::string_view zone) {
  const std::string& mode = view.port.hints_mode;
  if (mode.empty() || mode == "disabled" || mode == "Disabled" || zone.empty()) return false;
  bool for_zone = false;
  for (const Endpoint& endpoint : view.endpoints) {
    if (!endpoint.ready) continue;
    if (endpoint.zones.empty()) return false;
    for_zone = for_zone || hinted(endpoint, zone);
  }
  return for_zone;
}

template <class Predicate>
std::vector<const Endpoint*> select(const PortView& view, Predicate predicate) {
  std::vector<const Endpoint*> selected;
  for (const Endpoint& endpoint : view.endpoints)
    if (predicate(endpoint)) selected.push_back(&endpoint);
  return selected;
}

bool draining(const Endpoint& endpoint) { return endpoint.serving && endpoint.terminating; }

}  // namespace

std::string ServicePort::lower_protocol() const {
  std::string lower = protocol;
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return lower;
}

bool is_proxied(const schema::Map<schema::Str>& labels) {
  return !labels.contains("service.kubernetes.io/service-proxy-name") && !labels.contains("service.kubernetes.io/headless");
}

ServiceView view_service(const ServiceObjects& objects, Family family, std::string_view node_name) {
  ServiceView views;
  if (objects.service == nullptr || is_skipped(*objects.service)) return views;
  const core::Service& service = *objects.service;
  std::string cluster_ip = cluster_ip_of(service, family);
  if (cluster_ip.empty()) return views;
  std::string key = service.metadata.namespace_.str() + "/" + service.metadata.name.str();
  ServicePort shared = port_template(service, family);
  for (const core::ServicePort& from : service.spec.ports) {
    PortView& view = views.emplace_back();
    view.port = shared;
    view.port.port_name = from.name.str();
    view.port.name = from.name.empty() ? key : key + ":" + from.name.str();
    view.port.protocol = from.protocol.empty() ? "TCP" : from.protocol.str();
    view.port.cluster_ip = cluster_ip;
    view.port.port = from.port;
    view.port.node_port = from.node_port;
    std::map<std::string, Endpoint> found;
    for (const auto& [name, slice] : objects.slices) add_endpoints(found, *slice, view.port, family, node_name);
    for (auto& [text, endpoint] : found) view.endpoints.push_back(std::move(endpoint));
  }
  return views;
}

Reachable categorize(const PortView& view, std::string_view zone) {
  Reachable found;
  bool topology = false, draining_local = false;
  if (view.port.uses_cluster_endpoints()) {
    topology = can_use_topology(view, zone);
    found.cluster = select(view, [&](const Endpoint& e) { return e.ready && (!topology || hinted(e, zone)); });
    // Rather an endpoint that is on its way out than none.
    if (found.cluster.empty()) found.cluster = select(view, draining);
    found.any = !found.cluster.empty();
  }
  if (!view.port.uses_local_endpoints()) {
    found.all = found.cluster;
    return found;
  }
  for (const Endpoint& endpoint : view.endpoints) found.any = found.any || endpoint.ready || draining(endpoint);
  found.local = select(view, [](const Endpoint& e) { return e.local && e.ready; });
  if (found.local.empty()) {
    found.local = select(view, [](const Endpoint& e) { return e.local && draining(e); });
    draining_local = !found.local.empty();
  }
  if (!view.port.uses_cluster_endpoints()) {
    found.all = found.local;
  } else if (!topology && !draining_local) {
    found.all = found.cluster;  // holds every ready endpoint, so the local ones, too
  } else {
    found.all = select(view, [&](const Endpoint& e) {
      return std::find(found.cluster.begin(), found.cluster.end(), &e) != found.cluster.end() ||
             std::find(found.local.begin(), found.local.end(), &e) != found.local.end();
    });
  }
  return found;
}

int count_local_ready(const ServiceView& view) {
  std::set<std::string_view> addresses;
  for (const PortView& port : view)
    for (const Endpoint& endpoint : port.endpoints)
      if (endpoint.ready && endpoint.local) addresses.insert(endpoint.ip);
  return static_cast<int>(addresses.size());
}

}  // namespace knarr::proxy
