// SPDX-License-Identifier: Apache-2.0
// Container statuses of a pod from what the runtime has (upstream's convertToAPIContainerStatuses). Pure.
#pragma once

#include "kubelet/pod_status.h"

namespace knarr::kubelet {

// Regular, init and ephemeral container statuses of inputs.pod.
void fill_container_statuses(const StatusInputs& inputs, core::PodStatus& status);

}  // namespace knarr::kubelet
