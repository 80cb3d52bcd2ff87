// SPDX-License-Identifier: Apache-2.0
#include "flannel/backend.h"

#include <fmt/core.h>

#include <algorithm>
#include <random>

#include "base/log.h"

namespace knarr::flannel {
namespace {

constexpr int kVxlanOverhead = 50;

// Locally administered, not a group's.
MacAddress random_mac() {
  std::random_device device;
  MacAddress mac;
  for (uint8_t& byte : mac) byte = static_cast<uint8_t>(device());
  mac[0] = static_cast<uint8_t>((mac[0] & 0xfe) | 0x02);
  return mac;
}

// What an existing device of the same name has against the wanted one; "" when it will do.
std::string incompatible(const Link& existing, const VxlanSpec& wanted) {
  if (!existing.vxlan) return "link type: vxlan vs another";
  const VxlanSpec& present = *existing.vxlan;
  if (wanted.vni != present.vni) return fmt::format("vni: {} vs {}", wanted.vni, present.vni);
  if (present.outer_link > 0 && wanted.outer_link != present.outer_link)
    return fmt::format("vtep (external) interface: {} vs {}", wanted.outer_link, present.outer_link);
  if (present.local != 0 && wanted.local != present.local)
    return fmt::format("vtep (external) IP: {} vs {}", ipv4_text(wanted.local), ipv4_text(present.local));
  if (wanted.port != 0 && wanted.port != present.port) return fmt::format("port: {} vs {}", wanted.port, present.port);
  if (wanted.gbp != present.gbp) return fmt::format("gbp: {} vs {}", wanted.gbp, present.gbp);
  return "";
}

class Vxlan final : public Backend {
 public:
  Vxlan(Netlink& netlink, const NetConfig& config, const ExternalInterface& external)
      : netlink_(netlink), config_(config), external_(external), outer_mtu_(config.mtu != 0 ? config.mtu : external.link.mtu) {}

  Result<Announcement> prepare() override {
    VxlanSpec spec{config_.vni, external_.link.index, external_.address, config_.port, config_.gbp, config_.learning};
    std::string name = fmt::format("flannel.{}", config_.vni);
    TRY_ASSIGN(std::optional<Link> existing, find(name));
    if (existing) {
      std::string problem = incompatible(*existing, spec);
      if (!problem.empty()) {
        log_warning("Recreating a device with an incompatible configuration", {{"device", name}, {"difference", problem}});
        TRY(netlink_.delete_link(existing->index).with_context("failed to delete interface"));
        existing.reset();
      }
    }
    if (!existing) {
      Status added = netlink_.add_vxlan(name, mtu(), random_mac(), spec);
      if (!added.ok()) return added.with_context("failed to create vxlan interface");
      TRY_ASSIGN(existing, find(name));
      if (!existing) return Status::error("can't locate created vxlan device " + name);
    }
    device_ = *existing;
    Announcement announcement;
    announcement.backend_type = "vxlan";
    announcement.public_ip = external_.public_ip;
    announcement.backend_data = vxlan_backend_data(config_.vni, device_.mac);
    return announcement;
  }

  // A /32, so that no broadcast route comes with it; addresses of an earlier share go.
  Status configure(const Cidr& subnet) override {
    Status status = set_address({subnet.address, 32});
    if (status.ok()) status = netlink_.set_up(device_.index);
    return status.ok() ? status : status.with_context("failed to configure interface " + device_.name);
  }

  int mtu() const override { return outer_mtu_ - kVxlanOverhead; }

  Status add(const Peer& peer) override {
    if (is_direct(peer)) return netlink_.replace_route(direct_route(peer));
    TRY(netlink_.set_neighbor(arp(peer)));
    Status forwarding = netlink_.set_neighbor(fdb(peer));
    if (!forwarding.ok()) {
      (void)netlink_.delete_neighbor(arp(peer)).ok();
      return forwarding;
    }
    // Last, as the kernel would ask for the gateway's MAC if it did not know it.
    Status route = netlink_.replace_route(tunnel_route(peer));
    if (!route.ok()) {
      (void)netlink_.delete_neighbor(arp(peer)).ok();
      (void)netlink_.delete_neighbor(fdb(peer)).ok();
    }
    return route;
  }

