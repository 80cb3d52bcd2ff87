// SPDX-License-Identifier: Apache-2.0
#include "proxy/iptables_rules.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>

namespace knarr::proxy {

const std::array<SharedChainInfo, kSharedChains> kSharedChainInfo = {{
    {"KUBE-SERVICES", false},
    {"KUBE-EXTERNAL-SERVICES", false},
    {"KUBE-NODEPORTS", false},
    {"KUBE-PROXY-FIREWALL", false},
    {"KUBE-SERVICES", true},
    {"KUBE-NODEPORTS", true},
}};

// Each is put in front of its chain, so that the last one comes first. The ones to KUBE-FIREWALL are the kubelet's, too.
const std::vector<Jump> kJumps = {
    {"filter", "INPUT", "KUBE-EXTERNAL-SERVICES", "kubernetes externally-visible service portals", true},
    {"filter", "FORWARD", "KUBE-EXTERNAL-SERVICES", "kubernetes externally-visible service portals", true},
    {"filter", "INPUT", "KUBE-NODEPORTS", "kubernetes health check service ports", false},
    {"filter", "FORWARD", "KUBE-SERVICES", "kubernetes service portals", true},
    {"filter", "OUTPUT", "KUBE-SERVICES", "kubernetes service portals", true},
    {"filter", "FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules", false},
    {"filter", "INPUT", "KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", true},
    {"filter", "OUTPUT", "KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", true},
    {"filter", "FORWARD", "KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", true},
    {"nat", "OUTPUT", "KUBE-SERVICES", "kubernetes service portals", false},
    {"nat", "PREROUTING", "KUBE-SERVICES", "kubernetes service portals", false},
    {"nat", "POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules", false},
    {"filter", "INPUT", "KUBE-FIREWALL", "", false},
    {"filter", "OUTPUT", "KUBE-FIREWALL", "", false},
};

std::vector<Address> find_node_port_addresses(const RuleOptions& options, const std::vector<std::string>& local) {
  std::vector<Address> found;
  for (const std::string& text : local) {
    auto address = parse_address(text);
    if (!address || std::find(found.begin(), found.end(), *address) != found.end()) continue;
    for (const Cidr& cidr : options.node_port_cidrs)
      if (cidr.contains(*address)) {
        found.push_back(*address);
        break;
      }
  }
  return found;
}

std::string Jump::rule() const {
  std::string out;
  if (only_new) out += "-m conntrack --ctstate NEW ";
  if (!comment.empty()) out += fmt::format("-m comment --comment \"{}\" ", comment);
  return out += fmt::format("-j {}", target);
}

std::vector<std::string> Jump::args() const {
  std::vector<std::string> out;
  if (only_new) out.insert(out.end(), {"-m", "conntrack", "--ctstate", "NEW"});
  if (!comment.empty()) out.insert(out.end(), {"-m", "comment", "--comment", std::string(comment)});
  out.insert(out.end(), {"-j", std::string(target)});
  return out;
}

std::string chain_hash(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::string out;
  uint32_t held = 0;
  int bits = 0;
  for (size_t i = 0; out.size() < 16; ++i) {  // 10 bytes make 16 characters
    held = held << 8 | digest[i];
    for (bits += 8; bits >= 5; bits -= 5) out += kAlphabet[held >> (bits - 5) & 31];
  }
  return out;
}

std::string service_chain_name(std::string_view prefix, const ServicePort& port) {
  return std::string(prefix) + chain_hash(port.name + port.lower_protocol());
}

std::string endpoint_chain_name(const ServicePort& port, std::string_view endpoint) {
  return "KUBE-SEP-" + chain_hash(port.name + port.lower_protocol() + std::string(endpoint));
}

bool is_service_chain(std::string_view name) {
  for (std::string_view prefix : {"KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-FW-", "KUBE-EXT-"})
    if (name.starts_with(prefix)) return true;
  return false;
}

size_t ServiceRules::nat_rules() const {
  size_t count = shared[kNatServices].size() + shared[kNatNodePorts].size();
  for (const ChainRules& chain : chains) count += chain.rules.size();
  return count;
}

size_t ServiceRules::filter_rules() const {
  size_t count = 0;
  for (size_t i = 0; i < kSharedChains; ++i)
    if (!kSharedChainInfo[i].nat) count += shared[i].size();
  return count;
}

namespace {

constexpr std::string_view kMarkMasq = "KUBE-MARK-MASQ";

// Writes the rules of one port.
class PortWriter {
 public:
  PortWriter(ServiceRules& out, const PortView& view, const RuleOptions& options, bool large)
      : out_(out),
        port_(view.port),
        options_(options),
        large_(large),
        protocol_(view.port.lower_protocol()),
        cluster_chain_(service_chain_name("KUBE-SVC-", view.port)),
        local_chain_(service_chain_name("KUBE-SVL-", view.port)),
        external_chain_(service_chain_name("KUBE-EXT-", view.port)),
        firewall_chain_(service_chain_name("KUBE-FW-", view.port)),
        reachable_(categorize(view, options.zone)) {
    bool no_local = reachable_.local.empty();
    has_internal_ = reachable_.any && !(port_.internal_policy_local && no_local);
    has_external_ = reachable_.any && !(port_.external_policy_local && no_local);
    uses_firewall_ = reachable_.any && !port_.load_balancer_ips.empty() && !port_.source_ranges.empty();
    if (reachable_.any && !has_internal_) ++out_.no_local_internal;
    if (reachable_.any && !has_external_) ++out_.no_local_external;
  }

