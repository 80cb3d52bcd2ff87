// SPDX-License-Identifier: Apache-2.0
// Service account tokens: JSON web tokens signed with the cluster's key, and worth something only while what they are bound to exists
// (upstream: pkg/serviceaccount, pkg/controller/serviceaccount/tokengetter).
#include <absl/container/flat_hash_map.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <mutex>

#include "api/core_v1.h"
#include "apiserver/authn/authenticator.h"
#include "base/files.h"
#include "schema/json.h"

namespace knarr::apiserver::authn {
namespace {

using Key = std::shared_ptr<EVP_PKEY>;

constexpr size_t kMaxTokenBytes = 16 * 1024;
constexpr size_t kMaxCached = 4096;
// As upstream's token cache: for so long a token stays good after its pod is gone.
constexpr auto kCacheTime = std::chrono::seconds(10);
constexpr std::string_view kLegacyIssuer = "kubernetes/serviceaccount";

std::optional<std::string> base64url_decode(std::string_view text) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return out;
}

// Every key of a PEM file: public ones, and the public halves of private ones.
Result<std::vector<Key>> read_keys(const std::string& path) {
  TRY_ASSIGN(std::string text, read_file(path));
  std::vector<Key> keys;
  for (bool secret : {false, true}) {
    std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
    while (true) {
      EVP_PKEY* key = secret ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr) : PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr);
      if (key == nullptr) break;
      keys.emplace_back(key, EVP_PKEY_free);
    }
  }
  if (keys.empty()) return Status::error("no key found in " + path);
  return keys;
}

