// SPDX-License-Identifier: Apache-2.0
// Subresources that are another door to their parent: what may change through them (see subresource_handlers.h).
#pragma once

#include "api/core_v1.h"
#include "apiserver/strategy.h"

namespace knarr::apiserver::subresource {

// pods/ephemeralcontainers: the list of ephemeral containers, nothing else.
void prepare_ephemeral_containers(WriteContext& context, api::core_v1::Pod& pod, const api::core_v1::Pod& old);

}  // namespace knarr::apiserver::subresource
