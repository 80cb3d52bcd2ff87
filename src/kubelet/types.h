// SPDX-License-Identifier: Apache-2.0
// Names that most of the kubelet uses.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/core_v1.h"

namespace knarr::kubelet {

namespace core = api::core_v1;

using PodPtr = std::shared_ptr<const core::Pod>;

// NAME_NAMESPACE(UID), as upstream names a pod in messages.
std::string format_pod(const core::Pod& pod);
std::string pod_key(const core::Pod& pod);  // NAMESPACE/NAME

// An ephemeral container has a container's fields, in the same order: its container view.
core::Container container_of(const core::EphemeralContainer& ephemeral);

// Init, regular or ephemeral (upstream's pkg/kubelet/container GetContainerSpec); null when there is none. `storage` holds an ephemeral one.
const core::Container* find_container(const core::Pod& pod, std::string_view name, core::Container& storage);

bool is_static_pod(const core::Pod& pod);   // read from a file
bool is_mirror_pod(const core::Pod& pod);   // stands on the API for a static one
bool is_critical_pod(const core::Pod& pod);
bool is_terminal_phase(std::string_view phase);

// `spec.containers{name}`, the field path that container events carry.
std::string container_field_path(const core::Pod& pod, std::string_view container);

inline constexpr std::string_view kConfigSourceAnnotation = "kubernetes.io/config.source";
inline constexpr std::string_view kConfigMirrorAnnotation = "kubernetes.io/config.mirror";
inline constexpr std::string_view kConfigHashAnnotation = "kubernetes.io/config.hash";
inline constexpr std::string_view kConfigSeenAnnotation = "kubernetes.io/config.seen";

}  // namespace knarr::kubelet
