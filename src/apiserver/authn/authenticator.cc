// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authn/authenticator.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "apiserver/authn/request_header.h"
#include "apiserver/authz/authorizer.h"
#include "apiserver/errors.h"
#include "base/log.h"
#include "pki/jwt_verify.h"

namespace knarr::apiserver::authn {
namespace {

constexpr std::string_view kAuthenticated = "system:authenticated";

User authenticated(User user) {
  if (!user.in_group(kAuthenticated)) user.groups.emplace_back(kAuthenticated);
  return user;
}

// "Bearer TOKEN", the scheme in any case; empty when there is none.
std::string_view bearer_token(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() <= kScheme.size()) return {};
  for (size_t i = 0; i < kScheme.size(); ++i)
    if ((header[i] | 0x20) != (kScheme[i] | 0x20)) return {};
  header.remove_prefix(kScheme.size());
  while (header.starts_with(' ')) header.remove_prefix(1);
  while (header.ends_with(' ')) header.remove_suffix(1);
  return header;
}

// Certificates seen lately: reading one costs more than the rest of a small request.
class CertificateUsers {
 public:
  std::optional<User> lookup(const std::string& der) {
    {
      std::lock_guard lock(mutex_);
      auto at = users_.find(der);
      if (at != users_.end()) return at->second;
    }
    auto user = user_of_certificate(der);
    if (!user.has_value()) return std::nullopt;
    std::lock_guard lock(mutex_);
    if (users_.size() >= kMaxCertificates) users_.clear();
    users_.insert_or_assign(der, authenticated(*user));
    return authenticated(std::move(*user));
  }

 private:
  static constexpr size_t kMaxCertificates = 1024;
  std::mutex mutex_;
  absl::flat_hash_map<std::string, User> users_;  // guarded by mutex_
};

// "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.TOKEN, ...": how browsers, which cannot set Authorization, show a token.
std::string websocket_token(std::string_view header) {
  constexpr std::string_view kPrefix = "base64url.bearer.authorization.k8s.io.";
  while (!header.empty()) {
    size_t comma = header.find(',');
    std::string_view one = header.substr(0, comma);
    header = comma == std::string_view::npos ? std::string_view() : header.substr(comma + 1);
    while (one.starts_with(' ')) one.remove_prefix(1);
    if (one.starts_with(kPrefix)) return pki::base64url_decode(one.substr(kPrefix.size())).value_or("");
  }
  return {};
}

class Chain final : public Authenticator {
 public:
  Chain(ApiServer& server, std::unique_ptr<RequestHeaderAuthenticator> proxies, std::vector<std::unique_ptr<TokenSource>> sources)
      : server_(server), audiences_(own_audiences(server.options())), proxies_(std::move(proxies)), sources_(std::move(sources)) {}

  std::optional<Result<User>> authenticate_now(net::Request& request) override {
    bool refused = false;
    if (auto user = by_certificate(request, &refused)) return Result<User>(std::move(*user));
    std::string token = token_of(request);
    if (token.empty()) return without_token(refused);
    bool must_ask = false;
    for (const auto& source : sources_) {
      TokenAnswer answer = source->lookup(token, audiences_);
      if (answer.user.has_value()) return Result<User>(authenticated(std::move(*answer.user)));
      must_ask = must_ask || answer.must_ask;
    }
    if (must_ask) return std::nullopt;
    return Result<User>(unauthorized());
  }

  Task<Result<User>> authenticate(net::Request& request) override {
    std::string token = token_of(request);
    std::vector<std::string> audiences = audiences_;
    TokenAnswer answer = co_await authenticate_token(std::move(token), std::move(audiences));
    if (answer.user.has_value()) co_return std::move(*answer.user);
    if (!answer.error.empty()) log_debug("A token was refused", {{"error", answer.error}});
    co_return unauthorized();
  }

