// SPDX-License-Identifier: Apache-2.0
#include "client/kubeconfig.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "client/text.h"

namespace knarr::client {
namespace {

class KubeconfigTest : public testing::Test {
 protected:
  KubeconfigTest() : path(testing::TempDir() + "knarr-kubeconfig-test.conf") {}
  ~KubeconfigTest() override { std::remove(path.c_str()); }
  Result<ClusterAccess> load(const std::string& text, const std::string& context = {}) {
    std::ofstream(path) << text;
    return load_kubeconfig(path, context);
  }
  std::string path;
};

TEST_F(KubeconfigTest, ReadsWhatItWrites) {
  ClusterAccess access;
  access.server = "https://127.0.0.1:6443";
  access.ca_pem = "-----BEGIN CERTIFICATE-----\nca\n";
  access.client_cert_pem = "cert";
  access.client_key_pem = "key";
  auto read = load(write_kubeconfig(access, "kubernetes", "kubernetes-admin"));
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->server, access.server);
  EXPECT_EQ(read->ca_pem, access.ca_pem);
  EXPECT_EQ(read->client_cert_pem, "cert");
  EXPECT_EQ(read->client_key_pem, "key");
}

TEST_F(KubeconfigTest, PathsAreRelativeToTheFile) {
  auto read = load(R"(apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://h:1/prefix", certificate-authority: pki/ca.crt}}]
users: [{name: u, user: {client-certificate: /abs/cert, tokenFile: token}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: ns}}, {name: y, context: {cluster: nope, user: u}}]
current-context: x
)");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->ca_file, testing::TempDir() + "pki/ca.crt");
  EXPECT_EQ(read->client_cert_file, "/abs/cert");
  EXPECT_EQ(read->token_file, testing::TempDir() + "token");
  EXPECT_EQ(read->namespace_, "ns");
}

TEST_F(KubeconfigTest, SaysWhatIsMissing) {
  const std::string text = "clusters: []\ncontexts: [{name: other, context: {cluster: nope, user: u}}]\ncurrent-context: x\n";
  EXPECT_NE(load(text).status().message().find("context \"x\" does not exist"), std::string::npos);
  EXPECT_NE(load(text, "other").status().message().find("cluster \"nope\" does not exist"), std::string::npos);
  EXPECT_FALSE(load("[1").ok());
  EXPECT_FALSE(load_kubeconfig("/nonexistent").ok());
}

TEST(Base64, RoundTripsAndRefusesRubbish) {
  for (std::string text : {"", "a", "ab", "abc", "abcd"}) EXPECT_EQ(*base64_decode(base64_encode(text)), text);
  EXPECT_EQ(base64_encode("any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
  EXPECT_FALSE(base64_decode("a*b").ok());
  EXPECT_FALSE(base64_decode("YQ==YQ==").ok());
}

}  // namespace
}  // namespace knarr::client
