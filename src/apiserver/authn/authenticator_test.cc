// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authn/authenticator.h"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <filesystem>

#include "api/core_v1.h"
#include "base/files.h"
#include "pki/jwt.h"

namespace knarr::apiserver::authn {
namespace {

// A server of which only options, time and objects are asked.
class FakeServer final : public ApiServer {
 public:
  Task<Status> start() override { co_return Status(); }
  Task<void> stop() override { co_return; }
  Task<void> serve(net::Request&, net::ResponseWriter&, std::optional<User>) override { co_return; }
  std::shared_ptr<client::Transport> local_transport(User) override { return nullptr; }
  std::shared_ptr<const schema::Object> cached(std::string_view, std::string_view plural, std::string_view ns, std::string_view name) override {
    auto at = objects.find(std::string(plural) + "/" + std::string(ns) + "/" + std::string(name));
    return at == objects.end() ? nullptr : at->second;
  }
  void for_each_cached(std::string_view, std::string_view, std::string_view, const std::function<void(const schema::Object&)>&) override {}
  const Options& options() const override { return options_; }
  const Clock& clock() const override { return clock_; }
  client::Client& loopback() override { std::abort(); }
  Executor executor() const override { return {}; }

  template <class T>
  void put(T value) {
    std::string key = std::string(T::resource().plural) + "/" + value.metadata.namespace_.str() + "/" + value.metadata.name.str();
    objects[key] = std::make_shared<schema::Object>(schema::Object::of(std::move(value)));
  }
  Options options_;
  FakeClock clock_{WallTime(std::chrono::seconds(1'700'000'000))};
  std::map<std::string, std::shared_ptr<const schema::Object>> objects;
};

using pki::base64url;

std::string sign_rs256(EVP_PKEY* key, const std::string& payload) {
  std::string text = base64url(R"({"alg":"RS256","kid":"k"})") + "." + base64url(payload);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  size_t size = 0;
  EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key);
  EVP_DigestSign(context, nullptr, &size, reinterpret_cast<const uint8_t*>(text.data()), text.size());
  std::string signature(size, '\0');
  EVP_DigestSign(context, reinterpret_cast<uint8_t*>(signature.data()), &size, reinterpret_cast<const uint8_t*>(text.data()), text.size());
  signature.resize(size);
  EVP_MD_CTX_free(context);
  return text + "." + base64url(signature);
}

class AuthnTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path().string() + "/authn_test.XXXXXX";
    folder_ = mkdtemp(pattern.data());
    key_ = EVP_RSA_gen(2048);
    std::FILE* file = std::fopen((folder_ + "/sa.key").c_str(), "w");
    PEM_write_PrivateKey(file, key_, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    server_.options_.service_account_key_file = folder_ + "/sa.key";
    server_.options_.service_account_issuer = "https://issuer";
    api::core_v1::ServiceAccount account;
    account.metadata.name = "bot";
    account.metadata.namespace_ = "ns";
    account.metadata.uid = "account-uid";
    server_.put(account);
    api::core_v1::Pod pod;
    pod.metadata.name = "p";
    pod.metadata.namespace_ = "ns";
    pod.metadata.uid = "pod-uid";
    server_.put(pod);
  }
  void TearDown() override {
    EVP_PKEY_free(key_);
    std::filesystem::remove_all(folder_);
  }
  std::string token(std::string_view account_uid = "account-uid", std::string_view pod_uid = "pod-uid", int64_t expires = 1'700'003'600,
                    std::string_view audience = "https://issuer") {
    return sign_rs256(key_, R"({"iss":"https://issuer","aud":[")" + std::string(audience) + R"("],"exp":)" + std::to_string(expires) +
                                R"(,"nbf":1699999999,"kubernetes.io":{"namespace":"ns","serviceaccount":{"name":"bot","uid":")" + std::string(account_uid) +
                                R"("},"pod":{"name":"p","uid":")" + std::string(pod_uid) + R"("}}})");
  }
  std::unique_ptr<Authenticator> make() {
    auto made = make_authenticator(server_);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return std::move(*made);
  }
  std::string folder_;
  EVP_PKEY* key_ = nullptr;
  FakeServer server_;
};

Result<User> authenticate(Authenticator& authenticator, net::Request request) {
  auto user = authenticator.authenticate_now(request);
  return user.has_value() ? std::move(*user) : Result<User>(Status::error("another server would have to be asked"));
}

net::Request with_token(std::string_view token) {
  net::Request request;
  request.headers.add("Authorization", "Bearer " + std::string(token));
  return request;
}

bool knows(Authenticator& authenticator, std::string_view token) {
  auto user = authenticate(authenticator, with_token(token));
  return user.ok() && user->name != "system:anonymous";
}

TEST_F(AuthnTest, NobodyIsAnonymousIfThatIsAllowed) {
  net::Request request;
  auto user = authenticate(*make(), request);
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->name, "system:anonymous");
  EXPECT_TRUE(user->in_group("system:unauthenticated"));
  server_.options_.anonymous_auth = false;
  EXPECT_EQ(authenticate(*make(), request).status().code(), 401);
}

TEST_F(AuthnTest, ServiceAccountTokensAreBoundToWhatExists) {
  auto authenticator = make();
  auto user = authenticate(*authenticator, with_token(token()));
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->name, "system:serviceaccount:ns:bot");
  EXPECT_EQ(user->uid, "account-uid");
  EXPECT_TRUE(user->in_group("system:serviceaccounts:ns"));
  EXPECT_TRUE(user->in_group("system:authenticated"));
  EXPECT_EQ(user->extra["authentication.kubernetes.io/pod-name"], std::vector<std::string>{"p"});
  EXPECT_EQ(authenticate(*authenticator, with_token(token("other"))).status().code(), 401);
  EXPECT_EQ(authenticate(*authenticator, with_token(token("account-uid", "other"))).status().code(), 401);
}

