// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "flannel/backend.h"
#include "flannel/cni_plugin.h"
#include "flannel/fake_netlink.h"
#include "flannel/iptables.h"

namespace knarr::flannel {
namespace {

using api::core_v1::Node;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Cidr cidr(const char* text) { return *parse_cidr(text); }
Ipv4 ip(const char* text) { return *parse_ipv4(text); }

TEST(CidrTest, ReadsWritesAndContains) {
  EXPECT_EQ(cidr("10.244.1.7/24").text(), "10.244.1.7/24");
  EXPECT_EQ(cidr("10.244.1.7/24").network().text(), "10.244.1.0/24");
  EXPECT_TRUE(cidr("10.244.0.0/16").contains(cidr("10.244.1.0/24")));
  EXPECT_FALSE(cidr("10.244.1.0/24").contains(cidr("10.244.0.0/16")));
  EXPECT_TRUE(cidr("0.0.0.0/0").contains(ip("255.255.255.255")));
  for (const char* text : {"", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "10.0.0.0/8x", "fd00::/8"}) EXPECT_FALSE(parse_cidr(text).ok()) << text;
}

TEST(NetConfigTest, ReadsBackends) {
  auto config = parse_net_config(R"({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "VNI": 5, "port": 4789, "DirectRouting": true}})");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->network.text(), "10.244.0.0/16");
  EXPECT_EQ(config->backend_type, "vxlan");
  EXPECT_EQ(config->vni, 5u);
  EXPECT_EQ(config->port, 4789);
  EXPECT_TRUE(config->direct_routing);
  EXPECT_EQ(parse_net_config("{}")->backend_type, "udp");
  for (const char* text : {"", "[]", R"({"Network": "x"})", R"({"EnableIPv6": true})", R"({"Backend": {"VNI": -1}})", R"({"Backend": {"Port": 70000}})"})
    EXPECT_FALSE(parse_net_config(text).ok()) << text;
}

TEST(SubnetEnvTest, ShowsTheFirstUsableAddress) {
  SubnetEnv env{{cidr("10.244.0.0/16")}, cidr("10.244.1.0/24"), 1450, true};
  std::string text = write_subnet_env(env);
  EXPECT_EQ(text, "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n");
  auto read = parse_subnet_env(text, "f");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->subnet, env.subnet);
  EXPECT_EQ(read->networks, env.networks);
  EXPECT_EQ(read->mtu, 1450);
  EXPECT_TRUE(read->ip_masq);
  EXPECT_EQ(parse_subnet_env("FLANNEL_MTU=1\n", "f").status().message(),
            "f is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_IPMASQ");
  EXPECT_FALSE(parse_subnet_env("FLANNEL_MTU=x\n", "f").ok());
}

Node node_with(const char* name, const char* pod_cidr) {
  Node node;
  node.metadata.name = name;
  node.spec.pod_cidr = pod_cidr;
  if (*pod_cidr != '\0') node.spec.pod_cidrs.push_back(pod_cidr);
  return node;
}

TEST(LeaseTest, SaysWhatIsWrongWithANodesShare) {
  EXPECT_EQ(subnet_of(node_with("n1", ""), cidr("10.244.0.0/16")).status().message(), "node \"n1\" pod cidr not assigned");
  EXPECT_THAT(std::string(subnet_of(node_with("n1", "10.1.0.0/24"), cidr("10.244.0.0/16")).status().message()),
              HasSubstr("doesn't contain \"10.1.0.0/24\" PodCIDR of the \"n1\" node"));
  EXPECT_EQ(subnet_of(node_with("n1", "10.244.3.0/24"), cidr("10.244.0.0/16"))->text(), "10.244.3.0/24");
}

