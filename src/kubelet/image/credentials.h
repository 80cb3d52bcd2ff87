// SPDX-License-Identifier: Apache-2.0
// Registry credentials from image pull secrets (.dockerconfigjson and .dockercfg).
#pragma once

#include <vector>

#include "kubelet/cri/runtime_service.h"
#include "kubelet/image/image_name.h"
#include "kubelet/types.h"

namespace knarr::kubelet {

// Those that fit the image, longest match first; malformed secrets are passed over.
std::vector<cri::AuthConfig> credentials_for(const ImageName& image, const std::vector<std::shared_ptr<const core::Secret>>& secrets);

}  // namespace knarr::kubelet
