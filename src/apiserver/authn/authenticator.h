// SPDX-License-Identifier: Apache-2.0
// Who a request comes from: client certificate, bearer token (file, service account, bootstrap), or nobody.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "apiserver/server.h"
#include "apiserver/user.h"
#include "base/status.h"
#include "net/http.h"

namespace knarr::apiserver::authn {

class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // The user, with system:authenticated among the groups; system:anonymous when the request shows nothing and the options allow it. 401 otherwise.
  virtual Result<User> authenticate(const net::Request& request) = 0;
  // The user behind a bearer token (TokenReview); empty when nobody knows it.
  virtual std::optional<User> authenticate_token(std::string_view token) = 0;
};

// `server` gives options and the objects that tokens are bound to; it outlives the authenticator. Fails when a file cannot be read.
Result<std::unique_ptr<Authenticator>> make_authenticator(ApiServer& server);

// One source of bearer tokens. Empty when it does not know the token. Any thread.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual std::optional<User> lookup(std::string_view token) = 0;
};
Result<std::unique_ptr<TokenSource>> make_token_file(const std::string& path);
Result<std::unique_ptr<TokenSource>> make_service_account_tokens(ApiServer& server);
std::unique_ptr<TokenSource> make_bootstrap_tokens(ApiServer& server);

// Subject of a certificate: CN is the name, every O a group. Empty when the DER is no certificate.
std::optional<User> user_of_certificate(std::string_view der);

}  // namespace knarr::apiserver::authn
