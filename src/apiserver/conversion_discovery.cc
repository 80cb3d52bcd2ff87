// SPDX-License-Identifier: Apache-2.0
#include "apiserver/conversion_discovery.h"

#include "schema/codec.h"

namespace knarr::apiserver {
namespace {

namespace v1 = api::discovery_v1;
namespace v1beta1 = api::discovery_v1beta1;

constexpr std::string_view kZone = "topology.kubernetes.io/zone", kHostname = "kubernetes.io/hostname";

// Between types whose messages are the same.
template <class To, class From>
To recast(const From& from) {
  auto made = schema::from_proto<To>(schema::to_proto(from));
  KNARR_CHECK(made.ok());
  return std::move(*made);
}

}  // namespace

v1beta1::EndpointSlice to_v1beta1(const v1::EndpointSlice& slice) {
  // From field 7 of an endpoint on, the messages differ.
  v1::EndpointSlice common = slice;
  for (v1::Endpoint& endpoint : common.endpoints) {
    endpoint.zone.reset();
    endpoint.hints.reset();
  }
  auto made = recast<v1beta1::EndpointSlice>(common);
  for (size_t i = 0; i < slice.endpoints.size(); ++i) {
    const v1::Endpoint& from = slice.endpoints[i];
    v1beta1::Endpoint& to = made.endpoints[i];
    if (from.hints) to.hints = recast<v1beta1::EndpointHints>(*from.hints);
    if (from.zone) to.topology[kZone] = *from.zone;
    const schema::Str* hostname = to.topology.find(kHostname);
    if (from.node_name && (hostname == nullptr || hostname->empty())) to.topology[kHostname] = *from.node_name;
  }
  return made;
}

v1::EndpointSlice to_v1(const v1beta1::EndpointSlice& slice) {
  v1beta1::EndpointSlice common = slice;
  for (v1beta1::Endpoint& endpoint : common.endpoints) {
    endpoint.hints.reset();
    endpoint.topology = {};
  }
  auto made = recast<v1::EndpointSlice>(common);
  for (size_t i = 0; i < slice.endpoints.size(); ++i) {
    const v1beta1::Endpoint& from = slice.endpoints[i];
    v1::Endpoint& to = made.endpoints[i];
    if (from.hints) to.hints = recast<v1::EndpointHints>(*from.hints);
    for (const auto& [key, value] : from.topology) {
      if (key == kZone) {
        to.zone = value;
      } else if (key != kHostname || !from.node_name || !(value == *from.node_name)) {
        to.deprecated_topology[key] = value;
      }
    }
  }
  return made;
}

}  // namespace knarr::apiserver
