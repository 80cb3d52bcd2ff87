// SPDX-License-Identifier: Apache-2.0
#include "proxy/model.h"

#include <gtest/gtest.h>

#include "proxy/conntrack.h"
#include "proxy/test_support.h"
#include "proxy/tracker.h"

namespace knarr::proxy {
namespace {

constexpr std::string_view kHttp = "{name: p80, protocol: TCP, port: 8080}";

std::string texts(const std::vector<const Endpoint*>& endpoints) {
  std::string out;
  for (const Endpoint* endpoint : endpoints) out += endpoint->ip + " ";
  return out;
}

TEST(Address, ReadsWhatKubernetesReads) {
  EXPECT_EQ(parse_address("010.000.0.1")->text(), "10.0.0.1");
  EXPECT_EQ(parse_address("FD00::0001")->text(), "fd00::1");
  EXPECT_FALSE(parse_address("10.0.0"));
  EXPECT_FALSE(parse_address("10.0.0.256"));
  EXPECT_FALSE(parse_address("10.0.0.1.2"));
  EXPECT_FALSE(parse_address(""));
  EXPECT_TRUE(parse_cidr("10.0.0.0/9")->contains(*parse_address("10.127.0.1")));
  EXPECT_FALSE(parse_cidr("10.0.0.0/9")->contains(*parse_address("10.128.0.1")));
  EXPECT_TRUE(parse_cidr("0.0.0.0/0")->contains(*parse_address("1.2.3.4")));
  EXPECT_FALSE(parse_cidr("0.0.0.0/0")->contains(*parse_address("::1")));
  EXPECT_FALSE(parse_cidr("10.0.0.0/33"));
  EXPECT_EQ(join_host_port("fd00::1", 80), "[fd00::1]:80");
}

TEST(View, OneFamilyOfAService) {
  auto both = from_yaml<api::core_v1::Service>(R"({metadata: {namespace: ns1, name: s}, spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, "fd00::1"],
    ipFamilies: [IPv4, IPv6], type: LoadBalancer, externalIPs: [1.2.3.4, "fd01::1", bad], loadBalancerSourceRanges: [" 10.0.0.0/8", "fd02::/16"],
    externalTrafficPolicy: Local, healthCheckNodePort: 31000, ports: [{name: p80, port: 80, nodePort: 30000}]},
    status: {loadBalancer: {ingress: [{ip: 5.6.7.8}, {hostname: x}, {ip: "fd03::1"}]}}})");
  ServiceView v4 = view_service(objects(both, {}), Family::kIPv4, "n1"), v6 = view_service(objects(both, {}), Family::kIPv6, "n1");
  ASSERT_EQ(v4.size(), 1u);
  EXPECT_EQ(v4[0].port.name, "ns1/s:p80");
  EXPECT_EQ(v4[0].port.cluster_ip, "10.0.0.1");
  EXPECT_EQ(v4[0].port.external_ips, std::vector<std::string>{"1.2.3.4"});
  EXPECT_EQ(v4[0].port.source_ranges, std::vector<std::string>{"10.0.0.0/8"});
  EXPECT_EQ(v4[0].port.load_balancer_ips, std::vector<std::string>{"5.6.7.8"});
  EXPECT_EQ(v4[0].port.health_check_node_port, 31000);
  ASSERT_EQ(v6.size(), 1u);
  EXPECT_EQ(v6[0].port.cluster_ip, "fd00::1");
  EXPECT_EQ(v6[0].port.external_ips, std::vector<std::string>{"fd01::1"});
  EXPECT_EQ(v6[0].port.load_balancer_ips, std::vector<std::string>{"fd03::1"});
}

TEST(View, LeavesOutWhatHasNoAddress) {
  EXPECT_TRUE(view_service(objects(service("s", "clusterIP: None, clusterIPs: [None], ports: [{port: 80}]"), {}), Family::kIPv4, "n1").empty());
  EXPECT_TRUE(view_service(objects(service("s", "type: ExternalName, externalName: x"), {}), Family::kIPv4, "n1").empty());
  EXPECT_TRUE(view_service(objects(service("s", "clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ports: [{port: 80}]"), {}), Family::kIPv6, "n1").empty());
}

