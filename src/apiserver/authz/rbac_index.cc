// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authz/rbac_index.h"

#include <algorithm>

namespace knarr::apiserver::authz {
namespace {

using api::rbac_v1::RoleRef;
using api::rbac_v1::Subject;

std::string key_of(std::string_view ns, std::string_view name) { return std::string(ns) + "/" + std::string(name); }

template <class Map>
std::vector<std::pair<std::string, std::string>> names(const Map& map, bool cluster) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& [key, each] : map)
    if (each->ns.empty() == cluster) all.emplace_back(each->ns, each->name);
  return all;
}

}  // namespace

RbacIndex::Role* RbacIndex::role_of(std::string_view ns, std::string_view name) {
  std::unique_ptr<Role>& slot = roles_[key_of(ns, name)];
  if (slot == nullptr) {
    slot = std::make_unique<Role>();
    slot->ns = ns;
    slot->name = name;
  }
  return slot.get();
}

void RbacIndex::drop_unused(Role* role) {
  if (!role->present && role->bindings == 0) roles_.erase(key_of(role->ns, role->name));
}

void RbacIndex::set_role(std::string_view ns, std::string_view name, PolicyRules rules) {
  Role* role = role_of(ns, name);
  role->present = true;
  role->rules = std::move(rules);
  role->verbs.clear();
  for (const PolicyRule& rule : role->rules) role->verbs.push_back(verb_bits(rule));
}

void RbacIndex::remove_role(std::string_view ns, std::string_view name) {
  auto at = roles_.find(key_of(ns, name));
  if (at == roles_.end()) return;
  Role* role = at->second.get();
  role->present = false;
  role->rules.reset();
  role->verbs.clear();
  drop_unused(role);
}

// Calls change(grants, name, subject) for each subject that can apply to somebody.
template <class Change>
void RbacIndex::for_each_subject(const Binding& binding, Change change) {
  for (const Subject& subject : binding.subjects) {
    if (subject.kind == "User") {
      change(users_, subject.name.str(), subject);
    } else if (subject.kind == "Group") {
      change(groups_, subject.name.str(), subject);
    } else if (subject.kind == "ServiceAccount") {
      std::string ns = subject.namespace_.empty() ? binding.ns : subject.namespace_.str();
      if (!ns.empty()) change(users_, "system:serviceaccount:" + ns + ":" + subject.name.str(), subject);
    }
  }
}

void RbacIndex::set_binding(std::string_view ns, std::string_view name, const RoleRef& reference, const schema::List<Subject>& subjects) {
  remove_binding(ns, name);
  auto made = std::make_unique<Binding>();
  made->ns = ns;
  made->name = name;
  made->reference = reference;
  made->subjects = subjects;
  if (reference.kind == "Role") made->role = role_of(ns, reference.name);
  if (reference.kind == "ClusterRole") made->role = role_of("", reference.name);
  if (made->role != nullptr) ++made->role->bindings;
  for_each_subject(*made, [&](BySubject& all, const std::string& subject_name, const Subject& subject) {
    Grants& grants = all[subject_name];
    (made->ns.empty() ? grants.cluster : grants.by_namespace[made->ns]).push_back({made.get(), &subject});
  });
  bindings_[key_of(ns, name)] = std::move(made);
}

void RbacIndex::remove_binding(std::string_view ns, std::string_view name) {
  auto at = bindings_.find(key_of(ns, name));
  if (at == bindings_.end()) return;
  std::unique_ptr<Binding> binding = std::move(at->second);
  bindings_.erase(at);
  for_each_subject(*binding, [&](BySubject& all, const std::string& subject_name, const Subject&) {
    auto found = all.find(subject_name);
    if (found == all.end()) return;
    Grants& grants = found->second;
    auto of_binding = [&](const Grant& grant) { return grant.binding == binding.get(); };
    if (binding->ns.empty()) {
      std::erase_if(grants.cluster, of_binding);
    } else if (auto local = grants.by_namespace.find(binding->ns); local != grants.by_namespace.end()) {
      std::erase_if(local->second, of_binding);
      if (local->second.empty()) grants.by_namespace.erase(local);
    }
    if (grants.cluster.empty() && grants.by_namespace.empty()) all.erase(found);
  });
  if (binding->role == nullptr) return;
  --binding->role->bindings;
  drop_unused(binding->role);
}

bool RbacIndex::visit_grants(const BySubject& subjects, std::string_view name, std::string_view ns, Visit visit) {
  auto at = subjects.find(name);
  if (at == subjects.end()) return true;
  const std::vector<Grant>* grants = &at->second.cluster;
  if (!ns.empty()) {
    auto local = at->second.by_namespace.find(ns);
    if (local == at->second.by_namespace.end()) return true;
    grants = &local->second;
  }
  return std::all_of(grants->begin(), grants->end(), [&](const Grant& grant) { return visit(*grant.binding, *grant.subject); });
}

void RbacIndex::visit(const User& user, std::string_view ns, Visit visit) const {
  for (std::string_view scope : {std::string_view(), ns}) {
    if (!visit_grants(users_, user.name, scope, visit)) return;
    for (const std::string& group : user.groups)
      if (!visit_grants(groups_, group, scope, visit)) return;
    if (ns.empty()) return;
  }
}

std::vector<std::pair<std::string, std::string>> RbacIndex::roles_of(bool cluster) const { return names(roles_, cluster); }
std::vector<std::pair<std::string, std::string>> RbacIndex::bindings_of(bool cluster) const { return names(bindings_, cluster); }

const RbacIndex::Role* RbacIndex::find_role(std::string_view ns, std::string_view name) const {
  auto at = roles_.find(key_of(ns, name));
  return at == roles_.end() || !at->second->present ? nullptr : at->second.get();
}

}  // namespace knarr::apiserver::authz
