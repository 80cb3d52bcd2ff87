// SPDX-License-Identifier: Apache-2.0
#include "scheduler/plugins/plugins.h"

namespace knarr::scheduler::plugins {

using api::core_v1::Node;
using api::core_v1::Pod;
using api::core_v1::Taint;

const Taint* untolerated_taint(const Node& node, const Pod& pod) {
  for (const Taint& taint : node.spec.taints) {
    if (!(taint.effect == "NoSchedule") && !(taint.effect == "NoExecute")) continue;
    if (!tolerates(pod.spec.tolerations, taint)) return &taint;
  }
  return nullptr;
}

namespace {

Verdict filter(const Cycle& cycle, const NodeInfo& node, size_t) {
  const Taint* taint = untolerated_taint(*node.node, *cycle.pod.pod);
  if (taint == nullptr) return {};
  return Verdict::hopeless("node(s) had untolerated taint {" + taint->key.str() + ": " + taint->value.str() + "}");
}

// Counts the taints that only prefer to be avoided; fewer is better.
int64_t score(const Cycle& cycle, const NodeInfo& node, size_t) {
  int64_t count = 0;
  for (const Taint& taint : node.node->spec.taints)
    if (taint.effect == "PreferNoSchedule" && !tolerates(cycle.pod.pod->spec.tolerations, taint)) ++count;
  return count;
}

void normalize(const Cycle&, std::span<int64_t> scores, size_t) { normalize_to_max(scores, true); }

}  // namespace

const Plugin kTaintToleration = {
    .name = "TaintToleration", .events = kNodeAdd | kNodeUpdate, .filter = filter, .score = score, .normalize = normalize, .weight = 3};

}  // namespace knarr::scheduler::plugins
