// SPDX-License-Identifier: Apache-2.0
// Tokens of joining nodes: "id.secret", kept as Secrets bootstrap-token-ID in kube-system (upstream: plugin/pkg/auth/authenticator/token/bootstrap).
#include "api/core_v1.h"
#include "apiserver/authn/authenticator.h"
#include "schema/time.h"

namespace knarr::apiserver::authn {
namespace {

constexpr std::string_view kDefaultGroup = "system:bootstrappers";

bool lower_alnum(std::string_view text) {
  for (char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) return false;
  return true;
}

bool same_secret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

class BootstrapTokens final : public TokenSource {
 public:
  explicit BootstrapTokens(ApiServer& server) : server_(server) {}

  TokenAnswer lookup(std::string_view token, const std::vector<std::string>& audiences) override {
    auto user = user_of(token);
    return user.has_value() ? answer_for(std::move(*user), audiences, server_.options()) : TokenAnswer();
  }

 private:
  std::optional<User> user_of(std::string_view token) {
    constexpr size_t kId = 6, kSecret = 16;
    if (token.size() != kId + 1 + kSecret || token[kId] != '.') return std::nullopt;
    std::string_view id = token.substr(0, kId), secret = token.substr(kId + 1);
    if (!lower_alnum(id) || !lower_alnum(secret)) return std::nullopt;
    auto stored = server_.cached<api::core_v1::Secret>("kube-system", "bootstrap-token-" + std::string(id));
    if (stored == nullptr || stored->type != "bootstrap.kubernetes.io/token" || stored->metadata.deletion_timestamp.has_value()) return std::nullopt;
    auto data = [&](std::string_view key) { return schema::get_or_empty(stored->data, key); };
    if (data("token-id") != id || !same_secret(data("token-secret"), secret)) return std::nullopt;
    if (data("usage-bootstrap-authentication") != "true") return std::nullopt;
    if (std::string_view expiration = data("expiration"); !expiration.empty()) {
      auto time = schema::parse_time(expiration);
      if (!time.ok() || schema::to_wall(*time) <= server_.clock().now()) return std::nullopt;
    }
    User user{"system:bootstrap:" + std::string(id), "", {std::string(kDefaultGroup)}, {}};
    std::string_view groups = data("auth-extra-groups");
    while (!groups.empty()) {
      size_t comma = groups.find(',');
      std::string_view group = groups.substr(0, comma);
      // Only groups below the default one may be granted.
      if (group.starts_with("system:bootstrappers:")) user.groups.emplace_back(group);
      groups = comma == std::string_view::npos ? std::string_view() : groups.substr(comma + 1);
    }
    return user;
  }

  ApiServer& server_;
};

}  // namespace

std::unique_ptr<TokenSource> make_bootstrap_tokens(ApiServer& server) { return std::make_unique<BootstrapTokens>(server); }

}  // namespace knarr::apiserver::authn
