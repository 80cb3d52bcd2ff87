// SPDX-License-Identifier: Apache-2.0
// The first steps of a request's way: who asks, as whom, and whether they may.
#include "apiserver/core.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"
#include "apiserver/impersonation.h"

namespace knarr::apiserver {
namespace {

// As upstream, which feared that refusals are shown as HTML.
std::string escape_markup(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else out += c;
  }
  return out;
}

Status refusal(const authz::Attributes& attributes, std::string_view reason) {
  std::string text = "User " + quoted(attributes.user.name) + " cannot " + std::string(attributes.verb);
  if (!attributes.is_resource) {
    text += " path " + quoted(attributes.path);
  } else {
    std::string resource(attributes.resource);
    if (!attributes.subresource.empty()) resource.append("/").append(attributes.subresource);
    text += " resource " + quoted(resource) + " in API group " + quoted(attributes.group);
    text += attributes.namespace_.empty() ? " at the cluster scope" : " in the namespace " + quoted(attributes.namespace_);
  }
  text = escape_markup(text);
  if (!reason.empty()) text.append(": ").append(reason);
  return forbidden(attributes.group, attributes.resource, attributes.name, text);
}

}  // namespace

Task<Status> Core::identify(RequestContext& context, const std::optional<User>& trusted) {
  if (trusted.has_value()) {
    context.user = *trusted;
    co_return Status();
  }
  if (authenticator_ == nullptr) co_return service_unavailable("the server is starting");
  std::optional<Result<User>> user = authenticator_->authenticate_now(context.request);
  if (!user.has_value()) user = co_await authenticator_->authenticate(context.request);
  if (!user->ok()) co_return user->status();
  context.user = std::move(**user);
  co_return Status();
}

authz::Attributes Core::attributes_of(const RequestContext& context) {
  const RequestInfo& info = context.info;
  if (!info.is_resource) return {.user = context.user, .verb = info.verb, .path = info.path};
  return {context.user, info.verb, true, info.group, info.version, info.resource, info.subresource, info.namespace_, info.name, info.path};
}

Task<Status> Core::authorize(RequestContext& context) {
  authz::Attributes attributes = attributes_of(context);
  authz::Verdict verdict = co_await authz::decide(*authorizer_, attributes);
  if (verdict.decision == authz::Decision::kAllow) co_return Status();
  // Upstream answers such a failure as plain text; what matters is that it is no refusal.
  if (!verdict.error.empty()) co_return internal_error(verdict.error);
  co_return refusal(attributes, verdict.reason);
}

Task<Status> Core::impersonate(RequestContext& context) {
  auto parsed = parse_impersonation(context.request.headers);
  if (!parsed.ok()) co_return parsed.status();
  for (const ImpersonationCheck& check : parsed->checks) {
    authz::Attributes attributes{context.user, "impersonate", true, check.group, check.version, check.resource, check.subresource, check.namespace_,
                                 check.name, ""};
    authz::Verdict verdict = co_await authz::decide(*authorizer_, attributes);
    if (verdict.decision != authz::Decision::kAllow) co_return refusal(attributes, verdict.reason);
  }
  if (!parsed->checks.empty()) context.user = std::move(parsed->user);
  co_return Status();
}

}  // namespace knarr::apiserver
