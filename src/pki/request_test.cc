// SPDX-License-Identifier: Apache-2.0
#include "pki/request.h"

#include <gtest/gtest.h>

namespace knarr::pki {
namespace {

using namespace std::chrono_literals;

class RequestTest : public testing::Test {
 protected:
  RequestTest() {
    CertificateSpec spec;
    spec.common_name = "kubernetes";
    spec.is_ca = true;
    spec.lifetime = 24h * 365;
    auto made = issue(spec, nullptr, KeyType::kEcdsaP256, clock);
    if (made.ok()) ca = *made;
    auto generated = generate_ec_key();
    if (generated.ok()) key = *generated;
    names.common_name = "system:node:n1";
    names.organizations = {"system:nodes"};
  }
  std::string request() {
    auto made = make_certificate_request(names, key);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return made.ok() ? *made : "";
  }
  CertificateInfo sign(Duration lifetime) {
    auto certificate = sign_certificate_request(request(), ca, {lifetime, {"digital signature", "client auth"}}, clock);
    EXPECT_TRUE(certificate.ok()) << certificate.status().message();
    auto info = inspect(certificate.ok() ? *certificate : "");
    return info.ok() ? *info : CertificateInfo();
  }
  FakeClock clock{WallTime(1800000000s)};
  KeyPair ca;
  std::string key;
  RequestedNames names;
};

TEST_F(RequestTest, SaysWhatWasAskedFor) {
  names.dns_names = {"n1", "n1.example.com"};
  names.ip_addresses = {"10.0.0.1", "fd00::1"};
  auto read = read_certificate_request(request());
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(*read, names);
}

TEST_F(RequestTest, KnowsItsKey) {
  auto other = generate_ec_key();
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(key.substr(0, 30), "-----BEGIN EC PRIVATE KEY-----");
  EXPECT_TRUE(is_request_of_key(request(), key));
  EXPECT_FALSE(is_request_of_key(request(), *other));
  EXPECT_FALSE(is_request_of_key("nonsense", key));
}

TEST_F(RequestTest, RefusesOtherPem) {
  EXPECT_EQ(read_certificate_request(ca.cert_pem).status().message(), "PEM block type must be CERTIFICATE REQUEST");
  EXPECT_EQ(read_certificate_request("").status().message(), "PEM block type must be CERTIFICATE REQUEST");
}

TEST_F(RequestTest, SignsNamesAndBackdates) {
  names.dns_names = {"n1"};
  names.ip_addresses = {"10.0.0.1"};
  CertificateInfo info = sign(24h);
  EXPECT_EQ(info.common_name, "system:node:n1");
  EXPECT_EQ(info.organizations, names.organizations);
  EXPECT_EQ(info.dns_names, names.dns_names);
  EXPECT_EQ(info.ip_addresses, names.ip_addresses);
  EXPECT_FALSE(info.is_ca);
  EXPECT_EQ(info.not_before, clock.now() - 5min);
  EXPECT_EQ(info.not_after, clock.now() + 24h - 5min);
}

TEST_F(RequestTest, ShortLivesCountFromNow) { EXPECT_EQ(sign(1h).not_after, clock.now() + 1h); }

TEST_F(RequestTest, DoesNotOutliveTheSigner) {
  EXPECT_EQ(sign(24h * 1000).not_after, clock.now() + 24h * 365);
  clock.advance(24h * 365 + 1s);
  EXPECT_FALSE(sign_certificate_request(request(), ca, {1h, {"client auth"}}, clock).ok());
}

TEST_F(RequestTest, RefusesUnknownUsages) {
  auto certificate = sign_certificate_request(request(), ca, {1h, {"client auth", "juggling"}}, clock);
  EXPECT_EQ(certificate.status().message(), "unrecognized usage values: [\"juggling\"]");
}

TEST_F(RequestTest, SelfSignedServingPairNamesTheHost) {
  auto pair = issue_self_signed_serving("n1", {"127.0.0.1"}, clock);
  ASSERT_TRUE(pair.ok()) << pair.status().message();
  auto info = inspect(pair->cert_pem);
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->common_name, "n1@1800000000");
  EXPECT_EQ(info->dns_names, std::vector<std::string>{"n1"});
  EXPECT_EQ(info->ip_addresses, std::vector<std::string>{"127.0.0.1"});
}

}  // namespace
}  // namespace knarr::pki
