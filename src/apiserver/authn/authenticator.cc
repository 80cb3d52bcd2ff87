// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authn/authenticator.h"

#include <absl/container/flat_hash_map.h>

#include <mutex>
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

class Chain final : public Authenticator {
 public:
  Chain(ApiServer& server, std::vector<std::unique_ptr<TokenSource>> sources) : server_(server), sources_(std::move(sources)) {}

  Result<User> authenticate(const net::Request& request) override {
    if (request.peer != nullptr && !request.peer->certificates.empty()) {
      if (!request.peer->certificate_verified) return unauthorized();
      if (auto user = certificates_.lookup(request.peer->certificates[0])) return std::move(*user);
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

  std::optional<User> authenticate_token_for(std::string_view token, const std::vector<std::string>& audiences,
                                             std::vector<std::string>* matched) override {
    for (const auto& source : sources_) {
      matched->clear();
      if (auto user = source->lookup_for(token, audiences, server_.options().service_account_issuer, matched)) return authenticated(std::move(*user));
    }
    return std::nullopt;
  }

 private:
  ApiServer& server_;
  const std::vector<std::unique_ptr<TokenSource>> sources_;
  CertificateUsers certificates_;
};

}  // namespace

std::optional<User> TokenSource::lookup_for(std::string_view token, const std::vector<std::string>& audiences, const std::string& ours,
                                            std::vector<std::string>* matched) {
  for (const std::string& audience : audiences)
    if (audience == ours) matched->push_back(audience);
  return matched->empty() ? std::nullopt : lookup(token);
}

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
