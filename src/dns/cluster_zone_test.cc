// SPDX-License-Identifier: Apache-2.0
#include "dns/cluster_zone.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace knarr::dns {
namespace {

using api::core_v1::Service;
using api::discovery_v1::EndpointSlice;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Outcome = ClusterZone::Outcome;

class FakeSource final : public ServiceSource {
 public:
  bool synced() const override { return is_synced; }
  bool has_namespace(std::string_view name) const override { return name == "shop"; }
  std::shared_ptr<const Service> service(std::string_view ns, std::string_view name) const override {
    auto found = services.find(std::string(ns) + "/" + std::string(name));
    return found == services.end() ? nullptr : found->second;
  }
  void for_slices(std::string_view ns, std::string_view service, const VisitSlice& visit) const override {
    for (const EndpointSlice& slice : slices)
      if (slice.metadata.namespace_ == ns && schema::get_or_empty(slice.metadata.labels, "kubernetes.io/service-name") == service) visit(slice);
  }
  void for_services_at(std::string_view address, const VisitService& visit) const override {
    for (const auto& [key, service] : services)
      for (const auto& ip : service->spec.cluster_ips)
        if (ip == address) visit(*service);
  }
  void for_slices_at(std::string_view address, const VisitSlice& visit) const override {
    for (const EndpointSlice& slice : slices)
      for (const auto& endpoint : slice.endpoints)
        for (const auto& ip : endpoint.addresses)
          if (ip == address && is_ready(endpoint)) visit(slice);
  }
  uint32_t serial() const override { return 42; }

  Service& add(const std::string& name, const std::string& cluster_ip) {
    auto service = std::make_shared<Service>();
    service->metadata.name = name;
    service->metadata.namespace_ = "shop";
    service->spec.cluster_ip = cluster_ip;
    if (!cluster_ip.empty()) service->spec.cluster_ips.push_back(cluster_ip);
    services["shop/" + name] = service;
    return *service;
  }
  static void add_port(Service& service, const char* name, int32_t port, const char* protocol = "TCP") {
    auto& added = service.spec.ports.emplace_back();
    added.name = name;
    added.port = port;
    added.protocol = protocol;
  }
  void add_endpoint(const std::string& service, const std::string& address, const char* hostname, bool ready, int32_t port) {
    EndpointSlice slice;
    slice.metadata.namespace_ = "shop";
    slice.metadata.labels["kubernetes.io/service-name"] = service;
    auto& endpoint = slice.endpoints.emplace_back();
    endpoint.addresses.push_back(address);
    endpoint.conditions.ready = ready;
    if (*hostname != '\0') endpoint.hostname = hostname;
    auto& slice_port = slice.ports.emplace_back();
    slice_port.name = "sql";
    slice_port.protocol = "TCP";
    slice_port.port = port;
    slices.push_back(std::move(slice));
  }

  std::map<std::string, std::shared_ptr<Service>> services;
  std::vector<EndpointSlice> slices;
  bool is_synced = true;
};

class ClusterZoneTest : public testing::Test {
 protected:
  ClusterZoneTest() {
    Service& web = source_.add("web", "10.96.1.1");
    FakeSource::add_port(web, "http", 80);
    FakeSource::add_port(web, "dns", 53, "UDP");
    source_.add("db", "None");
    source_.add_endpoint("db", "10.244.0.5", "db-0", true, 5432);
    source_.add_endpoint("db", "10.244.0.6", "", true, 5432);
    source_.add_endpoint("db", "10.244.0.7", "db-2", false, 5432);
    source_.add_endpoint("db", "fd00::5", "", true, 5432);
    add_alias("outside", "www.example.test");
    add_alias("inside", "web.shop.svc.cluster.local");
    add_alias("dead", "nobody.shop.svc.cluster.local");
    add_alias("ping", "pong.shop.svc.cluster.local");
    add_alias("pong", "ping.shop.svc.cluster.local");
    ZoneOptions options;
    options.zones = {Name::of("in-addr.arpa"), Name::of("cluster.local"), Name::of("ip6.arpa")};
    options.fallthrough = {Name::of("in-addr.arpa"), Name::of("ip6.arpa")};
    options.ttl = 30;
    options.pods = PodMode::kInsecure;
    options.local_addresses = {"172.20.0.1"};
    zone_ = std::make_unique<ClusterZone>(source_, options);
  }
  void add_alias(const char* name, const char* target) {
    Service& service = source_.add(name, "");
    service.spec.type = "ExternalName";
    service.spec.external_name = target;
  }
  ClusterZone::Answer ask(const std::string& name, uint16_t type) {
    Question question{Name::of(name), type, kInternet};
    return zone_->resolve(question);
  }
  ClusterZone::Answer ask_service(const std::string& name, uint16_t type) { return ask(name + ".svc.cluster.local", type); }
  // "10.96.1.1", or a name.
  static std::string data(const Record& record) {
    char text[INET6_ADDRSTRLEN];
    if (record.type == kA) return inet_ntop(AF_INET, record.data.data(), text, sizeof text);
    if (record.type == kAaaa) return inet_ntop(AF_INET6, record.data.data(), text, sizeof text);
    size_t at = record.type == kSrv ? 6 : 0;
    std::string prefix;
    if (record.type == kSrv)
      for (size_t i = 0; i < 6; i += 2) prefix += std::to_string(static_cast<uint8_t>(record.data[i]) << 8 | static_cast<uint8_t>(record.data[i + 1])) + " ";
    return prefix + Name::from_wire(record.data.substr(at)).text();
  }
  static std::vector<std::string> texts(const std::vector<Record>& records) {
    std::vector<std::string> texts;
    for (const Record& record : records) texts.push_back(data(record));
    return texts;
  }
  std::vector<std::string> addresses(const std::string& name, uint16_t type = kA) { return texts(ask_service(name, type).answers); }
  Outcome outcome(const std::string& name, uint16_t type = kA) { return ask(name, type).outcome; }

