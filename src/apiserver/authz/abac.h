// SPDX-License-Identifier: Apache-2.0
// The mode ABAC: a file of policies, one JSON object a line (abac.authorization.kubernetes.io/v1beta1), read once.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/authz/authorizer.h"

namespace knarr::apiserver::authz {

struct AbacPolicy {
  std::string user, group, namespace_, resource, api_group, non_resource_path;
  bool readonly = false;
};
// Fails at the first line that is no policy, which it names. Empty lines and those that begin with # are passed over.
Result<std::vector<AbacPolicy>> parse_abac_policies(std::string_view text);
bool abac_allows(const AbacPolicy& policy, const Attributes& attributes);

Result<std::unique_ptr<Authorizer>> make_abac_authorizer(const std::string& file);

}  // namespace knarr::apiserver::authz
