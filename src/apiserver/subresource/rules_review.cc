// SPDX-License-Identifier: Apache-2.0
// selfsubjectrulesreviews: what the authorizers that can tell grant the caller in a namespace (upstream: the RuleResolver side of authorizers).
#include "api/authorization_v1.h"
#include "apiserver/context.h"
#include "apiserver/core.h"
#include "apiserver/errors.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/subresource/reviews.h"
#include "apiserver/subresource/verbs.h"

namespace knarr::apiserver::subresource {

using api::authorization_v1::SelfSubjectRulesReview;

Task<Status> review_self_rules(RequestContext& context) {
  CO_TRY(expect_create(context));
  auto review = co_await read_object<SelfSubjectRulesReview>(context);
  if (!review.ok()) co_return review.status();
  CO_TRY(settle_namespace(review->metadata, ""));
  if (review->spec.namespace_.empty()) co_return bad_request("no namespace on request");
  SelfSubjectRulesReview answer;
  // Empty lists are written as such.
  answer.status.resource_rules.reserve(0);
  answer.status.non_resource_rules.reserve(0);
  authz::GrantedRules granted{answer.status, {}};
  context.core.authorizer().add_rules(context.user, review->spec.namespace_, granted);
  answer.status.evaluation_error = authz::aggregate(granted.errors);
  Status status = co_await respond_object(context, 201, answer);
  co_return status;
}

}  // namespace knarr::apiserver::subresource