  FakeSource source_;
  std::unique_ptr<ClusterZone> zone_;
};

TEST_F(ClusterZoneTest, AnswersWithClusterIps) {
  EXPECT_THAT(addresses("web.shop"), ElementsAre("10.96.1.1"));
  EXPECT_THAT(addresses("_http._tcp.web.shop"), ElementsAre("10.96.1.1"));
  ClusterZone::Answer answer = ask("WEB.Shop.svc.Cluster.Local", kA);
  ASSERT_EQ(answer.answers.size(), 1u);
  EXPECT_EQ(answer.answers[0].name.text(), "WEB.Shop.svc.Cluster.Local.");
  EXPECT_EQ(answer.answers[0].ttl, 30u);
}

TEST_F(ClusterZoneTest, AnswersWithReadyEndpointsOfHeadlessServices) {
  EXPECT_THAT(addresses("db.shop"), UnorderedElementsAre("10.244.0.5", "10.244.0.6"));
  EXPECT_THAT(addresses("db.shop", kAaaa), ElementsAre("fd00::5"));
  EXPECT_THAT(addresses("db-0.db.shop"), ElementsAre("10.244.0.5"));
  EXPECT_THAT(addresses("10-244-0-6.db.shop"), ElementsAre("10.244.0.6"));
  EXPECT_EQ(outcome("db-2.db.shop.svc.cluster.local"), Outcome::kNameError);
}

TEST_F(ClusterZoneTest, GivesServices) {
  ClusterZone::Answer answer = ask_service("_sql._tcp.db.shop", kSrv);
  EXPECT_THAT(texts(answer.answers), UnorderedElementsAre("0 33 5432 db-0.db.shop.svc.cluster.local.", "0 33 5432 10-244-0-6.db.shop.svc.cluster.local.",
                                                          "0 33 5432 fd00--5.db.shop.svc.cluster.local."));
  EXPECT_THAT(texts(answer.additionals), UnorderedElementsAre("10.244.0.5", "10.244.0.6", "fd00::5"));
  EXPECT_THAT(texts(ask_service("_dns._udp.web.shop", kSrv).answers), ElementsAre("0 100 53 web.shop.svc.cluster.local."));
  EXPECT_THAT(texts(ask_service("web.shop", kSrv).answers),
              ElementsAre("0 50 80 web.shop.svc.cluster.local.", "0 50 53 web.shop.svc.cluster.local."));
  EXPECT_EQ(outcome("_dns._tcp.web.shop.svc.cluster.local", kSrv), Outcome::kNameError);
}

TEST_F(ClusterZoneTest, TellsNamesWithoutRecordsFromNamesThatDoNotExist) {
  for (const char* name : {"cluster.local", "svc.cluster.local", "pod.cluster.local", "shop.svc.cluster.local", "shop.pod.cluster.local", "dns.cluster.local",
                           "dns-version.cluster.local", "_tcp.web.shop.svc.cluster.local"}) {
    ClusterZone::Answer answer = ask(name, kA);
    EXPECT_EQ(answer.outcome, Outcome::kAnswer) << name;
    EXPECT_THAT(answer.answers, IsEmpty()) << name;
  }
  EXPECT_THAT(addresses("web.shop", kAaaa), IsEmpty());
  EXPECT_EQ(outcome("web.shop.svc.cluster.local", kAaaa), Outcome::kAnswer);
  EXPECT_EQ(outcome("web.shop.svc.cluster.local", kMx), Outcome::kAnswer);
  for (const char* name : {"nothing.cluster.local", "nowhere.svc.cluster.local", "nobody.shop.svc.cluster.local", "nobody.nowhere.svc.cluster.local",
                           "_sctp.web.shop.svc.cluster.local", "a.b.c.web.shop.svc.cluster.local", "x.dns.cluster.local"})
    EXPECT_EQ(outcome(name), Outcome::kNameError) << name;
}

TEST_F(ClusterZoneTest, FollowsAliases) {
  EXPECT_THAT(addresses("inside.shop"), ElementsAre("web.shop.svc.cluster.local.", "10.96.1.1"));
  EXPECT_THAT(addresses("inside.shop", kCname), ElementsAre("web.shop.svc.cluster.local."));
  ClusterZone::Answer outside = ask_service("outside.shop", kA);
  EXPECT_THAT(texts(outside.answers), ElementsAre("www.example.test."));
  ASSERT_TRUE(outside.elsewhere.has_value());
  EXPECT_EQ(outside.elsewhere->text(), "www.example.test.");
  EXPECT_FALSE(ask_service("outside.shop", kCname).elsewhere.has_value());
  EXPECT_THAT(addresses("outside.shop", kSrv), IsEmpty());
  // A target without records, one that does not exist, and a circle: the name exists and has nothing.
  EXPECT_THAT(addresses("inside.shop", kAaaa), IsEmpty());
  EXPECT_THAT(addresses("dead.shop"), IsEmpty());
  EXPECT_THAT(addresses("ping.shop"), IsEmpty());
  EXPECT_EQ(outcome("ping.shop.svc.cluster.local"), Outcome::kAnswer);
  EXPECT_EQ(outcome("x.outside.shop.svc.cluster.local"), Outcome::kNameError);
}

TEST_F(ClusterZoneTest, GivesPodsTheirAddresses) {
  EXPECT_THAT(texts(ask("1-2-3-4.shop.pod.cluster.local", kA).answers), ElementsAre("1.2.3.4"));
  EXPECT_THAT(texts(ask("fd00--5.shop.pod.cluster.local", kAaaa).answers), ElementsAre("fd00::5"));
  EXPECT_EQ(outcome("1-2-3-400.shop.pod.cluster.local"), Outcome::kNameError);
  EXPECT_EQ(outcome("1-2-3-4.nowhere.pod.cluster.local"), Outcome::kNameError);
}

TEST_F(ClusterZoneTest, NamesAddresses) {
  EXPECT_THAT(texts(ask("1.1.96.10.in-addr.arpa", kPtr).answers), ElementsAre("web.shop.svc.cluster.local."));
  EXPECT_THAT(texts(ask("5.0.244.10.in-addr.arpa", kPtr).answers), ElementsAre("db-0.db.shop.svc.cluster.local."));
  EXPECT_EQ(outcome("7.0.244.10.in-addr.arpa", kPtr), Outcome::kNotMine);  // not ready, so falls through
  EXPECT_EQ(outcome("5.0.244.10.in-addr.arpa", kA), Outcome::kAnswer);
  EXPECT_THAT(texts(ask("5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", kPtr).answers),
              ElementsAre("fd00--5.db.shop.svc.cluster.local."));
  EXPECT_EQ(address_of_reverse(Name::of("1.96.10.in-addr.arpa")), "");
  EXPECT_EQ(address_of_reverse(Name::of("x.1.96.10.in-addr.arpa")), "");
}

TEST_F(ClusterZoneTest, SaysWhoServesTheZone) {
  EXPECT_THAT(texts(ask("cluster.local", kNs).answers), ElementsAre("ns.dns.cluster.local."));
  EXPECT_THAT(texts(ask("ns.dns.cluster.local", kA).answers), ElementsAre("172.20.0.1"));
  Service& dns = source_.add("dns", "10.96.0.10");
  FakeSource::add_port(dns, "dns", 53, "UDP");
  source_.add_endpoint("dns", "172.20.0.1", "", true, 53);
  EXPECT_THAT(texts(ask("cluster.local", kNs).answers), ElementsAre("dns.shop.svc.cluster.local."));
  EXPECT_THAT(texts(ask("ns.dns.cluster.local", kA).answers), ElementsAre("10.96.0.10"));
  ASSERT_EQ(ask("cluster.local", kSoa).answers.size(), 1u);
  EXPECT_EQ(soa_minimum(ask("cluster.local", kSoa).answers[0]), 30u);
  EXPECT_EQ(ask("dns-version.cluster.local", kTxt).answers[0].data, "\0051.1.0");
}

TEST_F(ClusterZoneTest, KnowsWhatIsNotItsOwn) {
  EXPECT_EQ(outcome("example.test"), Outcome::kNotMine);
  EXPECT_EQ(outcome("cluster.local", kAxfr), Outcome::kRefused);
  source_.is_synced = false;
  EXPECT_EQ(outcome("nobody.shop.svc.cluster.local"), Outcome::kServerFailure);
}

}  // namespace
}  // namespace knarr::dns
