// SPDX-License-Identifier: Apache-2.0
// Which Kubernetes this program is, and which build of knarr.
#pragma once

namespace knarr {

inline constexpr const char kKubernetesVersion[] = "v1.28.4";
inline constexpr const char kKubernetesMajor[] = "1";
inline constexpr const char kKubernetesMinor[] = "28";
inline constexpr const char kKnarrVersion[] = "0.1.0";

}  // namespace knarr
