// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/config.h"
#include "proxy/nftables_rules.h"
#include "proxy/rules.h"
#include "proxy/test_support.h"

namespace knarr::proxy {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kHttp = "{name: p80, protocol: TCP, port: 80}";
constexpr std::string_view kSpec = "clusterIP: 172.30.0.41, clusterIPs: [172.30.0.41], ports: [{name: p80, port: 80, protocol: TCP}]";

RuleOptions options() {
  ProxyConfig config;
  config.mode = "nftables";
  config.cluster_cidr = "10.180.0.0/16";
  return rule_options(config, Family::kIPv4, {});
}

NftServiceRules rules_of(std::string_view spec, std::string_view endpoints) {
  return nft_service_rules(view_service(objects(service("svc1", spec), {slice("a", "svc1", kHttp, endpoints)}), Family::kIPv4, "n1"), options());
}

TEST(NftRules, OfAPlainService) {
  NftServiceRules rules = rules_of(kSpec, "{addresses: [10.180.0.1]}, {addresses: [10.180.0.2]}");
  ASSERT_EQ(rules.elements.size(), 2u);
  EXPECT_EQ(rules.elements[1].key, "172.30.0.41 . tcp . 80");
  EXPECT_EQ(rules.elements[1].verdict, "goto service-ULMVA6XW-ns1/svc1/tcp/p80");
  const auto& chain = rules.chains.at("service-ULMVA6XW-ns1/svc1/tcp/p80");
  EXPECT_EQ(chain[0], "ip daddr 172.30.0.41 tcp dport 80 ip saddr != 10.180.0.0/16 jump mark-for-masquerade");
  EXPECT_THAT(chain[1], HasSubstr("numgen random mod 2 vmap { 0 : goto endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80 , 1 : goto endpoint-"));
  EXPECT_EQ(rules.chains.size(), 3u);
}

TEST(NftRules, WithoutEndpointsRefuse) {
  NftServiceRules rules = rules_of(kSpec, "");
  EXPECT_TRUE(rules.chains.empty());
  EXPECT_EQ(rules.elements[1].map, "no-endpoint-services");
  EXPECT_EQ(rules.elements[1].verdict, "goto reject-chain");
}

TEST(NftRules, NamesAreTold) {
  EXPECT_TRUE(is_nft_service_name("service-ULMVA6XW-ns1/svc1/tcp/p80"));
  EXPECT_FALSE(is_nft_service_name("service-endpoints-check"));
  EXPECT_EQ(parse_nft_names("table ip other {\n\tchain a/b {\n\t}\n}\ntable ip kube-proxy {\n\tchain c {\n\t\ttype x\n\t}\n\tchain d/e {\n\t}\n}\n", "ip kube-proxy", "chain"),
            (std::vector<std::string>{"c", "d/e"}));
  ServicePort port;
  port.name = std::string(63, 'n') + "/" + std::string(63, 's') + ":" + std::string(63, 'p');
  port.port_name = std::string(63, 'p');
  port.protocol = "TCP";
  Endpoint endpoint;
  endpoint.ip = "fd00:1111:2222:3333:4444:5555:6666:7777";
  endpoint.port = 65535;
  EXPECT_LE(nft_endpoint_name("affinity", port, endpoint).size(), 255u);
}

TEST(NftElements, TheFirstOfTwoClaimsHolds) {
  NftElements elements;
  std::string gone, come;
  std::vector<NftElement> first = {{"service-ips", "1.2.3.4 . tcp . 80", "goto a"}}, second = {{"service-ips", "1.2.3.4 . tcp . 80", "goto b"}};
  elements.change(gone, come, "ip t", "ns/a", {}, first);
  EXPECT_EQ(come, "add element ip t service-ips { 1.2.3.4 . tcp . 80 : goto a }\n");
  come.clear();
  elements.change(gone, come, "ip t", "ns/b", {}, second);
  EXPECT_EQ(come, "");
  elements.change(gone, come, "ip t", "ns/a", first, {});
  EXPECT_EQ(gone, "delete element ip t service-ips { 1.2.3.4 . tcp . 80 }\n");
  EXPECT_EQ(come, "add element ip t service-ips { 1.2.3.4 . tcp . 80 : goto b }\n");
  gone.clear();
  elements.change(gone, come, "ip t", "ns/b", second, {});
  EXPECT_EQ(gone, "delete element ip t service-ips { 1.2.3.4 . tcp . 80 }\n");
  EXPECT_EQ(elements.size(), 0u);
}

TEST(NftWriter, OnlyWhatChanged) {
  RecordingSystem system;
  auto rules = make_nftables_rules(system, options(), "n1");
  Tracker tracker;
  tracker.update_service(nullptr, service("svc1", kSpec));
  SlicePtr old = slice("a", "svc1", kHttp, "{addresses: [10.180.0.1]}, {addresses: [10.180.0.2]}");
  tracker.update_slice(nullptr, old);
  (void)tracker.take_changes();
  ASSERT_TRUE(run(rules->write_all(tracker)).ok());
  system.calls.clear();
  tracker.update_slice(old, slice("a", "svc1", kHttp, "{addresses: [10.180.0.2]}"));
  ASSERT_TRUE(run(rules->write_changes(tracker.take_changes())).ok());
  ASSERT_EQ(system.calls.size(), 2u);
  EXPECT_THAT(system.calls[0].input, HasSubstr("flush chain ip kube-proxy endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80\n"));
  EXPECT_THAT(system.calls[0].input, HasSubstr("numgen random mod 1 vmap"));
  EXPECT_THAT(system.calls[0].input, Not(HasSubstr("element")));
  EXPECT_THAT(system.calls[0].input, Not(HasSubstr("dnat")));
  EXPECT_EQ(system.calls[1].input, "delete chain ip kube-proxy endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80\n");
}

}  // namespace
}  // namespace knarr::proxy
