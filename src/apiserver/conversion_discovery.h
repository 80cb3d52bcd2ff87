// SPDX-License-Identifier: Apache-2.0
// EndpointSlices between v1, which is served, and v1beta1, in which upstream 1.28 still stores them: zone and node name are topology labels there.
#pragma once

#include "api/discovery_v1.h"
#include "api/discovery_v1beta1.h"
#include "base/status.h"

namespace knarr::apiserver {

api::discovery_v1beta1::EndpointSlice to_v1beta1(const api::discovery_v1::EndpointSlice& slice);
api::discovery_v1::EndpointSlice to_v1(const api::discovery_v1beta1::EndpointSlice& slice);

}  // namespace knarr::apiserver
