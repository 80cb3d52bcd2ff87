// SPDX-License-Identifier: Apache-2.0
// Handlers of /.well-known/openid-configuration and /openid/v1/jwks: how others check service account tokens.
#pragma once

#include "base/status.h"
#include "base/task.h"

namespace knarr::apiserver {
struct RequestContext;
}

namespace knarr::apiserver::discovery {

Task<Status> serve_openid_configuration(RequestContext& context);
Task<Status> serve_json_web_keys(RequestContext& context);

}  // namespace knarr::apiserver::discovery
