// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authz/modes.h"

#include <set>

#include "apiserver/authz/abac.h"
#include "apiserver/authz/node.h"
#include "apiserver/authz/rbac.h"
#include "apiserver/authz/webhook.h"
#include "apiserver/core.h"
#include "apiserver/field_errors.h"

namespace knarr::apiserver::authz {
namespace {

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  while (true) {
    size_t comma = list.find(',');
    parts.emplace_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

Result<std::unique_ptr<Authorizer>> make_one(Core& core, const std::string& mode) {
  if (mode == "AlwaysAllow") return make_always_allow_authorizer();
  if (mode == "AlwaysDeny") return make_always_deny_authorizer();
  if (mode == "RBAC") return make_rbac_authorizer(core.shared_rbac());
  if (mode == "ABAC") return make_abac_authorizer(core.options().authorization_policy_file);
  if (mode == "Webhook") return make_webhook_authorizer(core);
  if (mode == "Node") return make_node_authorizer(core);
  return Status::error("authorization-mode " + quoted(mode) + " is not a valid mode");
}

}  // namespace

Result<std::unique_ptr<Authorizer>> make_authorizer(Core& core) {
  std::vector<std::unique_ptr<Authorizer>> members;
  members.push_back(make_privileged_group_authorizer());
  std::set<std::string> seen;
  for (const std::string& mode : split(core.options().authorization_mode)) {
    if (!seen.insert(mode).second) return Status::error("authorization-mode " + quoted(mode) + " is given more than once");
    TRY_ASSIGN(auto member, make_one(core, mode));
    members.push_back(std::move(member));
  }
  return make_union_authorizer(std::move(members));
}

}  // namespace knarr::apiserver::authz
