// SPDX-License-Identifier: Apache-2.0
// Roles and bindings as JSON, written as short as they are read.
#pragma once

#include <string>
#include <vector>

#include "schema/json.h"

namespace knarr::kubeadm {

struct Subject {
  std::string kind, name, ns;   // "Group", "User", "ServiceAccount" (with its namespace)
};

// A Role when `ns` is given, else a ClusterRole. One rule: `verbs` on `resources` of the core group, of these names when any.
json::Value make_role(const std::string& ns, const std::string& name, const std::vector<std::string>& verbs, const std::vector<std::string>& resources,
                      const std::vector<std::string>& resource_names);
// A RoleBinding to a Role of its namespace when `ns` is given, else a ClusterRoleBinding to a ClusterRole.
json::Value make_binding(const std::string& ns, const std::string& name, const std::string& role, const std::vector<Subject>& subjects);
json::Value make_object(const std::string& api_version, const std::string& kind, const std::string& ns, const std::string& name);

}  // namespace knarr::kubeadm
