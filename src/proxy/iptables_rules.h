// SPDX-License-Identifier: Apache-2.0
// The iptables rules of a service, in upstream's chains, names, comments and order. Pure.
//
// A service has chains of its own in the nat table (KUBE-SVC-, KUBE-SVL-, KUBE-EXT-, KUBE-FW-, KUBE-SEP-, named by a hash), and lines in chains that
// all services share. Their lines are told apart by the service's name in the comment, so that one service's lines can be taken out and put in
// without the others'.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/model.h"

namespace knarr::proxy {

// How traffic from pods is told from other traffic: the arguments that match it; "" when it cannot be told.
struct LocalDetector {
  std::string if_local, if_not_local;
  bool implemented() const { return !if_local.empty(); }
};

struct RuleOptions {
  Family family = Family::kIPv4;
  std::string mark = "0x00004000";           // of packets that get masqueraded
  bool masquerade_all = false;
  bool localhost_node_ports = true;          // IPv4 only: node ports answer on 127.0.0.1
  bool random_fully = true;                  // MASQUERADE knows it
  LocalDetector detector;
  std::string node_ip;                       // for source ranges that hold the node itself
  std::string zone;                          // topology.kubernetes.io/zone of the node
  std::vector<Cidr> node_port_cidrs;         // node ports answer on local addresses in these; empty = on every one
  std::vector<Address> node_port_addresses;  // which they are now
};

// The addresses of `local` that node ports answer on.
std::vector<Address> find_node_port_addresses(const RuleOptions& options, const std::vector<std::string>& local);

// Chains that hold lines of many services.
enum SharedChain : uint8_t { kFilterServices, kFilterExternal, kFilterNodePorts, kFilterFirewall, kNatServices, kNatNodePorts, kSharedChains };
struct SharedChainInfo {
  std::string_view name;
  bool nat;
};
extern const std::array<SharedChainInfo, kSharedChains> kSharedChainInfo;

struct ChainRules {
  std::string name;
  std::vector<std::string> rules;            // without "-A NAME"
  bool operator==(const ChainRules&) const = default;
};

struct ServiceRules {
  std::array<std::vector<std::string>, kSharedChains> shared;  // without "-A CHAIN"
  std::vector<ChainRules> chains;                              // nat
  size_t endpoints = 0;                                        // known, usable or not
  int no_local_internal = 0, no_local_external = 0;            // ports whose policy is Local and that have no local endpoint
  size_t nat_rules() const;
  size_t filter_rules() const;
};

// Upstream leaves the comments of per-endpoint rules out once there are so many endpoints.
constexpr size_t kLargeClusterEndpoints = 1000;

ServiceRules service_rules(const ServiceView& view, const RuleOptions& options, bool large_cluster);

// "KUBE-SVC-" and the like, and 16 characters of hash.
std::string service_chain_name(std::string_view prefix, const ServicePort& port);
std::string endpoint_chain_name(const ServicePort& port, std::string_view endpoint);
// Whether a chain is one of those per-service ones, whoever made it.
bool is_service_chain(std::string_view name);

// base32 of SHA-256: the first 16 characters.
std::string chain_hash(std::string_view text);

// A jump from a chain of the kernel to one of ours.
struct Jump {
  std::string_view table, source, target, comment;
  bool only_new;                             // for the first packet of a connection
  std::string rule() const;                  // "-m conntrack ... -j TARGET"
  std::vector<std::string> args() const;     // the same, for a command line
};
extern const std::vector<Jump> kJumps;

}  // namespace knarr::proxy
