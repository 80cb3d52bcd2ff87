// SPDX-License-Identifier: Apache-2.0
// Reading and checking of JSON web tokens (compact JWS): RS, PS and ES with SHA-256, -384 and -512. The key decides what kind of algorithm a token
// may name: neither "none" nor a shared secret can be talked into.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace knarr::pki {

// Without padding; nothing for text that is no base64url, or not the shortest form of its bytes.
std::optional<std::string> base64url_decode(std::string_view text);

// The parts of "HEADER.PAYLOAD.SIGNATURE", decoded but not believed. `signed_part` points into the token.
struct JwtParts {
  std::string header, payload, signature;
  std::string_view signed_part;
};
std::optional<JwtParts> split_jwt(std::string_view token);

// A public key. Immutable, shared by copies, any thread.
class JwtKey {
 public:
  // Every key of a PEM text: public keys, certificates' keys, and the public halves of private keys.
  static std::vector<JwtKey> from_pem(const std::string& pem);
  // Of a JSON web key: big-endian numbers; curve "P-256", "P-384" or "P-521".
  static Result<JwtKey> rsa(std::string_view modulus, std::string_view exponent);
  static Result<JwtKey> ec(std::string_view curve, std::string_view x, std::string_view y);

  // False for algorithms that are none of this key's as well.
  bool verify(std::string_view algorithm, std::string_view signed_part, std::string_view signature) const;

 private:
  struct Impl;
  explicit JwtKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace knarr::pki
