// SPDX-License-Identifier: Apache-2.0
#include "proxy/nftables_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace knarr::proxy {
namespace {

// The kernel takes 255 bytes; names of namespaces and services may be longer together.
constexpr size_t kMaxName = 240;

std::string_view ip_word(Family family) { return family == Family::kIPv4 ? "ip" : "ip6"; }

// "ns1/svc1/tcp/p80"
std::string base_name(const ServicePort& port) {
  return fmt::format("{}/{}/{}", port.name.substr(0, port.name.find(':')), port.lower_protocol(), port.port_name);
}

std::string hashed(std::string_view text) { return chain_hash(text).substr(0, 8); }

class NftPortWriter {
 public:
  NftPortWriter(NftServiceRules& out, const PortView& view, const RuleOptions& options)
      : out_(out),
        port_(view.port),
        options_(options),
        ip_(ip_word(options.family)),
        protocol_(view.port.lower_protocol()),
        cluster_chain_(nft_chain_name("service", view.port)),
        local_chain_(nft_chain_name("local", view.port)),
        external_chain_(nft_chain_name("external", view.port)),
        firewall_chain_(nft_chain_name("firewall", view.port)),
        reachable_(categorize(view, options.zone)) {
    bool no_local = reachable_.local.empty();
    has_internal_ = reachable_.any && !(port_.internal_policy_local && no_local);
    has_external_ = reachable_.any && !(port_.external_policy_local && no_local);
    if (reachable_.any && !has_internal_) ++out_.no_local_internal;
    if (reachable_.any && !has_external_) ++out_.no_local_external;
  }

  void write() {
    element("cluster-ips", port_.cluster_ip, "");
    if (has_internal_)
      element("service-ips", address_key(port_.cluster_ip), "goto " + internal_chain());
    else
      element("no-endpoint-services", address_key(port_.cluster_ip), refusal());
    for (const std::string& ip : port_.external_ips) capture_external(ip);
    for (const std::string& ip : port_.load_balancer_ips) {
      capture_external(ip);
      if (!port_.source_ranges.empty()) element("firewall-ips", address_key(ip), "goto " + firewall_chain_);
    }
    if (port_.node_port != 0) {
      std::string key = fmt::format("{} . {}", protocol_, port_.node_port);
      if (reachable_.any) element("service-nodeports", key, "goto " + external_chain_);
      if (!has_external_) element("no-endpoint-nodeports", key, refusal());
    }
    if (!port_.load_balancer_ips.empty() && !port_.source_ranges.empty()) write_firewall();
    if (has_internal_) write_internal();
    if (reachable_.any && port_.externally_accessible()) write_external();
    if (!reachable_.cluster.empty() && port_.uses_cluster_endpoints()) write_balancing(cluster_chain_, reachable_.cluster);
    if (!reachable_.local.empty() && port_.uses_local_endpoints()) write_balancing(local_chain_, reachable_.local);
    for (const Endpoint* endpoint : reachable_.all) write_endpoint(*endpoint);
  }

