// SPDX-License-Identifier: Apache-2.0
// Who may do what. The first authorizer of a chain that has an opinion decides; no opinion at all is a refusal.
//
// Authorizers answer at once, from caches and indexes, on any thread. Only one that must ask another server says kPending; `decide` then asks.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/user.h"
#include "base/status.h"
#include "base/task.h"

namespace knarr::api::authorization_v1 {
struct SubjectRulesReviewStatus;
}

namespace knarr::apiserver::authz {

// Views only: whoever asks keeps what they point to, across `decide` too.
struct Attributes {
  const User& user;
  std::string_view verb;
  bool is_resource = false;
  std::string_view group, version, resource, subresource, namespace_, name;  // of resource requests
  std::string_view path;                                                     // of the others
};

enum class Decision : uint8_t { kNoOpinion, kAllow, kDeny, kPending };

struct Verdict {
  Decision decision = Decision::kNoOpinion;
  std::string reason;
  std::string error;  // of an authorizer that could not be asked; others may have decided nonetheless
};

// What somebody may do in a namespace, as far as authorizers can tell.
struct GrantedRules {
  api::authorization_v1::SubjectRulesReviewStatus& status;
  std::vector<std::string> errors;
};

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  // `reason`, when not null, may be filled; it ends up in the refusal's message. kPending: only `ask` can tell.
  virtual Decision authorize(const Attributes& attributes, std::string* reason) = 0;
  virtual Task<Verdict> ask(Attributes attributes);
  virtual void add_rules(const User& user, std::string_view ns, GrantedRules& rules);
};

// Asks an authorizer in whichever way it needs.
Task<Verdict> decide(Authorizer& authorizer, Attributes attributes);

// Several errors as one text, as apimachinery's aggregate prints them: each once, in brackets when there are more.
std::string aggregate(const std::vector<std::string>& errors);

std::unique_ptr<Authorizer> make_always_allow_authorizer();
std::unique_ptr<Authorizer> make_always_deny_authorizer();
// system:masters may do everything.
std::unique_ptr<Authorizer> make_privileged_group_authorizer();
std::unique_ptr<Authorizer> make_union_authorizer(std::vector<std::unique_ptr<Authorizer>> members);

}  // namespace knarr::apiserver::authz
