// SPDX-License-Identifier: Apache-2.0
// Service account tokens: JSON web tokens signed with the cluster's key, and worth something only while what they are bound to exists
// (upstream: pkg/serviceaccount, pkg/controller/serviceaccount/tokengetter).
#include <algorithm>
#include <mutex>

#include "api/core_v1.h"
#include "apiserver/authn/authenticator.h"
#include "apiserver/service_account_name.h"
#include "base/files.h"
#include "base/string_map.h"
#include "pki/jwt_verify.h"
#include "schema/json.h"

namespace knarr::apiserver::authn {
namespace {

constexpr size_t kMaxTokenBytes = 16 * 1024;
constexpr size_t kMaxCached = 4096;
// As upstream's token cache: for so long a token stays good after its pod is gone.
constexpr auto kCacheTime = std::chrono::seconds(10);
constexpr std::string_view kLegacyIssuer = "kubernetes/serviceaccount";

// Every key of a PEM file: public ones, and the public halves of private ones.
Result<std::vector<pki::JwtKey>> read_keys(const std::string& path) {
  TRY_ASSIGN(std::string text, read_file(path));
  std::vector<pki::JwtKey> keys = pki::JwtKey::from_pem(text);
  if (keys.empty()) return Status::error("no key found in " + path);
  return keys;
}

class ServiceAccountTokens final : public TokenSource {
 public:
  ServiceAccountTokens(ApiServer& server, std::vector<pki::JwtKey> keys)
      : server_(server), own_audiences_(own_audiences(server.options())), keys_(std::move(keys)) {}

  TokenAnswer lookup(std::string_view token, const std::vector<std::string>& audiences) override {
    if (token.size() > kMaxTokenBytes) return {};
    bool ours = audiences == own_audiences_;
    MonoTime now = Clock::real().mono();
    if (ours) {
      std::lock_guard lock(mutex_);
      auto at = cache_.find(token);
      if (at != cache_.end() && at->second.second > now) return at->second.first;
    }
    TokenAnswer answer;
    answer.user = check(token, audiences, &answer.audiences);
    if (!answer.user.has_value()) return {};
    if (!ours) return answer;
    std::lock_guard lock(mutex_);
    if (cache_.size() >= kMaxCached) cache_.clear();
    cache_.insert_or_assign(std::string(token), std::pair(answer, now + kCacheTime));
    return answer;
  }

 private:
  std::optional<User> check(std::string_view token, const std::vector<std::string>& audiences, std::vector<std::string>* matched) const {
    auto parts = pki::split_jwt(token);
    if (!parts.has_value()) return std::nullopt;
    auto head = json::parse(parts->header);
    auto claims = json::parse(parts->payload);
    if (!head.ok() || !claims.ok()) return std::nullopt;
    const std::string& algorithm = head->at({"alg"}).as_string();
    bool good = false;
    for (const pki::JwtKey& key : keys_) good = good || key.verify(algorithm, parts->signed_part, parts->signature);
    if (!good) return std::nullopt;
    if (claims->at({"iss"}).as_string() == kLegacyIssuer) {
      // Legacy tokens name no audience; they are for this server.
      match(own_audiences_, audiences, matched);
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
    return User{service_account_user(ns, name), uid, service_account_groups(ns), {}};
  }

  ApiServer& server_;
  const std::vector<std::string> own_audiences_;
  const std::vector<pki::JwtKey> keys_;
  std::mutex mutex_;
  StringMap<std::pair<TokenAnswer, MonoTime>> cache_;  // of tokens for this server; guarded by mutex_
};

}  // namespace

Result<std::unique_ptr<TokenSource>> make_service_account_tokens(ApiServer& server) {
  std::vector<pki::JwtKey> keys;
  for (const std::string& path : {server.options().service_account_key_file, server.options().service_account_signing_key_file}) {
    if (path.empty()) continue;
    TRY_ASSIGN(std::vector<pki::JwtKey> found, read_keys(path));
    keys.insert(keys.end(), found.begin(), found.end());
  }
  return std::unique_ptr<TokenSource>(std::make_unique<ServiceAccountTokens>(server, std::move(keys)));
}

}  // namespace knarr::apiserver::authn
