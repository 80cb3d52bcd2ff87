// SPDX-License-Identifier: Apache-2.0
// How a proxy is to work: the fields of kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration that mean something here, with upstream's defaults,
// and what follows from them for one address family.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "proxy/command.h"
#include "proxy/iptables_rules.h"

namespace knarr::proxy {

struct ProxyConfig {
  std::string node_name;
  std::string mode = "iptables";                        // or "nftables"
  std::string bind_address = "0.0.0.0";                 // the node's own address, when it is one
  std::string healthz_bind_address = "0.0.0.0:10256";   // "" = none
  std::string metrics_bind_address = "127.0.0.1:10249";
  bool bind_address_hard_fail = false;
  std::string cluster_cidr;                             // of pods; one a family, comma separated
  std::string detect_local_mode = "ClusterCIDR";        // "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"
  std::string bridge_interface, interface_name_prefix;
  std::vector<std::string> node_port_addresses;         // CIDRs
  bool masquerade_all = false;
  int masquerade_bit = 14;
  bool localhost_node_ports = true;
  Duration sync_period = std::chrono::seconds(30);      // how often a flush is looked for, and a failed write tried again
  Duration min_sync_period = std::chrono::seconds(1);   // between writes, when there are many
  int conntrack_max_per_core = 32 * 1024, conntrack_min = 128 * 1024;
  Duration tcp_established_timeout = std::chrono::hours(24), tcp_close_wait_timeout = std::chrono::hours(1);
  std::optional<int> oom_score_adj = -999;
};

// Refuses what upstream's validation refuses (of what is read here).
Status validate(const ProxyConfig& config);

// node_pod_cidrs: of the Node, for NodeCIDR.
RuleOptions rule_options(const ProxyConfig& config, Family family, const std::vector<std::string>& node_pod_cidrs);

// net.netfilter.nf_conntrack_*: raised where they are lower than asked for, never lowered.
Status set_up_conntrack(System& system, const ProxyConfig& config, int cpus);

}  // namespace knarr::proxy
