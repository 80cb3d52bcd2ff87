// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource/token.h"

#include <algorithm>
#include <mutex>

#include "api/authentication_v1.h"
#include "api/core_v1.h"
#include "apiserver/context.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"
#include "apiserver/registry/registry.h"
#include "base/files.h"
#include "pki/jwt.h"
#include "schema/json.h"
#include "schema/time.h"

namespace knarr::apiserver::subresource {
namespace {

using api::authentication_v1::TokenRequest;
using api::core_v1::Pod;
using api::core_v1::Secret;
using api::core_v1::ServiceAccount;

constexpr int64_t kDefaultSeconds = 3600;
constexpr int64_t kMinSeconds = 600;
constexpr int64_t kMaxSeconds = int64_t{1} << 32;
// What the ServiceAccount admission plugin asks for on behalf of pods. Old clients never re-read the token, so it stays good for a year, and
// use of it after the time that was asked for is only counted.
constexpr int64_t kWarnOnlySeconds = 3607;
constexpr int64_t kExtendedSeconds = 365 * 24 * 3600;

// One key for the life of the process; a server has one file.
Result<const pki::JwtSigner*> signer_of(ApiServer& server) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<pki::JwtSigner>> signers;  // by file
  const std::string& file = server.options().service_account_signing_key_file;
  if (file.empty()) return Status::make(404, "NotFound", "the server could not find the requested resource");
  std::lock_guard lock(mutex);
  std::unique_ptr<pki::JwtSigner>& signer = signers[file];
  if (signer == nullptr) {
    TRY_ASSIGN(std::string pem, read_file(file));
    TRY_ASSIGN(signer, pki::JwtSigner::make(pem));
  }
  return signer.get();
}

Status validate(const TokenRequest& request) {
  FieldErrors errors;
  int64_t seconds = *request.spec.expiration_seconds;
  Path path = Path("spec").child("expirationSeconds");
  if (seconds < kMinSeconds) errors.invalid(path, std::to_string(seconds), "may not specify a duration less than 10 minutes");
  if (seconds > kMaxSeconds) errors.invalid(path, std::to_string(seconds), "may not specify a duration larger than 2^32 seconds");
  return errors.empty() ? Status() : invalid_status("authentication.k8s.io", "TokenRequest", "", errors);
}

Status check_names(const TokenRequest& request, const RequestContext& context) {
  FieldErrors errors;
  Path metadata("metadata");
  if (!request.metadata.name.empty() && !(request.metadata.name == context.info.name))
    errors.invalid(metadata.child("name"), quoted(request.metadata.name), "must match the service account name if specified");
  if (!request.metadata.namespace_.empty() && !(request.metadata.namespace_ == context.info.namespace_))
    errors.invalid(metadata.child("namespace"), quoted(request.metadata.namespace_), "must match the service account namespace if specified");
  return errors.empty() ? Status() : invalid_status("authentication.k8s.io", "TokenRequest", context.info.name, errors);
}

struct Bound {
  std::string kind, name, uid;  // "pod" or "secret"; kind "" = bound to nothing
};

Status uid_conflict(const std::string& kind, std::string_view name, std::string_view uid) {
  return conflict("", kind, name,
                  "the UID in the bound object reference (" + std::string(uid) +
                      ") does not match the UID in record. The object might have been deleted and then recreated");
}

Result<Bound> resolve_bound(const TokenRequest& request, RequestContext& context) {
  if (!request.spec.bound_object_ref) return Bound{};
  const auto& reference = *request.spec.bound_object_ref;
  const std::string& ns = context.info.namespace_;
  if (reference.api_version == "v1" && reference.kind == "Pod") {
    auto pod = context.server.cached<Pod>(ns, reference.name);
    if (pod == nullptr) return not_found("", "pods", reference.name);
    if (!(pod->spec.service_account_name == context.info.name))
      return bad_request("cannot bind token for serviceaccount " + quoted(context.info.name) +
                         " to pod running with different serviceaccount name.");
    if (!reference.uid.empty() && !(reference.uid == pod->metadata.uid)) return uid_conflict("Pod", reference.name, reference.uid);
    return Bound{"pod", pod->metadata.name.str(), pod->metadata.uid.str()};
  }
  if (reference.api_version == "v1" && reference.kind == "Secret") {
    auto secret = context.server.cached<Secret>(ns, reference.name);
    if (secret == nullptr) return not_found("", "secrets", reference.name);
    if (!reference.uid.empty() && !(reference.uid == secret->metadata.uid)) return uid_conflict("Secret", reference.name, reference.uid);
    return Bound{"secret", secret->metadata.name.str(), secret->metadata.uid.str()};
  }
  return bad_request("cannot bind token to object of type " + reference.api_version.str() + ", Kind=" + reference.kind.str());
}

struct Lifetime {
  int64_t issued_at = 0, expires_at = 0, warn_after = 0;  // Unix seconds; warn_after 0 = none
};

Lifetime lifetime_of(const TokenRequest& request, const Bound& bound, const std::string& issuer, int64_t now) {
  int64_t seconds = *request.spec.expiration_seconds;
  bool ours = std::all_of(request.spec.audiences.begin(), request.spec.audiences.end(), [&](const auto& audience) { return audience == issuer; });
  if (bound.kind == "pod" && seconds == kWarnOnlySeconds && ours) return {now, now + kExtendedSeconds, now + seconds};
  return {now, now + seconds, 0};
}

// Members in alphabetical order, as Go's encoder writes the merged claims.
std::string claims_of(const TokenRequest& request, const ServiceAccount& account, const Bound& bound, const std::string& issuer,
                      const Lifetime& lifetime) {
  json::Value claims = json::Value::object();
  json::Value& audiences = claims["aud"];
  for (const auto& audience : request.spec.audiences) audiences.push_back(audience.view());
  claims["exp"] = lifetime.expires_at;
  claims["iat"] = lifetime.issued_at;
  claims["iss"] = issuer;
  json::Value& kubernetes = claims["kubernetes.io"];
  kubernetes["namespace"] = account.metadata.namespace_.view();
  if (!bound.kind.empty()) {
    kubernetes[bound.kind]["name"] = bound.name;
    kubernetes[bound.kind]["uid"] = bound.uid;
  }
  kubernetes["serviceaccount"]["name"] = account.metadata.name.view();
  kubernetes["serviceaccount"]["uid"] = account.metadata.uid.view();
  if (lifetime.warn_after != 0) kubernetes["warnafter"] = lifetime.warn_after;
  claims["nbf"] = lifetime.issued_at;
  claims["sub"] = "system:serviceaccount:" + account.metadata.namespace_.str() + ":" + account.metadata.name.str();
  return json::to_string(claims);
}

Status issue(RequestContext& context, TokenRequest& request) {
  TRY_ASSIGN(const pki::JwtSigner* signer, signer_of(context.server));
  TRY(check_names(request, context));
  auto account = context.server.cached<ServiceAccount>(context.info.namespace_, context.info.name);
  if (account == nullptr) return not_found("", "serviceaccounts", context.info.name);
  const std::string& issuer = context.server.options().service_account_issuer;
  if (request.spec.audiences.empty()) request.spec.audiences.push_back(issuer);
  if (!request.spec.expiration_seconds) request.spec.expiration_seconds = kDefaultSeconds;
  request.metadata.name = account->metadata.name;
  request.metadata.namespace_ = account->metadata.namespace_;
  schema::Time now = schema::to_time(context.server.clock().now());
  request.metadata.creation_timestamp = now;
  TRY(validate(request));
  TRY_ASSIGN(Bound bound, resolve_bound(request, context));
  Lifetime lifetime = lifetime_of(request, bound, issuer, now.unix_seconds());
  TRY_ASSIGN(std::string token, signer->sign(claims_of(request, *account, bound, issuer, lifetime)));
  request.status.token = token;
  request.status.expiration_timestamp = schema::Time::from_unix(now.unix_seconds() + *request.spec.expiration_seconds);
  return {};
}

}  // namespace

Task<Status> create_token(RequestContext& context) {
  auto request = co_await read_object<TokenRequest>(context);
  if (!request.ok()) co_return request.status();
  Status admitted = co_await admit_posted(context, *request);
  CO_TRY(admitted);
  CO_TRY(issue(context, *request));
  Status status = co_await respond_object(context, 201, *request);
  co_return status;
}

}  // namespace knarr::apiserver::subresource
