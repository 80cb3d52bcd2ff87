// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <optional>

#include "scheduler/plugins/plugins.h"

namespace knarr::scheduler::plugins {

using api::core_v1::Node;
using api::core_v1::NodeSelectorRequirement;
using api::core_v1::NodeSelectorTerm;
using api::core_v1::Pod;

namespace {

std::optional<int64_t> to_int(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// `value` null: the label or field is absent.
bool matches_requirement(const NodeSelectorRequirement& requirement, const schema::Str* value) {
  const auto& values = requirement.values;
  bool in = value != nullptr && std::find(values.begin(), values.end(), *value) != values.end();
  if (requirement.operator_ == "In") return in;
  if (requirement.operator_ == "NotIn") return !in;
  if (requirement.operator_ == "Exists") return value != nullptr;
  if (requirement.operator_ == "DoesNotExist") return value == nullptr;
  if (value == nullptr || values.size() != 1) return false;
  std::optional<int64_t> have = to_int(*value), limit = to_int(values[0]);
  if (!have || !limit) return false;
  return requirement.operator_ == "Gt" ? *have > *limit : requirement.operator_ == "Lt" && *have < *limit;
}

}  // namespace

// A term without requirements matches nothing.
bool matches_term(const NodeSelectorTerm& term, const Node& node) {
  if (term.match_expressions.empty() && term.match_fields.empty()) return false;
  for (const auto& requirement : term.match_expressions)
    if (!matches_requirement(requirement, node.metadata.labels.find(requirement.key))) return false;
  for (const auto& requirement : term.match_fields) {
    if (!(requirement.key == "metadata.name") || !matches_requirement(requirement, &node.metadata.name)) return false;
  }
  return true;
}

bool matches_node_selection(const Pod& pod, const Node& node) {
  for (const auto& [key, value] : pod.spec.node_selector) {
    const schema::Str* have = node.metadata.labels.find(key);
    if (have == nullptr || !(*have == value)) return false;
  }
  if (!pod.spec.affinity || !pod.spec.affinity->node_affinity) return true;
  const auto& required = pod.spec.affinity->node_affinity->required_during_scheduling_ignored_during_execution;
  if (!required) return true;
  return std::any_of(required->node_selector_terms.begin(), required->node_selector_terms.end(),
                     [&](const NodeSelectorTerm& term) { return matches_term(term, node); });
}

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
  if (matches_node_selection(*cycle.pod.pod, *node.node)) return {};
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
