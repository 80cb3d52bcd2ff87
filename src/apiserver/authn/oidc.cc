// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authn/oidc.h"

#include <algorithm>
#include <shared_mutex>

#include "apiserver/authn/authenticator.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"
#include "apiserver/remote.h"
#include "base/log.h"

namespace knarr::apiserver::authn {
namespace {

using Keys = std::vector<OidcKey>;

constexpr size_t kMaxTokenBytes = 64 * 1024;
constexpr std::string_view kAlgorithms[] = {"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"};
constexpr std::string_view kDiscovery = "/.well-known/openid-configuration";

bool known_algorithm(std::string_view name) { return std::find(std::begin(kAlgorithms), std::end(kAlgorithms), name) != std::end(kAlgorithms); }

// The provider's keys: fetched when a token names one that is not there, by one request for all that wait.
class KeySet : public std::enable_shared_from_this<KeySet> {
 public:
  KeySet(Executor executor, std::string issuer, std::shared_ptr<Fetcher> fetcher)
      : issuer_(std::move(issuer)), fetcher_(std::move(fetcher)), executor_(executor), fetched_(std::move(executor)) {}

  std::shared_ptr<const Keys> keys() const {
    std::shared_lock lock(mutex_);
    return keys_;
  }
  // What there is after this is newer than `seen`, or the reason why it is not.
  Task<Status> refresh(std::shared_ptr<const Keys> seen) { return run_on(executor_, refresh_here(shared_from_this(), std::move(seen))); }

 private:
  static Task<Status> refresh_here(std::shared_ptr<KeySet> self, std::shared_ptr<const Keys> seen) {
    if (self->fetching_) {
      co_await self->fetched_.wait();
      co_return self->last_;
    }
    if (self->keys() != seen) co_return Status();
    self->fetching_ = true;
    self->last_ = co_await self->fetch();
    self->fetching_ = false;
    self->fetched_.notify();
    co_return self->last_;
  }

  Task<Status> fetch() {
    if (keys_url_.empty()) {
      Status found = co_await discover();
      if (!found.ok()) co_return found;
    }
    std::string url = keys_url_;
    auto text = co_await fetcher_->get(std::move(url));
    if (!text.ok()) co_return text.status().with_context("fetching keys");
    auto keys = parse_key_set(*text);
    if (!keys.ok()) co_return keys.status();
    std::unique_lock lock(mutex_);
    keys_ = std::make_shared<const Keys>(std::move(*keys));
    co_return Status();
  }

  Task<Status> discover() {
    std::string url = issuer_;
    while (url.ends_with('/')) url.pop_back();
    url += kDiscovery;
    auto text = co_await fetcher_->get(std::move(url));
    if (!text.ok()) co_return text.status().with_context("authenticator not initialized");
    auto document = json::parse(*text);
    if (!document.ok()) co_return document.status().with_context("oidc: failed to decode provider discovery object");
    const std::string& said = document->at({"issuer"}).as_string();
    if (said != issuer_)
      co_return Status::error("oidc: issuer did not match the issuer returned by provider, expected " + quoted(issuer_) + " got " + quoted(said));
    keys_url_ = document->at({"jwks_uri"}).as_string();
    co_return keys_url_.empty() ? Status::error("oidc: the provider names no jwks_uri") : Status();
  }

  const std::string issuer_;
  const std::shared_ptr<Fetcher> fetcher_;
  const Executor executor_;
  // Of executor_ alone:
  Notifier fetched_;
  bool fetching_ = false;
  Status last_;
  std::string keys_url_;
  mutable std::shared_mutex mutex_;
  std::shared_ptr<const Keys> keys_ = std::make_shared<const Keys>();  // guarded by mutex_
};

class OidcTokens final : public TokenSource {
 public:
  OidcTokens(ApiServer& server, std::shared_ptr<KeySet> keys) : server_(server), options_(server.options().oidc), keys_(std::move(keys)) {}

  TokenAnswer lookup(std::string_view token, const std::vector<std::string>& audiences) override {
    auto parsed = parse(token);
    if (!parsed.has_value()) return {};
    if (Status status = check_head(*parsed); !status.ok()) return refused(status);
    switch (verify(*parsed, *keys_->keys())) {
      case Signature::kGood: return accept(*parsed, audiences);
      case Signature::kBad: return bad_signature();
      case Signature::kUnknownKey: break;
    }
    TokenAnswer answer;
    answer.must_ask = true;
    return answer;
  }

