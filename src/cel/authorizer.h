// SPDX-License-Identifier: Apache-2.0
// The authorizer that expressions of admission may ask.
#pragma once

#include <string>
#include <string_view>

#include "cel/value.h"

namespace knarr::cel {

// What is asked: a path, or a verb on a resource; as the requesting user, or as a service account
// when `account` is set.
struct AccessCheck {
  bool is_resource = false;
  std::string_view path;
  std::string_view group, resource, subresource, name_space, name;
  std::string_view verb;
  std::string_view account_namespace, account;
};

class Authorizer {
 public:
  struct Decision {
    bool allowed = false;
    bool pending =
        false;  // not known yet: the evaluation ends with Stop::kPending and is to be tried again
    std::string reason;
    std::string error;  // empty when there was none
  };
  virtual ~Authorizer() = default;
  // Answers at once. One that has to wait answers `pending`, remembers the question, and knows the
  // answer at the next try.
  virtual Decision check(const AccessCheck& check) = 0;
};

// The variables `authorizer` and `authorizer.requestResource`. Texts and the authorizer outlive the
// evaluation.
Value authorizer_value(Authorizer& authorizer, Arena& arena);
Value resource_check_value(Authorizer& authorizer, const AccessCheck& request, Arena& arena);

}  // namespace knarr::cel
