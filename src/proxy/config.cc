// SPDX-License-Identifier: Apache-2.0
#include "proxy/config.h"

#include <fmt/format.h>

#include <algorithm>

namespace knarr::proxy {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    size_t end = std::min(text.find(separator), text.size());
    std::string_view part = text.substr(0, end);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string first_of_family(const std::vector<std::string>& cidrs, Family family) {
  for (const std::string& text : cidrs)
    if (auto cidr = parse_cidr(text); cidr && cidr->address.family == family) return text;
  return {};
}

LocalDetector find_detector(const ProxyConfig& config, Family family, const std::vector<std::string>& node_pod_cidrs) {
  auto by = [](std::string match) { return LocalDetector{match, "! " + match}; };
  std::string cidr;
  if (config.detect_local_mode == "ClusterCIDR") cidr = first_of_family(split(config.cluster_cidr, ','), family);
  if (config.detect_local_mode == "NodeCIDR") cidr = first_of_family(node_pod_cidrs, family);
  if (!cidr.empty()) return by("-s " + cidr);
  if (config.detect_local_mode == "BridgeInterface") return by("-i " + config.bridge_interface);
  if (config.detect_local_mode == "InterfaceNamePrefix") return by("-i " + config.interface_name_prefix + "+");
  return {};
}

// Names of interfaces become part of rules.
bool is_interface_name(std::string_view name) {
  return !name.empty() && name.size() < 16 && name.find_first_of("/ \t\n\"\\") == std::string_view::npos;
}

}  // namespace

Status validate(const ProxyConfig& config) {
  auto refuse = [](std::string_view field, std::string_view value, std::string_view why) {
    return Status::error(fmt::format("KubeProxyConfiguration.{}: Invalid value: \"{}\": {}", field, value, why));
  };
  if (config.mode != "iptables" && config.mode != "nftables")
    return refuse("ProxyMode", config.mode, "must be iptables or nftables");
  if (!parse_address(config.bind_address)) return refuse("BindAddress", config.bind_address, "not a valid textual representation of an IP address");
  for (const std::string& cidr : split(config.cluster_cidr, ','))
    if (!parse_cidr(cidr)) return refuse("ClusterCIDR", cidr, "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)");
  for (const std::string& cidr : config.node_port_addresses)
    if (!parse_cidr(cidr)) return refuse("NodePortAddresses", cidr, "must be a valid CIDR block");
  if (config.masquerade_bit < 0 || config.masquerade_bit > 31)
    return refuse("KubeProxyIPTablesConfiguration.MasqueradeBit", std::to_string(config.masquerade_bit), "must be within the range [0, 31]");
  if (config.sync_period <= Duration::zero()) return refuse("KubeProxyIPTablesConfiguration.SyncPeriod", "0s", "must be greater than 0");
  if (config.min_sync_period < Duration::zero()) return refuse("KubeProxyIPTablesConfiguration.MinSyncPeriod", "", "must be greater than or equal to 0");
  if (config.min_sync_period > config.sync_period)
    return refuse("KubeProxyIPTablesConfiguration.SyncPeriod", "", "must be greater than or equal to KubeProxyIPTablesConfiguration.MinSyncPeriod");
  const std::string& mode = config.detect_local_mode;
  if (mode != "ClusterCIDR" && mode != "NodeCIDR" && mode != "BridgeInterface" && mode != "InterfaceNamePrefix")
    return refuse("DetectLocalMode", mode, "must be ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix");
  if (mode == "BridgeInterface" && !is_interface_name(config.bridge_interface))
    return refuse("DetectLocal.BridgeInterface", config.bridge_interface, "must be the name of an interface");
  if (mode == "InterfaceNamePrefix" && !is_interface_name(config.interface_name_prefix))
    return refuse("DetectLocal.InterfaceNamePrefix", config.interface_name_prefix, "must be the beginning of an interface's name");
  return {};
}

RuleOptions rule_options(const ProxyConfig& config, Family family, const std::vector<std::string>& node_pod_cidrs) {
  RuleOptions options;
  options.family = family;
  options.mark = fmt::format("0x{:08x}", 1u << config.masquerade_bit);
  options.masquerade_all = config.masquerade_all;
  options.detector = find_detector(config, family, node_pod_cidrs);
  bool loopback = config.node_port_addresses.empty();
  for (const std::string& text : config.node_port_addresses) {
    auto cidr = parse_cidr(text);
    if (!cidr || cidr->address.family != family) continue;
    if (cidr->bits == 0) {
      options.node_port_cidrs.clear();
      loopback = true;
      break;
    }
    options.node_port_cidrs.push_back(*cidr);
    loopback = loopback || cidr->address.is_loopback();
  }
  if (options.node_port_cidrs.empty()) loopback = true;
  options.localhost_node_ports = family == Family::kIPv4 && config.localhost_node_ports && loopback && config.mode == "iptables";
  return options;
}

Status set_up_conntrack(System& system, const ProxyConfig& config, int cpus) {
  auto raise = [&](const std::string& name, int64_t value) -> Status {
    std::string entry = "net/netfilter/" + name;
    if (system.sysctl(entry).value_or(0) >= value) return {};
    return system.set_sysctl(entry, value);
  };
  auto seconds = [](Duration duration) { return std::chrono::duration_cast<std::chrono::seconds>(duration).count(); };
  if (config.conntrack_max_per_core > 0)
    TRY(raise("nf_conntrack_max", std::max<int64_t>(config.conntrack_min, static_cast<int64_t>(config.conntrack_max_per_core) * cpus)));
  if (config.tcp_established_timeout > Duration::zero())
    TRY(raise("nf_conntrack_tcp_timeout_established", seconds(config.tcp_established_timeout)));
  if (config.tcp_close_wait_timeout > Duration::zero())
    TRY(raise("nf_conntrack_tcp_timeout_close_wait", seconds(config.tcp_close_wait_timeout)));
  return {};
}

}  // namespace knarr::proxy
