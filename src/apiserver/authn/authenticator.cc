// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authn/authenticator.h"

#include <vector>

#include "apiserver/errors.h"

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

class Chain final : public Authenticator {
 public:
  Chain(ApiServer& server, std::vector<std::unique_ptr<TokenSource>> sources) : server_(server), sources_(std::move(sources)) {}

  Result<User> authenticate(const net::Request& request) override {
    if (request.peer != nullptr && !request.peer->certificates.empty()) {
      if (!request.peer->certificate_verified) return unauthorized();
      if (auto user = user_of_certificate(request.peer->certificates[0])) return authenticated(std::move(*user));
    }
    std::string_view header = request.headers.get("Authorization");
    std::string_view token = bearer_token(header);
    if (!token.empty()) {
      if (auto user = authenticate_token(token)) return authenticated(std::move(*user));
      return unauthorized();
    }
    if (!server_.options().anonymous_auth) return unauthorized();
    return User{"system:anonymous", "", {"system:unauthenticated"}, {}};
  }

  std::optional<User> authenticate_token(std::string_view token) override {
    for (const auto& source : sources_)
      if (auto user = source->lookup(token)) return authenticated(std::move(*user));
    return std::nullopt;
  }

 private:
  ApiServer& server_;
  const std::vector<std::unique_ptr<TokenSource>> sources_;
};

}  // namespace

Result<std::unique_ptr<Authenticator>> make_authenticator(ApiServer& server) {
  const Options& options = server.options();
  std::vector<std::unique_ptr<TokenSource>> sources;
  if (!options.token_auth_file.empty()) {
    TRY_ASSIGN(auto source, make_token_file(options.token_auth_file));
    sources.push_back(std::move(source));
  }
  if (!options.service_account_key_file.empty() || !options.service_account_signing_key_file.empty()) {
    TRY_ASSIGN(auto source, make_service_account_tokens(server));
    sources.push_back(std::move(source));
  }
  sources.push_back(make_bootstrap_tokens(server));
  return std::unique_ptr<Authenticator>(std::make_unique<Chain>(server, std::move(sources)));
}

}  // namespace knarr::apiserver::authn
