// SPDX-License-Identifier: Apache-2.0
// Rules of the packet filter by the iptables programs, as upstream's: chains FLANNEL-POSTRTG (what leaves the network is masqueraded) and
// FLANNEL-FWD (what belongs to it may be forwarded). What to write is pure; running is behind an interface.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "flannel/cidr.h"

namespace knarr::flannel {

struct RuleSet {
  std::string table, chain;
  std::string jump;                // the rule of a built-in chain that leads to ours, as iptables -S prints it
  std::vector<std::string> rules;  // of our chain, the same
};

RuleSet masquerade_rules(const Cidr& network, const Cidr& subnet, bool random_fully);
RuleSet forward_rules(const Cidr& network);

// The table (as iptables -S prints it) has exactly these rules in our chain, and the jump.
bool has_rules(std::string_view table, const RuleSet& rules);
// For iptables-restore --noflush: our chain anew, and the jump when it is missing.
std::string restore_script(std::string_view table, const RuleSet& rules);
// "iptables v1.8.9 (nf_tables)": MASQUERADE knows --random-fully since 1.6.2.
bool has_random_fully(std::string_view version);

class PacketFilter {
 public:
  virtual ~PacketFilter() = default;
  virtual Task<Result<std::string>> list(std::string table) = 0;
  virtual Task<Status> restore(std::string script) = 0;
  virtual Task<Result<std::string>> version() = 0;
};
// Runs iptables and iptables-restore, found in PATH.
std::unique_ptr<PacketFilter> make_packet_filter();

// Looks, and writes when something is missing.
Task<Status> ensure_rules(PacketFilter* filter, RuleSet rules);

}  // namespace knarr::flannel
