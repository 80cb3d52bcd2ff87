// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authz/rbac.h"

#include <algorithm>

#include "api/authorization_v1.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"

namespace knarr::apiserver::authz {
namespace {

using api::rbac_v1::RoleRef;
using api::rbac_v1::Subject;

constexpr std::string_view kGroup = "rbac.authorization.k8s.io";

std::string problem_of(const RbacIndex::Binding& binding) {
  if (binding.role == nullptr) return "unsupported role reference kind: " + quoted(binding.reference.kind);
  // Upstream's listers use the singular here.
  std::string_view kind = binding.reference.kind == "Role" ? "role" : "clusterrole";
  return std::string(not_found(kGroup, kind, binding.reference.name).message());
}

std::string describe(const RbacIndex::Binding& binding, const Subject& subject) {
  std::string text = binding.ns.empty() ? "ClusterRoleBinding " : "RoleBinding ";
  text += quoted(binding.ns.empty() ? binding.name : binding.name + "/" + binding.ns);
  text += " of " + binding.reference.kind.str() + " " + quoted(binding.reference.name) + " to " + subject.kind.str() + " ";
  if (!(subject.kind == "ServiceAccount")) return text + quoted(subject.name);
  return text + quoted(subject.name.str() + "/" + (subject.namespace_.empty() ? binding.ns : subject.namespace_.str()));
}

bool allows(const RbacIndex::Role& role, uint32_t verb, const Attributes& attributes) {
  for (size_t i = 0; i < role.rules.size(); ++i)
    if ((role.verbs[i] & verb) != 0 && rule_allows(role.rules[i], attributes)) return true;
  return false;
}

class Rbac final : public Authorizer {
 public:
  explicit Rbac(std::shared_ptr<RbacRules> rules) : rules_(std::move(rules)) {}

  Decision authorize(const Attributes& attributes, std::string* reason) override { return rules_->authorize(attributes, reason); }

  void add_rules(const User& user, std::string_view ns, GrantedRules& granted) override {
    rules_->rules_for(user, ns, [&](const std::vector<const PolicyRule*>& rules, const std::vector<std::string>& errors) {
      for (const PolicyRule* rule : rules) add_rule(*rule, granted.status);
      granted.errors.insert(granted.errors.end(), errors.begin(), errors.end());
    });
  }

 private:
  static void add_rule(const PolicyRule& rule, api::authorization_v1::SubjectRulesReviewStatus& status) {
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
  const std::shared_ptr<RbacRules> rules_;
};

}  // namespace

// One resource's way into the index.
struct RbacRules::Follower final : public CacheFollower::Sink {
  enum Kind : uint8_t { kRole, kClusterRole, kRoleBinding, kClusterRoleBinding };
  Follower(Kind k, RbacIndex& i, std::shared_ptr<WatchCache> cache, const Executor& executor) : kind(k), index(i), follower(std::move(cache), executor) {}

  void clear() override {
    for (const auto& [ns, name] : known()) remove_named(ns, name);
  }
  void put(const CachedObject& cached) override {
    auto object = cached.object();
    std::string_view ns = cached.namespace_(), name = cached.name();
    if (const auto* role = object->as<api::rbac_v1::Role>()) index.set_role(ns, name, role->rules);
    if (const auto* role = object->as<api::rbac_v1::ClusterRole>()) index.set_role("", name, role->rules);
    if (const auto* binding = object->as<api::rbac_v1::RoleBinding>()) index.set_binding(ns, name, binding->role_ref, binding->subjects);
    if (const auto* binding = object->as<api::rbac_v1::ClusterRoleBinding>()) index.set_binding("", name, binding->role_ref, binding->subjects);
  }
  void remove(const CachedObject& cached) override { remove_named(cached.namespace_(), cached.name()); }

