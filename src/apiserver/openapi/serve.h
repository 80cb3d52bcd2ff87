// SPDX-License-Identifier: Apache-2.0
// Handlers of /openapi/v2 and /openapi/v3 (prefix). Documents are made on first request and kept, compressed too.
#pragma once

#include "base/status.h"
#include "base/task.h"

namespace knarr::apiserver {
struct RequestContext;
}

namespace knarr::apiserver::openapi {

Task<Status> serve_v2(RequestContext& context);
Task<Status> serve_v3(RequestContext& context);

}  // namespace knarr::apiserver::openapi
