// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource/binding.h"

#include "api/core_v1.h"
#include "apiserver/context.h"
#include "apiserver/core.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry.h"
#include "apiserver/subresource/verbs.h"
#include "schema/time.h"

namespace knarr::apiserver::subresource {
namespace {

using api::core_v1::Binding;
using api::core_v1::Pod;

// Upstream sends these as a plain error, not as an invalid object.
Status validate(const Binding& binding) {
  FieldErrors errors;
  Path target("target");
  if (!binding.target.kind.empty() && !(binding.target.kind == "Node"))
    errors.not_supported(target.child("kind"), quoted(binding.target.kind), {"Node", "<empty>"});
  if (binding.target.name.empty()) errors.required(target.child("name"));
  if (errors.empty()) return {};
  std::string text;
  for (const Cause& cause : errors.causes()) text += (text.empty() ? "" : ", ") + cause.field + ": " + cause.message;
  return Status::make(500, "", errors.causes().size() > 1 ? "[" + text + "]" : text);
}

Status refuse(const Pod& pod, const std::string& why) { return conflict("", "pods/binding", pod.metadata.name, why); }

// A Binding may say which pod it means, and which version of it.
Status check_preconditions(const Pod& pod, const Binding& binding) {
  auto differs = [&](std::string_view what, const schema::Str& wanted, const schema::Str& found) -> Status {
    if (wanted.empty() || wanted == found.view()) return {};
    std::string text(what);
    return conflict("", "pods", pod.metadata.name,
                    "StorageError: invalid object, Code: 4, Key: /registry/pods/" + pod.metadata.namespace_.str() + "/" + pod.metadata.name.str() +
                        ", ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: " + text + " in precondition: " + wanted.str() + ", " + text +
                        " in object meta: " + found.str());
  };
  TRY(differs("UID", binding.metadata.uid, pod.metadata.uid));
  return differs("ResourceVersion", binding.metadata.resource_version, pod.metadata.resource_version);
}

Status assign(Pod& pod, const Binding& binding, schema::Time now) {
  std::string name = pod.metadata.name.str();
  TRY(check_preconditions(pod, binding));
  if (pod.metadata.deletion_timestamp) return refuse(pod, "pod " + name + " is being deleted, cannot be assigned to a host");
  if (!pod.spec.node_name.empty()) return refuse(pod, "pod " + name + " is already assigned to node " + quoted(pod.spec.node_name));
  if (!pod.spec.scheduling_gates.empty()) return refuse(pod, "pod " + name + " has non-empty .spec.schedulingGates");
  pod.spec.node_name = binding.target.name;
  for (const auto& [key, value] : binding.metadata.annotations) pod.metadata.annotations[key] = value;
  for (auto& condition : pod.status.conditions) {
    if (!(condition.type == "PodScheduled")) continue;
    if (!(condition.status == "True")) condition.last_transition_time = now;
    condition.status = "True";
    condition.reason.reset();
    condition.message.reset();
    return {};
  }
  auto& condition = pod.status.conditions.emplace_back();
  condition.type = "PodScheduled";
  condition.status = "True";
  condition.last_transition_time = now;
  return {};
}

}  // namespace

namespace {

Task<Status> bind(RequestContext& context, Binding binding, std::string name) {
  CO_TRY(validate(binding));
  CO_TRY_ASSIGN(bool dry_run, query_dry_run(context));
  schema::Time now = schema::to_time(context.server.clock().now());
  std::function<Status(void*)> mutate = [&binding, now](void* object) { return assign(*static_cast<Pod*>(object), binding, now); };
  std::string ns = context.info.namespace_;
  auto written = co_await modify_stored(context.server, Pod::resource(), std::move(ns), std::move(name), std::move(mutate), dry_run);
  if (!written.ok()) co_return written.status();
  if (!dry_run) context.core.trace().add_since((*written)->as<Pod>()->metadata.uid, trace::Step::kBound, context.arrived, "to " + binding.target.name.str());
  Status success;
  Status status = co_await respond_status(context, success, 201);
  co_return status;
}

}  // namespace

Task<Status> create_pod_binding(RequestContext& context) {
  CO_TRY(expect_create_of_one(context));
  auto binding = co_await read_object<Binding>(context);
  if (!binding.ok()) co_return binding.status();
  if (!binding->metadata.name.empty() && !(binding->metadata.name == context.info.name))
    co_return bad_request("name in URL does not match name in Binding object");
  CO_TRY(settle_namespace(binding->metadata, context.info.namespace_));
  std::string name = context.info.name;
  Status status = co_await bind(context, std::move(*binding), std::move(name));
  co_return status;
}

Task<Status> create_binding(RequestContext& context) {
  CO_TRY(expect_create(context));
  auto binding = co_await read_object<Binding>(context);
  if (!binding.ok()) co_return binding.status();
  CO_TRY(settle_namespace(binding->metadata, context.info.namespace_));
  std::string name = binding->metadata.name.str();
  Status status = co_await bind(context, std::move(*binding), std::move(name));
  co_return status;
}

}  // namespace knarr::apiserver::subresource
