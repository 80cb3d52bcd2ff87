// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authz/authorizer.h"

namespace knarr::apiserver::authz {
namespace {

bool public_path(std::string_view path) {
  for (std::string_view open : {"/healthz", "/livez", "/readyz", "/version"})
    if (path == open || (path.starts_with(open) && path[open.size()] == '/')) return true;
  return false;
}

class AuthenticatedAuthorizer final : public Authorizer {
 public:
  Decision authorize(const Attributes& attributes, std::string*) override {
    if (attributes.user.in_group("system:authenticated")) return Decision::kAllow;
    if (!attributes.is_resource && public_path(attributes.path)) return Decision::kAllow;
    return Decision::kNoOpinion;
  }
};

class AlwaysAllow final : public Authorizer {
 public:
  Decision authorize(const Attributes&, std::string*) override { return Decision::kAllow; }
};

class PrivilegedGroup final : public Authorizer {
 public:
  Decision authorize(const Attributes& attributes, std::string*) override {
    return attributes.user.in_group("system:masters") ? Decision::kAllow : Decision::kNoOpinion;
  }
};

class Union final : public Authorizer {
 public:
  explicit Union(std::vector<std::unique_ptr<Authorizer>> members) : members_(std::move(members)) {}
  Decision authorize(const Attributes& attributes, std::string* reason) override {
    std::string reasons;
    for (const auto& member : members_) {
      std::string said;
      Decision decision = member->authorize(attributes, &said);
      if (decision != Decision::kNoOpinion) {
        *reason = std::move(said);
        return decision;
      }
      if (!said.empty()) reasons += (reasons.empty() ? "" : ", ") + said;
    }
    *reason = std::move(reasons);
    return Decision::kNoOpinion;
  }

 private:
  const std::vector<std::unique_ptr<Authorizer>> members_;
};

}  // namespace

std::unique_ptr<Authorizer> make_authenticated_authorizer() { return std::make_unique<AuthenticatedAuthorizer>(); }
std::unique_ptr<Authorizer> make_always_allow_authorizer() { return std::make_unique<AlwaysAllow>(); }
std::unique_ptr<Authorizer> make_privileged_group_authorizer() { return std::make_unique<PrivilegedGroup>(); }
std::unique_ptr<Authorizer> make_union_authorizer(std::vector<std::unique_ptr<Authorizer>> members) {
  return std::make_unique<Union>(std::move(members));
}

}  // namespace knarr::apiserver::authz
