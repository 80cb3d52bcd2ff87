// SPDX-License-Identifier: Apache-2.0
// One way to write services into the kernel, in one address family: iptables or nftables. One executor, one call at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/command.h"
#include "proxy/iptables_rules.h"
#include "proxy/tracker.h"

namespace knarr::proxy {

// What has been written, for metrics.
struct RuleCounts {
  size_t filter_total = 0, nat_total = 0, filter_last = 0, nat_last = 0;
  int no_local_internal = 0, no_local_external = 0;
};

class Rules {
 public:
  virtual ~Rules() = default;
  // Whether this family works on this machine; an error says what is missing.
  virtual Task<Status> probe() = 0;
  // Everything of `tracker`, whatever is in the kernel.
  virtual Task<Status> write_all(const Tracker& tracker) = 0;
  // The difference that the changes make to what was written before. After an error only write_all() helps. Both read what they are given before
  // they wait for the first time.
  virtual Task<Status> write_changes(const std::vector<ServiceChange>& changes) = 0;
  // False when somebody has flushed our rules since they were written.
  virtual Task<bool> intact() = 0;
  // Removes everything of ours.
  virtual Task<Status> cleanup() = 0;
  virtual Family family() const = 0;
  // Topology follows the node's zone, source ranges its address: write_all() has to follow a change.
  virtual void set_node(std::string zone, std::string node_ip) = 0;
  const RuleCounts& counts() const { return counts_; }

 protected:
  RuleCounts counts_;
};

std::unique_ptr<Rules> make_iptables_rules(System& system, RuleOptions options, std::string node_name);
std::unique_ptr<Rules> make_nftables_rules(System& system, RuleOptions options, std::string node_name);

}  // namespace knarr::proxy
