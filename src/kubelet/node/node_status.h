// SPDX-License-Identifier: Apache-2.0
// The Node object as this kubelet writes it. Pure functions of machine, configuration and runtime state.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "kubelet/config.h"
#include "kubelet/cri/runtime_service.h"
#include "kubelet/node/machine_info.h"
#include "kubelet/types.h"

namespace knarr::kubelet {

struct NodeFacts {
  const Config* config = nullptr;
  const MachineInfo* machine = nullptr;
  std::string node_ip;
  std::string runtime_name, runtime_version;
  std::vector<cri::Image> images;
  std::string not_ready;              // why the node is not ready, several joined as upstream does; "" = ready
  bool memory_pressure = false, disk_pressure = false, pid_pressure = false;
};

// The object that registers the node.
core::Node initial_node(const NodeFacts& facts, WallTime now);
// Fills the status over what the API has. Gives events to record: NodeReady, NodeNotReady, NodeHasSufficientMemory, ...
std::vector<std::string> fill_node_status(const NodeFacts& facts, WallTime now, core::NodeStatus& status);
// Equal but for heartbeat times.
bool same_node_status(const core::NodeStatus& a, const core::NodeStatus& b);
void set_heartbeat(core::NodeStatus& status, WallTime now);

schema::Map<schema::Quantity> node_capacity(const NodeFacts& facts);
schema::Map<schema::Quantity> node_allocatable(const NodeFacts& facts);

inline constexpr std::string_view kKubeletVersion = "v1.28.4";
inline constexpr size_t kMaxNodeImages = 50;
inline constexpr size_t kMaxNamesPerImage = 5;

}  // namespace knarr::kubelet
