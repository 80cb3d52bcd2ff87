// SPDX-License-Identifier: Apache-2.0
// The families of strategies, one function per file; strategies.cc joins them into find_strategy().
#pragma once

#include <span>

#include "apiserver/strategy.h"

namespace knarr::apiserver {

std::span<const Strategy> pod_strategies();
std::span<const Strategy> service_strategies();
std::span<const Strategy> namespace_strategies();
std::span<const Strategy> node_strategies();
std::span<const Strategy> config_strategies();     // ConfigMap, Secret, ServiceAccount
std::span<const Strategy> endpoints_strategies();  // Endpoints, EndpointSlice
std::span<const Strategy> event_strategies();
std::span<const Strategy> quota_strategies();     // ResourceQuota, LimitRange
std::span<const Strategy> volume_strategies();    // PersistentVolume, PersistentVolumeClaim
std::span<const Strategy> storage_strategies();   // storage.k8s.io
std::span<const Strategy> workload_strategies();  // ReplicationController and most of apps
std::span<const Strategy> set_strategies();       // DaemonSet, StatefulSet
std::span<const Strategy> batch_strategies();
std::span<const Strategy> networking_strategies();
std::span<const Strategy> rbac_strategies();
std::span<const Strategy> certificate_strategies();
std::span<const Strategy> autoscaling_strategies();
std::span<const Strategy> policy_strategies();
std::span<const Strategy> small_strategies();         // Lease, PriorityClass, RuntimeClass
std::span<const Strategy> registration_strategies();  // admissionregistration, apiregistration
std::span<const Strategy> flowcontrol_strategies();

}  // namespace knarr::apiserver