 private:
  void element(std::string_view map, std::string key, std::string verdict) {
    NftElement made{map, std::move(key), std::move(verdict)};
    for (const NftElement& other : out_.elements)
      if (other.map == made.map && other.key == made.key) return;
    out_.elements.push_back(std::move(made));
  }
  void add(const std::string& chain, std::string rule) { out_.chains[chain].push_back(std::move(rule)); }
  std::string address_key(std::string_view ip) const { return fmt::format("{} . {} . {}", ip, protocol_, port_.port); }
  std::string refusal() const { return reachable_.any ? "drop" : "goto reject-chain"; }
  const std::string& internal_chain() const { return port_.internal_policy_local ? local_chain_ : cluster_chain_; }
  void capture_external(const std::string& ip) {
    if (reachable_.any) element("service-ips", address_key(ip), "goto " + external_chain_);
    if (!has_external_) element("no-endpoint-services", address_key(ip), refusal());
  }
  // iptables' words for it, in those of nft: "-s CIDR", "-i NAME", "-i PREFIX+".
  std::string from_pods(bool negated) const {
    std::string_view match = options_.detector.if_local;
    std::string_view unequal = negated ? "!= " : "";
    std::string value(match.substr(3));
    if (match.starts_with("-s ")) return fmt::format("{} saddr {}{}", ip_, unequal, value);
    if (value.ends_with("+")) value.back() = '*';
    return fmt::format("iifname {}\"{}\"", unequal, value);
  }
  void write_internal() {
    std::string match = fmt::format("{} daddr {} {} dport {}", ip_, port_.cluster_ip, protocol_, port_.port);
    if (options_.masquerade_all)
      add(internal_chain(), match + " jump mark-for-masquerade");
    else if (options_.detector.implemented())
      add(internal_chain(), fmt::format("{} {} jump mark-for-masquerade", match, from_pods(true)));
  }
  void write_external() {
    if (!port_.external_policy_local) {
      add(external_chain_, "jump mark-for-masquerade");
    } else {
      if (options_.detector.implemented()) add(external_chain_, fmt::format("{} goto {}", from_pods(false), cluster_chain_));
      add(external_chain_, "fib saddr type local jump mark-for-masquerade");
      add(external_chain_, "fib saddr type local goto " + cluster_chain_);
    }
    if (has_external_) add(external_chain_, "goto " + (port_.external_policy_local ? local_chain_ : cluster_chain_));
  }
  void write_firewall() {
    auto node = parse_address(options_.node_ip);
    std::vector<std::string> sources = port_.source_ranges;
    bool from_node = std::any_of(sources.begin(), sources.end(), [&](const std::string& range) {
      auto cidr = parse_cidr(range);
      return cidr && node && cidr->contains(*node);
    });
    if (from_node) sources.insert(sources.end(), port_.load_balancer_ips.begin(), port_.load_balancer_ips.end());
    // One rule each: an anonymous set refuses ranges that overlap.
    for (const std::string& source : sources) add(firewall_chain_, fmt::format("{} saddr {} return", ip_, source));
    add(firewall_chain_, "drop");
  }
  void write_balancing(const std::string& chain, const std::vector<const Endpoint*>& endpoints) {
    if (port_.client_ip_affinity)
      for (const Endpoint* endpoint : endpoints)
        add(chain, fmt::format("{} saddr @{} goto {}", ip_, nft_endpoint_name("affinity", port_, *endpoint), nft_endpoint_name("endpoint", port_, *endpoint)));
    std::string targets;
    for (size_t i = 0; i < endpoints.size(); ++i)
      targets += fmt::format("{}{} : goto {}", i == 0 ? "" : " , ", i, nft_endpoint_name("endpoint", port_, *endpoints[i]));
    add(chain, fmt::format("numgen random mod {} vmap {{ {} }}", endpoints.size(), targets));
  }
  void write_endpoint(const Endpoint& endpoint) {
    std::string chain = nft_endpoint_name("endpoint", port_, endpoint);
    add(chain, fmt::format("{} saddr {} jump mark-for-masquerade", ip_, endpoint.ip));
    if (port_.client_ip_affinity) {
      std::string set = nft_endpoint_name("affinity", port_, endpoint);
      out_.affinity_sets[set] = port_.affinity_seconds;
      add(chain, fmt::format("update @{} {{ {} saddr }}", set, ip_));
    }
    add(chain, fmt::format("meta l4proto {} dnat to {}", protocol_, join_host_port(endpoint.ip, endpoint.port)));
  }

  NftServiceRules& out_;
  const ServicePort& port_;
  const RuleOptions& options_;
  const std::string_view ip_;
  const std::string protocol_, cluster_chain_, local_chain_, external_chain_, firewall_chain_;
  const Reachable reachable_;
  bool has_internal_ = false, has_external_ = false;
};

}  // namespace

std::string nft_chain_name(std::string_view kind, const ServicePort& port) {
  std::string name = base_name(port);
  return fmt::format("{}-{}-{}", kind, hashed(name), name).substr(0, kMaxName);
}

std::string nft_endpoint_name(std::string_view kind, const ServicePort& port, const Endpoint& endpoint) {
  std::string ip = endpoint.ip;
  std::replace(ip.begin(), ip.end(), ':', '.');
  std::string name = fmt::format("{}__{}/{}", base_name(port), ip, endpoint.port);
  // A set's time-out cannot be changed: another time-out is another set.
  std::string timeout = kind == "affinity" ? std::to_string(port.affinity_seconds) : std::string();
  return fmt::format("{}-{}-{}", kind, hashed(name + timeout), name).substr(0, kMaxName);
}

