// SPDX-License-Identifier: Apache-2.0
// Who a request comes from: client certificate, bearer token (file, service account, bootstrap), or nobody.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
  // The same for other servers: the token must be meant for one of `audiences`; those that match are put into *matched.
  virtual std::optional<User> authenticate_token_for(std::string_view token, const std::vector<std::string>& audiences,
                                                     std::vector<std::string>* matched) = 0;
};

// `server` gives options and the objects that tokens are bound to; it outlives the authenticator. Fails when a file cannot be read.
Result<std::unique_ptr<Authenticator>> make_authenticator(ApiServer& server);

// One source of bearer tokens. Empty when it does not know the token. Any thread.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual std::optional<User> lookup(std::string_view token) = 0;
  // For one of these audiences; sources whose tokens name none speak for `ours` only.
  virtual std::optional<User> lookup_for(std::string_view token, const std::vector<std::string>& audiences, const std::string& ours,
                                         std::vector<std::string>* matched);
};
Result<std::unique_ptr<TokenSource>> make_token_file(const std::string& path);
Result<std::unique_ptr<TokenSource>> make_service_account_tokens(ApiServer& server);
std::unique_ptr<TokenSource> make_bootstrap_tokens(ApiServer& server);

// Subject of a certificate: CN is the name, every O a group. Empty when the DER is no certificate.
std::optional<User> user_of_certificate(std::string_view der);

}  // namespace knarr::apiserver::authn
