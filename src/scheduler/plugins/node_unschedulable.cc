// SPDX-License-Identifier: Apache-2.0
#include "scheduler/plugins/plugins.h"

namespace knarr::scheduler::plugins {
namespace {

// A cordoned node takes only pods that tolerate the taint that stands for the cordon.
Verdict filter(const Cycle& cycle, const NodeInfo& node, size_t) {
  if (!node.node->spec.unschedulable) return {};
  static const api::core_v1::Taint kTaint = [] {
    api::core_v1::Taint taint;
    taint.key = "node.kubernetes.io/unschedulable";
    taint.effect = "NoSchedule";
    return taint;
  }();
  if (tolerates(cycle.pod.pod->spec.tolerations, kTaint)) return {};
  return Verdict::hopeless("node(s) were unschedulable");
}

}  // namespace

const Plugin kNodeUnschedulable = {.name = "NodeUnschedulable", .events = kNodeAdd | kNodeTaint, .filter = filter};

}  // namespace knarr::scheduler::plugins
