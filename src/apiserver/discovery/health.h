// SPDX-License-Identifier: Apache-2.0
// Handlers of /healthz, /livez and /readyz (prefixes): named checks, `?verbose`, `?exclude=NAME`, and /readyz/NAME.
#pragma once

#include "base/status.h"
#include "base/task.h"

namespace knarr::apiserver {
struct RequestContext;
}

namespace knarr::apiserver::discovery {

Task<Status> serve_health(RequestContext& context);

}  // namespace knarr::apiserver::discovery
