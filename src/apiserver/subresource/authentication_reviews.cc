// SPDX-License-Identifier: Apache-2.0
#include "api/authentication_v1.h"
#include "api/authentication_v1alpha1.h"
#include "api/authentication_v1beta1.h"
#include "apiserver/context.h"
#include "apiserver/core.h"
#include "apiserver/errors.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/subresource/reviews.h"
#include "apiserver/subresource/verbs.h"
#include "schema/time.h"

namespace knarr::apiserver::subresource {
namespace {

using api::authentication_v1::TokenReview;
using api::authentication_v1::UserInfo;

UserInfo user_info(const User& user) {
  UserInfo info;
  info.username = user.name;
  info.uid = user.uid;
  for (const std::string& group : user.groups) info.groups.push_back(group);
  for (const auto& [key, values] : user.extra) {
    schema::List<schema::Str>& list = info.extra[key];
    for (const std::string& value : values) list.push_back(value);
  }
  return info;
}

template <class Review>
Task<Status> answer_self(RequestContext& context) {
  auto review = co_await read_object<Review>(context);
  if (!review.ok()) co_return review.status();
  Review answer;
  answer.metadata.creation_timestamp = schema::to_time(context.server.clock().now());
  answer.status.user_info = user_info(context.user);
  Status status = co_await respond_object(context, 201, answer);
  co_return status;
}

}  // namespace

Task<Status> review_token(RequestContext& context) {
  CO_TRY(expect_create(context));
  auto review = co_await read_object<TokenReview>(context);
  if (!review.ok()) co_return review.status();
  CO_TRY(settle_namespace(review->metadata, ""));
  if (review->spec.token.empty()) co_return bad_request("token is required for TokenReview in authentication");
  std::vector<std::string> audiences;
  for (const auto& audience : review->spec.audiences) audiences.push_back(audience.str());
  if (audiences.empty()) audiences = authn::own_audiences(context.server.options());
  std::string token = review->spec.token.str();
  authn::TokenAnswer answer = co_await context.core.authenticator().authenticate_token(std::move(token), std::move(audiences));
  review->status = {};
  if (answer.user.has_value()) {
    review->status.authenticated = true;
    review->status.user = user_info(*answer.user);
    for (const std::string& audience : answer.audiences) review->status.audiences.push_back(audience);
  } else {
    review->status.error = answer.error.empty() ? std::string("invalid bearer token") : answer.error;
  }
  Status status = co_await respond_object(context, 201, *review);
  co_return status;
}

Task<Status> review_self(RequestContext& context) {
  CO_TRY(expect_create(context));
  Status status;
  if (context.info.version == "v1") {
    status = co_await answer_self<api::authentication_v1::SelfSubjectReview>(context);
  } else if (context.info.version == "v1beta1") {
    status = co_await answer_self<api::authentication_v1beta1::SelfSubjectReview>(context);
  } else {
    status = co_await answer_self<api::authentication_v1alpha1::SelfSubjectReview>(context);
  }
  co_return status;
}

}  // namespace knarr::apiserver::subresource