  Task<TokenAnswer> authenticate_token(std::string token, std::vector<std::string> audiences) override {
    std::vector<std::string> errors;
    for (const auto& source : sources_) {
      TokenAnswer answer = source->lookup(token, audiences);
      if (answer.must_ask) answer = co_await source->ask(token, audiences);
      if (answer.user.has_value()) {
        answer.user = authenticated(std::move(*answer.user));
        co_return answer;
      }
      if (!answer.error.empty()) errors.push_back(std::move(answer.error));
    }
    TokenAnswer none;
    none.error = authz::aggregate(errors);
    co_return none;
  }

 private:
  // By the certificate that the client shows: an authenticating proxy's, then its own.
  std::optional<User> by_certificate(net::Request& request, bool* refused) {
    if (request.peer == nullptr || request.peer->certificates.empty()) return std::nullopt;
    if (proxies_ != nullptr) {
      auto user = proxies_->authenticate(request);
      if (user.ok() && user->has_value()) return authenticated(std::move(**user));
    }
    if (server_.options().client_ca_file.empty()) return std::nullopt;
    if (request.peer->certificate_verified) return certificates_.lookup(request.peer->certificates[0]);
    *refused = true;
    return std::nullopt;
  }

  static std::string token_of(const net::Request& request) {
    std::string_view token = bearer_token(request.headers.get("Authorization"));
    return token.empty() ? websocket_token(request.headers.get("Sec-WebSocket-Protocol")) : std::string(token);
  }

  Result<User> without_token(bool refused) const {
    if (refused || !server_.options().anonymous_auth) return unauthorized();
    return User{"system:anonymous", "", {"system:unauthenticated"}, {}};
  }

  ApiServer& server_;
  const std::vector<std::string> audiences_;
  const std::unique_ptr<RequestHeaderAuthenticator> proxies_;
  const std::vector<std::unique_ptr<TokenSource>> sources_;
  CertificateUsers certificates_;
};

}  // namespace

Task<TokenAnswer> TokenSource::ask(std::string token, std::vector<std::string> audiences) { co_return lookup(token, audiences); }

std::vector<std::string> own_audiences(const Options& options) {
  if (!options.api_audiences.empty()) return options.api_audiences;
  return {options.service_account_issuer};
}

TokenAnswer answer_for(User user, const std::vector<std::string>& audiences, const Options& options) {
  TokenAnswer answer;
  std::vector<std::string> ours = own_audiences(options);
  for (const std::string& audience : audiences)
    if (std::find(ours.begin(), ours.end(), audience) != ours.end()) answer.audiences.push_back(audience);
  if (!answer.audiences.empty()) answer.user = std::move(user);
  return answer;
}

Result<std::unique_ptr<Authenticator>> make_authenticator(ApiServer& server) {
  const Options& options = server.options();
  std::vector<std::unique_ptr<TokenSource>> sources;
  auto add = [&](Result<std::unique_ptr<TokenSource>> made) -> Status {
    if (!made.ok()) return made.status();
    sources.push_back(std::move(*made));
    return {};
  };
  std::unique_ptr<RequestHeaderAuthenticator> proxies;
  if (!options.requestheader_client_ca_file.empty() && !options.requestheader.username_headers.empty()) {
    TRY_ASSIGN(proxies, RequestHeaderAuthenticator::make(options.requestheader_client_ca_file, options.requestheader));
  }
  if (!options.token_auth_file.empty()) TRY(add(make_token_file(options)));
  if (!options.service_account_key_file.empty() || !options.service_account_signing_key_file.empty()) TRY(add(make_service_account_tokens(server)));
  sources.push_back(make_bootstrap_tokens(server));
  // Upstream's order: what can be told at once comes first.
  if (!options.oidc.issuer_url.empty()) TRY(add(make_oidc_tokens(server)));
  if (!options.token_webhook.config_file.empty()) TRY(add(make_webhook_tokens(server)));
  return std::unique_ptr<Authenticator>(std::make_unique<Chain>(server, std::move(proxies), std::move(sources)));
}

}  // namespace knarr::apiserver::authn
