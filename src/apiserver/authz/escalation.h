// SPDX-License-Identifier: Apache-2.0
// Nobody grants by RBAC what they do not have, unless they may "escalate" the role or "bind" it (upstream: registry/rbac/*/policybased).
#pragma once

#include "apiserver/strategy.h"

namespace knarr::apiserver::authz {

// For Strategy::may_write of roles, clusterroles, rolebindings and clusterrolebindings; `old` is null on create.
Task<Status> may_write_role(WriteContext& context, const void* object, const void* old);
Task<Status> may_write_cluster_role(WriteContext& context, const void* object, const void* old);
Task<Status> may_write_role_binding(WriteContext& context, const void* object, const void* old);
Task<Status> may_write_cluster_role_binding(WriteContext& context, const void* object, const void* old);

}  // namespace knarr::apiserver::authz