bool is_nft_service_name(std::string_view name) {
  for (std::string_view kind : {"service-", "local-", "external-", "firewall-", "endpoint-", "affinity-"}) {
    if (!name.starts_with(kind)) continue;
    // "service-endpoints-check" is ours, too, and no service's: those have a slash.
    return name.find('/') != std::string_view::npos;
  }
  return false;
}

NftServiceRules nft_service_rules(const ServiceView& view, const RuleOptions& options) {
  NftServiceRules rules;
  for (const PortView& port : view) {
    rules.endpoints += port.endpoints.size();
    NftPortWriter(rules, port, options).write();
  }
  return rules;
}

void NftElements::change(std::string& deletions, std::string& additions, std::string_view table, const std::string& owner,
                         const std::vector<NftElement>& before, const std::vector<NftElement>& after) {
  auto command = [&](std::string_view verb, const Key& key, const std::string& verdict) {
    std::string value = verdict.empty() || verb == "delete" ? key.second : key.second + " : " + verdict;
    return fmt::format("{} element {} {} {{ {} }}\n", verb, table, key.first, value);
  };
  for (const NftElement& element : before) {
    if (std::find(after.begin(), after.end(), element) != after.end()) continue;
    auto at = claims_.find({element.map, element.key});
    if (at == claims_.end()) continue;
    std::vector<Claim>& claims = at->second;
    auto mine = std::find_if(claims.begin(), claims.end(), [&](const Claim& claim) { return claim.owner == owner; });
    if (mine == claims.end()) continue;
    bool held = mine == claims.begin();
    std::string verdict = mine->verdict;
    claims.erase(mine);
    if (held && !(verdict.empty() && !claims.empty())) {
      deletions += command("delete", at->first, "");
      if (!claims.empty()) additions += command("add", at->first, claims.front().verdict);
    }
    if (claims.empty()) claims_.erase(at);
  }
  for (const NftElement& element : after) {
    if (std::find(before.begin(), before.end(), element) != before.end()) continue;
    auto at = claims_.try_emplace({element.map, element.key}).first;
    at->second.push_back({owner, element.verdict});
    if (at->second.size() == 1) additions += command("add", at->first, element.verdict);
  }
}

std::string_view nft_table(Family family) { return family == Family::kIPv4 ? "ip kube-proxy" : "ip6 kube-proxy"; }

