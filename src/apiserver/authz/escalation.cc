// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authz/escalation.h"

#include "api/rbac_v1.h"
#include "apiserver/authz/policy_rules.h"
#include "apiserver/authz/rbac.h"
#include "apiserver/core.h"
#include "apiserver/errors.h"

namespace knarr::apiserver::authz {
namespace {

using api::rbac_v1::ClusterRole;
using api::rbac_v1::ClusterRoleBinding;
using api::rbac_v1::Role;
using api::rbac_v1::RoleBinding;
using api::rbac_v1::RoleRef;

Core& core_of(WriteContext& context) { return static_cast<Core&>(context.server); }

bool is_super_user(const WriteContext& context) { return context.user.in_group("system:masters"); }

// Owners and finalizers may be changed by those who clean up.
template <class T>
bool only_gc_fields_change(const T& now, const T* old) {
  if (old == nullptr) return false;
  T copy = now;
  copy.metadata.owner_references = old->metadata.owner_references;
  copy.metadata.finalizers = old->metadata.finalizers;
  copy.metadata.self_link = old->metadata.self_link;
  copy.metadata.managed_fields = old->metadata.managed_fields;
  return copy == *old;
}

Task<bool> may_escalate(WriteContext& context) {
  Attributes attributes{context.user, "escalate", true, context.resource.group, "*", context.resource.plural, "", context.namespace_, context.name, ""};
  Verdict verdict = co_await decide(core_of(context).authorizer(), attributes);
  co_return verdict.decision == Decision::kAllow;
}

Task<bool> may_bind(WriteContext& context, const RoleRef& role) {
  std::string_view resource = role.kind == "ClusterRole" ? "clusterroles" : role.kind == "Role" ? "roles" : "";
  if (resource.empty()) co_return false;
  Attributes attributes{context.user, "bind", true, role.api_group, "*", resource, "", context.namespace_, role.name, ""};
  Verdict verdict = co_await decide(core_of(context).authorizer(), attributes);
  co_return verdict.decision == Decision::kAllow;
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string text = "[";
  for (const std::string& each : texts) text += (text.size() == 1 ? "" : " ") + quoted(each);
  return text + "]";
}

std::string plain_list_of(const std::vector<std::string>& texts) {
  std::string text = "[";
  for (const std::string& each : texts) text += (text.size() == 1 ? "" : " ") + each;
  return text + "]";
}

// What is wrong with granting these rules; "" when the user has them all.
std::string problem_of_granting(WriteContext& context, const PolicyRules& rules) {
  std::string problem;
  core_of(context).rbac().rules_for(context.user, context.namespace_,
                                    [&](const std::vector<const PolicyRule*>& owned, const std::vector<std::string>& errors) {
                                      std::vector<PolicyRule> missing = uncovered_rules(owned, rules);
                                      if (missing.empty()) return;
                                      problem = "user " + quoted(context.user.name) + " (groups=" + list_of(context.user.groups) +
                                                ") is attempting to grant RBAC permissions not currently held:\n" + describe_rules(missing);
                                      if (!errors.empty()) problem += "; resolution errors: " + plain_list_of({aggregate(errors)});
                                    });
  return problem;
}

Status refuse(const WriteContext& context, std::string_view name, std::string_view problem) {
  return forbidden(context.resource.group, context.resource.plural, name, problem);
}

PolicyRules everything() {
  PolicyRules rules;
  PolicyRule& resources = rules.emplace_back();
  resources.verbs = {"*"};
  resources.api_groups = {"*"};
  resources.resources = {"*"};
  PolicyRule& others = rules.emplace_back();
  others.verbs = {"*"};
  others.non_resource_urls = {"*"};
  return rules;
}

bool aggregates(const ClusterRole* role) {
  return role != nullptr && role->aggregation_rule && !role->aggregation_rule->cluster_role_selectors.empty();
}

// Whoever sets an aggregation rule may come by any rule.
bool aggregates(const Role*) { return false; }

template <class T>
Task<Status> may_write_rules(WriteContext& context, const T& role, const T* old) {
  if (is_super_user(context)) co_return Status();
  bool may = co_await may_escalate(context);
  if (may || only_gc_fields_change(role, old)) co_return Status();
  std::string problem = problem_of_granting(context, role.rules);
  if (!problem.empty()) co_return refuse(context, role.metadata.name, problem);
  if ((aggregates(&role) || aggregates(old)) && !problem_of_granting(context, everything()).empty())
    co_return refuse(context, role.metadata.name, "must have cluster-admin privileges to use the aggregationRule");
  co_return Status();
}

template <class T>
Task<Status> may_write_binding(WriteContext& context, const T& binding, const T* old) {
  if (is_super_user(context) || only_gc_fields_change(binding, old)) co_return Status();
  bool may = co_await may_bind(context, binding.role_ref);
  if (may) co_return Status();
  auto rules = core_of(context).rbac().rules_of(binding.role_ref, context.namespace_);
  if (!rules.ok()) co_return rules.status();
  std::string problem = problem_of_granting(context, *rules);
  co_return problem.empty() ? Status() : refuse(context, binding.metadata.name, problem);
}

}  // namespace

Task<Status> may_write_role(WriteContext& context, const void* object, const void* old) {
  return may_write_rules(context, *static_cast<const Role*>(object), static_cast<const Role*>(old));
}
Task<Status> may_write_cluster_role(WriteContext& context, const void* object, const void* old) {
  return may_write_rules(context, *static_cast<const ClusterRole*>(object), static_cast<const ClusterRole*>(old));
}
Task<Status> may_write_role_binding(WriteContext& context, const void* object, const void* old) {
  return may_write_binding(context, *static_cast<const RoleBinding*>(object), static_cast<const RoleBinding*>(old));
}
Task<Status> may_write_cluster_role_binding(WriteContext& context, const void* object, const void* old) {
  return may_write_binding(context, *static_cast<const ClusterRoleBinding*>(object), static_cast<const ClusterRoleBinding*>(old));
}

}  // namespace knarr::apiserver::authz
