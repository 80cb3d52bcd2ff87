// SPDX-License-Identifier: Apache-2.0
// Writes rules by iptables-restore (or ip6tables-restore), with upstream's ways of calling it.
#include <algorithm>
#include <cstdio>
#include <tuple>
#include <unordered_set>

#include "base/log.h"
#include "proxy/iptables_input.h"
#include "proxy/rules.h"

namespace knarr::proxy {
namespace {

constexpr std::string_view kCanary = "KUBE-PROXY-CANARY";
constexpr const char* kTables[] = {"mangle", "nat", "filter"};
constexpr const char* kServiceTables[] = {"nat", "filter"};

class IptablesRules final : public Rules {
 public:
  IptablesRules(System& system, RuleOptions options, std::string node_name)
      : system_(system), options_(std::move(options)), node_name_(std::move(node_name)) {}

  Family family() const override { return options_.family; }
  void set_node(std::string zone, std::string node_ip) override {
    options_.zone = std::move(zone);
    options_.node_ip = std::move(node_ip);
  }

  Task<Status> probe() override {
    std::vector<std::string> args = {program(""), "--version"};
    std::string nothing;
    auto version = co_await system_.run(std::move(args), std::move(nothing));
    if (!version.ok()) co_return version.status();
    // --random-fully came with 1.6.2: "iptables v1.8.9 (nf_tables)".
    size_t at = version->out.find(" v");
    int major = 1, minor = 8, patch = 0;
    if (at != std::string::npos) std::sscanf(version->out.c_str() + at, " v%d.%d.%d", &major, &minor, &patch);
    options_.random_fully = std::tuple(major, minor, patch) >= std::tuple(1, 6, 2);
    std::vector<std::string> look = {"-S", "POSTROUTING", "-t", "nat"};
    Status found = co_await iptables(std::move(look));
    co_return found;
  }

  Task<Status> write_all(const Tracker& tracker) override {
    RestoreInput input;
    RuleCounts counts;
    std::unordered_set<std::string> chains;
    endpoints_ = count_endpoints(tracker);
    bool large = endpoints_ > kLargeClusterEndpoints;
    options_.node_port_addresses = find_node_port_addresses(options_, system_.interface_addresses());
    begin_full_input(input, options_);
    tracker.for_each([&](const std::string&, const ServiceObjects& objects) {
      ServiceRules rules = service_rules(view_service(objects, options_.family, node_name_), options_, large);
      add_service(input, rules);
      for (const ChainRules& chain : rules.chains) chains.insert(chain.name);
      counts.no_local_internal += rules.no_local_internal;
      counts.no_local_external += rules.no_local_external;
    });
    end_full_input(input, options_);
    counts.filter_total = counts.filter_last = input.lines(false);
    counts.nat_total = counts.nat_last = input.lines(true);

    std::string nat_name = "nat", filter_name = "filter";
    auto nat = co_await save(std::move(nat_name));
    if (!nat.ok()) co_return nat.status();
    auto filter = co_await save(std::move(filter_name));
    if (!filter.ok()) co_return filter.status();
    for (const std::string& chain : nat->chains)
      if (is_service_chain(chain) && chains.count(chain) == 0) input.remove_chain(chain);
    // A jump may only go to a chain that is there: those that this input does not make are asked for first.
    if (!options_.localhost_node_ports || options_.family == Family::kIPv6) {
      bool there = std::find(filter->chains.begin(), filter->chains.end(), "KUBE-FIREWALL") != filter->chains.end();
      if (!there) input.chain(false, "KUBE-FIREWALL");
    }
    for (const Jump& jump : kJumps) {
      const SavedTable& table = jump.table == "nat" ? *nat : *filter;
      JumpState state = find_jump(table, jump);
      if (state == JumpState::kUnsure) state = co_await check(jump);
      if (state == JumpState::kAbsent) input.rule(jump.table == "nat", "-I " + std::string(jump.source) + " " + jump.rule());
    }
    std::string text = input.text();
    Status restored = co_await restore(std::move(text));
    CO_TRY(restored);
    counts_ = counts;
    co_await ensure_canary();
    co_return Status();
  }

  Task<Status> write_changes(const std::vector<ServiceChange>& changes) override {
    RestoreInput input;
    RuleCounts counts = counts_;
    bool large = endpoints_ > kLargeClusterEndpoints;
    if (!options_.node_port_cidrs.empty() && find_node_port_addresses(options_, system_.interface_addresses()) != options_.node_port_addresses)
      co_return Status::error("the node's addresses have changed");
    for (const ServiceChange& change : changes) {
      ServiceRules before = service_rules(view_service(change.before, options_.family, node_name_), options_, large);
      ServiceRules after = service_rules(view_service(change.after, options_.family, node_name_), options_, large);
      change_service(input, before, after);
      endpoints_ += after.endpoints - before.endpoints;
      counts.filter_total += after.filter_rules() - before.filter_rules();
      counts.nat_total += after.nat_rules() - before.nat_rules();
      counts.no_local_internal += after.no_local_internal - before.no_local_internal;
      counts.no_local_external += after.no_local_external - before.no_local_external;
    }
    if (input.empty()) co_return Status();
    counts.filter_last = input.lines(false);
    counts.nat_last = input.lines(true);
    std::string text = input.text();
    Status restored = co_await restore(std::move(text));
    CO_TRY(restored);
    counts_ = counts;
    co_return Status();
  }