TEST(View, EndpointsOfAllSlicesOnceAndLocalFirst) {
  auto made = objects(service("s", "clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ports: [{name: p80, port: 80, protocol: TCP}]"),
                      {slice("a", "s", kHttp, "{addresses: [10.1.0.2], nodeName: n2}, {addresses: [10.1.0.1], nodeName: n1}"),
                       slice("b", "s", kHttp, "{addresses: [10.1.0.2], nodeName: n1}"), slice("c", "s", "{name: other, protocol: TCP, port: 1}", "{addresses: [10.1.0.9]}"),
                       slice("d", "s", "{name: p80, protocol: UDP, port: 8080}", "{addresses: [10.1.0.8]}")});
  ServiceView view = view_service(made, Family::kIPv4, "n1");
  ASSERT_EQ(view[0].endpoints.size(), 2u);
  EXPECT_EQ(view[0].endpoints[0].text, "10.1.0.1:8080");
  EXPECT_EQ(view[0].endpoints[1].text, "10.1.0.2:8080");
  EXPECT_TRUE(view[0].endpoints[1].local);
  EXPECT_EQ(count_local_ready(view), 2);
}

PortView port_of(std::string_view spec, std::string_view endpoints, std::string_view more = "") {
  std::string whole = "clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], " + std::string(spec);
  return view_service(objects(service("s", whole, more), {slice("a", "s", kHttp, endpoints)}), Family::kIPv4, "n1")[0];
}
constexpr std::string_view kPlain = "ports: [{name: p80, port: 80, protocol: TCP}]";
constexpr std::string_view kLocal = "type: NodePort, externalTrafficPolicy: Local, ports: [{name: p80, port: 80, protocol: TCP, nodePort: 30080}]";

TEST(Categorize, ReadyElseDraining) {
  PortView view = port_of(kPlain, "{addresses: [10.1.0.1]}, {addresses: [10.1.0.2], conditions: {ready: false, serving: true, terminating: true}}");
  Reachable found = categorize(view, "");
  EXPECT_EQ(texts(found.cluster), "10.1.0.1 ");
  view = port_of(kPlain, "{addresses: [10.1.0.1], conditions: {ready: false, serving: false}}, {addresses: [10.1.0.2], conditions: {ready: false, serving: true, terminating: true}}");
  found = categorize(view, "");
  EXPECT_EQ(texts(found.cluster), "10.1.0.2 ");
  EXPECT_TRUE(found.any);
  view = port_of(kPlain, "{addresses: [10.1.0.1], conditions: {ready: false, serving: false, terminating: true}}");
  EXPECT_FALSE(categorize(view, "").any);
}

TEST(Categorize, LocalPolicy) {
  PortView view = port_of(kLocal, "{addresses: [10.1.0.1], nodeName: n2}");
  Reachable found = categorize(view, "");
  EXPECT_EQ(texts(found.cluster), "10.1.0.1 ");
  EXPECT_EQ(texts(found.local), "");
  EXPECT_TRUE(found.any);
  // One that drains here is still used for traffic to this node, and by it alone.
  view = port_of(kLocal, "{addresses: [10.1.0.1], nodeName: n2}, {addresses: [10.1.0.2], nodeName: n1, conditions: {ready: false, serving: true, terminating: true}}");
  found = categorize(view, "");
  EXPECT_EQ(texts(found.cluster), "10.1.0.1 ");
  EXPECT_EQ(texts(found.local), "10.1.0.2 ");
  EXPECT_EQ(texts(found.all), "10.1.0.1 10.1.0.2 ");
}

TEST(Categorize, TopologyHintsCountWhenAllHaveThem) {
  PortView view = port_of(kPlain, "{addresses: [10.1.0.1], hints: {forZones: [{name: a}]}}, {addresses: [10.1.0.2], hints: {forZones: [{name: b}]}}");
  EXPECT_EQ(texts(categorize(view, "a").cluster), "10.1.0.1 10.1.0.2 ");
  view.port.hints_mode = "Auto";
  EXPECT_EQ(texts(categorize(view, "a").cluster), "10.1.0.1 ");
  EXPECT_EQ(texts(categorize(view, "c").cluster), "10.1.0.1 10.1.0.2 ");
  EXPECT_EQ(texts(categorize(view, "").cluster), "10.1.0.1 10.1.0.2 ");
  view.endpoints[1].zones.clear();
  EXPECT_EQ(texts(categorize(view, "a").cluster), "10.1.0.1 10.1.0.2 ");
  view.port.hints_mode = "Disabled";
  EXPECT_EQ(texts(categorize(view, "a").cluster), "10.1.0.1 10.1.0.2 ");
}

constexpr std::string_view kSpec = "clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ports: [{name: p80, port: 80, protocol: TCP}]";

