// SPDX-License-Identifier: Apache-2.0
// Reading of kubelet.config.k8s.io/v1beta1 KubeletConfiguration files.
#pragma once

#include <string>

#include "base/status.h"
#include "kubelet/config.h"

namespace knarr::cmd {

// Overwrites what the file sets. Fields that knarr has no use for are passed over; a wrong kind or type is an error.
Status apply_kubelet_configuration(const std::string& file, kubelet::Config& config);

}  // namespace knarr::cmd
