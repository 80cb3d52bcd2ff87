// SPDX-License-Identifier: Apache-2.0
// Who a request comes from: an authenticating proxy, a client certificate, a bearer token (file, service account, bootstrap, OpenID Connect, webhook),
// or nobody.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/server.h"
#include "apiserver/user.h"
#include "base/status.h"
#include "base/task.h"
#include "net/http.h"

namespace knarr::apiserver::authn {

// What is known of a token: a user; or, without one, why it was refused ("" = never heard of).
struct TokenAnswer {
  std::optional<User> user;
  std::vector<std::string> audiences;  // those asked for that the token is meant for
  std::string error;
  bool must_ask = false;               // only TokenSource::ask can tell
};

// One source of bearer tokens. Any thread.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  // At once, for a token meant for one of `audiences`; must_ask when another server has to be asked.
  virtual TokenAnswer lookup(std::string_view token, const std::vector<std::string>& audiences) = 0;
  virtual Task<TokenAnswer> ask(std::string token, std::vector<std::string> audiences);
};

class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // The user, with system:authenticated among the groups; system:anonymous when the request shows nothing and the options allow it. 401
  // otherwise. Nullopt: `authenticate` has to ask another server. What a proxy said about the user is taken out of the request's headers.
  virtual std::optional<Result<User>> authenticate_now(net::Request& request) = 0;
  virtual Task<Result<User>> authenticate(net::Request& request) = 0;
  // The user behind a bearer token (TokenReview).
  virtual Task<TokenAnswer> authenticate_token(std::string token, std::vector<std::string> audiences) = 0;
};

// `server` gives options and the objects that tokens are bound to; it outlives the authenticator. Fails when a file cannot be read.
Result<std::unique_ptr<Authenticator>> make_authenticator(ApiServer& server);

// Audiences that are this server.
std::vector<std::string> own_audiences(const Options& options);
// An answer of a source whose tokens name no audience: they are for this server.
TokenAnswer answer_for(User user, const std::vector<std::string>& audiences, const Options& options);

Result<std::unique_ptr<TokenSource>> make_token_file(const Options& options);
Result<std::unique_ptr<TokenSource>> make_service_account_tokens(ApiServer& server);
std::unique_ptr<TokenSource> make_bootstrap_tokens(ApiServer& server);
Result<std::unique_ptr<TokenSource>> make_oidc_tokens(ApiServer& server);
Result<std::unique_ptr<TokenSource>> make_webhook_tokens(ApiServer& server);

// Subject of a certificate: CN is the name, every O a group. Empty when the DER is no certificate.
std::optional<User> user_of_certificate(std::string_view der);

}  // namespace knarr::apiserver::authn
