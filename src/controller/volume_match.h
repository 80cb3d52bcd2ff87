// SPDX-License-Identifier: Apache-2.0
// Which PersistentVolume suits a claim, and what binds the two: pure functions, as upstream's (v1.28) controller and scheduler share them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "base/status.h"

namespace knarr::controller {

using api::core_v1::PersistentVolume;
using api::core_v1::PersistentVolumeClaim;
using VolumePtr = std::shared_ptr<const PersistentVolume>;
using ClaimPtr = std::shared_ptr<const PersistentVolumeClaim>;

inline constexpr std::string_view kBindCompleted = "pv.kubernetes.io/bind-completed";           // of a claim that was bound once
inline constexpr std::string_view kBoundByController = "pv.kubernetes.io/bound-by-controller";  // not by the user
inline constexpr std::string_view kSelectedNode = "volume.kubernetes.io/selected-node";
inline constexpr std::string_view kProvisionedBy = "pv.kubernetes.io/provisioned-by";

// The class by field or by the annotation of old; "" is none.
std::string_view class_of(const PersistentVolumeClaim& claim);
std::string_view class_of(const PersistentVolume& volume);

// Bound, or reserved by the user: by name, and by UID when the volume knows it.
bool is_for_claim(const PersistentVolume& volume, const PersistentVolumeClaim& claim);
bool modes_differ(const PersistentVolumeClaim& claim, const PersistentVolume& volume);
bool fits_node(const PersistentVolume& volume, const api::core_v1::Node& node);

// The volume that is reserved for the claim, else the one with the fewest access modes and the least size that has all the claim asks for;
// null when there is none. `delayed`: only reserved ones, unless `node` is known, which the volume must then fit.
Result<VolumePtr> find_volume(const PersistentVolumeClaim& claim, const std::vector<VolumePtr>& volumes, bool delayed,
                              const api::core_v1::Node* node);
// Why a claim that names this volume cannot have it.
Status check_satisfies(const PersistentVolume& volume, const PersistentVolumeClaim& claim);

// Each says whether it changed the object.
bool bind_volume(PersistentVolume& volume, const PersistentVolumeClaim& claim);
bool bind_claim(PersistentVolumeClaim& claim, const PersistentVolume& volume);
void unbind_volume(PersistentVolume& volume);
// The phase, and for a bound claim the modes and (when it becomes bound) the capacity of its volume. Fails for a volume without capacity.
Result<bool> set_claim_status(PersistentVolumeClaim& claim, std::string_view phase, const PersistentVolume* volume);

}  // namespace knarr::controller
