// SPDX-License-Identifier: Apache-2.0
// ID tokens of an OpenID Connect provider (upstream: plugin/pkg/authenticator/token/oidc, github.com/coreos/go-oidc).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apiserver/server.h"
#include "apiserver/user.h"
#include "base/clock.h"
#include "base/status.h"
#include "pki/jwt_verify.h"
#include "schema/json.h"

namespace knarr::apiserver::authn {

// A provider's signing key; tokens may name it by `id`.
struct OidcKey {
  std::string id;
  pki::JwtKey key;
};

// The signing keys of a JSON Web Key Set; those of other kinds are passed over. Fails when the text is no such set.
Result<std::vector<OidcKey>> parse_key_set(std::string_view text);

// Checks everything but the signature: issuer, audience, times. 401 with upstream's words.
Status check_id_token(const OidcOptions& options, const json::Value& claims, WallTime now);
// The user that verified claims describe.
Result<User> user_of_claims(const OidcOptions& options, const json::Value& claims);

}  // namespace knarr::apiserver::authn
