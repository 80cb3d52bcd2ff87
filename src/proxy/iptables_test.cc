// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/burst_limiter.h"
#include "proxy/config.h"
#include "proxy/health.h"
#include "proxy/iptables_input.h"
#include "proxy/rules.h"
#include "proxy/test_support.h"

namespace knarr::proxy {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kHttp = "{name: p80, protocol: TCP, port: 80}";
std::string spec(std::string_view ip, std::string_view more = "") {
  return "clusterIP: " + std::string(ip) + ", clusterIPs: [" + std::string(ip) + "], ports: [{name: p80, port: 80, protocol: TCP}]" + std::string(more);
}

RuleOptions options() {
  ProxyConfig config;
  config.cluster_cidr = "10.180.0.0/16";
  return rule_options(config, Family::kIPv4, {});
}

TEST(Rules, NamesAreUpstreams) {
  ServicePort port;
  port.name = "ns1/svc1:p80";
  port.protocol = "TCP";
  EXPECT_EQ(service_chain_name("KUBE-SVC-", port), "KUBE-SVC-XPGD46QRK7WJZT7O");
  EXPECT_EQ(endpoint_chain_name(port, "10.180.0.1:80"), "KUBE-SEP-SXIVWICOYRO3J4NJ");
  EXPECT_EQ(options().mark, "0x00004000");
}

TEST(Rules, OfAPlainService) {
  ServiceRules rules = service_rules(
      view_service(objects(service("svc1", spec("172.30.0.41")), {slice("a", "svc1", kHttp, "{addresses: [10.180.0.1]}, {addresses: [10.180.0.2]}")}), Family::kIPv4, "n1"),
      options(), false);
  EXPECT_EQ(rules.shared[kNatServices], std::vector<std::string>{"-m comment --comment \"ns1/svc1:p80 cluster IP\" -m tcp -p tcp -d 172.30.0.41 --dport 80 "
                                                                 "-j KUBE-SVC-XPGD46QRK7WJZT7O"});
  ASSERT_EQ(rules.chains.size(), 3u);
  EXPECT_EQ(rules.chains[0].rules[0],
            "-m comment --comment \"ns1/svc1:p80 cluster IP\" -m tcp -p tcp -d 172.30.0.41 --dport 80 ! -s 10.180.0.0/16 -j KUBE-MARK-MASQ");
  EXPECT_EQ(rules.chains[0].rules[1],
            "-m comment --comment \"ns1/svc1:p80 -> 10.180.0.1:80\" -m statistic --mode random --probability 0.5000000000 -j KUBE-SEP-SXIVWICOYRO3J4NJ");
  EXPECT_THAT(rules.chains[0].rules[2], Not(HasSubstr("probability")));
  EXPECT_EQ(rules.chains[1].rules, (std::vector<std::string>{"-m comment --comment ns1/svc1:p80 -s 10.180.0.1 -j KUBE-MARK-MASQ",
                                                            "-m comment --comment ns1/svc1:p80 -m tcp -p tcp -j DNAT --to-destination 10.180.0.1:80"}));
}

TEST(Rules, RefusalsSayWhy) {
  std::string local = ", type: NodePort, externalTrafficPolicy: Local";
  ServiceObjects none = objects(service("s", spec("10.0.0.1")), {});
  EXPECT_EQ(service_rules(view_service(none, Family::kIPv4, "n1"), options(), false).shared[kFilterServices],
            std::vector<std::string>{"-m comment --comment \"ns1/s:p80 has no endpoints\" -m tcp -p tcp -d 10.0.0.1 --dport 80 -j REJECT"});
  ServiceObjects elsewhere = objects(service("s", "clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], type: NodePort, externalTrafficPolicy: Local, "
                                                  "ports: [{name: p80, port: 80, protocol: TCP, nodePort: 30080}]"),
                                     {slice("a", "s", kHttp, "{addresses: [10.180.0.1], nodeName: n2}")});
  ServiceRules rules = service_rules(view_service(elsewhere, Family::kIPv4, "n1"), options(), false);
  EXPECT_EQ(rules.shared[kFilterExternal],
            std::vector<std::string>{"-m comment --comment \"ns1/s:p80 has no local endpoints\" -m addrtype --dst-type LOCAL -m tcp -p tcp --dport 30080 -j DROP"});
  EXPECT_EQ(rules.no_local_external, 1);
  EXPECT_EQ(rules.no_local_internal, 0);
}

// A machine whose iptables takes everything.
class Writer : public testing::Test {
 protected:
  Writer() : rules_(make_iptables_rules(system_, options(), "n1")) {
    system_.answer = [this](const RecordingSystem::Call& call) {
      CommandResult result;
      if (call.args[0] == "iptables-save") result.out = saved_;
      if (call.args[0] == "iptables-restore" && refuse_) {
        result.exit_code = 1;
        result.err = "iptables-restore: line 3 failed";
      }
      return result;
    };
  }
  std::string last_input() const {
    for (auto call = system_.calls.rbegin(); call != system_.calls.rend(); ++call)
      if (call->args[0] == "iptables-restore") return call->input;
    return {};
  }
  size_t restores() const {
    size_t count = 0;
    for (const auto& call : system_.calls) count += call.args[0] == "iptables-restore" ? 1 : 0;
    return count;
  }
  Status write_all() { return run(rules_->write_all(tracker_)); }
  Status write_changes() { return run(rules_->write_changes(tracker_.take_changes())); }

