// SPDX-License-Identifier: Apache-2.0
#include "schema/node_selector.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace knarr::schema {

using api::core_v1::Node;
using api::core_v1::NodeSelectorRequirement;
using api::core_v1::NodeSelectorTerm;
using api::core_v1::PodSpec;
using api::core_v1::Taint;
using api::core_v1::Toleration;

namespace {

std::optional<int64_t> to_int(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// `value` null: the label or field is absent.
bool matches_requirement(const NodeSelectorRequirement& requirement, const Str* value) {
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

bool matches_term(const NodeSelectorTerm& term, const Node& node) {
  if (term.match_expressions.empty() && term.match_fields.empty()) return false;
  for (const auto& requirement : term.match_expressions)
    if (!matches_requirement(requirement, node.metadata.labels.find(requirement.key))) return false;
  for (const auto& requirement : term.match_fields) {
    if (!(requirement.key == "metadata.name") || !matches_requirement(requirement, &node.metadata.name)) return false;
  }
  return true;
}

bool matches_node_selection(const PodSpec& pod, const Node& node) {
  for (const auto& [key, value] : pod.node_selector) {
    const Str* have = node.metadata.labels.find(key);
    if (have == nullptr || !(*have == value)) return false;
  }
  if (!pod.affinity || !pod.affinity->node_affinity) return true;
  const auto& required = pod.affinity->node_affinity->required_during_scheduling_ignored_during_execution;
  if (!required) return true;
  return std::any_of(required->node_selector_terms.begin(), required->node_selector_terms.end(),
                     [&](const NodeSelectorTerm& term) { return matches_term(term, node); });
}

bool tolerates(const Toleration& toleration, const Taint& taint) {
  if (!toleration.effect.empty() && !(toleration.effect == taint.effect)) return false;
  if (!toleration.key.empty() && !(toleration.key == taint.key)) return false;
  if (toleration.operator_ == "Exists") return true;
  return (toleration.operator_.empty() || toleration.operator_ == "Equal") && toleration.value == taint.value;
}

bool tolerates(const List<Toleration>& tolerations, const Taint& taint) {
  return std::any_of(tolerations.begin(), tolerations.end(), [&](const Toleration& one) { return tolerates(one, taint); });
}

}  // namespace knarr::schema