  // Tries all of it, and tells the first failure.
  Status remove(const Peer& peer) override {
    if (is_direct(peer)) return netlink_.delete_route(direct_route(peer));
    Status statuses[] = {netlink_.delete_neighbor(arp(peer)), netlink_.delete_neighbor(fdb(peer)), netlink_.delete_route(tunnel_route(peer))};
    for (Status& status : statuses) TRY(std::move(status));
    return {};
  }

 private:
  Result<std::optional<Link>> find(const std::string& name) {
    TRY_ASSIGN(std::vector<Link> links, netlink_.links());
    for (Link& link : links)
      if (link.name == name) return std::optional<Link>(std::move(link));
    return std::optional<Link>();
  }
  Status set_address(const Cidr& wanted) {
    TRY_ASSIGN(std::vector<Address> addresses, netlink_.addresses());
    bool present = false;
    for (const Address& address : addresses) {
      if (address.link != device_.index) continue;
      if (address.cidr == wanted) {
        present = true;
      } else if (config_.network.contains(address.cidr.address)) {
        TRY(netlink_.delete_address(address));
      }
    }
    return present ? Status() : netlink_.add_address({device_.index, wanted, false});
  }
  bool is_direct(const Peer& peer) {
    if (!config_.direct_routing) return false;
    auto route = netlink_.route_to(peer.public_ip);
    return route.ok() && route->gateway == 0;
  }
  Neighbor arp(const Peer& peer) const { return {device_.index, peer.subnet.address, peer.mac, false}; }
  Neighbor fdb(const Peer& peer) const { return {device_.index, peer.public_ip, peer.mac, true}; }
  Route tunnel_route(const Peer& peer) const { return {peer.subnet, peer.subnet.address, device_.index, true}; }
  static Route direct_route(const Peer& peer) { return {peer.subnet, peer.public_ip, 0, false}; }

  Netlink& netlink_;
  NetConfig config_;
  ExternalInterface external_;
  int outer_mtu_;
  Link device_;
};

class HostGateway final : public Backend {
 public:
  HostGateway(Netlink& netlink, const ExternalInterface& external) : netlink_(netlink), external_(external) {}

  Result<Announcement> prepare() override {
    Announcement announcement;
    announcement.backend_type = "host-gw";
    announcement.public_ip = external_.public_ip;
    return announcement;
  }
  Status configure(const Cidr&) override { return {}; }
  int mtu() const override { return external_.link.mtu; }
  Status add(const Peer& peer) override {
    Route wanted = route(peer);
    if (std::find(routes_.begin(), routes_.end(), wanted) == routes_.end()) routes_.push_back(wanted);
    return netlink_.replace_route(wanted);
  }
  Status remove(const Peer& peer) override {
    Route unwanted = route(peer);
    std::erase(routes_, unwanted);
    return netlink_.delete_route(unwanted);
  }
  void check() override {
    auto present = netlink_.routes();
    if (!present.ok()) return;
    for (const Route& wanted : routes_) {
      bool there = std::any_of(present->begin(), present->end(), [&](const Route& route) {
        return route.destination == wanted.destination && route.gateway == wanted.gateway && route.link == wanted.link;
      });
      if (there) continue;
      Status status = netlink_.replace_route(wanted);
      if (status.ok()) {
        log_info("Recovered a route", {{"to", wanted.destination.text()}, {"via", ipv4_text(wanted.gateway)}});
      } else {
        log_error("Could not recover a route", {{"to", wanted.destination.text()}, {"error", status.message()}});
      }
    }
  }

 private:
  Route route(const Peer& peer) const { return {peer.subnet, peer.public_ip, external_.link.index, false}; }

  Netlink& netlink_;
  ExternalInterface external_;
  std::vector<Route> routes_;
};

}  // namespace

Result<std::unique_ptr<Backend>> make_backend(Netlink& netlink, const NetConfig& config, const ExternalInterface& external) {
  if (config.backend_type == "vxlan") return std::unique_ptr<Backend>(std::make_unique<Vxlan>(netlink, config, external));
  if (config.backend_type == "host-gw") {
    if (external.public_ip != external.address)
      return Status::error("Error fetching backend: your PublicIP differs from interface IP, meaning that probably you're on a NAT, which is not supported by host-gw backend");
    return std::unique_ptr<Backend>(std::make_unique<HostGateway>(netlink, external));
  }
  return Status::error("Error fetching backend: unknown backend type: " + config.backend_type);
}

}  // namespace knarr::flannel
