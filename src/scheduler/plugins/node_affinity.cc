// SPDX-License-Identifier: Apache-2.0
#include "scheduler/plugins/plugins.h"

namespace knarr::scheduler::plugins {

using api::core_v1::Pod;

namespace {

// Terms that all pin metadata.name (a DaemonSet's pods) leave only those nodes to look at.
PreFilter pre_filter(Cycle& cycle, size_t) {
  PreFilter out;
  const Pod& pod = *cycle.pod.pod;
  bool affinity = pod.spec.affinity && pod.spec.affinity->node_affinity &&
                  pod.spec.affinity->node_affinity->required_during_scheduling_ignored_during_execution;
  out.skip = !affinity && pod.spec.node_selector.empty();
  if (!affinity) return out;
  for (const auto& term : pod.spec.affinity->node_affinity->required_during_scheduling_ignored_during_execution->node_selector_terms) {
    bool pinned = false;
    for (const auto& requirement : term.match_fields) {
      if (!(requirement.key == "metadata.name") || !(requirement.operator_ == "In")) continue;
      pinned = true;
      for (const auto& name : requirement.values) out.nodes.push_back(name.str());
    }
    if (!pinned) {
      out.nodes.clear();
      return out;
    }
  }
  out.narrowed = !out.nodes.empty();
  return out;
}

Verdict filter(const Cycle& cycle, const NodeInfo& node, size_t) {
  if (matches_node_selection(cycle.pod.pod->spec, *node.node)) return {};
  return Verdict::hopeless("node(s) didn't match Pod's node affinity/selector");
}

bool pre_score(Cycle& cycle, std::span<NodeInfo* const>, size_t) {
  const auto& affinity = cycle.pod.pod->spec.affinity;
  return !affinity || !affinity->node_affinity || affinity->node_affinity->preferred_during_scheduling_ignored_during_execution.empty();
}

int64_t score(const Cycle& cycle, const NodeInfo& node, size_t) {
  int64_t sum = 0;
  for (const auto& preferred : cycle.pod.pod->spec.affinity->node_affinity->preferred_during_scheduling_ignored_during_execution)
    if (preferred.weight != 0 && matches_term(preferred.preference, *node.node)) sum += preferred.weight;
  return sum;
}

void normalize(const Cycle&, std::span<int64_t> scores, size_t) { normalize_to_max(scores, false); }

}  // namespace

const Plugin kNodeAffinity = {.name = "NodeAffinity",
                              .events = kNodeAdd | kNodeUpdate,
                              .pre_filter = pre_filter,
                              .filter = filter,
                              .pre_score = pre_score,
                              .score = score,
                              .normalize = normalize,
                              .weight = 2};

}  // namespace knarr::scheduler::plugins
