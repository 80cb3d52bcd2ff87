// SPDX-License-Identifier: Apache-2.0
// Who owns a volume's files: fsGroup and the user of projected tokens.
#pragma once

#include <optional>
#include <string>

#include "api/core_v1.h"
#include "kubelet/volume/mounter.h"

namespace knarr::kubelet {

// Gives `path` and all below it to `group` and adds group permissions (0660, or 0440 when
// read-only; folders +0110 and setgid). As upstream, a single file that refuses is passed over.
// Blocking. The content is the kubelet's own or comes from before any container ran.
Status set_volume_ownership(Mounter& mounter, const std::string& path, int64_t group,
                            bool read_only);

// The user that all containers of the pod run as, when they agree on one.
std::optional<int64_t> common_user(const api::core_v1::Pod& pod);

}  // namespace knarr::kubelet
