// SPDX-License-Identifier: Apache-2.0
// The steps of pods that this process recorded (trace/answer.h).
#pragma once

#include "apiserver/context.h"
#include "trace/ring.h"

namespace knarr::apiserver::discovery {

Task<Status> serve_pod_trace(RequestContext& context);

}  // namespace knarr::apiserver::discovery
