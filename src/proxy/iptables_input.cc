// SPDX-License-Identifier: Apache-2.0
#include "proxy/iptables_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace knarr::proxy {

void RestoreInput::chain(bool nat, std::string_view name) {
  (nat ? nat_ : filter_).chains += fmt::format(":{} - [0:0]\n", name);
}

void RestoreInput::rule(bool nat, std::string_view command) {
  Table& table = nat ? nat_ : filter_;
  table.rules.append(command).append("\n");
  ++table.lines;
}

void RestoreInput::append(bool nat, std::string_view chain, std::string_view rule) {
  Table& table = nat ? nat_ : filter_;
  table.rules.append("-A ").append(chain).append(" ").append(rule).append("\n");
  ++table.lines;
}

void RestoreInput::remove_chain(std::string_view name) {
  // A chain has to be empty to be removed, and naming it empties it.
  chain(true, name);
  nat_.removals.append("-X ").append(name).append("\n");
}

bool RestoreInput::empty() const {
  auto none = [](const Table& table) { return table.chains.empty() && table.rules.empty(); };
  return none(filter_) && none(nat_);
}

std::string RestoreInput::text() const {
  std::string out;
  out.reserve(filter_.chains.size() + filter_.rules.size() + nat_.chains.size() + nat_.rules.size() + nat_.removals.size() + 64);
  auto write = [&](std::string_view name, const Table& table) {
    if (table.chains.empty() && table.rules.empty()) return;
    out.append("*").append(name).append("\n").append(table.chains).append(table.rules).append(table.removals).append("COMMIT\n");
  };
  write("filter", filter_);
  write("nat", nat_);
  return out;
}

namespace {

bool guards_localhost(const RuleOptions& options) { return options.family == Family::kIPv4 && options.localhost_node_ports; }

// Where node ports are looked up: the last rules of KUBE-SERVICES.
std::vector<std::string> node_port_jumps(const RuleOptions& options) {
  constexpr std::string_view kNote = "-m comment --comment \"kubernetes service nodeports; NOTE: this must be the last rule in this chain\"";
  std::vector<std::string> rules;
  if (options.node_port_cidrs.empty()) {
    std::string_view except;
    if (options.family == Family::kIPv6)
      except = " ! -d ::1/128";
    else if (!options.localhost_node_ports)
      except = " ! -d 127.0.0.0/8";
    rules.push_back(fmt::format("{} -m addrtype --dst-type LOCAL{} -j KUBE-NODEPORTS", kNote, except));
  }
  for (const Address& address : options.node_port_addresses) {
    if (address.is_loopback() && !guards_localhost(options)) continue;
    rules.push_back(fmt::format("{} -d {} -j KUBE-NODEPORTS", kNote, address.text()));
  }
  return rules;
}

}  // namespace

void begin_full_input(RestoreInput& input, const RuleOptions& options) {
  for (std::string_view name : {"KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL"}) input.chain(false, name);
  for (std::string_view name : {"KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"}) input.chain(true, name);
  input.append(true, "KUBE-POSTROUTING", fmt::format("-m mark ! --mark {0}/{0} -j RETURN", options.mark));
  // Without the mark, so that a packet that comes by again is not masqueraded again.
  input.append(true, "KUBE-POSTROUTING", "-j MARK --xor-mark " + options.mark);
  input.append(true, "KUBE-POSTROUTING", fmt::format("-m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE{}",
                                                     options.random_fully ? " --random-fully" : ""));
  input.append(true, "KUBE-MARK-MASQ", "-j MARK --or-mark " + options.mark);
  // route_localnet lets packets for 127.0.0.0/8 in from outside: only answers may come.
  if (guards_localhost(options)) {
    input.chain(false, "KUBE-FIREWALL");
    input.append(false, "KUBE-FIREWALL",
                 "-m comment --comment \"block incoming localnet connections\" -d 127.0.0.0/8 ! -s 127.0.0.0/8 "
                 "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP");
  }
}

void end_full_input(RestoreInput& input, const RuleOptions& options) {
  for (const std::string& rule : node_port_jumps(options)) input.append(true, "KUBE-SERVICES", rule);
  input.append(false, "KUBE-FORWARD", "-m conntrack --ctstate INVALID -j DROP");
  input.append(false, "KUBE-FORWARD", fmt::format("-m comment --comment \"kubernetes forwarding rules\" -m mark --mark {0}/{0} -j ACCEPT", options.mark));
  input.append(false, "KUBE-FORWARD", "-m comment --comment \"kubernetes forwarding conntrack rule\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
}

size_t base_rule_count(const RuleOptions& options, bool nat) {
  RestoreInput input;
  begin_full_input(input, options);
  end_full_input(input, options);
  return input.lines(nat);
}

void add_service(RestoreInput& input, const ServiceRules& rules) {
  for (size_t i = 0; i < kSharedChains; ++i)
    for (const std::string& rule : rules.shared[i]) input.append(kSharedChainInfo[i].nat, kSharedChainInfo[i].name, rule);
  for (const ChainRules& chain : rules.chains) {
    input.chain(true, chain.name);
    for (const std::string& rule : chain.rules) input.append(true, chain.name, rule);
  }
}

void change_service(RestoreInput& input, const ServiceRules& before, const ServiceRules& after) {
  auto has = [](const std::vector<std::string>& rules, const std::string& rule) { return std::find(rules.begin(), rules.end(), rule) != rules.end(); };
  for (size_t i = 0; i < kSharedChains; ++i) {
    auto [name, nat] = kSharedChainInfo[i];
    const auto& old_rules = before.shared[i];
    const auto& new_rules = after.shared[i];
    for (const std::string& rule : old_rules)
      if (!has(new_rules, rule)) input.rule(nat, fmt::format("-D {} {}", name, rule));
    // In front, backwards: they end up in order, and the jump to the node ports stays last.
    for (auto rule = new_rules.rbegin(); rule != new_rules.rend(); ++rule)
      if (!has(old_rules, *rule)) input.rule(nat, fmt::format("-I {} {}", name, *rule));
  }
  std::unordered_map<std::string_view, const ChainRules*> old_chains;
  for (const ChainRules& chain : before.chains) old_chains[chain.name] = &chain;
  for (const ChainRules& chain : after.chains) {
    auto old = old_chains.find(chain.name);
    bool same = old != old_chains.end() && old->second->rules == chain.rules;
    if (old != old_chains.end()) old_chains.erase(old);
    if (same) continue;
    input.chain(true, chain.name);
    for (const std::string& rule : chain.rules) input.append(true, chain.name, rule);
  }
  for (const ChainRules& chain : before.chains)
    if (old_chains.count(chain.name) > 0) input.remove_chain(chain.name);
}

SavedTable parse_saved_table(std::string_view text) {
  SavedTable table;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with(":")) table.chains.emplace_back(line.substr(1, line.find(' ') - 1));
    if (line.starts_with("-A ")) table.rules.emplace_back(line);
  }
  return table;
}

JumpState find_jump(const SavedTable& table, const Jump& jump) {
  std::string source = fmt::format("-A {} ", jump.source);
  std::string target = fmt::format(" -j {}", jump.target);
  std::string whole = source + jump.rule();
  bool similar = false;
  for (const std::string& rule : table.rules) {
    if (rule == whole) return JumpState::kPresent;
    similar = similar || (rule.starts_with(source) && rule.ends_with(target));
  }
  return similar ? JumpState::kUnsure : JumpState::kAbsent;
}

}  // namespace knarr::proxy
