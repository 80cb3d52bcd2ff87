// SPDX-License-Identifier: Apache-2.0
// Who may do what. Authorizers answer at once, from caches; the first that has an opinion decides (union), no opinion at all is a refusal.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/user.h"

namespace knarr::apiserver::authz {

struct Attributes {
  const User& user;
  std::string_view verb;
  bool is_resource = false;
  std::string_view group, version, resource, subresource, namespace_, name;  // of resource requests
  std::string_view path;                                                     // of the others
};

enum class Decision : uint8_t { kNoOpinion, kAllow, kDeny };

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  // Any thread. `reason` (never null) may be filled; it ends up in the refusal's message.
  virtual Decision authorize(const Attributes& attributes, std::string* reason) = 0;
};

// Everything to everyone who is authenticated; to anonymous users health, version and nothing else. Stands in until RBAC is there.
std::unique_ptr<Authorizer> make_authenticated_authorizer();
std::unique_ptr<Authorizer> make_always_allow_authorizer();
// system:masters may do everything.
std::unique_ptr<Authorizer> make_privileged_group_authorizer();
std::unique_ptr<Authorizer> make_union_authorizer(std::vector<std::unique_ptr<Authorizer>> members);

}  // namespace knarr::apiserver::authz