  void remove_named(std::string_view ns, std::string_view name) {
    if (kind == kRole || kind == kClusterRole) {
      index.remove_role(ns, name);
    } else {
      index.remove_binding(ns, name);
    }
  }
  std::vector<std::pair<std::string, std::string>> known() const {
    bool roles = kind == kRole || kind == kClusterRole, cluster = kind == kClusterRole || kind == kClusterRoleBinding;
    return roles ? index.roles_of(cluster) : index.bindings_of(cluster);
  }

  const Kind kind;
  RbacIndex& index;
  CacheFollower follower;
};

RbacRules::RbacRules(const Caches& caches, const Executor& executor) {
  auto follow = [&](Follower::Kind kind, const std::shared_ptr<WatchCache>& cache) {
    if (cache != nullptr) followers_.push_back(std::make_unique<Follower>(kind, index_, cache, executor));
  };
  follow(Follower::kRole, caches.roles);
  follow(Follower::kClusterRole, caches.cluster_roles);
  follow(Follower::kRoleBinding, caches.role_bindings);
  follow(Follower::kClusterRoleBinding, caches.cluster_role_bindings);
}

RbacRules::~RbacRules() = default;

void RbacRules::catch_up() {
  bool behind = std::any_of(followers_.begin(), followers_.end(), [](const auto& each) { return each->follower.behind(); });
  if (!behind) return;
  std::unique_lock lock(mutex_);
  for (const auto& each : followers_)
    if (each->follower.behind()) each->follower.pull(*each);
}

Decision RbacRules::authorize(const Attributes& attributes, std::string* reason) {
  catch_up();
  uint32_t verb = verb_bit(attributes.verb);
  bool allowed = false;
  std::vector<std::string> problems;
  std::shared_lock lock(mutex_);
  index_.visit(attributes.user, attributes.is_resource ? attributes.namespace_ : std::string_view(),
               [&](const RbacIndex::Binding& binding, const Subject& subject) {
                 if (binding.role == nullptr || !binding.role->present) {
                   if (reason != nullptr) problems.push_back(problem_of(binding));
                   return true;
                 }
                 allowed = allows(*binding.role, verb, attributes);
                 if (allowed && reason != nullptr) *reason = "RBAC: allowed by " + describe(binding, subject);
                 return !allowed;
               });
  if (allowed) return Decision::kAllow;
  if (!problems.empty()) *reason = "RBAC: " + aggregate(problems);
  return Decision::kNoOpinion;
}

void RbacRules::rules_for(const User& user, std::string_view ns, Use use) {
  catch_up();
  std::shared_lock lock(mutex_);
  std::vector<const RbacIndex::Binding*> bindings;
  index_.visit(user, ns, [&](const RbacIndex::Binding& binding, const Subject&) {
    bindings.push_back(&binding);
    return true;
  });
  std::sort(bindings.begin(), bindings.end(), [](const auto* a, const auto* b) { return std::tie(a->ns, a->name) < std::tie(b->ns, b->name); });
  bindings.erase(std::unique(bindings.begin(), bindings.end()), bindings.end());
  std::vector<const PolicyRule*> rules;
  std::vector<std::string> errors;
  for (const RbacIndex::Binding* binding : bindings) {
    if (binding->role == nullptr || !binding->role->present) {
      errors.push_back(problem_of(*binding));
      continue;
    }
    for (const PolicyRule& rule : binding->role->rules) rules.push_back(&rule);
  }
  use(rules, errors);
}

Result<PolicyRules> RbacRules::rules_of(const RoleRef& reference, std::string_view ns) {
  bool local = reference.kind == "Role";
  if (!local && !(reference.kind == "ClusterRole")) return Status::error("unsupported role reference kind: " + quoted(reference.kind));
  catch_up();
  std::shared_lock lock(mutex_);
  const RbacIndex::Role* role = index_.find_role(local ? ns : std::string_view(), reference.name);
  if (role == nullptr) return not_found(kGroup, local ? "roles" : "clusterroles", reference.name);
  return role->rules;
}

std::unique_ptr<Authorizer> make_rbac_authorizer(std::shared_ptr<RbacRules> rules) { return std::make_unique<Rbac>(std::move(rules)); }

}  // namespace knarr::apiserver::authz