  RecordingSystem system_;
  std::string saved_;
  bool refuse_ = false;
  Tracker tracker_;
  std::unique_ptr<Rules> rules_;
};

size_t count_lines(const std::string& text) { return static_cast<size_t>(std::count(text.begin(), text.end(), '\n')); }

TEST_F(Writer, OneEndpointAmongTenThousandServices) {
  constexpr int kServices = 10000;
  ServicePtr one = service("svc", spec("10.0.0.1"));
  SlicePtr one_slice = slice("svc", "svc", kHttp, "{addresses: [10.180.0.1]}, {addresses: [10.180.0.2]}"), old;
  for (int i = 0; i < kServices; ++i) {
    auto made = std::make_shared<api::core_v1::Service>(*one);
    auto endpoints = std::make_shared<api::discovery_v1::EndpointSlice>(*one_slice);
    std::string name = "svc" + std::to_string(i), ip = "10.1." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250);
    made->metadata.name = name;
    made->spec.cluster_ip = ip;
    made->spec.cluster_ips[0] = ip;
    endpoints->metadata.name = name + "-a";
    endpoints->metadata.labels["kubernetes.io/service-name"] = name;
    if (i == 77) old = endpoints;
    tracker_.update_service(nullptr, made);
    tracker_.update_slice(nullptr, endpoints);
  }
  (void)tracker_.take_changes();
  ASSERT_TRUE(write_all().ok());
  EXPECT_GT(count_lines(last_input()), 60000u);
  tracker_.update_slice(old, slice("svc77-a", "svc77", kHttp, "{addresses: [10.180.0.1]}, {addresses: [10.180.0.2]}, {addresses: [10.180.0.3]}"));
  ASSERT_TRUE(write_changes().ok());
  // Its own chain anew, and the new endpoint's: the others' are not even named.
  std::string input = last_input();
  EXPECT_EQ(count_lines(input), 10u) << input;
  EXPECT_THAT(input, HasSubstr("*nat\n:KUBE-SVC-"));
  EXPECT_THAT(input, HasSubstr("--probability 0.3333333333"));
  EXPECT_THAT(input, HasSubstr("--to-destination 10.180.0.3:80"));
  EXPECT_THAT(input, Not(HasSubstr("--to-destination 10.180.0.1:80")));
  EXPECT_THAT(input, Not(HasSubstr("KUBE-SERVICES")));
  EXPECT_THAT(input, Not(HasSubstr("*filter")));
}

