// SPDX-License-Identifier: Apache-2.0
// Nodes as controllers see them: conditions, taints and what tolerates them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "client/client.h"
#include "client/informer.h"

namespace knarr::controller {

using api::core_v1::Node;
using api::core_v1::NodeCondition;
using api::core_v1::Taint;
using NodePtr = std::shared_ptr<const Node>;

inline constexpr std::string_view kNotReadyTaint = "node.kubernetes.io/not-ready";
inline constexpr std::string_view kUnreachableTaint = "node.kubernetes.io/unreachable";

const NodeCondition* node_condition(const api::core_v1::NodeStatus& status, std::string_view type);
NodeCondition* node_condition(api::core_v1::NodeStatus& status, std::string_view type);
bool has_taint(const Node& node, std::string_view key, std::string_view effect);
std::string zone_of(const Node& node);  // region and zone, "" when unlabelled

// Replaces taints by key and effect: `add` come in (with the time), `remove` go out. Guarded by the version of `node`; nothing is sent when
// nothing would change.
Task<Status> swap_taints(client::Client& client, NodePtr node, std::vector<Taint> add, std::vector<Taint> remove, schema::Time now);
Taint make_taint(std::string_view key, std::string_view effect);

// About a Node by name; events on nodes live in the namespace "default".
api::core_v1::ObjectReference node_reference(std::string_view name, std::string_view uid);

// Pods by spec.nodeName, in every informer of pods that was asked for it.
void index_by_node(const client::Informer<api::core_v1::Pod>& pods);
std::vector<std::shared_ptr<const api::core_v1::Pod>> pods_on_node(const client::Informer<api::core_v1::Pod>& pods, std::string_view node);

// A merge patch of a pod's status with one condition, and a phase unless "".
std::string pod_condition_patch(const api::core_v1::Pod& pod, std::string_view type, std::string_view reason, std::string_view message,
                                std::string_view phase, schema::Time now);

}  // namespace knarr::controller
