// SPDX-License-Identifier: Apache-2.0
// pods/binding and the older bindings resource: the scheduler's word for where a pod runs.
#pragma once

#include "base/status.h"
#include "base/task.h"

namespace knarr::apiserver {
struct RequestContext;
}

namespace knarr::apiserver::subresource {

Task<Status> create_pod_binding(RequestContext& context);  // POST .../pods/NAME/binding

}  // namespace knarr::apiserver::subresource
