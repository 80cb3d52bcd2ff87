// SPDX-License-Identifier: Apache-2.0
#include "api/authorization_v1.h"
#include "apiserver/context.h"
#include "apiserver/core.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/subresource/reviews.h"
#include "apiserver/subresource/verbs.h"
#include "schema/codec.h"

namespace knarr::apiserver::subresource {
namespace {

using api::authorization_v1::LocalSubjectAccessReview;
using api::authorization_v1::NonResourceAttributes;
using api::authorization_v1::ResourceAttributes;
using api::authorization_v1::SelfSubjectAccessReview;
using api::authorization_v1::SubjectAccessReview;
using api::authorization_v1::SubjectAccessReviewSpec;
using api::authorization_v1::SubjectAccessReviewStatus;

std::string go_text(const schema::Box<NonResourceAttributes>& attributes) {
  if (!attributes) return "\"null\"";
  return "authorization.NonResourceAttributes{Path:" + quoted(attributes->path) + ", Verb:" + quoted(attributes->verb) + "}";
}

template <class Spec>
void validate_attributes(const Spec& spec, FieldErrors& errors) {
  Path path("spec");
  if (spec.resource_attributes && spec.non_resource_attributes)
    errors.invalid(path.child("nonResourceAttributes"), go_text(spec.non_resource_attributes), "cannot be specified in combination with resourceAttributes");
  if (!spec.resource_attributes && !spec.non_resource_attributes)
    errors.invalid(path.child("resourceAttributes"), go_text(spec.non_resource_attributes),
                   "exactly one of nonResourceAttributes or resourceAttributes must be specified");
}

void validate_spec(const SubjectAccessReviewSpec& spec, FieldErrors& errors) {
  validate_attributes(spec, errors);
  if (spec.user.empty() && spec.groups.empty())
    errors.invalid(Path("spec").child("user"), "\"\"", "at least one of user or group must be specified");
}

void validate_empty(api::meta_v1::ObjectMeta metadata, std::string_view detail, FieldErrors& errors) {
  metadata.managed_fields.reset();
  if (metadata == api::meta_v1::ObjectMeta()) return;
  errors.invalid(Path("metadata"), schema::to_json(metadata), detail);
}

void validate(const SubjectAccessReview& review, FieldErrors& errors) {
  validate_spec(review.spec, errors);
  validate_empty(review.metadata, "must be empty", errors);
}

void validate(const SelfSubjectAccessReview& review, FieldErrors& errors) {
  validate_attributes(review.spec, errors);
  validate_empty(review.metadata, "must be empty", errors);
}

void validate(const LocalSubjectAccessReview& review, FieldErrors& errors) {
  validate_spec(review.spec, errors);
  api::meta_v1::ObjectMeta rest = review.metadata;
  rest.namespace_.reset();
  validate_empty(std::move(rest), "must be empty except for namespace", errors);
  const auto& resource = review.spec.resource_attributes;
  if (resource && !(resource->namespace_ == review.metadata.namespace_))
    errors.invalid(Path("spec.resourceAttributes.namespace"), quoted(resource->namespace_), "must match metadata.namespace");
  if (review.spec.non_resource_attributes)
    errors.invalid(Path("spec.nonResourceAttributes"), go_text(review.spec.non_resource_attributes), "disallowed on this kind of request");
}

User user_of(const SubjectAccessReviewSpec& spec) {
  User user;
  user.name = spec.user.str();
  user.uid = spec.uid.str();
  for (const auto& group : spec.groups) user.groups.push_back(group.str());
  for (const auto& [key, values] : spec.extra)
    for (const auto& value : values) user.extra[key.str()].push_back(value.str());
  return user;
}

Task<SubjectAccessReviewStatus> decide(RequestContext& context, const User& user, const ResourceAttributes* resource, const NonResourceAttributes* other) {
  authz::Attributes attributes{user, resource != nullptr ? resource->verb.view() : other->verb.view()};
  if (resource != nullptr) {
    attributes.is_resource = true;
    attributes.group = resource->group;
    attributes.version = resource->version.empty() ? std::string_view("*") : resource->version.view();
    attributes.resource = resource->resource;
    attributes.subresource = resource->subresource;
    attributes.namespace_ = resource->namespace_;
    attributes.name = resource->name;
  } else {
    attributes.path = other->path;
  }
  authz::Verdict verdict = co_await authz::decide(context.core.authorizer(), attributes);
  SubjectAccessReviewStatus status;
  status.allowed = verdict.decision == authz::Decision::kAllow;
  status.denied = verdict.decision == authz::Decision::kDeny;
  status.reason = verdict.reason;
  status.evaluation_error = verdict.error;
  co_return status;
}

User subject_of(const RequestContext&, const SubjectAccessReviewSpec& spec) { return user_of(spec); }
User subject_of(const RequestContext& context, const api::authorization_v1::SelfSubjectAccessReviewSpec&) { return context.user; }

template <class Review>
Task<Status> answer(RequestContext& context) {
  CO_TRY(expect_create(context));
  auto review = co_await read_object<Review>(context);
  if (!review.ok()) co_return review.status();
  CO_TRY(settle_namespace(review->metadata, context.resource->namespaced ? std::string_view(context.info.namespace_) : std::string_view()));
  FieldErrors errors;
  validate(*review, errors);
  // Upstream has lost the kind's name by this point.
  if (!errors.empty()) co_return invalid_status("authorization.k8s.io", "", "", errors);
  User subject = subject_of(context, review->spec);
  const ResourceAttributes* resource = review->spec.resource_attributes.get();
  const NonResourceAttributes* other = review->spec.non_resource_attributes.get();
  review->status = co_await decide(context, subject, resource, other);
  Status status = co_await respond_object(context, 201, *review);
  co_return status;
}

}  // namespace

Task<Status> review_access(RequestContext& context) { return answer<SubjectAccessReview>(context); }
Task<Status> review_local_access(RequestContext& context) { return answer<LocalSubjectAccessReview>(context); }
Task<Status> review_self_access(RequestContext& context) { return answer<SelfSubjectAccessReview>(context); }

}  // namespace knarr::apiserver::subresource