TEST(Tracker, TellsWhatChangedAndFromWhat) {
  Tracker tracker;
  ServicePtr first = service("s", kSpec);
  EXPECT_TRUE(tracker.update_service(nullptr, first));
  SlicePtr a = slice("a", "s", kHttp, "{addresses: [10.1.0.1]}");
  EXPECT_TRUE(tracker.update_slice(nullptr, a));
  auto changes = tracker.take_changes();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].key, "ns1/s");
  EXPECT_TRUE(changes[0].before.empty());
  EXPECT_EQ(changes[0].after.slices.size(), 1u);
  EXPECT_TRUE(tracker.take_changes().empty());

  // The same content is no change.
  EXPECT_FALSE(tracker.update_slice(a, slice("a", "s", kHttp, "{addresses: [10.1.0.1]}")));
  EXPECT_FALSE(tracker.update_service(first, service("s", kSpec)));
  EXPECT_TRUE(tracker.update_slice(a, slice("a", "s", kHttp, "{addresses: [10.1.0.2]}")));
  EXPECT_TRUE(tracker.update_slice(a, slice("a", "s", kHttp, "{addresses: [10.1.0.3]}")));
  changes = tracker.take_changes();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].before.slices["a"]->endpoints[0].addresses[0], "10.1.0.1");
  EXPECT_EQ(changes[0].after.slices["a"]->endpoints[0].addresses[0], "10.1.0.3");
}

TEST(Tracker, ObjectsThatLeave) {
  Tracker tracker;
  ServicePtr made = service("s", kSpec);
  SlicePtr a = slice("a", "s", kHttp, "{addresses: [10.1.0.1]}");
  tracker.update_service(nullptr, made);
  tracker.update_slice(nullptr, a);
  (void)tracker.take_changes();
  EXPECT_TRUE(tracker.update_service(made, nullptr));
  EXPECT_TRUE(tracker.update_slice(a, nullptr));
  auto changes = tracker.take_changes();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_TRUE(changes[0].after.empty());
  size_t left = 0;
  tracker.for_each([&](const std::string&, const ServiceObjects&) { ++left; });
  EXPECT_EQ(left, 0u);
  // Another proxy's service, which becomes ours and leaves again.
  ServicePtr other = from_yaml<api::core_v1::Service>(
      "{metadata: {namespace: ns1, name: s, labels: {service.kubernetes.io/service-proxy-name: x}}, spec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}}");
  EXPECT_FALSE(tracker.update_service(nullptr, other));
  EXPECT_TRUE(tracker.update_service(other, made));
  EXPECT_TRUE(tracker.update_service(made, other));
}

TEST(Conntrack, OnlyUdpAndOnlyWhatIsStale) {
  auto udp = [](std::string_view endpoints) {
    return objects(service("s", "clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], externalIPs: [1.2.3.4], type: NodePort, ports: [{name: p80, port: 53, protocol: UDP, nodePort: 30053}]"),
                   {slice("a", "s", "{name: p80, protocol: UDP, port: 5353}", endpoints)});
  };
  using Calls = std::vector<std::vector<std::string>>;
  auto stale = [](ServiceObjects before, ServiceObjects after) {
    return stale_connections({{"ns1/s", std::move(before), std::move(after)}}, Family::kIPv4, "n1");
  };
  EXPECT_EQ(stale(udp(""), udp("{addresses: [10.1.0.1]}")), (Calls{{"conntrack", "-D", "-p", "udp", "--dport", "30053"},
                                                                   {"conntrack", "-D", "-p", "udp", "--orig-dst", "1.2.3.4"},
                                                                   {"conntrack", "-D", "-p", "udp", "--orig-dst", "10.0.0.1"}}));
  EXPECT_EQ(stale(udp("{addresses: [10.1.0.1]}, {addresses: [10.1.0.2]}"), udp("{addresses: [10.1.0.2]}")),
            (Calls{{"conntrack", "-D", "-p", "udp", "--dport", "30053", "--dst-nat", "10.1.0.1"},
                   {"conntrack", "-D", "-p", "udp", "--orig-dst", "1.2.3.4", "--dst-nat", "10.1.0.1"},
                   {"conntrack", "-D", "-p", "udp", "--orig-dst", "10.0.0.1", "--dst-nat", "10.1.0.1"}}));
  EXPECT_EQ(stale(udp("{addresses: [10.1.0.1]}"), {}), (Calls{{"conntrack", "-D", "-p", "udp", "--orig-dst", "10.0.0.1"}}));
  EXPECT_EQ(stale(udp("{addresses: [10.1.0.1]}"), udp("{addresses: [10.1.0.1]}, {addresses: [10.1.0.2]}")), Calls());
  EXPECT_EQ(stale({}, objects(service("s", kSpec), {slice("a", "s", kHttp, "{addresses: [10.1.0.1]}")})), Calls());
}

}  // namespace
}  // namespace knarr::proxy