TEST_F(AuthnTest, ServiceAccountTokensExpireAndNameTheirAudience) {
  auto authenticator = make();
  EXPECT_FALSE(authenticate(*authenticator, with_token(token("account-uid", "pod-uid", 1'699'999'000))).ok());
  EXPECT_FALSE(authenticate(*authenticator, with_token(token("account-uid", "pod-uid", 1'700'003'600, "elsewhere"))).ok());
}

TEST_F(AuthnTest, ForgedTokensAreRefused) {
  auto authenticator = make();
  std::string good = token();
  size_t dot = good.rfind('.');
  // Each of these differs from a good token in one place.
  EXPECT_FALSE(knows(*authenticator, good.substr(0, dot)));
  EXPECT_FALSE(knows(*authenticator, good.substr(0, dot + 1)));
  std::string changed = good;
  changed[dot - 10] = changed[dot - 10] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(knows(*authenticator, changed));
  std::string unsigned_token = base64url(R"({"alg":"none"})") + good.substr(good.find('.'), dot - good.find('.') + 1);
  EXPECT_FALSE(knows(*authenticator, unsigned_token));
  EXPECT_FALSE(knows(*authenticator, ""));
  EXPECT_FALSE(knows(*authenticator, "..."));
  EXPECT_TRUE(knows(*authenticator, good));
}

TEST_F(AuthnTest, TokenFileGivesNamesAndGroups) {
  ASSERT_TRUE(write_file(folder_ + "/tokens", "secret,alice,u1,\"g1,g2\"\nother,bob,u2\n").ok());
  server_.options_.token_auth_file = folder_ + "/tokens";
  auto authenticator = make();
  auto user = authenticate(*authenticator, with_token("secret"));
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->name, "alice");
  EXPECT_EQ(user->groups, (std::vector<std::string>{"g1", "g2", "system:authenticated"}));
  EXPECT_EQ(authenticate(*authenticator, with_token("wrong")).status().code(), 401);
}

TEST_F(AuthnTest, BrowsersShowTokensAsAWebSocketProtocol) {
  ASSERT_TRUE(write_file(folder_ + "/tokens", "secret,alice,u1\n").ok());
  server_.options_.token_auth_file = folder_ + "/tokens";
  net::Request request;
  request.headers.add("Sec-WebSocket-Protocol", "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io." + base64url("secret"));
  auto user = authenticate(*make(), request);
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->name, "alice");
}

TEST_F(AuthnTest, BootstrapTokensComeFromSecrets) {
  api::core_v1::Secret secret;
  secret.metadata.name = "bootstrap-token-abcdef";
  secret.metadata.namespace_ = "kube-system";
  secret.type = "bootstrap.kubernetes.io/token";
  secret.data["token-id"] = "abcdef";
  secret.data["token-secret"] = "0123456789abcdef";
  secret.data["usage-bootstrap-authentication"] = "true";
  secret.data["auth-extra-groups"] = "system:bootstrappers:kubeadm,system:masters";
  secret.data["expiration"] = "2023-11-14T22:14:00Z";  // 40 s after the clock's time
  server_.put(secret);
  auto authenticator = make();
  auto user = authenticate(*authenticator, with_token("abcdef.0123456789abcdef"));
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->name, "system:bootstrap:abcdef");
  EXPECT_EQ(user->groups, (std::vector<std::string>{"system:bootstrappers", "system:bootstrappers:kubeadm", "system:authenticated"}));
  EXPECT_FALSE(authenticate(*authenticator, with_token("abcdef.0123456789abcdee")).ok());
  server_.clock_.advance(std::chrono::seconds(41));
  EXPECT_FALSE(authenticate(*authenticator, with_token("abcdef.0123456789abcdef")).ok());
}

TEST_F(AuthnTest, CertificatesNameUserAndGroups) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key_);
  X509_NAME* name = X509_get_subject_name(certificate);
  auto add = [&](const char* field, const char* value) {
    X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const uint8_t*>(value), -1, -1, 0);
  };
  add("O", "system:masters");
  add("O", "second");
  add("CN", "admin");
  X509_sign(certificate, key_, EVP_sha256());
  uint8_t* der = nullptr;
  int size = i2d_X509(certificate, &der);
  net::Peer peer;
  peer.certificates = {std::string(reinterpret_cast<char*>(der), static_cast<size_t>(size))};
  OPENSSL_free(der);
  X509_free(certificate);
  net::Request request;
  peer.certificate_verified = true;
  server_.options_.client_ca_file = "the CA that has verified it";
  request.peer = std::make_shared<net::Peer>(peer);
  auto authenticator = make();
  auto user = authenticate(*authenticator, request);
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->name, "admin");
  EXPECT_EQ(user->groups, (std::vector<std::string>{"system:masters", "second", "system:authenticated"}));
  peer.certificate_verified = false;
  request.peer = std::make_shared<net::Peer>(peer);
  EXPECT_EQ(authenticate(*authenticator, request).status().code(), 401);
  EXPECT_FALSE(user_of_certificate("rubbish").has_value());
}

}  // namespace
}  // namespace knarr::apiserver::authn