  void write() {
    capture_cluster_ip();
    for (const std::string& ip : port_.external_ips) capture_external(ip, "external IP", external_chain_);
    for (const std::string& ip : port_.load_balancer_ips) {
      capture_external(ip, "loadbalancer IP", uses_firewall_ ? firewall_chain_ : external_chain_);
      if (uses_firewall_)
        shared(kFilterFirewall, fmt::format("{} {} -j DROP", comment("{} traffic not accepted by " + firewall_chain_), destination(ip)));
    }
    capture_node_port();
    if (port_.health_check_node_port != 0)
      shared(kFilterNodePorts, fmt::format("{} -m tcp -p tcp --dport {} -j ACCEPT", comment("{} health check node port"), port_.health_check_node_port));
    write_internal();
    if (reachable_.any && port_.externally_accessible()) write_external();
    if (uses_firewall_) write_firewall();
    if (!reachable_.cluster.empty() && port_.uses_cluster_endpoints()) write_balancing(cluster_chain_, reachable_.cluster);
    if (!reachable_.local.empty() && port_.uses_local_endpoints()) write_balancing(local_chain_, reachable_.local);
    for (const Endpoint* endpoint : reachable_.all) write_endpoint(*endpoint);
  }

 private:
  std::string comment(std::string_view text) const {
    return "-m comment --comment \"" + fmt::format(fmt::runtime(text), port_.name) + "\"";
  }
  std::string protocol() const { return fmt::format("-m {0} -p {0}", protocol_); }
  std::string destination(std::string_view ip) const { return fmt::format("{} -d {} --dport {}", protocol(), ip, port_.port); }
  void shared(SharedChain chain, std::string rule) { out_.shared[chain].push_back(std::move(rule)); }
  void add(const std::string& chain, std::string rule) { chain_of(chain).rules.push_back(std::move(rule)); }
  ChainRules& chain_of(const std::string& name) {
    for (ChainRules& chain : out_.chains)
      if (chain.name == name) return chain;
    return out_.chains.emplace_back(ChainRules{name, {}});
  }
  // Without any endpoint a connection is refused; with endpoints elsewhere only, it is dropped, for a load balancer to notice.
  std::string refusal(std::string_view match) const {
    if (!reachable_.any) return fmt::format("{} {} -j REJECT", comment("{} has no endpoints"), match);
    return fmt::format("{} {} -j DROP", comment("{} has no local endpoints"), match);
  }
  const std::string& internal_chain() const { return port_.internal_policy_local ? local_chain_ : cluster_chain_; }

  void capture_cluster_ip() {
    std::string match = destination(port_.cluster_ip);
    if (has_internal_)
      shared(kNatServices, fmt::format("{} {} -j {}", comment("{} cluster IP"), match, internal_chain()));
    else
      shared(kFilterServices, refusal(match));
  }
  void capture_external(const std::string& ip, std::string_view what, const std::string& chain) {
    std::string match = destination(ip);
    if (reachable_.any) shared(kNatServices, fmt::format("{} {} -j {}", comment("{} " + std::string(what)), match, chain));
    if (!has_external_) shared(kFilterExternal, refusal(match));
  }
  void capture_node_port() {
    if (port_.node_port == 0) return;
    std::string match = fmt::format("{} --dport {}", protocol(), port_.node_port);
    if (reachable_.any) shared(kNatNodePorts, fmt::format("-m comment --comment {} {} -j {}", port_.name, match, external_chain_));
    if (!has_external_) shared(kFilterExternal, refusal("-m addrtype --dst-type LOCAL " + match));
  }

