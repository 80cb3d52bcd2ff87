// SPDX-License-Identifier: Apache-2.0
// What kubelets may do: what their node's pods need, and what every node needs (upstream: plugin/pkg/auth/authorizer/node).
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "apiserver/authz/authorizer.h"

namespace knarr::apiserver {
class Core;
}

namespace knarr::apiserver::authz {

// Whether a user is a node, and which: "" when it does not say. Nullopt when it is none.
std::optional<std::string_view> node_of(const User& user);

std::unique_ptr<Authorizer> make_node_authorizer(Core& core);

}  // namespace knarr::apiserver::authz
