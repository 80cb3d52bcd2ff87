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
Task<Status> create_binding(RequestContext& context);      // POST .../namespaces/NS/bindings: the pod is the one that the Binding's name says

}  // namespace knarr::apiserver::subresource
