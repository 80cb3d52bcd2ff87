// SPDX-License-Identifier: Apache-2.0
// Roles and bindings by subject: from a user to the rules that apply to it in a few hash look-ups, however many bindings there are.
// Not locked: one writer alone, or many readers.
#pragma once

#include <absl/functional/function_ref.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/rbac_v1.h"
#include "apiserver/authz/policy_rules.h"
#include "base/string_map.h"

namespace knarr::apiserver::authz {

class RbacIndex {
 public:
  RbacIndex() = default;
  RbacIndex(RbacIndex&&) = default;
  RbacIndex& operator=(RbacIndex&&) = default;

  // Namespace "" is a ClusterRole or ClusterRoleBinding.
  void set_role(std::string_view ns, std::string_view name, PolicyRules rules);
  void remove_role(std::string_view ns, std::string_view name);
  void set_binding(std::string_view ns, std::string_view name, const api::rbac_v1::RoleRef& role, const schema::List<api::rbac_v1::Subject>& subjects);
  void remove_binding(std::string_view ns, std::string_view name);

  // What a role reference in a binding of that namespace leads to.
  struct Role {
    std::string ns, name;
    bool present = false;
    PolicyRules rules;
    std::vector<uint32_t> verbs;   // verb_bits of each rule
    size_t bindings = 0;
  };
  struct Binding {
    std::string ns, name;
    api::rbac_v1::RoleRef reference;
    schema::List<api::rbac_v1::Subject> subjects;
    Role* role = nullptr;          // null: a kind of role that there is not
  };
  // Calls `visit` for each binding that applies to the user, those of the cluster first, then the namespace's (none when ""); the same binding may
  // come more than once. Ends when it returns false.
  using Visit = absl::FunctionRef<bool(const Binding& binding, const api::rbac_v1::Subject& subject)>;
  void visit(const User& user, std::string_view ns, Visit visit) const;

  // Null when there is no such role.
  const Role* find_role(std::string_view ns, std::string_view name) const;
  // Namespace and name of all there are: of the cluster, or of all namespaces.
  std::vector<std::pair<std::string, std::string>> roles_of(bool cluster) const;
  std::vector<std::pair<std::string, std::string>> bindings_of(bool cluster) const;

 private:
  struct Grant {
    const Binding* binding;
    const api::rbac_v1::Subject* subject;
  };
  struct Grants {
    std::vector<Grant> cluster;
    StringMap<std::vector<Grant>> by_namespace;
  };
  using BySubject = StringMap<Grants>;
  static bool visit_grants(const BySubject& subjects, std::string_view name, std::string_view ns, Visit visit);
  template <class Change>
  void for_each_subject(const Binding& binding, Change change);
  Role* role_of(std::string_view ns, std::string_view name);
  void drop_unused(Role* role);

  StringMap<std::unique_ptr<Role>> roles_;        // "namespace/name", "/name"
  StringMap<std::unique_ptr<Binding>> bindings_;  // the same
  BySubject users_, groups_;  // service accounts are users by the name that they log in with
};

}  // namespace knarr::apiserver::authz
