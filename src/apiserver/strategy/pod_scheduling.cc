// SPDX-License-Identifier: Apache-2.0
// Validation of what places a pod: affinity, tolerations, topology spread, node selectors.
#include <set>

#include "apiserver/strategy/pod.h"

namespace knarr::apiserver {

namespace {

void validate_requirement(const core::NodeSelectorRequirement& requirement, const Path& path,
                          FieldErrors& errors) {
  std::string_view op = requirement.operator_;
  if (op == "In" || op == "NotIn") {
    if (requirement.values.empty())
      errors.required(path / "values", "must be specified when `operator` is 'In' or 'NotIn'");
  } else if (op == "Exists" || op == "DoesNotExist") {
    if (!requirement.values.empty())
      errors.forbidden(path / "values",
                       "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
  } else if (op == "Gt" || op == "Lt") {
    if (requirement.values.size() != 1)
      errors.required(path / "values",
                      "must be specified single value when `operator` is 'Lt' or 'Gt'");
  } else {
    errors.invalid(path / "operator", quoted(op), "not a valid selector operator");
  }
  invalid_each(path / "key", requirement.key, check_qualified_name(requirement.key), errors);
}

void validate_field_requirement(const core::NodeSelectorRequirement& requirement, const Path& path,
                                FieldErrors& errors) {
  if (requirement.operator_ == "In" || requirement.operator_ == "NotIn") {
    if (requirement.values.size() != 1)
      errors.required(
          path / "values",
          "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
  } else {
    errors.invalid(path / "operator", quoted(requirement.operator_),
                   "not a valid selector operator");
  }
  if (!(requirement.key == "metadata.name"))
    return errors.invalid(path / "key", quoted(requirement.key), "not a valid field selector key");
  for (size_t i = 0; i < requirement.values.size(); ++i)
    invalid_each((path / "values").index(i), requirement.values[i],
                 check_dns1123_subdomain(requirement.values[i]), errors);
}

void validate_term(const core::NodeSelectorTerm& term, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < term.match_expressions.size(); ++i)
    validate_requirement(term.match_expressions[i], (path / "matchExpressions").index(i), errors);
  for (size_t i = 0; i < term.match_fields.size(); ++i)
    validate_field_requirement(term.match_fields[i], (path / "matchFields").index(i), errors);
}

void validate_weight(int32_t weight, const Path& path, FieldErrors& errors) {
  if (weight <= 0 || weight > 100)
    errors.invalid(path / "weight", std::to_string(weight), "must be in the range 1-100");
}

void validate_node_affinity(const core::NodeAffinity& affinity, const Path& path,
                            FieldErrors& errors) {
  if (affinity.required_during_scheduling_ignored_during_execution)
    validate_node_selector(*affinity.required_during_scheduling_ignored_during_execution,
                           path / "requiredDuringSchedulingIgnoredDuringExecution", errors);
  const auto& preferred = affinity.preferred_during_scheduling_ignored_during_execution;
  for (size_t i = 0; i < preferred.size(); ++i) {
    Path at = (path / "preferredDuringSchedulingIgnoredDuringExecution").index(i);
    validate_weight(preferred[i].weight, at, errors);
    validate_term(preferred[i].preference, at / "preference", errors);
  }
}

void validate_pod_term(const core::PodAffinityTerm& term, const PodOptions& options,
                       const Path& path, FieldErrors& errors) {
  validate_label_selector(term.label_selector.get(), path / "labelSelector", errors,
                          options.allow_invalid_label_values);
  validate_label_selector(term.namespace_selector.get(), path / "namespaceSelector", errors,
                          options.allow_invalid_label_values);
  for (const Str& name : term.namespaces)
    invalid_each(path / "namespace", name, check_dns1123_label(name), errors);
  if (term.topology_key.empty()) errors.required(path / "topologyKey", "can not be empty");
  invalid_each(path / "topologyKey", term.topology_key, check_qualified_name(term.topology_key),
               errors);
}

// PodAffinity and PodAntiAffinity have the same fields.
template <class Affinity>
void validate_pod_terms(const Affinity& affinity, const PodOptions& options, const Path& path,
                        FieldErrors& errors) {
  const auto& required = affinity.required_during_scheduling_ignored_during_execution;
  for (size_t i = 0; i < required.size(); ++i)
    validate_pod_term(required[i], options,
                      (path / "requiredDuringSchedulingIgnoredDuringExecution").index(i), errors);
  const auto& preferred = affinity.preferred_during_scheduling_ignored_during_execution;
  for (size_t i = 0; i < preferred.size(); ++i) {
    Path at = (path / "preferredDuringSchedulingIgnoredDuringExecution").index(i);
    validate_weight(preferred[i].weight, at, errors);
    validate_pod_term(preferred[i].pod_affinity_term, options, at / "podAffinityTerm", errors);
  }
}

void validate_match_label_keys(const core::TopologySpreadConstraint& constraint, const Path& path,
                               FieldErrors& errors) {
  if (constraint.match_label_keys.empty()) return;
  if (!constraint.label_selector)
    errors.forbidden(path, "must not be specified when labelSelector is not set");
  for (size_t i = 0; i < constraint.match_label_keys.size(); ++i) {
    const Str& key = constraint.match_label_keys[i];
    invalid_each(path.index(i), key, check_qualified_name(key), errors);
    bool known = false;
    if (constraint.label_selector) {
      known = constraint.label_selector->match_labels.contains(key);
      for (const auto& expression : constraint.label_selector->match_expressions)
        known |= expression.key == key;
    }
    if (known)
      errors.invalid(path.index(i), quoted(key), "exists in both matchLabelKeys and labelSelector");
  }
}

}  // namespace

void validate_node_selector(const core::NodeSelector& selector, const Path& path,
                            FieldErrors& errors) {
  Path terms = path / "nodeSelectorTerms";
  if (selector.node_selector_terms.empty())
    errors.required(terms, "must have at least one node selector term");
  for (size_t i = 0; i < selector.node_selector_terms.size(); ++i)
    validate_term(selector.node_selector_terms[i], terms.index(i), errors);
}

void validate_affinity(const core::Affinity* affinity, const PodOptions& options, const Path& path,
                       FieldErrors& errors) {
  if (affinity == nullptr) return;
  if (affinity->node_affinity)
    validate_node_affinity(*affinity->node_affinity, path / "nodeAffinity", errors);
  if (affinity->pod_affinity)
    validate_pod_terms(*affinity->pod_affinity, options, path / "podAffinity", errors);
  if (affinity->pod_anti_affinity)
    validate_pod_terms(*affinity->pod_anti_affinity, options, path / "podAntiAffinity", errors);
}

void validate_taint_effect(std::string_view effect, bool allow_empty, const Path& path,
                           FieldErrors& errors) {
  if (!allow_empty && effect.empty()) return errors.required(path);
  validate_supported(effect, {"NoSchedule", "PreferNoSchedule", "NoExecute"}, path, errors);
}

void validate_tolerations(const List<core::Toleration>& tolerations, const Path& path,
                          FieldErrors& errors) {
  for (size_t i = 0; i < tolerations.size(); ++i) {
    const core::Toleration& toleration = tolerations[i];
    Path at = path.index(i);
    std::string_view op = toleration.operator_;
    if (!toleration.key.empty())
      invalid_each(at / "key", toleration.key, check_qualified_name(toleration.key), errors);
    if (toleration.key.empty() && op != "Exists")
      errors.invalid(at / "operator", quoted(op),
                     "operator must be Exists when `key` is empty, which means \"match all values "
                     "and all keys\"");
    if (toleration.toleration_seconds && !(toleration.effect == "NoExecute"))
      errors.invalid(at / "effect", quoted(toleration.effect),
                     "effect must be 'NoExecute' when `tolerationSeconds` is set");
    if (op.empty() || op == "Equal") {
      Messages problems = check_label_value(toleration.value);
      if (!problems.empty())
        errors.invalid(at / "operator", quoted(toleration.value), join(problems, ";"));
    } else if (op == "Exists") {
      if (!toleration.value.empty())
        errors.invalid(at / "operator",
                       "core.Toleration{Key:" + quoted(toleration.key) +
                           ", Operator:\"Exists\", Value:" + quoted(toleration.value) +
                           ", Effect:" + quoted(toleration.effect) +
                           ", TolerationSeconds:(*int64)(nil)}",
                       "value must be empty when `operator` is 'Exists'");
    } else {
      errors.not_supported(at / "operator", quoted(op), {"Equal", "Exists"});
    }
    if (!toleration.effect.empty())
      validate_taint_effect(toleration.effect, true, at / "effect", errors);
  }
}

void validate_topology_spread(const List<core::TopologySpreadConstraint>& constraints,
                              const PodOptions& options, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < constraints.size(); ++i) {
    const core::TopologySpreadConstraint& constraint = constraints[i];
    Path at = path.index(i);
    if (constraint.max_skew <= 0)
      errors.invalid(at / "maxSkew", std::to_string(constraint.max_skew), kNotPositive);
    if (constraint.topology_key.empty()) errors.required(at / "topologyKey", "can not be empty");
    validate_supported(constraint.when_unsatisfiable, {"DoNotSchedule", "ScheduleAnyway"},
                       at / "whenUnsatisfiable", errors);
    for (size_t j = i + 1; j < constraints.size(); ++j) {
      if (!(constraint.topology_key == constraints[j].topology_key) ||
          !(constraint.when_unsatisfiable == constraints[j].when_unsatisfiable))
        continue;
      errors.duplicate(at / "{topologyKey, whenUnsatisfiable}",
                       quoted("{" + constraint.topology_key.str() + ", " +
                              constraint.when_unsatisfiable.str() + "}"));
      break;
    }
    if (constraint.min_domains) {
      std::string value = std::to_string(*constraint.min_domains);
      if (*constraint.min_domains <= 0) errors.invalid(at / "minDomains", value, kNotPositive);
      if (!(constraint.when_unsatisfiable == "DoNotSchedule"))
        errors.invalid(at / "minDomains", value,
                       "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not " +
                           constraint.when_unsatisfiable.str());
    }
    if (constraint.node_affinity_policy)
      validate_supported(*constraint.node_affinity_policy, {"Honor", "Ignore"},
                         at / "nodeAffinityPolicy", errors);
    if (constraint.node_taints_policy)
      validate_supported(*constraint.node_taints_policy, {"Honor", "Ignore"},
                         at / "nodeTaintsPolicy", errors);
    validate_match_label_keys(constraint, at / "matchLabelKeys", errors);
    if (!options.allow_invalid_spread_selector)
      validate_label_selector(constraint.label_selector.get(), at / "labelSelector", errors);
  }
}

}  // namespace knarr::apiserver
