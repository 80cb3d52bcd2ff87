// SPDX-License-Identifier: Apache-2.0
// serviceaccounts/token: tokens for pods and people, bound to what they are for.
#pragma once

#include "base/status.h"
#include "base/task.h"

namespace knarr::apiserver {
struct RequestContext;
}

namespace knarr::apiserver::subresource {

Task<Status> create_token(RequestContext& context);  // POST .../serviceaccounts/NAME/token

}  // namespace knarr::apiserver::subresource
