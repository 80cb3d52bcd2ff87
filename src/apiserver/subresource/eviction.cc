// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource/eviction.h"

#include "api/core_v1.h"
#include "api/policy_v1beta1.h"
#include "apiserver/context.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"
#include "apiserver/handlers/options.h"
#include "apiserver/handlers/respond.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry.h"
#include "apiserver/subresource/verbs.h"
#include "schema/selector.h"
#include "schema/time.h"

namespace knarr::apiserver::subresource {
namespace {

using api::core_v1::Pod;
using api::meta_v1::DeleteOptions;
using api::policy_v1::Eviction;
using api::policy_v1::PodDisruptionBudget;
using PodPtr = std::shared_ptr<const Pod>;

// Other writers of the pod or the budget win this often before we give up.
constexpr int kMaxAttempts = 20;
constexpr size_t kMaxDisruptedPods = 2000;
constexpr std::string_view kWouldViolate = "Cannot evict pod as it would violate the pod's disruption budget.";

Status refused(std::string_view budget, std::string_view why, int retry_after) {
  return too_many_requests(kWouldViolate, retry_after)
      .with_cause({"DisruptionBudget", "The disruption budget " + std::string(budget) + " " + std::string(why), ""});
}

Status still_processed(std::string_view budget) { return refused(budget, "is still being processed by the server.", 10); }

void note_disruptions_exhausted(PodDisruptionBudget& budget, schema::Time now) {
  api::meta_v1::Condition* condition = nullptr;
  for (auto& each : budget.status.conditions)
    if (each.type == "DisruptionAllowed") condition = &each;
  if (condition == nullptr) {
    condition = &budget.status.conditions.emplace_back();
    condition->type = "DisruptionAllowed";
  }
  if (!(condition->status == "False")) condition->last_transition_time = now;
  condition->status = "False";
  condition->reason = "InsufficientPods";
  condition->message.reset();
  condition->observed_generation = budget.status.observed_generation;
}

// A body of policy/v1 or of the older version, which differ in name only.
Task<Result<Eviction>> read_eviction(RequestContext& context) {
  auto encoding = negotiate_input(context.request.headers.get("Content-Type"));
  if (!encoding.ok()) co_return encoding.status();
  auto body = co_await read_body(context);
  if (!body.ok()) co_return body.status();
  auto options = parse_write_options(context, "CreateOptions");
  if (!options.ok()) co_return options.status();
  std::string api_version;
  if (*encoding == schema::Encoding::kProtobuf) {
    auto envelope = schema::open_envelope(*body);
    if (envelope.ok()) api_version = envelope->type_meta.api_version;
  } else if (*encoding == schema::Encoding::kJson) {
    auto type_meta = schema::peek_json(*body);
    if (type_meta.ok()) api_version = type_meta->api_version;
  }
  Eviction eviction;
  if (api_version == "policy/v1beta1") {
    api::policy_v1beta1::Eviction older;
    CO_TRY(decode_body(*encoding, *body, api::policy_v1beta1::Eviction::kind_info(), *options, &older, context.warnings));
    eviction.metadata = std::move(older.metadata);
    eviction.delete_options = std::move(older.delete_options);
  } else {
    CO_TRY(decode_body(*encoding, *body, Eviction::kind_info(), *options, &eviction, context.warnings));
  }
  CO_TRY(settle_namespace(eviction.metadata, context.info.namespace_));
  co_return eviction;
}

std::string list_text(const schema::List<schema::Str>& list) {
  std::string text;
  for (const auto& each : list) text += (text.empty() ? "" : " ") + each.str();
  return "[" + text + "]";
}

// The options of the delete to come, with the request's own wish for a dry run.
Result<DeleteOptions> delete_options(const Eviction& eviction, bool dry_run) {
  DeleteOptions options = eviction.delete_options ? *eviction.delete_options : DeleteOptions();
  if (!dry_run) return options;
  schema::List<schema::Str> all;
  all.push_back("All");
  if (options.dry_run.empty()) {
    options.dry_run = all;
  } else if (!(options.dry_run == all)) {
    return Status::make(500, "", "Non-matching dry-run options in request and content: [All] and " + list_text(options.dry_run));
  }
  return options;
}

bool pins_version(const DeleteOptions& options) { return options.preconditions && options.preconditions->resource_version.has_value(); }

bool has_ended(const Pod& pod) { return pod.status.phase == "Succeeded" || pod.status.phase == "Failed" || pod.metadata.deletion_timestamp.has_value(); }

// Budgets protect what runs: pods that have not started, have ended or are on their way out may go.
bool needs_no_budget(const Pod& pod) { return has_ended(pod) || pod.status.phase == "Pending"; }

bool is_ready(const Pod& pod) {
  for (const auto& condition : pod.status.conditions)
    if (condition.type == "Ready") return condition.status == "True";
  return false;
}

Status check_preconditions(const DeleteOptions& options, const Pod& pod) {
  if (!options.preconditions) return {};
  const auto& uid = options.preconditions->uid;
  if (uid.has_value() && !uid->empty() && *uid != pod.metadata.uid)
    return conflict("", "Pod", pod.metadata.name,
                    "the UID in the precondition (" + uid->str() + ") does not match the UID in record (" + pod.metadata.uid.str() +
                        "). The object might have been deleted and then recreated");
  const auto& version = options.preconditions->resource_version;
  if (version.has_value() && !version->empty() && *version != pod.metadata.resource_version)
    return conflict("", "Pod", pod.metadata.name,
                    "the ResourceVersion in the precondition (" + version->str() + ") does not match the ResourceVersion in record (" +
                        pod.metadata.resource_version.str() + "). The object might have been modified");
  return {};
}

void note_eviction(Pod& pod, schema::Time now) {
  constexpr std::string_view kReason = "EvictionByEvictionAPI", kMessage = "Eviction API: evicting";
  for (auto& condition : pod.status.conditions) {
    if (!(condition.type == "DisruptionTarget")) continue;
    if (!(condition.status == "True")) condition.last_transition_time = now;
    condition.status = "True";
    condition.reason = kReason;
    condition.message = kMessage;
    return;
  }
  auto& condition = pod.status.conditions.emplace_back();
  condition.type = "DisruptionTarget";
  condition.status = "True";
  condition.reason = kReason;
  condition.message = kMessage;
  condition.last_transition_time = now;
}

// Says why in the pod's status, then deletes it.
Task<Status> delete_pod(RequestContext& context, DeleteOptions options) {
  std::string ns = context.info.namespace_, name = context.info.name;
  if (options.dry_run.empty()) {
    schema::Time now = schema::to_time(context.server.clock().now());
    std::function<Status(void*)> mutate = [&options, now](void* object) -> Status {
      Pod& pod = *static_cast<Pod*>(object);
      TRY(check_preconditions(options, pod));
      note_eviction(pod, now);
      return {};
    };
    auto written = co_await modify_stored(context.server, Pod::resource(), ns, name, std::move(mutate));
    if (!written.ok()) co_return written.status();
    // Our own write must not fail the condition that the caller set.
    if (pins_version(options)) options.preconditions->resource_version = (*written)->as<Pod>()->metadata.resource_version;
  }
  User user = context.user;
  Status status = co_await delete_stored(context.server, Pod::resource(), std::move(ns), std::move(name), std::move(user), &options);
  co_return status;
}

// Null when the pod is gone by the end; otherwise the pod as it was found to need a budget.
Task<Result<PodPtr>> delete_without_budget(RequestContext& context, const DeleteOptions& original) {
  Status last;
  for (int i = 0; i < kMaxAttempts; ++i) {
    PodPtr pod = context.server.cached<Pod>(context.info.namespace_, context.info.name);
    if (pod == nullptr) co_return not_found("", "pods", context.info.name);
    if (!needs_no_budget(*pod)) co_return pod;
    DeleteOptions options = original;
    // A pending pod may come alive meanwhile; then its budget has a word to say.
    if (!has_ended(*pod) && !pins_version(original)) options.preconditions.ensure().resource_version = pod->metadata.resource_version;
    last = co_await delete_pod(context, std::move(options));
    if (last.ok()) co_return PodPtr();
    if (!last.is("Conflict") || pins_version(original)) co_return last;
    co_await yield_now();
  }
  co_return last;
}

std::vector<PodDisruptionBudget> budgets_of(ApiServer& server, const Pod& pod) {
  std::vector<PodDisruptionBudget> found;
  const schema::Resource& resource = PodDisruptionBudget::resource();
  server.for_each_cached(resource.group, resource.plural, pod.metadata.namespace_, [&](const schema::Object& object) {
    const auto* budget = object.as<PodDisruptionBudget>();
    if (budget == nullptr) return;
    auto selector = schema::LabelSelector::from(budget->spec.selector.get());
    if (selector.ok() && selector->matches(pod.metadata.labels)) found.push_back(*budget);
  });
  return found;
}

// A pod that is not healthy counts for nothing, so that its going costs nothing, while the others suffice.
bool may_go_unhealthy(const PodDisruptionBudget& budget, const Pod& pod) {
  if (is_ready(pod)) return false;
  const auto& policy = budget.spec.unhealthy_pod_eviction_policy;
  if (policy.has_value() && *policy == "AlwaysAllow") return true;
  return budget.status.current_healthy >= budget.status.desired_healthy && budget.status.desired_healthy > 0;
}

Task<Status> take_from(RequestContext& context, std::string budget_name, bool dry_run) {
  schema::Time now = schema::to_time(context.server.clock().now());
  std::string pod_name = context.info.name, ns = context.info.namespace_;
  std::function<Status(void*)> mutate = [&pod_name, now, dry_run](void* object) {
    return take_disruption(*static_cast<PodDisruptionBudget*>(object), pod_name, now, dry_run);
  };
  auto written = co_await modify_stored(context.server, PodDisruptionBudget::resource(), std::move(ns), budget_name, std::move(mutate), dry_run);
  if (written.ok() || !written.status().is("Conflict")) co_return written.status();
  co_return timeout("couldn't update PodDisruptionBudget " + quoted(budget_name) + " due to conflicts", 10);
}

Task<Status> respond_success(RequestContext& context) {
  Status success;
  Status status = co_await respond_status(context, success, 201);
  co_return status;
}

}  // namespace

Status take_disruption(PodDisruptionBudget& budget, std::string_view pod_name, schema::Time now, bool dry_run) {
  auto& status = budget.status;
  if (status.observed_generation < budget.metadata.generation) return still_processed(budget.metadata.name);
  if (status.disruptions_allowed < 0) return forbidden("policy", "poddisruptionbudget", budget.metadata.name, "pdb disruptions allowed is negative");
  if (status.disrupted_pods.size() > kMaxDisruptedPods)
    return forbidden("policy", "poddisruptionbudget", budget.metadata.name,
                     "DisruptedPods map too big - too many evictions not confirmed by PDB controller");
  if (status.disruptions_allowed == 0)
    return refused(budget.metadata.name,
                   "needs " + std::to_string(status.desired_healthy) + " healthy pods and has " + std::to_string(status.current_healthy) + " currently", 0);
  --status.disruptions_allowed;
  if (status.disruptions_allowed == 0) note_disruptions_exhausted(budget, now);
  if (!dry_run) status.disrupted_pods[pod_name] = now;
  return {};
}

Task<Status> create_eviction(RequestContext& context) {
  CO_TRY(expect_create_of_one(context));
  auto eviction = co_await read_eviction(context);
  if (!eviction.ok()) co_return eviction.status();
  Status admitted = co_await admit_posted(context, *eviction);
  CO_TRY(admitted);
  if (!(eviction->metadata.name == context.info.name)) co_return bad_request("name in URL does not match name in Eviction object");
  CO_TRY_ASSIGN(bool dry_run, query_dry_run(context));
  CO_TRY_ASSIGN(DeleteOptions original, delete_options(*eviction, dry_run));
  auto pod = co_await delete_without_budget(context, original);
  if (!pod.ok()) co_return pod.status();
  if (*pod == nullptr) {
    Status status = co_await respond_success(context);
    co_return status;
  }
  std::vector<PodDisruptionBudget> budgets = budgets_of(context.server, **pod);
  if (budgets.size() > 1)
    co_return Status::make(500, "", "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
  DeleteOptions options = original;
  std::string budget_name;
  bool pinned = false;
  if (!budgets.empty()) {
    budget_name = budgets[0].metadata.name.str();
    pinned = may_go_unhealthy(budgets[0], **pod);
    if (pinned) {
      options.preconditions.ensure().resource_version = (*pod)->metadata.resource_version;
    } else {
      Status taken = co_await take_from(context, budget_name, !original.dry_run.empty());
      CO_TRY(taken);
    }
  }
  Status deleted = co_await delete_pod(context, std::move(options));
  // It has become healthy under our hands: the client is to ask again.
  if (deleted.is("Conflict") && pinned && !pins_version(original)) co_return still_processed(budget_name);
  CO_TRY(deleted);
  Status status = co_await respond_success(context);
  co_return status;
}

}  // namespace knarr::apiserver::subresource
