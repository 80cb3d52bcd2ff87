// SPDX-License-Identifier: Apache-2.0
// Questions put as objects: they are created, answered and forgotten. Who is this token, who am I, may they, what may I.
#pragma once

#include <string>

#include "apiserver/user.h"
#include "base/status.h"
#include "base/task.h"

namespace knarr::apiserver {
struct RequestContext;
}

namespace knarr::apiserver::subresource {

// authentication.k8s.io (authentication_reviews.cc)
Task<Status> review_token(RequestContext& context);
Task<Status> review_self(RequestContext& context);

// authorization.k8s.io (access_reviews.cc, rules_review.cc)
Task<Status> review_access(RequestContext& context);
Task<Status> review_local_access(RequestContext& context);
Task<Status> review_self_access(RequestContext& context);
Task<Status> review_self_rules(RequestContext& context);

}  // namespace knarr::apiserver::subresource
