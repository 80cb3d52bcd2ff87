// SPDX-License-Identifier: Apache-2.0
#include "controller/csr_rules.h"

#include <gtest/gtest.h>

#include "controller/bootstrap_tokens.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

using namespace std::chrono_literals;

const WallTime kNow(1800000000s);

pki::RequestedNames node_names() {
  pki::RequestedNames names;
  names.common_name = "system:node:n1";
  names.organizations = {"system:nodes"};
  return names;
}

TEST(CsrRules, KubeletClient) {
  std::vector<std::string> usages = {"digital signature", "client auth"};
  EXPECT_EQ(csr::kubelet_client_problem(node_names(), usages), "");
  EXPECT_EQ(csr::kubelet_client_problem(node_names(), {"client auth", "key encipherment", "digital signature"}), "");
  EXPECT_EQ(csr::kubelet_client_problem(node_names(), {"client auth"}), "usages did not match [client auth digital signature key encipherment]");
  EXPECT_NE(csr::kubelet_client_problem(node_names(), {"digital signature", "client auth", "server auth"}), "");
  auto names = node_names();
  names.dns_names = {"n1"};
  EXPECT_EQ(csr::kubelet_client_problem(names, usages), "DNS subjectAltNames are not allowed");
  names = node_names();
  names.organizations.emplace_back("system:masters");
  EXPECT_EQ(csr::kubelet_client_problem(names, usages), "subject organization is not system:nodes");
  names = node_names();
  names.common_name = "n1";
  EXPECT_EQ(csr::kubelet_client_problem(names, usages), "subject common name does not begin with system:node:");
}

TEST(CsrRules, KubeletServing) {
  std::vector<std::string> usages = {"digital signature", "server auth"};
  EXPECT_EQ(csr::problem_for_signer(csr::kKubeletServing, node_names(), usages), "DNS or IP subjectAltName is required");
  auto names = node_names();
  names.ip_addresses = {"10.0.0.1"};
  EXPECT_EQ(csr::problem_for_signer(csr::kKubeletServing, names, usages), "");
  names.uris = {"spiffe://x"};
  EXPECT_EQ(csr::problem_for_signer(csr::kKubeletServing, names, usages), "URI subjectAltNames are not allowed");
}

TEST(CsrRules, ApiServerClientAndLegacy) {
  EXPECT_EQ(csr::apiserver_client_problem({"client auth", "digital signature"}), "");
  EXPECT_EQ(csr::apiserver_client_problem({"client auth", "server auth"}), "invalid usage for client certificate: server auth");
  EXPECT_EQ(csr::apiserver_client_problem({"digital signature"}), "missing required usage for client certificate: client auth");
  EXPECT_EQ(csr::problem_for_signer(csr::kLegacyUnknown, {}, {"any"}), "");
}

TEST(CsrRules, LifetimeIsBounded) {
  csr::Request request;
  EXPECT_EQ(csr::lifetime_of(request, 24h), 24h);
  request.spec.expiration_seconds = 3600;
  EXPECT_EQ(csr::lifetime_of(request, 24h), 1h);
  EXPECT_EQ(csr::lifetime_of(request, 30min), 30min);
  request.spec.expiration_seconds = 60;
  EXPECT_EQ(csr::lifetime_of(request, 24h), 10min);
}

csr::Request with_condition(const char* type, Duration age) {
  csr::Request request;
  auto& condition = request.status.conditions.emplace_back();
  condition.type = type;
  condition.status = "True";
  condition.last_update_time = schema::to_time(kNow - age);
  return request;
}

TEST(CsrRules, CleanerKeepsWhatIsYoungOrUnsigned) {
  EXPECT_EQ(csr::reason_to_remove(with_condition("Denied", 59min), kNow), "");
  EXPECT_NE(csr::reason_to_remove(with_condition("Denied", 61min), kNow), "");
  EXPECT_NE(csr::reason_to_remove(with_condition("Failed", 61min), kNow), "");
  auto approved = with_condition("Approved", 61min);
  EXPECT_EQ(csr::reason_to_remove(approved, kNow), "");
  approved.status.certificate = "pem";
  EXPECT_NE(csr::reason_to_remove(approved, kNow), "");
  csr::Request pending;
  pending.metadata.creation_timestamp = schema::to_time(kNow - 23h);
  EXPECT_EQ(csr::reason_to_remove(pending, kNow), "");
  pending.metadata.creation_timestamp = schema::to_time(kNow - 25h);
  EXPECT_NE(csr::reason_to_remove(pending, kNow), "");
}

TEST(CsrRules, CleanerRemovesExpiredCertificates) {
  FakeClock then(kNow - 3h);
  pki::CertificateSpec spec;
  spec.common_name = "x";
  spec.lifetime = 2h;
  auto pair = pki::issue(spec, nullptr, pki::KeyType::kEcdsaP256, then);
  ASSERT_TRUE(pair.ok());
  auto request = with_condition("Approved", 1min);
  request.status.certificate = pair->cert_pem;
  EXPECT_EQ(csr::reason_to_remove(request, kNow), "the certificate has expired");
  EXPECT_EQ(csr::reason_to_remove(request, kNow - 2h), "");
}

api::core_v1::Secret token() {
  api::core_v1::Secret secret;
  secret.metadata.name = "bootstrap-token-abcdef";
  secret.type = "bootstrap.kubernetes.io/token";
  secret.data["token-id"] = "abcdef";
  secret.data["token-secret"] = "0123456789abcdef";
  secret.data["usage-bootstrap-signing"] = "true";
  return secret;
}

TEST(BootstrapTokens, LifeAndUse) {
  auto secret = token();
  EXPECT_EQ(remaining_life(secret, kNow), std::nullopt);
  EXPECT_TRUE(signing_token(secret, kNow).has_value());
  secret.data["expiration"] = schema::format_time(schema::to_time(kNow + 1h));
  EXPECT_EQ(remaining_life(secret, kNow), Duration(1h));
  EXPECT_EQ(remaining_life(secret, kNow + 2h), Duration::zero());
  EXPECT_FALSE(signing_token(secret, kNow + 2h).has_value());
  secret.data["expiration"] = "soon";
  EXPECT_EQ(remaining_life(secret, kNow), Duration::zero());
  secret = token();
  secret.metadata.name = "bootstrap-token-ghijkl";
  EXPECT_FALSE(signing_token(secret, kNow).has_value());
  secret = token();
  secret.data["usage-bootstrap-signing"] = "false";
  EXPECT_FALSE(signing_token(secret, kNow).has_value());
}

// The pair that RFC-minded verifiers (kubeadm join) accept: computed with openssl(1) for this content and token.
TEST(BootstrapTokens, DetachedSignature) {
  EXPECT_EQ(detached_signature("hello", "abcdef", "0123456789abcdef"),
            "eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..MxsnbCjBaYzcbNIFa06F-wuF9LX26rhMlrL4zA1511s");
}

}  // namespace
}  // namespace knarr::controller
