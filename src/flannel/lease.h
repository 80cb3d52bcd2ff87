// SPDX-License-Identifier: Apache-2.0
// What nodes say about their part of the network: annotations of the Node, as flannel's kube subnet manager writes and reads them. Pure functions.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "api/core_v1.h"
#include "base/clock.h"
#include "flannel/cidr.h"
#include "flannel/net_config.h"

namespace knarr::flannel {

using MacAddress = std::array<uint8_t, 6>;
std::string mac_text(const MacAddress& mac);
Result<MacAddress> parse_mac(std::string_view text);

// The names of the annotations for a prefix ("flannel.alpha.coreos.com", "example.org/net").
struct AnnotationNames {
  std::string managed, backend_data, backend_type, public_ip, public_ip_overwrite;
};
Result<AnnotationNames> annotation_names(std::string prefix);

// What this node announces.
struct Announcement {
  std::string backend_type;
  std::string backend_data = "null";  // JSON; of vxlan: VNI and MAC
  Ipv4 public_ip = 0;
};
std::string vxlan_backend_data(uint32_t vni, const MacAddress& mac);

// Where another node's pods are.
struct Peer {
  std::string node;
  Cidr subnet;
  Ipv4 public_ip = 0;
  std::string backend_type;
  MacAddress mac{};  // of vxlan
  friend bool operator==(const Peer&, const Peer&) = default;
};

// nullopt: no node of this network (yet). An error: it says so, but not how to reach it.
Result<std::optional<Peer>> peer_of(const api::core_v1::Node& node, const AnnotationNames& names);

// The node's share, which must lie within the network. Messages as upstream's.
Result<Cidr> subnet_of(const api::core_v1::Node& node, const Cidr& network);

// A strategic merge patch of nodes/status that announces; "" when the node says it already.
std::string announcement_patch(const api::core_v1::Node& node, const Announcement& announcement, const AnnotationNames& names);
// The condition NetworkUnavailable=False.
std::string network_up_patch(WallTime now);

}  // namespace knarr::flannel
