// SPDX-License-Identifier: Apache-2.0
// What the pod itself and its events tell of its way, to the second: for parts that recorded nothing (upstream's, or restarted since).
#pragma once

#include <vector>

#include "api/core_v1.h"
#include "trace/timeline.h"

namespace knarr::trace {

std::vector<Entry> coarse_entries(const api::core_v1::Pod& pod, const std::vector<api::core_v1::Event>& events);

}  // namespace knarr::trace
