// SPDX-License-Identifier: Apache-2.0
// componentstatuses: how the control plane's other parts fare, asked at the moment of the request.
//
// Parts that run in this process say so themselves (ApiServer::local_components); the others are probed where upstream's listen on this host:
// https://127.0.0.1:10257 (controller manager) and 10259 (scheduler).
#pragma once

#include "base/status.h"
#include "base/task.h"

namespace knarr::apiserver {
struct RequestContext;
}

namespace knarr::apiserver::subresource {

Task<Status> serve_component_statuses(RequestContext& context);

}  // namespace knarr::apiserver::subresource
