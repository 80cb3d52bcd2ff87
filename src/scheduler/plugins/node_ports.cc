// SPDX-License-Identifier: Apache-2.0
#include "scheduler/plugins/plugins.h"

namespace knarr::scheduler::plugins {

// Any address collides with every address.
bool ports_conflict(const HostPort& a, const HostPort& b) {
  return a.port == b.port && a.protocol == b.protocol && (a.ip == b.ip || a.ip == "0.0.0.0" || b.ip == "0.0.0.0");
}

namespace {

PreFilter pre_filter(Cycle& cycle, size_t) {
  PreFilter out;
  out.skip = cycle.pod.host_ports.empty();
  return out;
}

Verdict filter(const Cycle& cycle, const NodeInfo& node, size_t) {
  for (const HostPort& wanted : cycle.pod.host_ports)
    for (const HostPort& used : node.host_ports)
      if (ports_conflict(wanted, used)) return Verdict::unschedulable("node(s) didn't have free ports for the requested pod ports");
  return {};
}

}  // namespace

const Plugin kNodePorts = {.name = "NodePorts", .events = kPodDelete | kNodeAdd | kNodeUpdate, .pre_filter = pre_filter, .filter = filter};

}  // namespace knarr::scheduler::plugins
