// SPDX-License-Identifier: Apache-2.0
#include "dns/corefile.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace knarr::dns {
namespace {

using namespace std::chrono_literals;

constexpr const char* kKubeadm = R"(.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
)";

TEST(CorefileTest, ReadsWhatKubeadmWrites) {
  auto config = read_corefile(kKubeadm);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->health, ":8080");
  EXPECT_EQ(config->ready, ":8181");
  EXPECT_EQ(config->prometheus, ":9153");
  EXPECT_EQ(config->lameduck, 5s);
  EXPECT_EQ(config->reload, 30s);
  ASSERT_EQ(config->zones.size(), 1u);
  const ZoneConfig& zone = config->zones[0];
  EXPECT_TRUE(zone.zone.is_root() && zone.loop && zone.loadbalance);
  EXPECT_EQ(zone.port, 53);
  ASSERT_TRUE(zone.kubernetes.has_value());
  EXPECT_EQ(zone.kubernetes->zone.zones.size(), 3u);
  EXPECT_EQ(zone.kubernetes->zone.fallthrough.size(), 2u);
  EXPECT_EQ(zone.kubernetes->zone.ttl, 30u);
  EXPECT_EQ(zone.kubernetes->zone.pods, PodMode::kInsecure);
  ASSERT_TRUE(zone.forward.has_value());
  EXPECT_EQ(zone.forward->to, std::vector<std::string>{"/etc/resolv.conf"});
  EXPECT_EQ(zone.forward->max_concurrent, 1000u);
  EXPECT_EQ(zone.cache->max_ttl_seconds, 30u);
  EXPECT_EQ(zone.cache->max_denial_ttl_seconds, 30u);
}

TEST(CorefileTest, ReadsStubDomains) {
  ::setenv("KNARR_TEST_PORT", "1053", 1);
  auto config = read_corefile("example.org, corp:{$KNARR_TEST_PORT} { # a comment\n  forward . 10.0.0.1 [fd00::1]:54 fd00::2 dns://10.0.0.2:55 { except \"a.corp\" \n }\n}\n");
  ASSERT_TRUE(config.ok()) << config.status().message();
  ASSERT_EQ(config->zones.size(), 2u);
  EXPECT_EQ(config->zones[0].zone, Name::of("example.org"));
  EXPECT_EQ(config->zones[1].port, 1053);
  EXPECT_EQ(config->zones[0].forward->to, (std::vector<std::string>{"10.0.0.1:53", "[fd00::1]:54", "[fd00::2]:53", "10.0.0.2:55"}));
  EXPECT_EQ(config->zones[0].forward->except.size(), 1u);
}

TEST(CorefileTest, RefusesWhatItDoesNotUnderstand) {
  for (const char* text : {"", "{ }", ". {", ". { cache 0 }", ". { whoami2 }", ". { forward }", ". { forward . host.name }", ". { \"x }",
                           ". {\n kubernetes { pods verified\n }\n}", ". {\n kubernetes {\n ttl 4000\n }\n}", ". { }\n. { }", ".:99999 { }", "a..b { }",
                           ". {\n health {\n lameduck -1s\n }\n}", ". {\n kubernetes {\n a {\n } } }"})
    EXPECT_FALSE(read_corefile(text).ok()) << text;
  EXPECT_EQ(read_corefile(".:53 {\n  nonsense\n}").status().message(), "Corefile:2 - Error during parsing: Unknown directive 'nonsense'");
}

}  // namespace
}  // namespace knarr::dns
