// SPDX-License-Identifier: Apache-2.0
// What pods and persistent volumes refer to by name: all that a kubelet needs to read for them (upstream: pkg/api/v1/pod, .../persistentvolume).
#pragma once

#include <absl/functional/function_ref.h>

#include <string_view>

#include "api/core_v1.h"

namespace knarr::apiserver::authz {

using VisitName = absl::FunctionRef<void(std::string_view name)>;
void visit_secrets(const api::core_v1::Pod& pod, VisitName visit);
void visit_config_maps(const api::core_v1::Pod& pod, VisitName visit);
// Claims of volumes, those of ephemeral volumes included.
void visit_claims(const api::core_v1::Pod& pod, VisitName visit);

// Secrets that a kubelet reads to mount the volume.
void visit_node_secrets(const api::core_v1::PersistentVolume& volume, absl::FunctionRef<void(std::string_view ns, std::string_view name)> visit);

}  // namespace knarr::apiserver::authz