TEST(LeaseTest, AnnouncesWhatANodeDoesNotSayYet) {
  AnnotationNames names = *annotation_names("flannel.alpha.coreos.com");
  Node node = node_with("n1", "10.244.1.0/24");
  Announcement announcement{"vxlan", vxlan_backend_data(1, {2, 0, 0, 0, 0, 1}), ip("192.168.1.1")};
  EXPECT_EQ(announcement_patch(node, announcement, names),
            R"({"metadata":{"annotations":{"flannel.alpha.coreos.com/backend-data":"{\"VNI\":1,\"VtepMAC\":\"02:00:00:00:00:01\"}",)"
            R"("flannel.alpha.coreos.com/backend-type":"vxlan","flannel.alpha.coreos.com/kube-subnet-manager":"true",)"
            R"("flannel.alpha.coreos.com/public-ip":"192.168.1.1"}}})");
  EXPECT_FALSE(peer_of(node, names)->has_value());
  auto set = [&](const std::string& name, const std::string& value) { node.metadata.annotations[name] = value; };
  set(names.backend_data, announcement.backend_data);
  set(names.backend_type, "vxlan");
  set(names.managed, "true");
  set(names.public_ip, "192.168.1.1");
  EXPECT_EQ(announcement_patch(node, announcement, names), "");
  auto peer = peer_of(node, names);
  ASSERT_TRUE(peer.ok() && peer->has_value());
  EXPECT_EQ(mac_text((*peer)->mac), "02:00:00:00:00:01");
  set(names.public_ip_overwrite, "203.0.113.9");
  EXPECT_THAT(announcement_patch(node, announcement, names), HasSubstr("203.0.113.9"));
  set(names.backend_data, "nonsense");
  EXPECT_FALSE(peer_of(node, names).ok());
}

TEST(LeaseTest, ChecksThePrefix) {
  EXPECT_EQ(annotation_names("example.org/net")->managed, "example.org/net-kube-subnet-manager");
  for (const char* prefix : {"nodots", "a.b/c/d", "A.b", "a..b", ".a"}) EXPECT_FALSE(annotation_names(prefix).ok()) << prefix;
}

class BackendTest : public testing::Test {
 protected:
  BackendTest() {
    netlink_.all_links = {{1, "lo", 65536, {}, std::nullopt}, {2, "eth0", 1500, {}, std::nullopt}};
    netlink_.all_addresses = {{1, cidr("127.0.0.1/8"), true}, {2, cidr("192.168.1.1/24"), false}};
    netlink_.all_routes = {{cidr("0.0.0.0/0"), ip("192.168.1.254"), 2, false}, {cidr("192.168.1.0/24"), 0, 2, false}};
    peer_.node = "n2";
    peer_.subnet = cidr("10.244.2.0/24");
    peer_.public_ip = ip("192.168.1.2");
    peer_.backend_type = "vxlan";
    peer_.mac = {2, 0, 0, 0, 0, 2};
  }
  std::unique_ptr<Backend> make(const char* backend) {
    auto config = parse_net_config(std::string(R"({"Network": "10.244.0.0/16", "Backend": )") + backend + "}");
    auto external = find_interface(netlink_, {});
    EXPECT_TRUE(external.ok());
    auto made = make_backend(netlink_, *config, *external);
    return std::move(*made);
  }
  FakeNetlink netlink_;
  Peer peer_;
};

TEST_F(BackendTest, FindsTheInterface) {
  EXPECT_EQ(find_interface(netlink_, {})->link.name, "eth0");
  EXPECT_EQ(find_interface(netlink_, {{"eth9", "192.168.1.1"}, {}, "", ""})->link.name, "eth0");
  EXPECT_EQ(find_interface(netlink_, {{}, {"^192\\.168"}, "", ""})->link.name, "eth0");
  EXPECT_EQ(find_interface(netlink_, {{}, {}, "192.168.1.77", ""})->link.name, "eth0");
  EXPECT_EQ(ipv4_text(find_interface(netlink_, {{"eth0"}, {}, "", "203.0.113.1"})->public_ip), "203.0.113.1");
  EXPECT_FALSE(find_interface(netlink_, {{"eth9"}, {"("}, "", ""}).ok());
}