TEST_F(Writer, AServiceComesAndGoes) {
  ASSERT_TRUE(write_all().ok());
  ServicePtr made = service("svc1", spec("172.30.0.41"));
  tracker_.update_service(nullptr, made);
  ASSERT_TRUE(write_changes().ok());
  EXPECT_EQ(last_input(), "*filter\n-I KUBE-SERVICES -m comment --comment \"ns1/svc1:p80 has no endpoints\" -m tcp -p tcp -d 172.30.0.41 --dport 80 -j REJECT\nCOMMIT\n");
  SlicePtr endpoints = slice("a", "svc1", kHttp, "{addresses: [10.180.0.1]}");
  tracker_.update_slice(nullptr, endpoints);
  ASSERT_TRUE(write_changes().ok());
  EXPECT_THAT(last_input(), HasSubstr("*filter\n-D KUBE-SERVICES -m comment"));
  EXPECT_THAT(last_input(), HasSubstr("*nat\n:KUBE-SVC-XPGD46QRK7WJZT7O - [0:0]\n:KUBE-SEP-SXIVWICOYRO3J4NJ - [0:0]\n-I KUBE-SERVICES "));
  tracker_.update_service(made, nullptr);
  tracker_.update_slice(endpoints, nullptr);
  ASSERT_TRUE(write_changes().ok());
  EXPECT_THAT(last_input(), HasSubstr("-D KUBE-SERVICES"));
  EXPECT_THAT(last_input(), HasSubstr("-X KUBE-SVC-XPGD46QRK7WJZT7O\n-X KUBE-SEP-SXIVWICOYRO3J4NJ\nCOMMIT\n"));
  EXPECT_EQ(rules_->counts().nat_total, base_rule_count(options(), true));
}

TEST_F(Writer, NothingIsWrittenForNothing) {
  ASSERT_TRUE(write_all().ok());
  size_t before = restores();
  tracker_.update_service(nullptr, service("s", "clusterIP: None, clusterIPs: [None], ports: [{port: 80}]"));
  ASSERT_TRUE(write_changes().ok());
  EXPECT_EQ(restores(), before);
}

TEST_F(Writer, JumpsAreMadeOnce) {
  ASSERT_TRUE(write_all().ok());
  EXPECT_THAT(last_input(), HasSubstr("-I PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n"));
  for (const Jump& jump : kJumps) saved_ += "-A " + std::string(jump.source) + " " + jump.rule() + "\n";
  saved_ += ":KUBE-SVC-OLDOLDOLDOLDOLDO - [0:0]\n:OTHER - [0:0]\n";
  ASSERT_TRUE(write_all().ok());
  EXPECT_THAT(last_input(), Not(HasSubstr("-I ")));
  EXPECT_THAT(last_input(), HasSubstr("-X KUBE-SVC-OLDOLDOLDOLDOLDO\n"));
  EXPECT_THAT(last_input(), Not(HasSubstr("OTHER")));
  // Printed in another way: only a check tells.
  saved_ = "-A PREROUTING -m comment --comment portals -j KUBE-SERVICES\n";
  system_.calls.clear();
  ASSERT_TRUE(write_all().ok());
  EXPECT_EQ(std::count_if(system_.calls.begin(), system_.calls.end(), [](const auto& call) { return call.line().find(" -C PREROUTING ") != std::string::npos; }), 1);
  EXPECT_THAT(last_input(), Not(HasSubstr("-I PREROUTING")));
}

TEST_F(Writer, ARefusalIsAnError) {
  refuse_ = true;
  Status status = write_all();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("line 3 failed"));
}

TEST_F(Writer, ManyEndpointsLoseTheirComments) {
  std::string endpoints;
  for (int i = 0; i < 1001; ++i) endpoints += (i == 0 ? "" : ", ") + ("{addresses: [10.180." + std::to_string(i / 250)) + "." + std::to_string(1 + i % 250) + "]}";
  tracker_.update_service(nullptr, service("s", spec("10.0.0.1")));
  tracker_.update_slice(nullptr, slice("a", "s", kHttp, endpoints));
  (void)tracker_.take_changes();
  ASSERT_TRUE(write_all().ok());
  EXPECT_THAT(last_input(), Not(HasSubstr("ns1/s:p80 ->")));
  EXPECT_THAT(last_input(), HasSubstr("\"ns1/s:p80 cluster IP\""));
}

