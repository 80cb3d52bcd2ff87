// SPDX-License-Identifier: Apache-2.0
// Writes rules by `nft -f -`: one transaction a write.
#include <algorithm>

#include "base/log.h"
#include "proxy/nftables_rules.h"
#include "proxy/rules.h"

namespace knarr::proxy {
namespace {

class NftablesRules final : public Rules {
 public:
  NftablesRules(System& system, RuleOptions options, std::string node_name)
      : system_(system), options_(std::move(options)), node_name_(std::move(node_name)) {}

  Family family() const override { return options_.family; }
  void set_node(std::string zone, std::string node_ip) override {
    options_.zone = std::move(zone);
    options_.node_ip = std::move(node_ip);
  }

  // A dry run of everything that rules use: an old nft or kernel says here what it does not know.
  Task<Status> probe() override {
    NftInput input;
    begin_nft_input(input, options_);
    std::vector<std::string> args = {"nft", "--check", "-f", "-"};
    std::string text = input.text();
    auto result = co_await system_.run(std::move(args), std::move(text));
    if (!result.ok()) co_return result.status();
    co_return result->exit_code == 0 ? Status() : Status::error("nft: " + result->err.substr(0, result->err.find('\n')));
  }

  Task<Status> write_all(const Tracker& tracker) override {
    NftInput input;
    RuleCounts counts;
    elements_.clear();
    std::set<std::string> chains, sets;
    options_.node_port_addresses = find_node_port_addresses(options_, system_.interface_addresses());
    begin_nft_input(input, options_);
    tracker.for_each([&](const std::string& key, const ServiceObjects& objects) {
      NftServiceRules rules = nft_service_rules(view_service(objects, options_.family, node_name_), options_);
      change_nft_service(input, elements_, options_.family, key, {}, rules, stale_chains_, stale_sets_);
      for (const auto& [name, lines] : rules.chains) chains.insert(name);
      for (const auto& [name, seconds] : rules.affinity_sets) sets.insert(name);
      counts.no_local_internal += rules.no_local_internal;
      counts.no_local_external += rules.no_local_external;
    });
    std::string kind = "chain";
    co_await find_stale(kind, chains, stale_chains_);
    kind = "set";
    co_await find_stale(kind, sets, stale_sets_);
    Status written = co_await write(input);
    CO_TRY(written);
    counts_ = counts;
    co_await remove_stale();
    co_return Status();
  }

  Task<Status> write_changes(const std::vector<ServiceChange>& changes) override {
    NftInput input;
    RuleCounts counts = counts_;
    if (!options_.node_port_cidrs.empty() && find_node_port_addresses(options_, system_.interface_addresses()) != options_.node_port_addresses)
      co_return Status::error("the node's addresses have changed");
    for (const ServiceChange& change : changes) {
      NftServiceRules before = nft_service_rules(view_service(change.before, options_.family, node_name_), options_);
      NftServiceRules after = nft_service_rules(view_service(change.after, options_.family, node_name_), options_);
      change_nft_service(input, elements_, options_.family, change.key, before, after, stale_chains_, stale_sets_);
      counts.no_local_internal += after.no_local_internal - before.no_local_internal;
      counts.no_local_external += after.no_local_external - before.no_local_external;
    }
    if (!input.empty()) {
      Status written = co_await write(input);
      CO_TRY(written);
    }
    counts_ = counts;
    co_await remove_stale();
    co_return Status();
  }

  Task<bool> intact() override {
    std::vector<std::string> args = {"nft", "list", "chain"};
    add_table(args);
    args.emplace_back("masquerading");
    std::string nothing;
    auto result = co_await system_.run(std::move(args), std::move(nothing));
    co_return !result.ok() || (result->exit_code == 0 && result->out.find("masquerade") != std::string::npos);
  }

  Task<Status> cleanup() override {
    std::string table(nft_table(options_.family));
    std::string text = "add table " + table + "\ndelete table " + table + "\n";
    Status removed = co_await run_nft(std::move(text));
    co_return removed;
  }

 private:
  void add_table(std::vector<std::string>& args) const {
    args.emplace_back(options_.family == Family::kIPv4 ? "ip" : "ip6");
    args.emplace_back("kube-proxy");
  }
  Task<Status> run_nft(std::string text) {
    std::vector<std::string> args = {"nft", "-f", "-"};
    auto result = co_await system_.run(std::move(args), std::move(text));
    if (!result.ok()) co_return result.status();
    co_return result->exit_code == 0 ? Status() : Status::error("nft: " + result->err);
  }
  Task<Status> write(const NftInput& input) {
    std::string text = input.text();
    Status written = co_await run_nft(std::move(text));
    co_return written;
  }

  // What an earlier proxy has left. The table may not be there yet.
  Task<void> find_stale(const std::string& kind, const std::set<std::string>& used, std::set<std::string>& stale) {
    std::vector<std::string> args = {"nft", "-t", "list", kind + "s", options_.family == Family::kIPv4 ? "ip" : "ip6"};
    std::string nothing;
    auto result = co_await system_.run(std::move(args), std::move(nothing));
    if (!result.ok() || result->exit_code != 0) co_return;
    for (std::string& name : parse_nft_names(result->out, nft_table(options_.family), kind))
      if (is_nft_service_name(name) && used.count(name) == 0) stale.insert(std::move(name));
  }

  // Apart from the write that emptied them: kernels hold on to a chain for a moment after the last element that named it has gone. What they
  // still hold is tried again with the next write.
  Task<void> remove_stale() {
    if (stale_chains_.empty() && stale_sets_.empty()) co_return;
    std::string table(nft_table(options_.family)), text;
    for (const std::string& name : stale_chains_) text += "delete chain " + table + " " + name + "\n";
    for (const std::string& name : stale_sets_) text += "delete set " + table + " " + name + "\n";
    Status removed = co_await run_nft(std::move(text));
    if (removed.ok()) {
      stale_chains_.clear();
      stale_sets_.clear();
    } else {
      log_debug("Chains stay for now", {{"error", removed.message()}});
    }
  }

  System& system_;
  RuleOptions options_;
  const std::string node_name_;
  NftElements elements_;
  std::set<std::string> stale_chains_, stale_sets_;   // emptied, but still there
};

}  // namespace

std::unique_ptr<Rules> make_nftables_rules(System& system, RuleOptions options, std::string node_name) {
  return std::make_unique<NftablesRules>(system, std::move(options), std::move(node_name));
}

}  // namespace knarr::proxy
