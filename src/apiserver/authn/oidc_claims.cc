// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "apiserver/authn/oidc.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"

namespace knarr::apiserver::authn {
namespace {

constexpr int64_t kNotBeforeLeeway = 5 * 60;  // seconds, as go-oidc's
constexpr size_t kMaxKeys = 100;

Result<OidcKey> parse_key(const json::Value& jwk) {
  const std::string& kind = jwk.at({"kty"}).as_string();
  auto number = [&](std::string_view name) { return pki::base64url_decode(jwk.at({name}).as_string()).value_or(""); };
  std::string id = jwk.at({"kid"}).as_string();
  if (kind == "RSA") {
    TRY_ASSIGN(pki::JwtKey key, pki::JwtKey::rsa(number("n"), number("e")));
    return OidcKey{std::move(id), std::move(key)};
  }
  if (kind != "EC") return Status::error("a key of kind " + quoted(kind) + " signs nothing here");
  TRY_ASSIGN(pki::JwtKey key, pki::JwtKey::ec(jwk.at({"crv"}).as_string(), number("x"), number("y")));
  return OidcKey{std::move(id), std::move(key)};
}

std::vector<std::string> texts_of(const json::Value& value) {
  if (value.is_string()) return {value.as_string()};
  std::vector<std::string> texts;
  if (value.is_array())
    for (const json::Value& each : value.items()) texts.push_back(each.as_string());
  return texts;
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string text = "[";
  for (const std::string& each : texts) text += (text.size() == 1 ? "" : " ") + quoted(each);
  return text + "]";
}

// Upstream's default keeps users of different issuers apart.
std::string username_prefix(const OidcOptions& options) {
  if (options.username_prefix == "-") return "";
  if (options.username_prefix.empty() && options.username_claim != "email") return options.issuer_url + "#";
  return options.username_prefix;
}

Status refuse(const std::string& detail) { return unauthorized("oidc: " + detail); }

Status check_required(const std::string& wanted, const json::Value& claims) {
  size_t equals = wanted.find('=');
  std::string name = wanted.substr(0, equals), value = equals == std::string::npos ? "" : wanted.substr(equals + 1);
  const json::Value* claim = claims.find(name);
  if (claim == nullptr) return refuse("required claim " + name + " not present in ID token");
  if (!claim->is_string()) return refuse("parse claim " + name + ": not a string");
  if (claim->as_string() != value)
    return refuse("required claim " + name + " value does not match. Got = " + claim->as_string() + ", want = " + value);
  return {};
}

}  // namespace

Result<std::vector<OidcKey>> parse_key_set(std::string_view text) {
  TRY_ASSIGN(json::Value set, json::parse(text));
  const json::Value* list = set.find("keys");
  if (list == nullptr || !list->is_array()) return Status::error("oidc: failed to decode keys: no list of keys");
  std::vector<OidcKey> keys;
  for (const json::Value& jwk : list->items()) {
    const std::string& use = jwk.at({"use"}).as_string();
    if (keys.size() >= kMaxKeys || (!use.empty() && use != "sig")) continue;
    if (auto key = parse_key(jwk); key.ok()) keys.push_back(std::move(*key));
  }
  return keys;
}

Status check_id_token(const OidcOptions& options, const json::Value& claims, WallTime now) {
  const std::string& issuer = claims.at({"iss"}).as_string();
  if (issuer != options.issuer_url)
    return refuse("verify token: oidc: id token issued by a different provider, expected " + quoted(options.issuer_url) + " got " + quoted(issuer));
  std::vector<std::string> audiences = texts_of(claims.at({"aud"}));
  if (std::find(audiences.begin(), audiences.end(), options.client_id) == audiences.end())
    return refuse("verify token: oidc: expected audience " + quoted(options.client_id) + " got " + list_of(audiences));
  int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  const json::Value& expires = claims.at({"exp"});
  if (!expires.is_number() || expires.as_int() <= seconds)
    return refuse("verify token: oidc: token is expired (Token Expiry: " + std::to_string(expires.as_int()) + ")");
  const json::Value& not_before = claims.at({"nbf"});
  if (not_before.is_number() && not_before.as_int() > seconds + kNotBeforeLeeway)
    return refuse("verify token: oidc: current time before the nbf (not before) time: " + std::to_string(not_before.as_int()));
  return {};
}

Result<User> user_of_claims(const OidcOptions& options, const json::Value& claims) {
  const json::Value* name = claims.find(options.username_claim);
  if (name == nullptr) return refuse("parse username claims " + quoted(options.username_claim) + ": claim not present");
  if (!name->is_string()) return refuse("parse username claims " + quoted(options.username_claim) + ": not a string");
  if (options.username_claim == "email") {
    const json::Value* verified = claims.find("email_verified");
    if (verified != nullptr && !verified->is_bool()) return refuse("parse 'email_verified' claim: not a boolean");
    if (verified != nullptr && !verified->as_bool()) return refuse("email not verified");
  }
  User user;
  user.name = username_prefix(options) + name->as_string();
  if (const json::Value* groups = options.groups_claim.empty() ? nullptr : claims.find(options.groups_claim)) {
    bool good = groups->is_string() || groups->is_array();
    if (groups->is_array())
      for (const json::Value& group : groups->items()) good = good && group.is_string();
    if (!good) return refuse("parse groups claim " + quoted(options.groups_claim) + ": neither a string nor a list of strings");
    for (const std::string& group : texts_of(*groups)) user.groups.push_back(options.groups_prefix + group);
  }
  for (const std::string& wanted : options.required_claims) TRY(check_required(wanted, claims));
  return user;
}

}  // namespace knarr::apiserver::authn
