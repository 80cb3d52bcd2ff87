// SPDX-License-Identifier: Apache-2.0
// Impersonate-User and its companions: the request goes on as somebody else, when its sender may do that to each part of that identity.
#pragma once

#include <string>
#include <vector>

#include "apiserver/user.h"
#include "base/status.h"
#include "net/http.h"

namespace knarr::apiserver {

// One thing that the sender must be allowed to impersonate.
struct ImpersonationCheck {
  std::string group, version, resource, subresource, namespace_, name;
};
struct Impersonation {
  User user;
  std::vector<ImpersonationCheck> checks;
};

bool asks_to_impersonate(const net::Headers& headers);
// 500, as upstream answers it, when parts of an identity come without a user.
Result<Impersonation> parse_impersonation(const net::Headers& headers);

}  // namespace knarr::apiserver
