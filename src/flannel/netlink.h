// SPDX-License-Identifier: Apache-2.0
// The few things that flannel asks of the kernel's network, behind an interface so that what decides needs no root. Calls are short and block.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flannel/cidr.h"
#include "flannel/lease.h"

namespace knarr::flannel {

struct VxlanSpec {
  uint32_t vni = 0;
  int outer_link = 0;      // the device that carries it
  Ipv4 local = 0;          // its address there
  uint16_t port = 0;       // 0: the kernel's choice
  bool gbp = false, learning = false;
};

struct Link {
  int index = 0;
  std::string name;
  int mtu = 0;
  MacAddress mac{};
  std::optional<VxlanSpec> vxlan;
};

struct Address {
  int link = 0;
  Cidr cidr;
  bool link_scope = false;  // 169.254.0.0/16 and the like
};

struct Route {
  Cidr destination;
  Ipv4 gateway = 0;    // 0: directly connected
  int link = 0;        // 0: whichever leads to the gateway
  bool onlink = false;
  friend bool operator==(const Route&, const Route&) = default;
};

// An entry of the ARP table (which MAC has that address), or of a vxlan's forwarding table (at which host is that MAC).
struct Neighbor {
  int link = 0;
  Ipv4 address = 0;
  MacAddress mac{};
  bool forwarding = false;
};

class Netlink {
 public:
  virtual ~Netlink() = default;
  virtual Result<std::vector<Link>> links() = 0;
  virtual Status add_vxlan(const std::string& name, int mtu, const MacAddress& mac, const VxlanSpec& spec) = 0;
  virtual Status delete_link(int index) = 0;
  virtual Status set_up(int index) = 0;
  virtual Result<std::vector<Address>> addresses() = 0;
  virtual Status add_address(const Address& address) = 0;
  virtual Status delete_address(const Address& address) = 0;
  virtual Result<std::vector<Route>> routes() = 0;  // of the main table
  virtual Result<Route> route_to(Ipv4 address) = 0;
  virtual Status replace_route(const Route& route) = 0;
  virtual Status delete_route(const Route& route) = 0;
  virtual Status set_neighbor(const Neighbor& neighbor) = 0;
  virtual Status delete_neighbor(const Neighbor& neighbor) = 0;
};

Result<std::unique_ptr<Netlink>> make_netlink();

}  // namespace knarr::flannel
