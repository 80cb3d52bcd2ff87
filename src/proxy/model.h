// SPDX-License-Identifier: Apache-2.0
// What Services and EndpointSlices mean to a node: which destinations exist, and which endpoints serve them from here. Pure.
//
// Nothing of this is kept: the tracker holds the API objects (which the informers hold anyway) and a view is derived when a service has changed. Rules
// follow from a view, so a change costs what its service costs, however many services there are. Behaviour is that of upstream's pkg/proxy.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "api/discovery_v1.h"
#include "proxy/address.h"

namespace knarr::proxy {

using ServicePtr = std::shared_ptr<const api::core_v1::Service>;
using SlicePtr = std::shared_ptr<const api::discovery_v1::EndpointSlice>;

// One port of a service, in one address family.
struct ServicePort {
  std::string name;                             // "namespace/service:port", without ":port" for the port without a name
  std::string port_name;
  std::string protocol;                         // "TCP", "UDP", "SCTP"
  std::string cluster_ip;
  int port = 0;
  int node_port = 0;                            // 0 = none
  std::vector<std::string> external_ips, load_balancer_ips, source_ranges;
  bool client_ip_affinity = false;
  int affinity_seconds = 0;
  bool external_policy_local = false, internal_policy_local = false;
  int health_check_node_port = 0;               // 0 = none
  std::string hints_mode;                       // of the topology annotation
  bool externally_accessible() const { return node_port != 0 || !load_balancer_ips.empty() || !external_ips.empty(); }
  bool uses_cluster_endpoints() const { return !internal_policy_local || externally_accessible(); }
  bool uses_local_endpoints() const { return internal_policy_local || (external_policy_local && externally_accessible()); }
  std::string lower_protocol() const;           // "tcp"
};

struct Endpoint {
  std::string ip;                               // canonical
  int port = 0;
  std::string text;                             // "10.0.0.1:80", "[fd00::1]:80"
  bool local = false;                           // on this node
  bool ready = false, serving = false, terminating = false;
  std::vector<std::string> zones;               // hints
};

struct PortView {
  ServicePort port;
  std::vector<Endpoint> endpoints;              // all of them, by text
};
using ServiceView = std::vector<PortView>;

// The objects of one service; `service` is null when only slices exist (or only have been seen yet).
struct ServiceObjects {
  ServicePtr service;
  std::map<std::string, SlicePtr, std::less<>> slices;  // by name
  bool empty() const { return service == nullptr && slices.empty(); }
  bool operator==(const ServiceObjects&) const = default;
};

// Whether the default proxy serves objects with these labels: neither another proxy's nor a headless service's.
bool is_proxied(const schema::Map<schema::Str>& labels);

// Empty for headless, ExternalName and other-family services.
ServiceView view_service(const ServiceObjects& objects, Family family, std::string_view node_name);

// Which endpoints take the traffic of a port.
struct Reachable {
  std::vector<const Endpoint*> cluster, local;  // under "Cluster" and "Local" traffic policy
  std::vector<const Endpoint*> all;             // both
  bool any = false;                             // somewhere in the cluster
};
Reachable categorize(const PortView& view, std::string_view zone);

// Distinct local ready addresses, over all ports: what health checks report.
int count_local_ready(const ServiceView& view);

}  // namespace knarr::proxy
