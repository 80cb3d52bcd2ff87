// SPDX-License-Identifier: Apache-2.0
// The nftables rules of a service: elements of maps that send a packet to a chain in one lookup, however many services there are, and chains of the
// service's own. After the design of upstream's nftables mode. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/iptables_rules.h"
#include "proxy/model.h"

namespace knarr::proxy {

struct NftElement {
  std::string_view map;                      // "service-ips", ...; "cluster-ips" is a set
  std::string key;                           // "10.96.0.1 . tcp . 443"
  std::string verdict;                       // "goto CHAIN", "drop"; "" in a set
  bool operator==(const NftElement&) const = default;
};

struct NftServiceRules {
  std::vector<NftElement> elements;
  std::map<std::string, std::vector<std::string>> chains;
  std::map<std::string, int> affinity_sets;  // name and seconds
  size_t endpoints = 0;
  int no_local_internal = 0, no_local_external = 0;
};

NftServiceRules nft_service_rules(const ServiceView& view, const RuleOptions& options);

// "service-ULMVA6XW-ns1/svc1/tcp/p80" and the like.
std::string nft_chain_name(std::string_view kind, const ServicePort& port);
std::string nft_endpoint_name(std::string_view kind, const ServicePort& port, const Endpoint& endpoint);

// Who wants which element. Two services may claim one address and port: the first one has it until it gives it up.
class NftElements {
 public:
  // Adds the commands that make the kernel's maps follow.
  void change(std::string& deletions, std::string& additions, std::string_view table, const std::string& owner, const std::vector<NftElement>& before,
              const std::vector<NftElement>& after);
  void clear() { claims_.clear(); }
  size_t size() const { return claims_.size(); }

 private:
  struct Claim {
    std::string owner, verdict;
  };
  using Key = std::pair<std::string_view, std::string>;  // map, key
  std::map<Key, std::vector<Claim>> claims_;
};

// One transaction for `nft -f -`. Chains are made before rules that jump to them, and elements that go are taken out before others are put in.
struct NftInput {
  std::string declarations, rules, deletions, additions;
  bool empty() const { return declarations.empty() && rules.empty() && deletions.empty() && additions.empty(); }
  std::string text() const { return declarations + rules + deletions + additions; }
};

// "ip kube-proxy"
std::string_view nft_table(Family family);
// The table, its hooks, maps and what is there without services. Everything that was in it is emptied, but for affinity.
void begin_nft_input(NftInput& input, const RuleOptions& options);
// Writes what differs, and names chains and sets that nothing refers to any more.
void change_nft_service(NftInput& input, NftElements& elements, Family family, const std::string& owner, const NftServiceRules& before,
                        const NftServiceRules& after, std::set<std::string>& stale_chains, std::set<std::string>& stale_sets);

// Names in what `nft list chains` or `nft list sets` printed of our table.
std::vector<std::string> parse_nft_names(std::string_view text, std::string_view table, std::string_view kind);
// Whether a chain or set belongs to a service.
bool is_nft_service_name(std::string_view name);

}  // namespace knarr::proxy