TEST_F(BackendTest, VxlanMakesADeviceAndEntriesForEachPeer) {
  auto backend = make(R"({"Type": "vxlan"})");
  auto announcement = backend->prepare();
  ASSERT_TRUE(announcement.ok());
  EXPECT_THAT(netlink_.take_calls(), ElementsAre("add flannel.1 vni 1 mtu 1450 on 2"));
  EXPECT_THAT(announcement->backend_data, HasSubstr(mac_text(netlink_.all_links[2].mac)));
  ASSERT_TRUE(backend->configure(cidr("10.244.1.0/24")).ok());
  EXPECT_THAT(netlink_.take_calls(), ElementsAre("address 10.244.1.0/32 on 12", "up 12"));
  EXPECT_EQ(backend->mtu(), 1450);
  ASSERT_TRUE(backend->add(peer_).ok());
  EXPECT_THAT(netlink_.take_calls(), ElementsAre("arp 10.244.2.0 02:00:00:00:00:02 dev 12", "fdb 192.168.1.2 02:00:00:00:00:02 dev 12",
                                                 "route 10.244.2.0/24 via 10.244.2.0 dev 12 onlink"));
  ASSERT_TRUE(backend->remove(peer_).ok());
  EXPECT_EQ(netlink_.take_calls().size(), 3u);
}

TEST_F(BackendTest, VxlanKeepsADeviceThatFitsAndReplacesOneThatDoesNot) {
  ASSERT_TRUE(make(R"({"Type": "vxlan"})")->prepare().ok());
  netlink_.take_calls();
  MacAddress mac = netlink_.all_links[2].mac;
  auto again = make(R"({"Type": "vxlan"})")->prepare();
  EXPECT_THAT(netlink_.take_calls(), IsEmpty());
  EXPECT_THAT(again->backend_data, HasSubstr(mac_text(mac)));
  ASSERT_TRUE(make(R"({"Type": "vxlan", "Port": 4789})")->prepare().ok());
  EXPECT_EQ(netlink_.take_calls().size(), 2u);
}

TEST_F(BackendTest, VxlanDropsAddressesOfAnEarlierShare) {
  auto backend = make(R"({"Type": "vxlan"})");
  ASSERT_TRUE(backend->prepare().ok());
  netlink_.all_addresses.push_back({12, cidr("10.244.7.0/32"), false});
  netlink_.take_calls();
  ASSERT_TRUE(backend->configure(cidr("10.244.1.0/24")).ok());
  EXPECT_THAT(netlink_.take_calls(), ElementsAre("delete address 10.244.7.0/32", "address 10.244.1.0/32 on 12", "up 12"));
}

TEST_F(BackendTest, VxlanGoesDirectlyToNeighbors) {
  auto backend = make(R"({"Type": "vxlan", "DirectRouting": true})");
  ASSERT_TRUE(backend->prepare().ok());
  netlink_.take_calls();
  ASSERT_TRUE(backend->add(peer_).ok());
  EXPECT_THAT(netlink_.take_calls(), ElementsAre("route 10.244.2.0/24 via 192.168.1.2 dev 0"));
  peer_.public_ip = ip("192.168.9.2");  // behind the gateway
  ASSERT_TRUE(backend->add(peer_).ok());
  EXPECT_EQ(netlink_.take_calls().size(), 3u);
}

TEST_F(BackendTest, HostGatewayRoutesAndPutsBack) {
  auto backend = make(R"({"Type": "host-gw"})");
  ASSERT_TRUE(backend->prepare().ok());
  ASSERT_TRUE(backend->add(peer_).ok());
  EXPECT_THAT(netlink_.take_calls(), ElementsAre("route 10.244.2.0/24 via 192.168.1.2 dev 2"));
  backend->check();
  EXPECT_THAT(netlink_.take_calls(), IsEmpty());
  netlink_.all_routes.pop_back();
  backend->check();
  EXPECT_THAT(netlink_.take_calls(), ElementsAre("route 10.244.2.0/24 via 192.168.1.2 dev 2"));
  ASSERT_TRUE(backend->remove(peer_).ok());
  netlink_.take_calls();
  backend->check();
  EXPECT_THAT(netlink_.take_calls(), IsEmpty());
  EXPECT_EQ(backend->mtu(), 1500);
}