// The r and s of a JOSE signature as the DER that OpenSSL verifies.
std::string ecdsa_der(std::string_view raw) {
  size_t half = raw.size() / 2;
  const auto* bytes = reinterpret_cast<const uint8_t*>(raw.data());
  std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> signature(ECDSA_SIG_new(), ECDSA_SIG_free);
  BIGNUM* r = BN_bin2bn(bytes, static_cast<int>(half), nullptr);
  BIGNUM* s = BN_bin2bn(bytes + half, static_cast<int>(half), nullptr);
  if (ECDSA_SIG_set0(signature.get(), r, s) != 1) return {};
  uint8_t* der = nullptr;
  int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return {};
  std::string text(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return text;
}

bool verify(EVP_PKEY* key, std::string_view algorithm, std::string_view signed_part, std::string signature) {
  bool ec = EVP_PKEY_base_id(key) == EVP_PKEY_EC;
  const EVP_MD* digest = nullptr;
  if (algorithm == (ec ? "ES256" : "RS256")) digest = EVP_sha256();
  if (algorithm == (ec ? "ES384" : "RS384")) digest = EVP_sha384();
  if (algorithm == (ec ? "ES512" : "RS512")) digest = EVP_sha512();
  if (digest == nullptr) return false;
  if (ec) {
    auto expected = static_cast<size_t>((EVP_PKEY_bits(key) + 7) / 8) * 2;
    if (signature.size() != expected) return false;
    signature = ecdsa_der(signature);
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const uint8_t*>(signature.data()), signature.size(),
                          reinterpret_cast<const uint8_t*>(signed_part.data()), signed_part.size()) == 1;
}

class ServiceAccountTokens final : public TokenSource {
 public:
  ServiceAccountTokens(ApiServer& server, std::vector<Key> keys) : server_(server), keys_(std::move(keys)) {}

  std::optional<User> lookup(std::string_view token) override {
    if (token.size() > kMaxTokenBytes) return std::nullopt;
    MonoTime now = Clock::real().mono();
    {
      std::lock_guard lock(mutex_);
      auto at = cache_.find(std::string(token));
      if (at != cache_.end() && at->second.second > now) return at->second.first;
    }
    std::vector<std::string> matched;
    auto user = check(token, {server_.options().service_account_issuer}, &matched);
    if (!user.has_value()) return std::nullopt;
    std::lock_guard lock(mutex_);
    if (cache_.size() >= kMaxCached) cache_.clear();
    cache_.insert_or_assign(std::string(token), std::pair(*user, now + kCacheTime));
    return user;
  }

  std::optional<User> lookup_for(std::string_view token, const std::vector<std::string>& audiences, const std::string&,
                                 std::vector<std::string>* matched) override {
    if (token.size() > kMaxTokenBytes) return std::nullopt;
    return check(token, audiences, matched);
  }

 private:
  std::optional<User> check(std::string_view token, const std::vector<std::string>& audiences, std::vector<std::string>* matched) const {
    size_t first = token.find('.'), last = token.rfind('.');
    if (first == std::string_view::npos || first == last || token.substr(first + 1, last - first - 1).find('.') != std::string_view::npos)
      return std::nullopt;
    auto header = base64url_decode(token.substr(0, first));
    auto payload = base64url_decode(token.substr(first + 1, last - first - 1));
    auto signature = base64url_decode(token.substr(last + 1));
    if (!header || !payload || !signature) return std::nullopt;
    auto head = json::parse(*header);
    auto claims = json::parse(*payload);
    if (!head.ok() || !claims.ok()) return std::nullopt;
    const std::string& algorithm = head->at({"alg"}).as_string();
    bool good = false;
    for (const Key& key : keys_) good = good || verify(key.get(), algorithm, token.substr(0, last), *signature);
    if (!good) return std::nullopt;
    if (claims->at({"iss"}).as_string() == kLegacyIssuer) {
      // Legacy tokens name no audience; they are for this server.
      match({server_.options().service_account_issuer}, audiences, matched);
      return matched->empty() ? std::nullopt : legacy_user(*claims);
    }
    if (!in_time(*claims) || claims->at({"iss"}).as_string() != server_.options().service_account_issuer) return std::nullopt;
    match(token_audiences(*claims), audiences, matched);
    if (matched->empty()) return std::nullopt;
    return bound_user(*claims);
  }

  bool in_time(const json::Value& claims) const {
    auto now = std::chrono::duration_cast<std::chrono::seconds>(server_.clock().now().time_since_epoch()).count();
    const json::Value& expires = claims.at({"exp"});
    const json::Value& not_before = claims.at({"nbf"});
    // A minute of leeway, as upstream grants.
    constexpr int64_t kLeeway = 60;
    if (expires.is_number() && expires.as_int() < now - kLeeway) return false;
    return !not_before.is_number() || not_before.as_int() <= now + kLeeway;
  }

  static std::vector<std::string> token_audiences(const json::Value& claims) {
    const json::Value& audience = claims.at({"aud"});
    if (audience.is_string()) return {audience.as_string()};
    std::vector<std::string> all;
    for (const json::Value& each : audience.items()) all.push_back(each.as_string());
    return all;
  }

  static void match(const std::vector<std::string>& of_token, const std::vector<std::string>& wanted, std::vector<std::string>* matched) {
    for (const std::string& audience : wanted)
      if (std::find(of_token.begin(), of_token.end(), audience) != of_token.end()) matched->push_back(audience);
  }

  // The account must exist with that uid, and so must the pod or secret that the token is bound to.
  std::optional<User> bound_user(const json::Value& claims) const {
    const json::Value& bound = claims.at({"kubernetes.io"});
    const std::string& ns = bound.at({"namespace"}).as_string();
    const std::string& name = bound.at({"serviceaccount", "name"}).as_string();
    const std::string& uid = bound.at({"serviceaccount", "uid"}).as_string();
    auto account = server_.cached<api::core_v1::ServiceAccount>(ns, name);
    if (account == nullptr || account->metadata.uid != uid) return std::nullopt;
    User user = account_user(ns, name, uid);
    const std::string& pod_name = bound.at({"pod", "name"}).as_string();
    if (!pod_name.empty()) {
      const std::string& pod_uid = bound.at({"pod", "uid"}).as_string();
      auto pod = server_.cached<api::core_v1::Pod>(ns, pod_name);
      if (pod == nullptr || pod->metadata.uid != pod_uid) return std::nullopt;
      user.extra["authentication.kubernetes.io/pod-name"] = {pod_name};
      user.extra["authentication.kubernetes.io/pod-uid"] = {pod_uid};
    }
    const std::string& secret_name = bound.at({"secret", "name"}).as_string();
    if (!secret_name.empty()) {
      auto secret = server_.cached<api::core_v1::Secret>(ns, secret_name);
      if (secret == nullptr || secret->metadata.uid != bound.at({"secret", "uid"}).as_string()) return std::nullopt;
    }
    return user;
  }

  std::optional<User> legacy_user(const json::Value& claims) const {
    auto claim = [&](std::string_view name) -> const std::string& {
      return claims.at({"kubernetes.io/serviceaccount/" + std::string(name)}).as_string();
    };
    const std::string& ns = claim("namespace");
    const std::string& name = claim("service-account.name");
    const std::string& uid = claim("service-account.uid");
    if (ns.empty() || name.empty() || uid.empty()) return std::nullopt;
    auto secret = server_.cached<api::core_v1::Secret>(ns, claim("secret.name"));
    auto account = server_.cached<api::core_v1::ServiceAccount>(ns, name);
    if (secret == nullptr || secret->metadata.deletion_timestamp.has_value() || account == nullptr || account->metadata.uid != uid) return std::nullopt;
    return account_user(ns, name, uid);
  }

  static User account_user(const std::string& ns, const std::string& name, const std::string& uid) {
    return User{"system:serviceaccount:" + ns + ":" + name, uid, {"system:serviceaccounts", "system:serviceaccounts:" + ns}, {}};
  }

  ApiServer& server_;
  const std::vector<Key> keys_;
  std::mutex mutex_;
  absl::flat_hash_map<std::string, std::pair<User, MonoTime>> cache_;  // guarded by mutex_
};

}  // namespace

Result<std::unique_ptr<TokenSource>> make_service_account_tokens(ApiServer& server) {
  std::vector<Key> keys;
  for (const std::string& path : {server.options().service_account_key_file, server.options().service_account_signing_key_file}) {
    if (path.empty()) continue;
    TRY_ASSIGN(std::vector<Key> found, read_keys(path));
    keys.insert(keys.end(), found.begin(), found.end());
  }
  return std::unique_ptr<TokenSource>(std::make_unique<ServiceAccountTokens>(server, std::move(keys)));
}

}  // namespace knarr::apiserver::authn
