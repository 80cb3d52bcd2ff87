// SPDX-License-Identifier: Apache-2.0
// A kernel played by a test: keeps what it is told and writes it down.
#pragma once

#include <algorithm>

#include "flannel/netlink.h"

namespace knarr::flannel {

class FakeNetlink final : public Netlink {
 public:
  std::vector<Link> all_links;
  std::vector<Address> all_addresses;
  std::vector<Route> all_routes;
  std::vector<std::string> calls;

  Result<std::vector<Link>> links() override { return all_links; }
  Status add_vxlan(const std::string& name, int mtu, const MacAddress& mac, const VxlanSpec& spec) override {
    (void)note("add " + name + " vni " + std::to_string(spec.vni) + " mtu " + std::to_string(mtu) + " on " + std::to_string(spec.outer_link)).ok();
    all_links.push_back({static_cast<int>(all_links.size()) + 10, name, mtu, mac, spec});
    return {};
  }
  Status delete_link(int index) override {
    (void)note("delete link " + std::to_string(index)).ok();
    std::erase_if(all_links, [&](const Link& link) { return link.index == index; });
    return {};
  }
  Status set_up(int index) override { return note("up " + std::to_string(index)); }
  Result<std::vector<Address>> addresses() override { return all_addresses; }
  Status add_address(const Address& address) override {
    all_addresses.push_back(address);
    return note("address " + address.cidr.text() + " on " + std::to_string(address.link));
  }
  Status delete_address(const Address& address) override {
    std::erase_if(all_addresses, [&](const Address& other) { return other.link == address.link && other.cidr == address.cidr; });
    return note("delete address " + address.cidr.text());
  }
  Result<std::vector<Route>> routes() override { return all_routes; }
  Result<Route> route_to(Ipv4 address) override {
    const Route* best = nullptr;
    for (const Route& route : all_routes)
      if (route.destination.contains(address) && (best == nullptr || route.destination.prefix > best->destination.prefix)) best = &route;
    if (best == nullptr) return Status::error("no route");
    return *best;
  }
  Status replace_route(const Route& route) override {
    std::erase_if(all_routes, [&](const Route& other) { return other.destination == route.destination; });
    all_routes.push_back(route);
    return note("route " + text(route));
  }
  Status delete_route(const Route& route) override {
    std::erase(all_routes, route);
    return note("delete route " + text(route));
  }
  Status set_neighbor(const Neighbor& neighbor) override { return note(text(neighbor)); }
  Status delete_neighbor(const Neighbor& neighbor) override { return note("delete " + text(neighbor)); }

  std::vector<std::string> take_calls() { return std::exchange(calls, {}); }

 private:
  static std::string text(const Route& route) {
    return route.destination.text() + " via " + ipv4_text(route.gateway) + " dev " + std::to_string(route.link) + (route.onlink ? " onlink" : "");
  }
  static std::string text(const Neighbor& neighbor) {
    return (neighbor.forwarding ? "fdb " : "arp ") + ipv4_text(neighbor.address) + " " + mac_text(neighbor.mac) + " dev " + std::to_string(neighbor.link);
  }
  Status note(std::string call) {
    calls.push_back(std::move(call));
    return {};
  }
};

}  // namespace knarr::flannel
