// SPDX-License-Identifier: Apache-2.0
// pods/log, exec, attach and portforward: found a pod's node, then the kubelet does the work.
#pragma once

#include "base/status.h"
#include "base/task.h"

namespace knarr::apiserver {
struct RequestContext;
}

namespace knarr::apiserver::subresource {

Task<Status> get_log(RequestContext& context);
Task<Status> connect_exec(RequestContext& context);
Task<Status> connect_attach(RequestContext& context);
Task<Status> connect_port_forward(RequestContext& context);

}  // namespace knarr::apiserver::subresource
