// SPDX-License-Identifier: Apache-2.0
// Bootstrap tokens: Secrets bootstrap-token-ID in kube-system. Pure readers of them, shared by the signer and the cleaner.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api/core_v1.h"
#include "base/clock.h"

namespace knarr::controller {

inline constexpr std::string_view kBootstrapTokenType = "bootstrap.kubernetes.io/token";

// How long a token still counts: nullopt without an end, zero when it is over (or its end cannot be read).
std::optional<Duration> remaining_life(const api::core_v1::Secret& secret, WallTime now);

// Id and secret of a token that may sign cluster-info now.
std::optional<std::pair<std::string, std::string>> signing_token(const api::core_v1::Secret& secret, WallTime now);

// Compact JWS (HS256, kid = the id) of `content`, with its middle part left out.
std::string detached_signature(std::string_view content, std::string_view token_id, std::string_view token_secret);

}  // namespace knarr::controller
