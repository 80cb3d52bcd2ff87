// SPDX-License-Identifier: Apache-2.0
// Handler of /version.
#pragma once

#include "base/status.h"
#include "base/task.h"

namespace knarr::apiserver {
struct RequestContext;
}

namespace knarr::apiserver::discovery {

Task<Status> serve_version(RequestContext& context);

}  // namespace knarr::apiserver::discovery
