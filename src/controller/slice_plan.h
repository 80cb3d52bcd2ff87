// SPDX-License-Identifier: Apache-2.0
// Which slices to make, change and remove, so that as few as possible are touched. Pure; upstream's endpointslice reconciler.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/discovery_v1.h"
#include "controller/endpoint_util.h"

namespace knarr::controller {

using api::discovery_v1::Endpoint;
using api::discovery_v1::EndpointSlice;
using SlicePort = api::discovery_v1::EndpointPort;
using SlicePtr = std::shared_ptr<const EndpointSlice>;

inline constexpr std::string_view kServiceNameLabel = "kubernetes.io/service-name";
inline constexpr std::string_view kManagedByLabel = "endpointslice.kubernetes.io/managed-by";
inline constexpr std::string_view kSliceController = "endpointslice-controller.k8s.io";
inline constexpr size_t kMaxEndpointsPerSlice = 100;

// Endpoints with the same ports, by endpoint_key.
struct DesiredPortGroup {
  schema::List<SlicePort> ports;
  std::map<std::string, Endpoint> endpoints;
};
struct SlicePlan {
  std::vector<EndpointSlice> create, update;
  std::vector<SlicePtr> remove;
};

bool is_managed_by_us(const EndpointSlice& slice);
std::set<std::string> address_types(const Service& service);
schema::List<SlicePort> slice_ports(const Service& service, const api::core_v1::Pod& pod);
std::string port_key(const schema::List<SlicePort>& ports);
std::string endpoint_key(const Endpoint& endpoint);  // what makes it the same endpoint: addresses, hostname, pod
Endpoint pod_to_endpoint(const api::core_v1::Pod& pod, const api::core_v1::Node* node, const Service& service, bool v6);

// `present` are the service's slices of one address type; `groups` by port_key.
SlicePlan plan_slices(const Service& service, const std::string& address_type, const std::vector<SlicePtr>& present,
                      std::map<std::string, DesiredPortGroup> groups);
// A slice that would go takes the place of one that would come: one write in place of two.
void reuse_removed(const Service& service, SlicePlan& plan);

}  // namespace knarr::controller
