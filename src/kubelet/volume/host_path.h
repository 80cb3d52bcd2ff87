// SPDX-License-Identifier: Apache-2.0
// hostPath volumes: nothing is made but what an *OrCreate type asks for; the type is checked.
// Blocking.
#pragma once

#include "api/core_v1.h"
#include "base/status.h"

namespace knarr::kubelet {

// Failures are worded as upstream: "hostPath type check failed: /x is not a directory".
Status set_up_host_path(const api::core_v1::HostPathVolumeSource& source);

}  // namespace knarr::kubelet
