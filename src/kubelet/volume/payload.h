// SPDX-License-Identifier: Apache-2.0
// The files that ConfigMaps, Secrets and the pod's own fields become. Pure functions; failures are
// worded as upstream's.
#pragma once

#include <string>
#include <vector>

#include "api/core_v1.h"
#include "kubelet/volume/atomic_writer.h"

namespace knarr::kubelet {

using ItemList = schema::List<api::core_v1::KeyToPath>;

// Without items: every key, under its own name. A key that items name and the object lacks is an
// error unless optional.
Result<Payload> config_map_payload(const ItemList& items, const api::core_v1::ConfigMap& config_map,
                                   int32_t default_mode, bool optional);
Result<Payload> secret_payload(const ItemList& items, const api::core_v1::Secret& secret,
                               int32_t default_mode, bool optional);
Result<Payload> downward_payload(const schema::List<api::core_v1::DownwardAPIVolumeFile>& items,
                                 const api::core_v1::Pod& pod,
                                 const schema::Map<schema::Quantity>& allocatable,
                                 int32_t default_mode);

// Go's utilerrors.Aggregate: one message as it is, several in brackets, repeated ones once.
Status aggregate_errors(const std::vector<Status>& errors);

// Folders to make in the volume `name` because another volume of the same container is mounted
// below it; relative to the volume.
Result<std::vector<std::string>> nested_mount_points(std::string_view name,
                                                     const api::core_v1::Pod& pod);

}  // namespace knarr::kubelet
