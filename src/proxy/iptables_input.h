// SPDX-License-Identifier: Apache-2.0
// What iptables-restore --noflush is fed: the whole of our rules, or the difference that changed services make. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/iptables_rules.h"

namespace knarr::proxy {

// One restore: both tables, each in one transaction.
class RestoreInput {
 public:
  void chain(bool nat, std::string_view name);                      // made, or emptied
  void rule(bool nat, std::string_view command);                    // "-A CHAIN ..."
  void append(bool nat, std::string_view chain, std::string_view rule);
  void remove_chain(std::string_view name);                         // of nat, after everything else
  bool empty() const;
  size_t lines(bool nat) const { return (nat ? nat_ : filter_).lines; }
  std::string text() const;

 private:
  struct Table {
    std::string chains, rules, removals;
    size_t lines = 0;
  };
  Table filter_, nat_;
};

// Chains and rules that are there without any service, in upstream's order: begin before the services' rules, end after them.
void begin_full_input(RestoreInput& input, const RuleOptions& options);
void end_full_input(RestoreInput& input, const RuleOptions& options);
size_t base_rule_count(const RuleOptions& options, bool nat);

void add_service(RestoreInput& input, const ServiceRules& rules);
// Only what differs: lines of shared chains are taken out and put in one by one, chains of the service's own are written when they have changed
// and removed when they are gone.
void change_service(RestoreInput& input, const ServiceRules& before, const ServiceRules& after);

// What iptables-save printed of one table.
struct SavedTable {
  std::vector<std::string> chains;
  std::vector<std::string> rules;           // "-A CHAIN ..."
};
SavedTable parse_saved_table(std::string_view text);

// How a jump stands in the table as saved. Rules may be printed differently by other versions of iptables: then only a check tells.
enum class JumpState : uint8_t { kPresent, kAbsent, kUnsure };
JumpState find_jump(const SavedTable& table, const Jump& jump);

}  // namespace knarr::proxy