void begin_nft_input(NftInput& input, const RuleOptions& options) {
  std::string_view table = nft_table(options.family), ip = ip_word(options.family);
  std::string_view type = options.family == Family::kIPv4 ? "ipv4_addr" : "ipv6_addr";
  auto declare = [&](std::string_view what) { input.declarations += fmt::format("add {}\n", what); };
  auto rule = [&](std::string_view chain, std::string_view text) { input.rules += fmt::format("add rule {} {} {}\n", table, chain, text); };

  declare(fmt::format("table {} {{ comment \"rules for kube-proxy\" ; }}", table));
  input.declarations += fmt::format("flush table {}\n", table);
  constexpr std::string_view kHooks[] = {
      "filter-prerouting-pre-dnat { type filter hook prerouting priority -110 ; }", "filter-output-pre-dnat { type filter hook output priority -110 ; }",
      "filter-input { type filter hook input priority 0 ; }",      "filter-forward { type filter hook forward priority 0 ; }",
      "filter-output { type filter hook output priority 0 ; }",    "nat-prerouting { type nat hook prerouting priority -100 ; }",
      "nat-output { type nat hook output priority -100 ; }",       "nat-postrouting { type nat hook postrouting priority 100 ; }"};
  for (std::string_view chain : kHooks) declare(fmt::format("chain {} {}", table, chain));
  for (std::string_view chain : {"services", "mark-for-masquerade", "masquerading", "reject-chain", "cluster-ips-check", "service-endpoints-check",
                                 "nodeport-endpoints-check", "firewall-check"})
    declare(fmt::format("chain {} {}", table, chain));
  auto map = [&](std::string_view name, std::string_view kind, std::string_view key) {
    declare(fmt::format("{} {} {} {{ type {} ; }}", kind, table, name, key));
    input.declarations += fmt::format("flush {} {} {}\n", kind == "set" ? "set" : "map", table, name);
  };
  std::string address_port = fmt::format("{} . inet_proto . inet_service : verdict", type);
  map("cluster-ips", "set", type);
  for (std::string_view name : {"service-ips", "no-endpoint-services", "firewall-ips"}) map(name, "map", address_port);
  for (std::string_view name : {"service-nodeports", "no-endpoint-nodeports"}) map(name, "map", "inet_proto . inet_service : verdict");

  rule("filter-prerouting-pre-dnat", "ct state new jump firewall-check");
  rule("filter-output-pre-dnat", "ct state new jump firewall-check");
  rule("filter-input", "ct state new jump nodeport-endpoints-check");
  rule("filter-input", "ct state new jump service-endpoints-check");
  for (std::string_view hook : {"filter-forward", "filter-output"}) {
    rule(hook, "ct state new jump service-endpoints-check");
    rule(hook, "ct state new jump cluster-ips-check");
  }
  rule("nat-prerouting", "jump services");
  rule("nat-output", "jump services");
  rule("nat-postrouting", "jump masquerading");
  rule("mark-for-masquerade", "mark set mark or " + options.mark);
  rule("masquerading", fmt::format("mark and {} == 0 return", options.mark));
  rule("masquerading", "mark set mark xor " + options.mark);
  rule("masquerading", "masquerade fully-random");
  rule("reject-chain", "reject");
  // A port that no service has, of an address that one has.
  rule("cluster-ips-check", fmt::format("{} daddr @cluster-ips reject", ip));
  std::string destination = fmt::format("{} daddr . meta l4proto . th dport vmap", ip);
  rule("service-endpoints-check", destination + " @no-endpoint-services");
  rule("firewall-check", destination + " @firewall-ips");
  rule("services", destination + " @service-ips");
  std::vector<std::string> local;
  if (options.node_port_cidrs.empty())
    local.push_back(fmt::format("fib daddr type local {} daddr != {}", ip, options.family == Family::kIPv4 ? "127.0.0.0/8" : "::1"));
  for (const Address& address : options.node_port_addresses)
    if (!address.is_loopback()) local.push_back(fmt::format("{} daddr {}", ip, address.text()));
  for (const std::string& match : local) {
    rule("services", match + " meta l4proto . th dport vmap @service-nodeports");
    rule("nodeport-endpoints-check", match + " meta l4proto . th dport vmap @no-endpoint-nodeports");
  }
}

void change_nft_service(NftInput& input, NftElements& elements, Family family, const std::string& owner, const NftServiceRules& before,
                        const NftServiceRules& after, std::set<std::string>& stale_chains, std::set<std::string>& stale_sets) {
  std::string_view table = nft_table(family);
  std::string_view type = family == Family::kIPv4 ? "ipv4_addr" : "ipv6_addr";
  for (const auto& [name, seconds] : after.affinity_sets) {
    stale_sets.erase(name);
    if (before.affinity_sets.count(name) > 0) continue;
    input.declarations += fmt::format("add set {} {} {{ type {} ; flags dynamic,timeout ; timeout {}s ; }}\n", table, name, type, seconds);
  }
  for (const auto& [name, rules] : after.chains) {
    stale_chains.erase(name);
    auto old = before.chains.find(name);
    if (old != before.chains.end() && old->second == rules) continue;
    input.declarations += fmt::format("add chain {0} {1}\nflush chain {0} {1}\n", table, name);
    for (const std::string& rule : rules) input.rules += fmt::format("add rule {} {} {}\n", table, name, rule);
  }
  elements.change(input.deletions, input.additions, table, owner, before.elements, after.elements);
  for (const auto& [name, rules] : before.chains) {
    if (after.chains.count(name) > 0) continue;
    input.declarations += fmt::format("flush chain {} {}\n", table, name);
    stale_chains.insert(name);
  }
  for (const auto& [name, seconds] : before.affinity_sets)
    if (after.affinity_sets.count(name) == 0) stale_sets.insert(name);
}

std::vector<std::string> parse_nft_names(std::string_view text, std::string_view table, std::string_view kind) {
  std::vector<std::string> names;
  std::string table_line = fmt::format("table {} {{", table), prefix = fmt::format("\t{} ", kind);
  bool ours = false;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with("table ")) ours = line == table_line;
    if (!ours || !line.starts_with(prefix) || !line.ends_with(" {")) continue;
    line.remove_prefix(prefix.size());
    names.emplace_back(line.substr(0, line.size() - 2));
  }
  return names;
}

}  // namespace knarr::proxy