  // The chain that nobody but a flush of everything removes.
  Task<bool> intact() override {
    std::vector<std::string> look = {"-S", std::string(kCanary), "-t", "mangle"};
    Status found = co_await iptables(std::move(look));
    co_return found.ok() || found.is("Busy");
  }

  Task<Status> cleanup() override {
    Status worst;
    for (const Jump& jump : kJumps) {
      if (jump.target == "KUBE-FIREWALL") continue;  // the kubelet's
      JumpState state = co_await check(jump);
      if (state != JumpState::kPresent) continue;
      std::vector<std::string> args = jump_args("-D", jump);
      Status removed = co_await iptables(std::move(args));
      if (!removed.ok()) worst = removed;
    }
    for (std::string_view table : kServiceTables) {
      std::string name(table);
      auto saved = co_await save(std::move(name));
      if (!saved.ok()) co_return saved.status();
      std::string input = "*" + std::string(table) + "\n", removals;
      for (const std::string& chain : saved->chains) {
        if (!is_ours(table, chain)) continue;
        input += ":" + chain + " - [0:0]\n";
        removals += "-X " + chain + "\n";
      }
      if (removals.empty()) continue;
      input += removals + "COMMIT\n";
      Status restored = co_await restore(std::move(input));
      if (!restored.ok()) worst = restored;
    }
    for (const char* table : kTables) {
      std::vector<std::string> args = {"-X", std::string(kCanary), "-t", table};
      Status removed = co_await iptables(std::move(args));
      if (!removed.ok() && !removed.is("Refused")) worst = removed;
    }
    co_return worst;
  }

 private:
  static bool is_ours(std::string_view table, std::string_view chain) {
    if (table == "nat") return is_service_chain(chain) || chain == "KUBE-SERVICES" || chain == "KUBE-NODEPORTS" || chain == "KUBE-POSTROUTING";
    return chain == "KUBE-SERVICES" || chain == "KUBE-EXTERNAL-SERVICES" || chain == "KUBE-FORWARD" || chain == "KUBE-NODEPORTS" ||
           chain == "KUBE-PROXY-FIREWALL";
  }
  std::string program(std::string_view suffix) const { return (options_.family == Family::kIPv4 ? "iptables" : "ip6tables") + std::string(suffix); }

  size_t count_endpoints(const Tracker& tracker) const {
    size_t count = 0;
    tracker.for_each([&](const std::string&, const ServiceObjects& objects) {
      for (const PortView& port : view_service(objects, options_.family, node_name_)) count += port.endpoints.size();
    });
    return count;
  }

  // Waits for the lock that iptables-legacy programs share.
  Task<Status> iptables(std::vector<std::string> arguments) {
    std::vector<std::string> args = {program(""), "-w", "5", "-W", "100000"};
    args.insert(args.end(), arguments.begin(), arguments.end());
    std::string nothing;
    auto result = co_await system_.run(std::move(args), std::move(nothing));
    if (!result.ok()) co_return result.status();
    if (result->exit_code == 0) co_return Status();
    // 1: there is no such chain or rule, or it is there already. 4: the lock, or the kernel, has no room for us now.
    std::string_view reason = result->exit_code == 1 ? "Refused" : result->exit_code == 4 ? "Busy" : "InternalError";
    co_return Status::make(500, reason, program("") + ": " + result->err);
  }

  static std::vector<std::string> jump_args(std::string operation, const Jump& jump) {
    std::vector<std::string> args = {std::move(operation), std::string(jump.source), "-t", std::string(jump.table)};
    std::vector<std::string> rule = jump.args();
    args.insert(args.end(), rule.begin(), rule.end());
    return args;
  }
  Task<JumpState> check(const Jump& jump) {
    std::vector<std::string> args = jump_args("-C", jump);
    Status found = co_await iptables(std::move(args));
    co_return found.ok() ? JumpState::kPresent : JumpState::kAbsent;
  }

  Task<Result<SavedTable>> save(std::string table) {
    std::vector<std::string> args = {program("-save"), "-t", std::move(table)};
    std::string nothing;
    auto result = co_await system_.run(std::move(args), std::move(nothing));
    if (!result.ok()) co_return result.status();
    if (result->exit_code != 0) co_return Status::error(program("-save") + ": " + result->err);
    co_return parse_saved_table(result->out);
  }

  Task<Status> restore(std::string input) {
    std::vector<std::string> args = {program("-restore"), "-w", "5", "-W", "100000", "--noflush", "--counters"};
    std::string copy = input;
    auto result = co_await system_.run(std::move(args), std::move(copy));
    if (!result.ok()) co_return result.status();
    if (result->exit_code == 0) co_return Status();
    log_debug("Refused rules", {{"input", input}});
    co_return Status::error(program("-restore") + ": " + result->err);
  }

  Task<void> ensure_canary() {
    for (const char* table : kTables) {
      std::vector<std::string> args = {"-N", std::string(kCanary), "-t", table};
      Status made = co_await iptables(std::move(args));
      if (!made.ok() && !made.is("Refused")) log_error("Could not set up the iptables canary", {{"table", table}, {"error", made.message()}});
    }
  }

  System& system_;
  RuleOptions options_;
  const std::string node_name_;
  size_t endpoints_ = 0;
};

}  // namespace

std::unique_ptr<Rules> make_iptables_rules(System& system, RuleOptions options, std::string node_name) {
  return std::make_unique<IptablesRules>(system, std::move(options), std::move(node_name));
}

}  // namespace knarr::proxy
