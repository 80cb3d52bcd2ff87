// SPDX-License-Identifier: Apache-2.0
#include "flannel/interface.h"

#include <fmt/core.h>

#include <regex>

#include "base/log.h"

namespace knarr::flannel {
namespace {

struct Host {
  std::vector<Link> links;
  std::vector<Address> addresses;
  const Link* by_index(int index) const {
    for (const Link& link : links)
      if (link.index == index) return &link;
    return nullptr;
  }
  const Link* by_name(std::string_view name) const {
    for (const Link& link : links)
      if (link.name == name) return &link;
    return nullptr;
  }
  // Global addresses first.
  std::optional<Ipv4> address_of(const Link& link) const {
    for (bool link_scope : {false, true})
      for (const Address& address : addresses)
        if (address.link == link.index && address.link_scope == link_scope) return address.cidr.address;
    return std::nullopt;
  }
};

struct Match {
  const Link* link;
  std::optional<Ipv4> address;
};

Result<Match> match_name(const Host& host, const std::string& name) {
  auto wanted = parse_ipv4(name);
  if (!wanted.ok()) {
    const Link* link = host.by_name(name);
    if (link == nullptr) return Status::error("error looking up interface " + name + ": route ip+net: no such network interface");
    return Match{link, std::nullopt};
  }
  for (const Address& address : host.addresses)
    if (address.cidr.address == *wanted && host.by_index(address.link) != nullptr) return Match{host.by_index(address.link), *wanted};
  return Status::error("error looking up interface " + name + ": No interface with given IP found");
}

Result<Match> match_regex(const Host& host, const std::string& pattern) {
  std::regex regex;
  // The library reports a malformed pattern by an exception only.
  try {
    regex = std::regex(pattern, std::regex::ECMAScript);
  } catch (const std::regex_error& error) {
    return Status::error(fmt::format("could not compile the IP address regex '{}': {}", pattern, error.what()));
  }
  for (const Address& address : host.addresses)
    if (std::regex_search(ipv4_text(address.cidr.address), regex) && host.by_index(address.link) != nullptr)
      return Match{host.by_index(address.link), address.cidr.address};
  for (const Link& link : host.links)
    if (std::regex_search(link.name, regex)) return Match{&link, std::nullopt};
  return Status::error("Could not match pattern " + pattern + " to any of the available network interfaces");
}

Result<Match> match_route(Netlink& netlink, const Host& host, const std::string& destination) {
  TRY_ASSIGN(Ipv4 address, parse_ipv4(destination));
  auto route = netlink.route_to(address);
  if (!route.ok()) return route.status().with_context("failed to get ifcanreach based interface");
  const Link* link = host.by_index(route->link);
  if (link == nullptr) return Status::error("failed to get ifcanreach based interface: no such interface");
  return Match{link, std::nullopt};
}

Result<Match> match_default(Netlink& netlink, const Host& host) {
  TRY_ASSIGN(std::vector<Route> routes, netlink.routes());
  for (const Route& route : routes) {
    if (route.destination.prefix != 0) continue;
    if (const Link* link = host.by_index(route.link)) return Match{link, std::nullopt};
  }
  return Status::error("failed to get default interface: Unable to find default route");
}

Result<Match> match(Netlink& netlink, const Host& host, const InterfaceOptions& options) {
  if (options.names.empty() && options.regexes.empty() && options.can_reach.empty()) {
    auto found = options.public_ip.empty() ? match_default(netlink, host) : match_name(host, options.public_ip);
    if (!found.ok()) return found.status().with_context("Failed to find any valid interface to use");
    return found;
  }
  auto tried = [](const std::string& what, Result<Match> found) -> Result<Match> {
    if (!found.ok()) log_info("Could not find valid interface", {{"matching", what}, {"error", found.status().message()}});
    return found;
  };
  for (const std::string& name : options.names)
    if (auto found = tried(name, match_name(host, name)); found.ok()) return found;
  for (const std::string& regex : options.regexes)
    if (auto found = tried(regex, match_regex(host, regex)); found.ok()) return found;
  if (!options.can_reach.empty())
    if (auto found = tried(options.can_reach, match_route(netlink, host, options.can_reach)); found.ok()) return found;
  return Status::error("Failed to find interface to use that matches the interfaces and/or regexes provided");
}

}  // namespace

Result<ExternalInterface> find_interface(Netlink& netlink, const InterfaceOptions& options) {
  Host host;
  TRY_ASSIGN(host.links, netlink.links());
  TRY_ASSIGN(host.addresses, netlink.addresses());
  TRY_ASSIGN(Match found, match(netlink, host, options));
  ExternalInterface made;
  made.link = *found.link;
  std::optional<Ipv4> address = found.address ? found.address : host.address_of(*found.link);
  if (!address) return Status::error("failed to find IPv4 address for interface " + found.link->name);
  made.address = made.public_ip = *address;
  if (!options.public_ip.empty()) {
    auto given = parse_ipv4(options.public_ip);
    if (!given.ok()) return Status::error("invalid public IP address: " + options.public_ip);
    made.public_ip = *given;
  }
  return made;
}

}  // namespace knarr::flannel
