// SPDX-License-Identifier: Apache-2.0
#include "proxy/conntrack.h"

#include <algorithm>
#include <set>

#include "base/log.h"

namespace knarr::proxy {
namespace {

using Calls = std::set<std::vector<std::string>>;

void add(Calls& calls, Family family, std::vector<std::string> args) {
  args.insert(args.begin(), {"conntrack", "-D", "-p", "udp"});
  if (family == Family::kIPv6) args.insert(args.end(), {"-f", "ipv6"});
  calls.insert(std::move(args));
}

std::vector<std::string> addresses_of(const ServicePort& port) {
  std::vector<std::string> all = {port.cluster_ip};
  all.insert(all.end(), port.external_ips.begin(), port.external_ips.end());
  all.insert(all.end(), port.load_balancer_ips.begin(), port.load_balancer_ips.end());
  return all;
}

const PortView* find_port(const ServiceView& view, const ServicePort& port) {
  for (const PortView& other : view)
    if (other.port.port_name == port.port_name && other.port.protocol == port.protocol) return &other;
  return nullptr;
}

bool any_ready(const PortView* view) {
  return view != nullptr && std::any_of(view->endpoints.begin(), view->endpoints.end(), [](const Endpoint& e) { return e.ready; });
}

bool still_there(const PortView& view, const Endpoint& endpoint) {
  return std::any_of(view.endpoints.begin(), view.endpoints.end(),
                     [&](const Endpoint& e) { return e.text == endpoint.text && e.local == endpoint.local && e.ready == endpoint.ready; });
}

void add_left_endpoints(Calls& calls, Family family, const PortView& before, const PortView& after) {
  for (const Endpoint& endpoint : before.endpoints) {
    if (!endpoint.ready || still_there(after, endpoint)) continue;
    if (after.port.node_port != 0) add(calls, family, {"--dport", std::to_string(after.port.node_port), "--dst-nat", endpoint.ip});
    for (const std::string& address : addresses_of(after.port)) add(calls, family, {"--orig-dst", address, "--dst-nat", endpoint.ip});
  }
}

}  // namespace

std::vector<std::vector<std::string>> stale_connections(const std::vector<ServiceChange>& changes, Family family, std::string_view node_name) {
  Calls calls;
  for (const ServiceChange& change : changes) {
    ServiceView before = view_service(change.before, family, node_name), after = view_service(change.after, family, node_name);
    for (const PortView& old : before)
      if (old.port.protocol == "UDP" && find_port(after, old.port) == nullptr) add(calls, family, {"--orig-dst", old.port.cluster_ip});
    for (const PortView& now : after) {
      if (now.port.protocol != "UDP") continue;
      const PortView* old = find_port(before, now.port);
      if (any_ready(&now) && !any_ready(old)) {
        for (const std::string& address : addresses_of(now.port)) add(calls, family, {"--orig-dst", address});
        if (now.port.node_port != 0) add(calls, family, {"--dport", std::to_string(now.port.node_port)});
      }
      if (old != nullptr) add_left_endpoints(calls, family, *old, now);
    }
  }
  return {calls.begin(), calls.end()};
}

Task<void> forget_connections(System& system, std::vector<std::vector<std::string>> calls) {
  for (std::vector<std::string>& args : calls) {
    std::string nothing;
    auto result = co_await system.run(args, std::move(nothing));
    if (!result.ok()) {
      log_error("Failed to delete stale connections", {{"error", result.status().message()}});
      co_return;  // no such program: the others would fail, too
    }
    bool none = result->err.find("0 flow entries have been deleted") != std::string::npos;
    if (result->exit_code != 0 && !none) log_error("Failed to delete stale connections", {{"error", result->err}});
  }
}

}  // namespace knarr::proxy