TEST(Input, NodePortsOnSomeAddresses) {
  ProxyConfig config;
  config.node_port_addresses = {"192.168.0.0/24", "fd00::/16"};
  RuleOptions made = rule_options(config, Family::kIPv4, {});
  EXPECT_FALSE(made.localhost_node_ports);
  made.node_port_addresses = find_node_port_addresses(made, {"127.0.0.1", "192.168.0.7", "10.0.0.1", "fd00::1", "192.168.0.7"});
  RestoreInput input;
  end_full_input(input, made);
  EXPECT_THAT(input.text(), HasSubstr("this must be the last rule in this chain\" -d 192.168.0.7 -j KUBE-NODEPORTS\n"));
  EXPECT_EQ(input.lines(true), 1u);
}

TEST(Config, LocalTraffic) {
  ProxyConfig config;
  EXPECT_FALSE(rule_options(config, Family::kIPv4, {}).detector.implemented());
  config.cluster_cidr = "fd00::/48, 10.0.0.0/8";
  EXPECT_EQ(rule_options(config, Family::kIPv4, {}).detector.if_not_local, "! -s 10.0.0.0/8");
  EXPECT_EQ(rule_options(config, Family::kIPv6, {}).detector.if_local, "-s fd00::/48");
  config.detect_local_mode = "NodeCIDR";
  EXPECT_EQ(rule_options(config, Family::kIPv4, {"10.1.0.0/24"}).detector.if_local, "-s 10.1.0.0/24");
  config.detect_local_mode = "InterfaceNamePrefix";
  config.interface_name_prefix = "veth";
  EXPECT_EQ(rule_options(config, Family::kIPv4, {}).detector.if_local, "-i veth+");
  EXPECT_TRUE(validate(config).ok());
  config.interface_name_prefix = "a b";
  EXPECT_FALSE(validate(config).ok());
  config.detect_local_mode = "Magic";
  EXPECT_FALSE(validate(config).ok());
}

TEST(Config, ConntrackIsRaisedOnly) {
  RecordingSystem system;
  system.sysctls = {{"net/netfilter/nf_conntrack_tcp_timeout_established", 432000}};
  ASSERT_TRUE(set_up_conntrack(system, ProxyConfig(), 8).ok());
  EXPECT_EQ(system.sysctls.size(), 3u);
  EXPECT_EQ(system.sysctl("net/netfilter/nf_conntrack_max"), 262144);
  EXPECT_EQ(system.sysctl("net/netfilter/nf_conntrack_tcp_timeout_close_wait"), 3600);
}

TEST(Limiter, TwoAtOnceThenOneAnInterval) {
  FakeClock clock{WallTime()};
  clock.advance(std::chrono::hours(1));
  BurstLimiter limiter(std::chrono::seconds(1));
  EXPECT_EQ(limiter.take(clock.mono()), Duration::zero());
  EXPECT_EQ(limiter.take(clock.mono()), Duration::zero());
  EXPECT_EQ(limiter.take(clock.mono()), std::chrono::seconds(1));
  clock.advance(std::chrono::milliseconds(400));
  EXPECT_EQ(limiter.take(clock.mono()), std::chrono::milliseconds(600));
  clock.advance(std::chrono::milliseconds(600));
  EXPECT_EQ(limiter.take(clock.mono()), Duration::zero());
  EXPECT_GT(limiter.take(clock.mono()), Duration::zero());
}

TEST(Health, AWriteThatTakesTooLong) {
  FakeClock clock{WallTime()};
  ProxyHealth health(clock, std::chrono::seconds(60));
  EXPECT_EQ(health.healthz().code, 200);
  health.queued();
  clock.advance(std::chrono::seconds(59));
  health.queued();
  EXPECT_TRUE(health.healthy());
  clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(health.livez().code, 503);
  EXPECT_THAT(health.healthz().body, HasSubstr("\"lastUpdated\": \"0001-01-01 00:00:00 +0000 UTC\""));
  health.updated();
  EXPECT_EQ(health.healthz().code, 200);
  EXPECT_THAT(health.healthz().body, HasSubstr("\"nodeEligible\": true}"));
}

}  // namespace
}  // namespace knarr::proxy
