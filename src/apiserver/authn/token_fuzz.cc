// SPDX-License-Identifier: Apache-2.0
// Bytes as a token, as a provider's keys, as claims, and as the name of a service account.
#include <cstdint>

#include "apiserver/authn/oidc.h"
#include "apiserver/service_account_name.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr;
  using namespace knarr::apiserver;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto parts = pki::split_jwt(text)) {
    auto keys = authn::parse_key_set(parts->header);
    if (keys.ok())
      for (const auto& key : *keys)
        for (const char* algorithm : {"RS256", "PS256", "ES256", "none"}) (void)key.key.verify(algorithm, parts->signed_part, parts->signature);
  }
  OidcOptions options;
  options.issuer_url = "https://i";
  options.client_id = "c";
  options.groups_claim = "g";
  options.required_claims = {"r=1"};
  auto claims = json::parse(text);
  if (claims.ok()) {
    (void)authn::check_id_token(options, *claims, WallTime(std::chrono::seconds(1)));
    (void)authn::user_of_claims(options, *claims);
  }
  (void)authn::parse_key_set(text);
  if (auto account = parse_service_account(text)) KNARR_CHECK(service_account_user(account->namespace_, account->name) == text);
  return 0;
}
