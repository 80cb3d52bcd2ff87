// SPDX-License-Identifier: Apache-2.0
// Random numbers, digests and sealed bytes: what bootstrap tokens and copied certificates rest on.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace knarr::pki {

Result<std::string> random_bytes(size_t count);
// `count` characters of a-z and 0-9, each equally likely.
Result<std::string> random_token(size_t count);
std::string to_hex(std::string_view bytes);
Result<std::string> from_hex(std::string_view text);
std::string sha256(std::string_view bytes);                             // 32 bytes
std::string hmac_sha256(std::string_view key, std::string_view bytes);  // 32 bytes

// AES-GCM with a random 12-byte nonce in front and the 16-byte tag behind, as kubeadm seals the certificates it uploads. The key has 16, 24 or 32 bytes.
Result<std::string> seal(std::string_view key, std::string_view bytes);
Result<std::string> open_sealed(std::string_view key, std::string_view sealed);

// Detached JWS (HS256, `kid` = token id) of a text, as the bootstrap signer writes into cluster-info: "<header>..<signature>".
std::string detached_signature(std::string_view text, std::string_view token_id, std::string_view token_secret);

}  // namespace knarr::pki
