// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/discovery.h"

#include <gtest/gtest.h>

#include "client/text.h"
#include "kubeadm/fake_host.h"
#include "kubeadm/tokens.h"
#include "pki/pki.h"
#include "pki/secrets.h"

namespace knarr::kubeadm {
namespace {

constexpr char kToken[] = "abcdef.0123456789abcdef";

// Answers GETs of cluster-info from a script, the last one for ever.
class ScriptedApi final : public Api {
 public:
  explicit ScriptedApi(std::deque<Result<json::Value>>* answers) : answers_(answers) {}
  Result<json::Value> call(const std::string&, const std::string&, const json::Value&, const std::string&) override {
    Result<json::Value> answer = answers_->front();
    if (answers_->size() > 1) answers_->pop_front();
    return answer;
  }

 private:
  std::deque<Result<json::Value>>* answers_;
};

struct Bed {
  FakeHost host;
  std::string ca, hash;
  std::deque<Result<json::Value>> answers;
  std::vector<client::ClusterAccess> connected;
  Bed() {
    pki::CertificateSpec spec;
    spec.common_name = "kubernetes";
    spec.is_ca = true;
    ca = pki::issue(spec, nullptr, pki::KeyType::kEcdsaP256, Clock::real())->cert_pem;
    hash = *pki::public_key_hash(ca);
  }
  json::Value cluster_info(const std::string& token) const {
    std::string kubeconfig = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: " + client::base64_encode(ca) +
                             "\n    server: https://192.0.2.1:6443\n  name: \"\"\nkind: Config\n";
    json::Value map = json::Value::object();
    map["data"]["kubeconfig"] = kubeconfig;
    if (!token.empty()) map["data"]["jws-kubeconfig-abcdef"] = pki::detached_signature(kubeconfig, "abcdef", token.substr(7));
    return map;
  }
  Result<client::ClusterAccess> run(std::vector<std::string> hashes, bool skip = false) {
    Discovery discovery;
    discovery.bootstrap_token = Discovery::Token{kToken, "192.0.2.1:6443", std::move(hashes), skip};
    discovery.tls_bootstrap_token = kToken;
    discovery.timeout = std::chrono::seconds(30);
    return discover(host, discovery, [this](const client::ClusterAccess& access) -> Result<std::unique_ptr<Api>> {
      connected.push_back(access);
      return std::unique_ptr<Api>(std::make_unique<ScriptedApi>(&answers));
    });
  }
};

TEST(Discovery, TrustsASignedAndPinnedCluster) {
  Bed bed;
  // Not up, not signed, signed.
  bed.answers = {Status::make(503, "ServiceUnavailable", "connection refused"), bed.cluster_info(""), bed.cluster_info(kToken)};
  auto access = bed.run({bed.hash});
  ASSERT_TRUE(access.ok()) << access.status().message();
  EXPECT_EQ(access->server, "https://192.0.2.1:6443");
  EXPECT_EQ(access->ca_pem, bed.ca);
  EXPECT_EQ(access->token, kToken);
  ASSERT_EQ(bed.connected.size(), 2u);
  EXPECT_TRUE(bed.connected[0].insecure_skip_tls_verify);
  EXPECT_FALSE(bed.connected[1].insecure_skip_tls_verify);
  EXPECT_EQ(bed.connected[1].ca_pem, bed.ca);
}

TEST(Discovery, RefusesWhatIsNotSignedByTheToken) {
  Bed bed;
  bed.answers = {bed.cluster_info("abcdef.ffffffffffffffff")};
  EXPECT_EQ(bed.run({bed.hash}).status().message(),
            "couldn't validate the identity of the API Server: failed to verify JWS signature of received cluster info object, can't trust this API Server");
}

TEST(Discovery, RefusesAnotherKey) {
  Bed bed;
  bed.answers = {bed.cluster_info(kToken)};
  EXPECT_EQ(bed.run({"sha256:" + std::string(64, '0')}).status().message(),
            "couldn't validate the identity of the API Server: cluster CA found in cluster-info ConfigMap is invalid: none of the public keys \"" + bed.hash + "\" are pinned");
}

TEST(Discovery, GivesUpOnATokenThatIsGone) {
  Bed bed;
  bed.answers = {bed.cluster_info("")};
  auto access = bed.run({bed.hash});
  EXPECT_NE(access.status().message().find("token id \"abcdef\" is invalid for this cluster or it has expired"), std::string_view::npos);
}

TEST(Discovery, WithoutPinsOneLookIsEnough) {
  Bed bed;
  bed.answers = {bed.cluster_info(kToken)};
  EXPECT_TRUE(bed.run({}, true).ok());
  EXPECT_EQ(bed.connected.size(), 1u);
}

TEST(Discovery, FormOfHashes) {
  EXPECT_NE(check_hash_form({"abc"}).message().find("invalid hash, expected \"format:hex-value\""), std::string_view::npos);
  EXPECT_NE(check_hash_form({"md5:00"}).message().find("unknown hash format \"md5\""), std::string_view::npos);
  EXPECT_NE(check_hash_form({"sha256:00"}).message().find("expected a 32 byte SHA-256 hash, found 1 bytes"), std::string_view::npos);
  EXPECT_TRUE(check_hash_form({"sha256:" + std::string(64, 'a')}).ok());
}

TEST(Tokens, SecretsAndBack) {
  BootstrapToken token;
  token.token = kToken;
  token.description = "for a test";
  token.ttl = std::chrono::hours(1);
  token.usages = {"authentication", "signing"};
  token.groups = {"system:bootstrappers:a", "system:bootstrappers:b"};
  WallTime now(std::chrono::seconds(1700000000));
  json::Value secret = token_secret(token, now);
  EXPECT_EQ(secret.at({"metadata", "name"}).as_string(), "bootstrap-token-abcdef");
  auto read = token_of_secret(secret);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->token, kToken);
  EXPECT_EQ(read->usages, token.usages);
  EXPECT_EQ(read->groups, token.groups);
  EXPECT_EQ(*read->expires, now + std::chrono::hours(1));
  secret["metadata"]["name"] = "bootstrap-token-xxxxxx";
  EXPECT_FALSE(token_of_secret(secret).ok());
}

TEST(Secrets, SealedBytes) {
  std::string key(32, 'k');
  auto sealed = pki::seal(key, "hello");
  ASSERT_TRUE(sealed.ok());
  EXPECT_EQ(sealed->size(), 12 + 5 + 16u);
  EXPECT_EQ(*pki::open_sealed(key, *sealed), "hello");
  (*sealed)[14] = static_cast<char>((*sealed)[14] ^ 1);
  EXPECT_FALSE(pki::open_sealed(key, *sealed).ok());
  EXPECT_FALSE(pki::seal("short", "x").ok());
}

TEST(Secrets, TokensAreOfTheirAlphabet) {
  auto token = generate_token();
  ASSERT_TRUE(token.ok());
  EXPECT_TRUE(is_bootstrap_token(*token)) << *token;
}

}  // namespace
}  // namespace knarr::kubeadm
