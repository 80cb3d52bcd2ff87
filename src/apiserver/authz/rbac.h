// SPDX-License-Identifier: Apache-2.0
// RBAC: the roles and bindings of the watch caches, compiled by subject, and what they decide (upstream: plugin/pkg/auth/authorizer/rbac).
#pragma once

#include <absl/functional/function_ref.h>

#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/authz/authorizer.h"
#include "apiserver/authz/rbac_index.h"
#include "apiserver/storage/cache_follower.h"

namespace knarr::apiserver::authz {

// A write of a role or binding that is done is seen by the next call. Any thread; a call changes the index itself when there is something new.
class RbacRules {
 public:
  // The caches of roles, clusterroles, rolebindings and clusterrolebindings.
  struct Caches {
    std::shared_ptr<WatchCache> roles, cluster_roles, role_bindings, cluster_role_bindings;
  };
  RbacRules(const Caches& caches, const Executor& executor);
  ~RbacRules();

  // `reason`, when not null, says by which binding, or which roles were not found. Allocates nothing otherwise.
  Decision authorize(const Attributes& attributes, std::string* reason);

  // All rules that apply to a user, each binding's once, in the order of their names, and what could not be resolved.
  using Use = absl::FunctionRef<void(const std::vector<const PolicyRule*>& rules, const std::vector<std::string>& errors)>;
  void rules_for(const User& user, std::string_view ns, Use use);

  // The rules behind a role reference of a binding in `ns` ("" = a ClusterRoleBinding's). 404 when there is no such role.
  Result<PolicyRules> rules_of(const api::rbac_v1::RoleRef& reference, std::string_view ns);

 private:
  struct Follower;
  void catch_up();
  std::shared_mutex mutex_;
  RbacIndex index_;                                   // guarded by mutex_
  std::vector<std::unique_ptr<Follower>> followers_;  // pulled with mutex_ held alone
};

std::unique_ptr<Authorizer> make_rbac_authorizer(std::shared_ptr<RbacRules> rules);

}  // namespace knarr::apiserver::authz
