// SPDX-License-Identifier: Apache-2.0
// A pod's requests and limits as a whole: containers together, init containers one after the other, sidecars throughout, and overhead.
#pragma once

#include "quota/quota.h"

namespace knarr::quota {

Amounts pod_requests(const Pod& pod);
Amounts pod_limits(const Pod& pod);
bool is_best_effort(const Pod& pod);  // no container asks for CPU or memory

}  // namespace knarr::quota
