// SPDX-License-Identifier: Apache-2.0
#include "controller/bootstrap_tokens.h"

#include "pki/jwt.h"
#include "schema/time.h"

namespace knarr::controller {

std::optional<Duration> remaining_life(const api::core_v1::Secret& secret, WallTime now) {
  std::string_view expiration = schema::get_or_empty(secret.data, "expiration");
  if (expiration.empty()) return std::nullopt;
  auto end = schema::parse_time(expiration);
  if (!end.ok()) return Duration::zero();
  return std::max(schema::to_wall(*end) - now, Duration::zero());
}

std::optional<std::pair<std::string, std::string>> signing_token(const api::core_v1::Secret& secret, WallTime now) {
  constexpr std::string_view kPrefix = "bootstrap-token-";
  std::string_view name = secret.metadata.name, id = schema::get_or_empty(secret.data, "token-id"),
                   value = schema::get_or_empty(secret.data, "token-secret");
  if (secret.type != kBootstrapTokenType || !name.starts_with(kPrefix)) return std::nullopt;
  if (id.size() != 6 || name.substr(kPrefix.size()) != id || value.empty()) return std::nullopt;
  if (remaining_life(secret, now) == Duration::zero()) return std::nullopt;
  if (schema::get_or_empty(secret.data, "usage-bootstrap-signing") != "true") return std::nullopt;
  return std::make_pair(std::string(id), std::string(value));
}

std::string detached_signature(std::string_view content, std::string_view token_id, std::string_view token_secret) {
  // Go's encoder writes the members in the order of their names; ids are letters and digits.
  std::string header = pki::base64url("{\"alg\":\"HS256\",\"kid\":\"" + std::string(token_id) + "\"}");
  std::string signature = pki::hmac_sha256(token_secret, header + "." + pki::base64url(content));
  return header + ".." + pki::base64url(signature);
}

}  // namespace knarr::controller
