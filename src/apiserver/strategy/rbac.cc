// SPDX-License-Identifier: Apache-2.0
// Strategies of roles, clusterroles and their bindings.
#include "api/rbac_v1.h"
#include "apiserver/authz/escalation.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"
#include "apiserver/strategy/validators.h"

namespace knarr::apiserver {

namespace {

namespace rbac = api::rbac_v1;

constexpr std::string_view kGroup = "rbac.authorization.k8s.io";

template <class Binding>
void default_binding(Binding& binding) {
  apply_table_defaults(binding);
  for (rbac::Subject& subject : binding.subjects)
    if (subject.api_group.empty() && (subject.kind == "User" || subject.kind == "Group"))
      subject.api_group = kGroup;
}

void validate_rule(const rbac::PolicyRule& rule, bool namespaced, const Path& path,
                   FieldErrors& errors) {
  if (rule.verbs.empty()) errors.required(path / "verbs", "verbs must contain at least one value");
  if (!rule.non_resource_urls.empty()) {
    if (namespaced)
      errors.invalid(path / "nonResourceURLs", go_list(rule.non_resource_urls),
                     "namespaced rules cannot apply to non-resource URLs");
    if (!rule.api_groups.empty() || !rule.resources.empty() || !rule.resource_names.empty())
      errors.invalid(path / "nonResourceURLs", go_list(rule.non_resource_urls),
                     "rules cannot apply to both regular resources and non-resource URLs");
    return;
  }
  if (rule.api_groups.empty())
    errors.required(path / "apiGroups", "resource rules must supply at least one api group");
  if (rule.resources.empty())
    errors.required(path / "resources", "resource rules must supply at least one resource");
}
void validate_role(const rbac::Role& role, FieldErrors& errors) {
  for (size_t i = 0; i < role.rules.size(); ++i)
    validate_rule(role.rules[i], true, Path("rules").index(i), errors);
}
void validate_role_update(const rbac::Role& role, const rbac::Role&, FieldErrors& errors) {
  validate_role(role, errors);
}

void validate_cluster_role_with(const rbac::ClusterRole& role, bool allow_invalid,
                                FieldErrors& errors) {
  for (size_t i = 0; i < role.rules.size(); ++i)
    validate_rule(role.rules[i], false, Path("rules").index(i), errors);
  if (!role.aggregation_rule) return;
  Path path = Path("aggregationRule") / "clusterRoleSelectors";
  const auto& selectors = role.aggregation_rule->cluster_role_selectors;
  if (selectors.empty())
    errors.required(path,
                    "at least one clusterRoleSelector required if aggregationRule is non-nil");
  for (size_t i = 0; i < selectors.size(); ++i) {
    validate_label_selector(&selectors[i], path.index(i), errors, allow_invalid);
    if (!schema::LabelSelector::from(&selectors[i]).ok())
      errors.invalid(path.index(i), "\"null\"", "invalid label selector.");
  }
}
void validate_cluster_role(const rbac::ClusterRole& role, FieldErrors& errors) {
  validate_cluster_role_with(role, false, errors);
}
void validate_cluster_role_update(const rbac::ClusterRole& role, const rbac::ClusterRole& old,
                                  FieldErrors& errors) {
  FieldErrors before;
  if (old.aggregation_rule)
    for (const auto& selector : old.aggregation_rule->cluster_role_selectors)
      validate_label_selector(&selector, Path(), before);
  validate_cluster_role_with(role, !before.empty(), errors);
}

void validate_subject(const rbac::Subject& subject, bool namespaced, const Path& path,
                      FieldErrors& errors) {
  if (subject.name.empty()) errors.required(path / "name");
  if (subject.kind == "ServiceAccount") {
    if (!subject.name.empty())
      invalid_each(path / "name", subject.name, check_dns1123_subdomain(subject.name), errors);
    if (!subject.api_group.empty())
      errors.not_supported(path / "apiGroup", quoted(subject.api_group), {""});
    if (!namespaced && subject.namespace_.empty()) errors.required(path / "namespace");
  } else if (subject.kind == "User" || subject.kind == "Group") {
    if (!(subject.api_group == kGroup))
      errors.not_supported(path / "apiGroup", quoted(subject.api_group), {kGroup});
  } else {
    errors.not_supported(path / "kind", quoted(subject.kind), {"ServiceAccount", "User", "Group"});
  }
}

template <class Binding>
void validate_binding_of(const Binding& binding, bool namespaced, FieldErrors& errors) {
  const rbac::RoleRef& ref = binding.role_ref;
  Path path("roleRef");
  if (!(ref.api_group == kGroup))
    errors.not_supported(path / "apiGroup", quoted(ref.api_group), {kGroup});
  std::vector<std::string_view> kinds = {"ClusterRole"};
  if (namespaced) kinds = {"Role", "ClusterRole"};
  validate_supported(ref.kind, kinds, path / "kind", errors);
  if (ref.name.empty()) {
    errors.required(path / "name");
  } else {
    invalid_each(path / "name", ref.name, check_path_segment(ref.name, false), errors);
  }
  for (size_t i = 0; i < binding.subjects.size(); ++i)
    validate_subject(binding.subjects[i], namespaced, Path("subjects").index(i), errors);
}
template <class Binding>
void validate_same_role(const Binding& binding, const Binding& old, FieldErrors& errors) {
  const rbac::RoleRef& ref = binding.role_ref;
  if (!(ref == old.role_ref))
    errors.invalid(Path("roleRef"),
                   "rbac.RoleRef{APIGroup:" + quoted(ref.api_group) + ", Kind:" + quoted(ref.kind) +
                       ", Name:" + quoted(ref.name) + "}",
                   "cannot change roleRef");
}
void default_role_binding(rbac::RoleBinding& binding) { default_binding(binding); }
void default_cluster_binding(rbac::ClusterRoleBinding& binding) { default_binding(binding); }
void validate_role_binding(const rbac::RoleBinding& binding, FieldErrors& errors) {
  validate_binding_of(binding, true, errors);
}
void validate_role_binding_update(const rbac::RoleBinding& binding, const rbac::RoleBinding& old,
                                  FieldErrors& errors) {
  validate_binding_of(binding, true, errors);
  validate_same_role(binding, old, errors);
}
void validate_cluster_binding(const rbac::ClusterRoleBinding& binding, FieldErrors& errors) {
  validate_binding_of(binding, false, errors);
}
void validate_cluster_binding_update(const rbac::ClusterRoleBinding& binding,
                                     const rbac::ClusterRoleBinding& old, FieldErrors& errors) {
  validate_binding_of(binding, false, errors);
  validate_same_role(binding, old, errors);
}
Messages check_name(std::string_view name, bool prefix) { return check_path_segment(name, prefix); }

constexpr Strategy kStrategies[] = {
    {.group = kGroup,
     .plural = "roles",
     .may_write = &authz::may_write_role,
     .validate = erase_validate<&validate_role>,
     .validate_update = erase_validate_update<&validate_role_update>,
     .name_problems = &check_name,
     .allow_create_on_update = true},
    {.group = kGroup,
     .plural = "clusterroles",
     .may_write = &authz::may_write_cluster_role,
     .validate = erase_validate<&validate_cluster_role>,
     .validate_update = erase_validate_update<&validate_cluster_role_update>,
     .name_problems = &check_name,
     .allow_create_on_update = true},
    {.group = kGroup,
     .plural = "rolebindings",
     .may_write = &authz::may_write_role_binding,
     .defaults = erase_defaults<&default_role_binding>,
     .validate = erase_validate<&validate_role_binding>,
     .validate_update = erase_validate_update<&validate_role_binding_update>,
     .name_problems = &check_name,
     .allow_create_on_update = true},
    {.group = kGroup,
     .plural = "clusterrolebindings",
     .may_write = &authz::may_write_cluster_role_binding,
     .defaults = erase_defaults<&default_cluster_binding>,
     .validate = erase_validate<&validate_cluster_binding>,
     .validate_update = erase_validate_update<&validate_cluster_binding_update>,
     .name_problems = &check_name,
     .allow_create_on_update = true},
};

}  // namespace

std::span<const Strategy> rbac_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
