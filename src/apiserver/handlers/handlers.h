// SPDX-License-Identifier: Apache-2.0
// One function per verb. Each takes the exchange; a failed Status is for the caller to send.
#pragma once

#include "apiserver/core.h"
#include "apiserver/registry/write.h"

namespace knarr::apiserver {

Task<Status> handle_get(RequestContext& context);
Task<Status> handle_list(RequestContext& context);
Task<Status> handle_watch(RequestContext& context);
Task<Status> handle_create(RequestContext& context);
Task<Status> handle_update(RequestContext& context);
Task<Status> handle_patch(RequestContext& context);
Task<Status> handle_delete(RequestContext& context);
Task<Status> handle_delete_collection(RequestContext& context);
// get, update and patch of the scale subresource.
Task<Status> handle_scale(RequestContext& context);

}  // namespace knarr::apiserver
