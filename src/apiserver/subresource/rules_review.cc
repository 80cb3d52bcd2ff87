// SPDX-License-Identifier: Apache-2.0
// selfsubjectrulesreviews: what the authorizers that can tell grant the caller in a namespace (upstream: the RuleResolver side of authorizers).
#include <algorithm>

#include "api/authorization_v1.h"
#include "api/rbac_v1.h"
#include "apiserver/context.h"
#include "apiserver/errors.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/subresource/reviews.h"
#include "apiserver/subresource/verbs.h"

namespace knarr::apiserver::subresource {
namespace {

using api::authorization_v1::SelfSubjectRulesReview;
using api::authorization_v1::SubjectRulesReviewStatus;
using api::rbac_v1::ClusterRole;
using api::rbac_v1::ClusterRoleBinding;
using api::rbac_v1::PolicyRule;
using api::rbac_v1::Role;
using api::rbac_v1::RoleBinding;
using api::rbac_v1::RoleRef;
using api::rbac_v1::Subject;

bool applies(const User& user, const Subject& subject, std::string_view ns) {
  if (subject.kind == "User") return subject.name == user.name;
  if (subject.kind == "Group") return user.in_group(subject.name);
  if (!(subject.kind == "ServiceAccount")) return false;
  std::string account_ns(subject.namespace_.empty() ? ns : subject.namespace_.view());
  return !account_ns.empty() && user.name == "system:serviceaccount:" + account_ns + ":" + subject.name.str();
}

bool applies(const User& user, const schema::List<Subject>& subjects, std::string_view ns) {
  return std::any_of(subjects.begin(), subjects.end(), [&](const Subject& subject) { return applies(user, subject, ns); });
}

void add_rules(const schema::List<PolicyRule>& rules, SubjectRulesReviewStatus& status) {
  for (const PolicyRule& rule : rules) {
    if (!rule.resources.empty()) {
      auto& out = status.resource_rules.emplace_back();
      out.verbs = rule.verbs;
      out.api_groups = rule.api_groups;
      out.resources = rule.resources;
      out.resource_names = rule.resource_names;
    }
    if (!rule.non_resource_urls.empty()) {
      auto& out = status.non_resource_rules.emplace_back();
      out.verbs = rule.verbs;
      out.non_resource_urls = rule.non_resource_urls;
    }
  }
}

void add_role(ApiServer& server, const RoleRef& reference, const std::string& ns, SubjectRulesReviewStatus& status, std::vector<std::string>& problems) {
  bool local = reference.kind == "Role";
  if (local) {
    if (auto role = server.cached<Role>(ns, reference.name)) return add_rules(role->rules, status);
  } else if (auto role = server.cached<ClusterRole>("", reference.name)) {
    return add_rules(role->rules, status);
  }
  std::string_view plural = local ? Role::resource().plural : ClusterRole::resource().plural;
  problems.emplace_back(not_found("rbac.authorization.k8s.io", plural, reference.name).message());
}

void add_rbac(ApiServer& server, const User& user, const std::string& ns, SubjectRulesReviewStatus& status) {
  std::vector<std::string> problems;
  auto visit = [&]<class Binding>(const std::string& binding_ns, const Binding*) {
    const schema::Resource& resource = Binding::resource();
    server.for_each_cached(resource.group, resource.plural, binding_ns, [&](const schema::Object& object) {
      const auto* binding = object.as<Binding>();
      if (binding != nullptr && applies(user, binding->subjects, binding_ns)) add_role(server, binding->role_ref, binding_ns, status, problems);
    });
  };
  visit(std::string(), static_cast<const ClusterRoleBinding*>(nullptr));
  visit(ns, static_cast<const RoleBinding*>(nullptr));
  if (problems.size() == 1) status.evaluation_error = problems[0];
  if (problems.size() < 2) return;
  std::string text;
  for (const std::string& problem : problems) text += (text.empty() ? "" : ", ") + problem;
  status.evaluation_error = "[" + text + "]";
}

void add_everything(SubjectRulesReviewStatus& status) {
  auto& resources = status.resource_rules.emplace_back();
  resources.verbs = {"*"};
  resources.api_groups = {"*"};
  resources.resources = {"*"};
  auto& others = status.non_resource_rules.emplace_back();
  others.verbs = {"*"};
  others.non_resource_urls = {"*"};
}

}  // namespace

Task<Status> review_self_rules(RequestContext& context) {
  CO_TRY(expect_create(context));
  auto review = co_await read_object<SelfSubjectRulesReview>(context);
  if (!review.ok()) co_return review.status();
  CO_TRY(settle_namespace(review->metadata, ""));
  std::string ns = review->spec.namespace_.str();
  if (ns.empty()) co_return bad_request("no namespace on request");
  SelfSubjectRulesReview answer;
  // Empty lists are written as such.
  answer.status.resource_rules.reserve(0);
  answer.status.non_resource_rules.reserve(0);
  const std::string& mode = context.server.options().authorization_mode;
  if (mode.find("RBAC") != std::string::npos) add_rbac(context.server, context.user, ns, answer.status);
  if (mode.find("AlwaysAllow") != std::string::npos) add_everything(answer.status);
  Status status = co_await respond_object(context, 201, answer);
  co_return status;
}

}  // namespace knarr::apiserver::subresource
