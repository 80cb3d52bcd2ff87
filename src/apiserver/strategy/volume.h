// SPDX-License-Identifier: Apache-2.0
// Validation of persistent volumes that other kinds share.
#pragma once

#include "apiserver/strategy/volume_sources.h"

namespace knarr::apiserver {

// `inline_spec`: in a VolumeAttachment, where only CSI is allowed.
void validate_pv_spec(const core::PersistentVolumeSpec& spec, std::string_view name,
                      bool inline_spec, const Path& path, FieldErrors& errors);

}  // namespace knarr::apiserver
