// SPDX-License-Identifier: Apache-2.0
// Which nodes a pod may go to: node selectors, required node affinity, taints and what tolerates them.
//
// Pure functions, read by scheduler, controllers and kubelet, so that all of them decide alike. Upstream: component-helpers' nodeaffinity
// and corev1 helpers.
#pragma once

#include "api/core_v1.h"

namespace knarr::schema {

// A term without requirements matches nothing. matchFields knows metadata.name only.
bool matches_term(const api::core_v1::NodeSelectorTerm& term, const api::core_v1::Node& node);
// nodeSelector and required node affinity of a pod.
bool matches_node_selection(const api::core_v1::PodSpec& pod, const api::core_v1::Node& node);

bool tolerates(const api::core_v1::Toleration& toleration, const api::core_v1::Taint& taint);
bool tolerates(const List<api::core_v1::Toleration>& tolerations, const api::core_v1::Taint& taint);

}  // namespace knarr::schema
