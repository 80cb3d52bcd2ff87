// SPDX-License-Identifier: Apache-2.0
// Every plugin's record; each is defined in the file of its name.
#pragma once

#include "scheduler/framework.h"
#include "schema/node_selector.h"

namespace knarr::scheduler::plugins {

extern const Plugin kNodeName;
extern const Plugin kNodeUnschedulable;
extern const Plugin kTaintToleration;
extern const Plugin kNodeAffinity;
extern const Plugin kNodePorts;
extern const Plugin kNodeResourcesFit;
extern const Plugin kBalancedAllocation;
extern const Plugin kImageLocality;

// The pure functions behind them; those of node selection are shared with controllers and kubelet.
using schema::matches_node_selection;
using schema::matches_term;
using schema::tolerates;
// The first taint with effect NoSchedule or NoExecute that nothing tolerates; null when all are tolerated.
const api::core_v1::Taint* untolerated_taint(const api::core_v1::Node& node, const api::core_v1::Pod& pod);
bool ports_conflict(const HostPort& a, const HostPort& b);
std::vector<std::string> insufficient_resources(const PodInfo& pod, const NodeInfo& node);

}  // namespace knarr::scheduler::plugins