  // Traffic from outside the cluster to a cluster IP may leave through another node: its answer has to come back here.
  void write_internal() {
    if (!has_internal_) return;
    std::string match = fmt::format("{} {}", comment("{} cluster IP"), destination(port_.cluster_ip));
    if (options_.masquerade_all)
      add(internal_chain(), fmt::format("{} -j {}", match, kMarkMasq));
    else if (options_.detector.implemented())
      add(internal_chain(), fmt::format("{} {} -j {}", match, options_.detector.if_not_local, kMarkMasq));
  }
  void write_external() {
    if (!port_.external_policy_local) {
      add(external_chain_, fmt::format("{} -j {}", comment("masquerade traffic for {} external destinations"), kMarkMasq));
    } else {
      // What comes from this node or its pods goes to any endpoint, as if it had gone out to a load balancer and come back.
      if (options_.detector.implemented())
        add(external_chain_,
            fmt::format("{} {} -j {}", comment("pod traffic for {} external destinations"), options_.detector.if_local, cluster_chain_));
      constexpr std::string_view kFromHere = "-m addrtype --src-type LOCAL";
      add(external_chain_, fmt::format("{} {} -j {}", comment("masquerade LOCAL traffic for {} external destinations"), kFromHere, kMarkMasq));
      add(external_chain_, fmt::format("{} {} -j {}", comment("route LOCAL traffic for {} external destinations"), kFromHere, cluster_chain_));
    }
    if (has_external_) add(external_chain_, "-j " + (port_.external_policy_local ? local_chain_ : cluster_chain_));
  }
  // Whatever reaches the end of the chain has not been redirected, and KUBE-PROXY-FIREWALL drops it.
  void write_firewall() {
    std::string match = comment("{} loadbalancer IP");
    auto node = parse_address(options_.node_ip);
    bool from_node = false;
    for (const std::string& range : port_.source_ranges) {
      add(firewall_chain_, fmt::format("{} -s {} -j {}", match, range, external_chain_));
      auto cidr = parse_cidr(range);
      from_node = from_node || (cidr && node && cidr->contains(*node));
    }
    // A node that has the balancer's address itself uses it as its source.
    if (from_node)
      for (const std::string& ip : port_.load_balancer_ips) add(firewall_chain_, fmt::format("{} -s {} -j {}", match, ip, external_chain_));
    add(firewall_chain_, comment("other traffic to {} will be dropped by KUBE-PROXY-FIREWALL"));
  }

  void write_balancing(const std::string& chain, const std::vector<const Endpoint*>& endpoints) {
    auto note = [&](const Endpoint& endpoint) {
      return large_ ? std::string() : fmt::format("-m comment --comment \"{} -> {}\" ", port_.name, endpoint.text);
    };
    if (port_.client_ip_affinity)
      for (const Endpoint* endpoint : endpoints) {
        std::string target = endpoint_chain_name(port_, endpoint->text);
        add(chain, fmt::format("{}-m recent --name {} --rcheck --seconds {} --reap -j {}", note(*endpoint), target, port_.affinity_seconds, target));
      }
    for (size_t i = 0; i < endpoints.size(); ++i) {
      size_t left = endpoints.size() - i;
      std::string chance = left == 1 ? "" : fmt::format("-m statistic --mode random --probability {:.10f} ", 1.0 / static_cast<double>(left));
      add(chain, fmt::format("{}{}-j {}", note(*endpoints[i]), chance, endpoint_chain_name(port_, endpoints[i]->text)));
    }
  }
  void write_endpoint(const Endpoint& endpoint) {
    std::string chain = endpoint_chain_name(port_, endpoint.text);
    std::string note = large_ ? std::string() : fmt::format("-m comment --comment {} ", port_.name);
    // A pod that reaches itself through its service has to see another source.
    add(chain, fmt::format("{}-s {} -j {}", note, endpoint.ip, kMarkMasq));
    std::string affinity = port_.client_ip_affinity ? fmt::format("-m recent --name {} --set ", chain) : std::string();
    add(chain, fmt::format("{}{}{} -j DNAT --to-destination {}", note, affinity, protocol(), endpoint.text));
  }

  ServiceRules& out_;
  const ServicePort& port_;
  const RuleOptions& options_;
  const bool large_;
  const std::string protocol_, cluster_chain_, local_chain_, external_chain_, firewall_chain_;
  const Reachable reachable_;
  bool has_internal_ = false, has_external_ = false, uses_firewall_ = false;
};

}  // namespace

ServiceRules service_rules(const ServiceView& view, const RuleOptions& options, bool large_cluster) {
  ServiceRules rules;
  for (const PortView& port : view) {
    rules.endpoints += port.endpoints.size();
    PortWriter(rules, port, options, large_cluster).write();
  }
  return rules;
}

}  // namespace knarr::proxy