  Task<TokenAnswer> ask(std::string token, std::vector<std::string> audiences) override {
    auto parsed = parse(token);
    if (!parsed.has_value()) co_return TokenAnswer();
    std::shared_ptr<const Keys> before = keys_->keys();
    Status refreshed = co_await keys_->refresh(before);
    if (!refreshed.ok()) {
      log_warning("The OpenID Connect provider could not be asked", {{"issuer", options_.issuer_url}, {"error", refreshed.message()}});
      co_return refused(unauthorized("oidc: " + std::string(refreshed.message())));
    }
    if (verify(*parsed, *keys_->keys()) != Signature::kGood) co_return bad_signature();
    co_return accept(*parsed, audiences);
  }

 private:
  struct Parsed {
    pki::JwtParts parts;
    json::Value head, claims;
  };
  enum class Signature : uint8_t { kGood, kBad, kUnknownKey };

  // Nothing for what is no token of this issuer.
  std::optional<Parsed> parse(std::string_view token) const {
    if (token.size() > kMaxTokenBytes) return std::nullopt;
    auto parts = pki::split_jwt(token);
    if (!parts.has_value()) return std::nullopt;
    auto head = json::parse(parts->header), claims = json::parse(parts->payload);
    if (!head.ok() || !claims.ok() || claims->at({"iss"}).as_string() != options_.issuer_url) return std::nullopt;
    return Parsed{std::move(*parts), std::move(*head), std::move(*claims)};
  }

  Status check_head(const Parsed& token) const {
    TRY(check_id_token(options_, token.claims, server_.clock().now()));
    const std::string& algorithm = token.head.at({"alg"}).as_string();
    const auto& allowed = options_.signing_algs;
    if (std::find(allowed.begin(), allowed.end(), algorithm) != allowed.end() && known_algorithm(algorithm)) return {};
    std::string list;
    for (const std::string& each : allowed) list += (list.empty() ? "" : " ") + quoted(each);
    return unauthorized("oidc: verify token: oidc: id token signed with unsupported algorithm, expected [" + list + "] got " + quoted(algorithm));
  }

  // By the key that the token names, or by any when it names none.
  static Signature verify(const Parsed& token, const Keys& keys) {
    const std::string& id = token.head.at({"kid"}).as_string();
    const std::string& algorithm = token.head.at({"alg"}).as_string();
    bool known = false;
    for (const OidcKey& key : keys) {
      if (!id.empty() && key.id != id) continue;
      known = known || !id.empty();
      if (key.key.verify(algorithm, token.parts.signed_part, token.parts.signature)) return Signature::kGood;
    }
    return known ? Signature::kBad : Signature::kUnknownKey;
  }

  TokenAnswer accept(const Parsed& token, const std::vector<std::string>& audiences) const {
    auto user = user_of_claims(options_, token.claims);
    return user.ok() ? answer_for(std::move(*user), audiences, server_.options()) : refused(user.status());
  }

  static TokenAnswer refused(const Status& status) {
    TokenAnswer answer;
    answer.error = status.message();
    return answer;
  }
  static TokenAnswer bad_signature() { return refused(unauthorized("oidc: verify token: failed to verify signature: failed to verify id token signature")); }

  ApiServer& server_;
  const OidcOptions& options_;
  const std::shared_ptr<KeySet> keys_;
};

}  // namespace

Result<std::unique_ptr<TokenSource>> make_oidc_tokens(ApiServer& server) {
  const OidcOptions& options = server.options().oidc;
  if (options.client_id.empty()) return Status::error("oidc-issuer-url and oidc-client-id should be specified together");
  if (!options.issuer_url.starts_with("https://"))
    return Status::error("'oidc-issuer-url' (" + quoted(options.issuer_url) + ") has invalid scheme, require 'https'");
  for (const std::string& algorithm : options.signing_algs)
    if (!known_algorithm(algorithm)) return Status::error("oidc: unsupported signing alg: " + quoted(algorithm));
  auto keys = std::make_shared<KeySet>(server.executor(), options.issuer_url, make_fetcher(server.executor(), options.ca_file));
  return std::unique_ptr<TokenSource>(std::make_unique<OidcTokens>(server, std::move(keys)));
}

}  // namespace knarr::apiserver::authn