TEST(IptablesTest, SeesWhatIsMissing) {
  RuleSet rules = masquerade_rules(cidr("10.244.0.0/16"), cidr("10.244.1.0/24"), true);
  ASSERT_EQ(rules.rules.size(), 6u);
  EXPECT_EQ(rules.rules[4], "-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -m comment --comment \"flanneld masq\" -j MASQUERADE --random-fully");
  std::string table = "-P POSTROUTING ACCEPT\n-N FLANNEL-POSTRTG\n-A POSTROUTING -j KUBE-POSTROUTING\n" + rules.jump + "\n";
  for (const std::string& rule : rules.rules) table += rule + "\n";
  EXPECT_TRUE(has_rules(table, rules));
  EXPECT_FALSE(has_rules(table + rules.rules[0] + "\n", rules));
  EXPECT_FALSE(has_rules(table.substr(0, table.size() - rules.rules[5].size() - 1), rules));
  std::string script = restore_script(table, rules);
  EXPECT_THAT(script, testing::StartsWith("*nat\n:FLANNEL-POSTRTG - [0:0]\n-A FLANNEL-POSTRTG -m mark"));
  EXPECT_THAT(restore_script("", rules), HasSubstr("\n" + rules.jump + "\n"));
  RuleSet forward = forward_rules(cidr("10.244.0.0/16"));
  EXPECT_EQ(forward.rules[0], "-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment \"flanneld forward\" -j ACCEPT");
}

TEST(IptablesTest, ReadsVersions) {
  EXPECT_TRUE(has_random_fully("iptables v1.8.9 (nf_tables)"));
  EXPECT_TRUE(has_random_fully("iptables v1.6.2"));
  EXPECT_FALSE(has_random_fully("iptables v1.6.1"));
  EXPECT_FALSE(has_random_fully("sh: not found"));
}

TEST(CniPluginTest, MakesTheDelegatesConfiguration) {
  SubnetEnv env{{cidr("10.244.0.0/16")}, cidr("10.244.1.0/24"), 1450, true};
  auto config = parse_plugin_config(R"({"name": "cbr0", "cniVersion": "0.3.1", "type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}})");
  ASSERT_TRUE(config.ok());
  auto delegate = delegate_config(*config, env);
  ASSERT_TRUE(delegate.ok());
  std::string text;
  json::write(text, *delegate, true);
  EXPECT_EQ(text,
            R"({"cniVersion":"0.3.1","hairpinMode":true,"ipMasq":false,"ipam":{"ranges":[[{"subnet":"10.244.1.0/24"}]],"routes":[{"dst":"10.244.0.0/16"}],)"
            R"("type":"host-local"},"isDefaultGateway":true,"isGateway":true,"mtu":1450,"name":"cbr0","type":"bridge"})");
  env.ip_masq = false;
  config = parse_plugin_config(R"({"name": "n", "delegate": {"type": "ptp", "mtu": 9}, "ipam": {"type": "x", "routes": [{"dst": "0.0.0.0/0"}]}, "runtimeConfig": {"a": 1}})");
  delegate = delegate_config(*config, env);
  ASSERT_TRUE(delegate.ok());
  text.clear();
  json::write(text, *delegate, true);
  EXPECT_EQ(text, R"({"ipMasq":true,"ipam":{"ranges":[[{"subnet":"10.244.1.0/24"}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"10.244.0.0/16"}],"type":"x"},)"
                  R"("mtu":9,"name":"n","runtimeConfig":{"a":1},"type":"ptp"})");
}

TEST(CniPluginTest, RefusesWhatTheDelegateMustNotSay) {
  SubnetEnv env;
  for (const char* text : {R"({"delegate": {"type": 1}})", R"({"delegate": {"name": "x"}})", R"({"delegate": {"ipam": {}}})"})
    EXPECT_FALSE(delegate_config(*parse_plugin_config(text), env).ok()) << text;
  for (const char* text : {"", "[]", R"({"delegate": []})", R"({"ipam": "x"})"}) EXPECT_FALSE(parse_plugin_config(text).ok()) << text;
}

}  // namespace
}  // namespace knarr::flannel
