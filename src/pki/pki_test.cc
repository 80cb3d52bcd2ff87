// SPDX-License-Identifier: Apache-2.0
#include "pki/pki.h"

#include <gtest/gtest.h>

namespace knarr::pki {
namespace {

using namespace std::chrono_literals;

TEST(Pki, IssuesWhatWasAskedFor) {
  FakeClock clock(WallTime(1800000000s));
  CertificateSpec ca_spec;
  ca_spec.common_name = "kubernetes";
  ca_spec.is_ca = true;
  ca_spec.lifetime = 24h * 3650;
  auto ca = issue(ca_spec, nullptr, KeyType::kEcdsaP256, clock);
  ASSERT_TRUE(ca.ok()) << ca.status().message();

  CertificateSpec spec;
  spec.common_name = "kube-apiserver";
  spec.organizations = {"a", "b"};
  spec.dns_names = {"kubernetes", "kubernetes.default"};
  spec.ip_addresses = {"10.96.0.1", "::1"};
  spec.server_auth = true;
  auto leaf = issue(spec, &*ca, KeyType::kEcdsaP256, clock);
  ASSERT_TRUE(leaf.ok()) << leaf.status().message();

  auto info = inspect(leaf->cert_pem);
  ASSERT_TRUE(info.ok()) << info.status().message();
  EXPECT_EQ(info->common_name, "kube-apiserver");
  EXPECT_EQ(info->organizations, spec.organizations);
  EXPECT_EQ(info->dns_names, spec.dns_names);
  EXPECT_EQ(info->ip_addresses, spec.ip_addresses);
  EXPECT_FALSE(info->is_ca);
  EXPECT_EQ(info->not_after, WallTime(1800000000s) + 24h * 365);
  EXPECT_TRUE(inspect(ca->cert_pem)->is_ca);
}

TEST(Pki, RefusesWhatIsNotAnAddress) {
  CertificateSpec spec;
  spec.common_name = "x";
  spec.ip_addresses = {"10.96.0.1,DNS:evil"};
  EXPECT_FALSE(issue(spec, nullptr, KeyType::kEcdsaP256, Clock::real()).ok());
}

TEST(Pki, HashesThePublicKeyOfACertificate) {
  CertificateSpec spec;
  spec.common_name = "kubernetes";
  spec.is_ca = true;
  auto ca = issue(spec, nullptr, KeyType::kEcdsaP256, Clock::real());
  ASSERT_TRUE(ca.ok());
  auto hash = public_key_hash(ca->cert_pem);
  ASSERT_TRUE(hash.ok());
  EXPECT_EQ(hash->size(), 7u + 64u);
  EXPECT_FALSE(public_key_hash("not a certificate").ok());
}

}  // namespace
}  // namespace knarr::pki
