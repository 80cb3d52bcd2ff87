// SPDX-License-Identifier: Apache-2.0
#include "scheduler/plugins/plugins.h"

namespace knarr::scheduler::plugins {
namespace {

Verdict filter(const Cycle& cycle, const NodeInfo& node, size_t) {
  const schema::Str& wanted = cycle.pod.pod->spec.node_name;
  if (wanted.empty() || wanted == node.name()) return {};
  return Verdict::hopeless("node(s) didn't match the requested node name");
}

}  // namespace

const Plugin kNodeName = {.name = "NodeName", .events = kNodeAdd | kNodeUpdate, .filter = filter};

}  // namespace knarr::scheduler::plugins
