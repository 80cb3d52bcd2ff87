// SPDX-License-Identifier: Apache-2.0
#include "flannel/iptables.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <tuple>

#include "base/log.h"
#include "base/process.h"

namespace knarr::flannel {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

class IptablesPrograms final : public PacketFilter {
 public:
  Task<Result<std::string>> list(std::string table) override {
    std::vector<std::string> args = {"iptables", "-w", "5", "-t", std::move(table), "-S"};
    auto result = co_await run_process(std::move(args));
    co_return result;
  }
  Task<Result<std::string>> version() override {
    std::vector<std::string> args = {"iptables", "--version"};
    auto result = co_await run_process(std::move(args));
    co_return result;
  }
  // The script is a file in memory, which the program opens through /proc.
  Task<Status> restore(std::string script) override {
    int fd = ::memfd_create("iptables", MFD_CLOEXEC);
    if (fd < 0) co_return Status::from_errno("memfd_create", errno);
    Status status;
    if (::write(fd, script.data(), script.size()) != static_cast<ssize_t>(script.size())) status = Status::from_errno("write", errno);
    if (status.ok()) {
      std::vector<std::string> args = {"iptables-restore", "-w", "5", "--noflush", fmt::format("/proc/{}/fd/{}", ::getpid(), fd)};
      auto result = co_await run_process(std::move(args));
      status = result.status();
    }
    ::close(fd);
    co_return status;
  }
};

}  // namespace

RuleSet masquerade_rules(const Cidr& network, const Cidr& subnet, bool random_fully) {
  std::string all = network.text(), own = subnet.text();
  const char* comment = "-m comment --comment \"flanneld masq\"";
  const char* masquerade = random_fully ? "-j MASQUERADE --random-fully" : "-j MASQUERADE";
  RuleSet set{"nat", "FLANNEL-POSTRTG", fmt::format("-A POSTROUTING {} -j FLANNEL-POSTRTG", comment), {}};
  auto add = [&](std::string match, std::string_view then) { set.rules.push_back(fmt::format("-A FLANNEL-POSTRTG {} {}", match, then)); };
  // What kube-proxy has marked it masquerades itself; twice is one too many.
  add(fmt::format("-m mark --mark 0x4000/0x4000 {}", comment), "-j RETURN");
  // Within the network addresses stay, also of what comes from outside to a pod of this node.
  add(fmt::format("-s {} -d {} {}", own, all, comment), "-j RETURN");
  add(fmt::format("-s {} -d {} {}", all, own, comment), "-j RETURN");
  add(fmt::format("! -s {} -d {} {}", all, own, comment), "-j RETURN");
  add(fmt::format("-s {} ! -d 224.0.0.0/4 {}", all, comment), masquerade);
  add(fmt::format("! -s {} -d {} {}", all, all, comment), masquerade);
  return set;
}

RuleSet forward_rules(const Cidr& network) {
  const char* comment = "-m comment --comment \"flanneld forward\"";
  RuleSet set{"filter", "FLANNEL-FWD", fmt::format("-A FORWARD {} -j FLANNEL-FWD", comment), {}};
  for (const char* side : {"-s", "-d"}) set.rules.push_back(fmt::format("-A FLANNEL-FWD {} {} {} -j ACCEPT", side, network.text(), comment));
  return set;
}

bool has_rules(std::string_view table, const RuleSet& rules) {
  std::string own = "-A " + rules.chain + " ";
  bool jump = false;
  size_t found = 0;
  for (std::string_view line : lines_of(table)) {
    jump |= line == rules.jump;
    if (!line.starts_with(own)) continue;
    if (found == rules.rules.size() || line != rules.rules[found]) return false;
    ++found;
  }
  return jump && found == rules.rules.size();
}

std::string restore_script(std::string_view table, const RuleSet& rules) {
  bool jump = false;
  for (std::string_view line : lines_of(table)) jump |= line == rules.jump;
  std::string script = fmt::format("*{}\n:{} - [0:0]\n", rules.table, rules.chain);
  if (!jump) script += rules.jump + "\n";
  for (const std::string& rule : rules.rules) script += rule + "\n";
  return script + "COMMIT\n";
}

bool has_random_fully(std::string_view version) {
  int major = 0, minor = 0, patch = 0;
  std::string text(version);
  size_t at = text.find(" v");
  if (at == std::string::npos || std::sscanf(text.c_str() + at, " v%d.%d.%d", &major, &minor, &patch) < 2) return false;
  return std::tuple(major, minor, patch) >= std::tuple(1, 6, 2);
}

std::unique_ptr<PacketFilter> make_packet_filter() { return std::make_unique<IptablesPrograms>(); }

Task<Status> ensure_rules(PacketFilter* filter, RuleSet rules) {
  std::string table = rules.table;
  auto present = co_await filter->list(std::move(table));
  if (!present.ok()) co_return present.status();
  if (has_rules(*present, rules)) co_return Status();
  log_info("Some iptables rules are missing; deleting and recreating rules", {{"chain", rules.chain}});
  std::string script = restore_script(*present, rules);
  Status status = co_await filter->restore(std::move(script));
  co_return status;
}

}  // namespace knarr::flannel
