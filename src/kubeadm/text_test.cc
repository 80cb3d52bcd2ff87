// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/text.h"

#include <gtest/gtest.h>

namespace knarr::kubeadm {
namespace {

using namespace std::chrono_literals;

TEST(Text, DurationsReadAndWrittenAsGo) {
  const std::pair<const char*, Duration> cases[] = {{"4m0s", 4min}, {"24h0m0s", 24h}, {"1h30m", 90min}, {"0", 0s}, {"1.5s", 1500ms}, {"-2s", -2s}, {"300ms", 300ms}};
  for (const auto& [text, expected] : cases) {
    auto parsed = parse_duration(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, expected) << text;
  }
  EXPECT_EQ(format_duration(4min), "4m0s");
  EXPECT_EQ(format_duration(24h), "24h0m0s");
  EXPECT_EQ(format_duration(1500ms), "1.5s");
  EXPECT_EQ(format_duration(0s), "0s");
  EXPECT_EQ(parse_duration("5").status().message(), "time: missing unit in duration \"5\"");
  EXPECT_EQ(parse_duration("5x").status().message(), "time: unknown unit \"x\" in duration \"5x\"");
  EXPECT_EQ(parse_duration("").status().message(), "time: invalid duration \"\"");
}

TEST(Text, Times) {
  WallTime time(1700000000s);
  EXPECT_EQ(format_rfc3339(time), "2023-11-14T22:13:20Z");
  EXPECT_EQ(*parse_rfc3339("2023-11-14T22:13:20Z"), time);
  EXPECT_EQ(*parse_rfc3339("2023-11-14T23:13:20+01:00"), time);
  EXPECT_FALSE(parse_rfc3339("yesterday").ok());
  EXPECT_EQ(short_human_duration(23h + 59min), "23h");
  EXPECT_EQ(short_human_duration(364 * 24h), "364d");
  EXPECT_EQ(short_human_duration(3650 * 24h), "10y");
  EXPECT_EQ(short_human_duration(-5s), "<invalid>");
}

TEST(Text, RangesAndTheirAddresses) {
  auto cidr = parse_cidr("10.96.7.9/12");
  ASSERT_TRUE(cidr.ok());
  EXPECT_EQ(*nth_address(*cidr, 0), "10.96.0.0");
  EXPECT_EQ(*nth_address(*cidr, 10), "10.96.0.10");
  EXPECT_EQ(*nth_address(*parse_cidr("fd00::/112"), 1), "fd00::1");
  EXPECT_EQ(*nth_address(*parse_cidr("10.0.0.255/32"), 0), "10.0.0.255");
  EXPECT_FALSE(nth_address(*parse_cidr("10.0.0.0/30"), 4).ok());
  for (const char* bad : {"10.0.0.0", "10.0.0.0/33", "10.0.0/8", "x/8", "10.0.0.0/", "10.0.0.0/8x"}) EXPECT_FALSE(parse_cidr(bad).ok()) << bad;
}

TEST(Text, HostPorts) {
  auto split_up = [](const char* text) {
    auto parsed = parse_host_port(text);
    return parsed.ok() ? parsed->host + "|" + parsed->port : std::string(parsed.status().message());
  };
  EXPECT_EQ(split_up("lb.example:6443"), "lb.example|6443");
  EXPECT_EQ(split_up("10.0.0.1"), "10.0.0.1|");
  EXPECT_EQ(split_up("[fd00::1]:6443"), "fd00::1|6443");
  EXPECT_EQ(split_up("fd00::1"), "fd00::1|");
  EXPECT_EQ(split_up("host:0"), "hostport host:0: port 0 must be a valid number between 1 and 65535, inclusive");
  EXPECT_EQ(split_up("Bad_Host"), "hostport Bad_Host: host 'Bad_Host' must be a valid IP address or a valid RFC-1123 DNS subdomain");
}

TEST(Text, AddressesByKind) {
  EXPECT_TRUE(is_global_unicast("192.0.2.1"));
  EXPECT_FALSE(is_global_unicast("127.0.0.1"));
  EXPECT_FALSE(is_global_unicast("224.0.0.1"));
  EXPECT_FALSE(is_global_unicast("169.254.1.1"));
  EXPECT_TRUE(is_loopback("::1"));
  EXPECT_FALSE(is_ip("1.2.3"));
  EXPECT_EQ(canonical_ip("010.000.000.001"), "10.0.0.1");
}

TEST(Text, Versions) {
  EXPECT_EQ(parse_version("v1.28.4")->text(), "1.28.4");
  EXPECT_EQ(parse_version("1.29.0-rc.1")->pre_release, "rc.1");
  EXPECT_FALSE(parse_version("1.28"));
  EXPECT_LT(compare(*parse_version("1.29.0-rc.1"), *parse_version("1.29.0")), 0);
  EXPECT_GT(compare(*parse_version("1.28.10"), *parse_version("1.28.9")), 0);
}

TEST(Text, QuotesAsGo) { EXPECT_EQ(quote("a\"b\\c\n\t\x01"), R"("a\"b\\c\n\t\x01")"); }

}  // namespace
}  // namespace knarr::kubeadm
