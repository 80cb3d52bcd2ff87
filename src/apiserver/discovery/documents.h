// SPDX-License-Identifier: Apache-2.0
// Handlers of /api and /apis (prefixes).
#pragma once

#include "base/status.h"
#include "base/task.h"

namespace knarr::apiserver {
struct RequestContext;
}

namespace knarr::apiserver::discovery {

Task<Status> serve_api(RequestContext& context);
Task<Status> serve_apis(RequestContext& context);

}  // namespace knarr::apiserver::discovery
