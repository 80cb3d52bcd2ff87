// SPDX-License-Identifier: Apache-2.0
// Signing of JSON web tokens (compact JWS) with the keys that service accounts use: RS256 for RSA, ES256/384/512 for elliptic curves by their size.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace knarr::pki {

std::string base64url(std::string_view bytes);  // without padding

std::string hmac_sha256(std::string_view key, std::string_view text);  // 32 bytes

class JwtSigner {
 public:
  // PEM of a private key, PKCS#1, PKCS#8 or SEC 1.
  static Result<std::unique_ptr<JwtSigner>> make(const std::string& private_key_pem);
  virtual ~JwtSigner() = default;
  // `claims` is a JSON object's text. Any thread.
  virtual Result<std::string> sign(std::string_view claims) const = 0;
  virtual const std::string& key_id() const = 0;  // base64url of the SHA-256 of the DER public key, as upstream's `kid`
};

// JSON Web Key Set of the public keys in this PEM (public ones, or the public halves of private ones).
Result<std::string> json_web_key_set(const std::string& pem);

}  // namespace knarr::pki
