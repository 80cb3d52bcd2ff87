// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kubeadm/init_data.h"
#include "kubeadm/phases.h"

namespace knarr::kubeadm {

// `kubeadm init`, phase by phase.
Workflow<InitData> init_workflow();

}  // namespace knarr::kubeadm
