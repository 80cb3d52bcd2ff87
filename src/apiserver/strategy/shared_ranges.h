// SPDX-License-Identifier: Apache-2.0
// Cluster IPs and node ports where several API servers give them out: upstream's RangeAllocation objects under /registry/ranges/, changed by
// compare-and-swap before the Service is written and after it is gone. Numbers that nobody has for three repairs are free again.
#pragma once

#include "api/core_v1.h"
#include "base/status.h"
#include "base/task.h"

namespace knarr::apiserver {

class ApiServer;

// Whether others allocate from the same store. The rest does nothing when not.
bool allocates_shared(ApiServer& server);

// ServiceAllocator::allocate() on the shared state. `dry_run`: looks, and writes nothing.
Task<Status> allocate_shared(ApiServer& server, api::core_v1::Service& service, const api::core_v1::Service* old, bool dry_run);
// Gives back what `service` has and `old` has not, in the background.
void release_shared(ApiServer& server, const api::core_v1::Service& service, const api::core_v1::Service* old);

// Makes the shared state agree with the Services; upstream does so at start and every three minutes.
Task<Status> repair_ranges(ApiServer& server);

}  // namespace knarr::apiserver
