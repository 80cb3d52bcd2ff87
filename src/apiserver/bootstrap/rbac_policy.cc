// SPDX-License-Identifier: Apache-2.0
#include "api/rbac_v1.h"
#include "apiserver/bootstrap/bootstrap.h"

namespace knarr::apiserver::bootstrap {

namespace {

namespace rbac = api::rbac_v1;
constexpr std::string_view kGroup = "rbac.authorization.k8s.io";
constexpr std::string_view kAutoUpdate = "rbac.authorization.kubernetes.io/autoupdate";

using Words = std::vector<std::string_view>;

// The pieces between separators, without empty ones.
Words split(std::string_view text, char separator) {
  Words out;
  while (!text.empty()) {
    size_t end = std::min(text.find(separator), text.size());
    if (end > 0) out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

schema::List<schema::Str> list_of(std::string_view text) {
  schema::List<schema::Str> out;
  for (std::string_view word : split(text, ',')) out.emplace_back() = word;
  return out;
}

rbac::PolicyRule rule_of(const Words& words) {
  rbac::PolicyRule rule;
  rule.verbs = list_of(words[0]);
  if (words[1] == "url") {
    rule.non_resource_urls = list_of(words[2]);
    return rule;
  }
  for (std::string_view group : split(words[1], ','))
    rule.api_groups.emplace_back() = group == "core" ? "" : group;
  rule.resources = list_of(words[2]);
  if (words.size() > 3) rule.resource_names = list_of(words[3]);
  return rule;
}

// group:NAME, user:NAME or sa:NAMESPACE/NAME.
rbac::Subject subject_of(std::string_view word) {
  rbac::Subject subject;
  size_t colon = word.find(':');
  std::string_view kind = word.substr(0, colon), name = word.substr(colon + 1);
  if (kind == "sa") {
    size_t slash = name.find('/');
    subject.kind = "ServiceAccount";
    subject.namespace_ = name.substr(0, slash);
    subject.name = name.substr(slash + 1);
    return subject;
  }
  subject.kind = kind == "group" ? "Group" : "User";
  subject.api_group = kGroup;
  subject.name = name;
  return subject;
}

void fill_metadata(api::meta_v1::ObjectMeta& meta, std::string_view name) {
  size_t slash = name.find('/');
  if (slash != std::string_view::npos) {
    meta.namespace_ = name.substr(0, slash);
    name.remove_prefix(slash + 1);
  }
  meta.name = name;
  meta.labels["kubernetes.io/bootstrapping"] = "rbac-defaults";
  meta.annotations[kAutoUpdate] = "true";
}

// ---- bringing existing objects up to date
// -----------------------------------------------------------------------------------
bool may_update(const api::meta_v1::ObjectMeta& meta) {
  const auto* value = meta.annotations.find(kAutoUpdate);
  return value != nullptr && *value == "true";
}
// Adds what of `wanted` the list lacks.
template <class List>
bool add_missing(List& existing, const List& wanted) {
  bool changed = false;
  for (const auto& each : wanted) {
    bool found = false;
    for (const auto& have : existing) found |= have == each;
    if (found) continue;
    existing.push_back(each);
    changed = true;
  }
  return changed;
}
bool reconcile_cluster_role(void* existing, const void* wanted) {
  auto& role = *static_cast<rbac::ClusterRole*>(existing);
  const auto& target = *static_cast<const rbac::ClusterRole*>(wanted);
  // The rules of an aggregated role are its controller's.
  if (!may_update(role.metadata) || target.aggregation_rule) return false;
  return add_missing(role.rules, target.rules);
}
bool reconcile_role(void* existing, const void* wanted) {
  auto& role = *static_cast<rbac::Role*>(existing);
  return may_update(role.metadata) &&
         add_missing(role.rules, static_cast<const rbac::Role*>(wanted)->rules);
}
template <class Binding>
bool reconcile_binding(void* existing, const void* wanted) {
  auto& binding = *static_cast<Binding*>(existing);
  return may_update(binding.metadata) &&
         add_missing(binding.subjects, static_cast<const Binding*>(wanted)->subjects);
}

// ---- lines
// ------------------------------------------------------------------------------------------------------------------
rbac::RoleRef ref_of(std::string_view kind, std::string_view name) {
  rbac::RoleRef ref;
  ref.api_group = kGroup;
  ref.kind = kind;
  ref.name = name;
  return ref;
}
std::string label_key(std::string_view label) {
  return std::string(kGroup) + "/" + std::string(label);
}

void add_header(const Words& words, std::vector<Wanted>& wanted) {
  if (words[0] == "clusterrole") {
    rbac::ClusterRole role;
    fill_metadata(role.metadata, words[1]);
    for (size_t i = 2; i < words.size(); ++i) role.metadata.labels[label_key(words[i])] = "true";
    wanted.push_back(want(std::move(role)));
    wanted.back().reconcile = &reconcile_cluster_role;
  } else if (words[0] == "role") {
    rbac::Role role;
    fill_metadata(role.metadata, words[1]);
    wanted.push_back(want(std::move(role)));
    wanted.back().reconcile = &reconcile_role;
  } else if (words[0] == "clusterrolebinding") {
    rbac::ClusterRoleBinding binding;
    fill_metadata(binding.metadata, words[1]);
    binding.role_ref = ref_of("ClusterRole", words[1]);
    for (size_t i = 2; i < words.size(); ++i) binding.subjects.push_back(subject_of(words[i]));
    wanted.push_back(want(std::move(binding)));
    wanted.back().reconcile = &reconcile_binding<rbac::ClusterRoleBinding>;
  } else {
    rbac::RoleBinding binding;
    fill_metadata(binding.metadata, words[1]);
    binding.role_ref = ref_of("Role", words[3]);
    for (size_t i = 4; i < words.size(); ++i) binding.subjects.push_back(subject_of(words[i]));
    wanted.push_back(want(std::move(binding)));
    wanted.back().reconcile = &reconcile_binding<rbac::RoleBinding>;
  }
}

void add_rule(const Words& words, Wanted& owner) {
  if (auto* role = owner.object.as<rbac::Role>()) {
    role->rules.push_back(rule_of(words));
    return;
  }
  auto& role = *owner.object.as<rbac::ClusterRole>();
  if (words[0] == "aggregate") {
    rbac::AggregationRule aggregation;
    aggregation.cluster_role_selectors.emplace_back().match_labels[label_key(words[1])] = "true";
    role.aggregation_rule = std::move(aggregation);
    return;
  }
  role.rules.push_back(rule_of(words));
}

}  // namespace

void add_rbac_policy(std::vector<Wanted>& wanted) {
  for (std::string_view line : split(kRbacPolicy, '\n')) {
    Words words = split(line, ' ');
    if (line[0] == ' ')
      add_rule(words, wanted.back());
    else
      add_header(words, wanted);
  }
}

schema::List<rbac::PolicyRule> cluster_role_rules(std::string_view name) {
  schema::List<rbac::PolicyRule> rules;
  bool inside = false;
  for (std::string_view line : split(kRbacPolicy, '\n')) {
    Words words = split(line, ' ');
    if (line[0] != ' ') {
      inside = words[0] == "clusterrole" && words[1] == name;
    } else if (inside && words[0] != "aggregate") {
      rules.push_back(rule_of(words));
    }
  }
  return rules;
}

}  // namespace knarr::apiserver::bootstrap
