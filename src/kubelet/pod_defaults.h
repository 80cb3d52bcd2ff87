// SPDX-License-Identifier: Apache-2.0
// The API server's defaults of a pod, for pods that never pass through one (upstream's SetDefaults_Pod and its parts).
#pragma once

#include "kubelet/types.h"

namespace knarr::kubelet {

void default_pod(core::Pod& pod);

}  // namespace knarr::kubelet
