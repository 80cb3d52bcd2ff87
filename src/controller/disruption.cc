// SPDX-License-Identifier: Apache-2.0
// disruption: how many pods of each PodDisruptionBudget may be evicted now, and conditions of pods that were to be disrupted and were not.
#include <map>

#include "api/apps_v1.h"
#include "api/autoscaling_v1.h"
#include "controller/controller.h"
#include "controller/disruption_util.h"
#include "controller/util.h"
#include "schema/selector.h"

namespace knarr::controller {
namespace {

using api::apps_v1::Deployment;
using api::apps_v1::ReplicaSet;
using api::apps_v1::StatefulSet;
using api::autoscaling_v1::Scale;
using api::core_v1::Pod;
using api::core_v1::ReplicationController;
using api::meta_v1::OwnerReference;
using BudgetPtr = std::shared_ptr<const PodDisruptionBudget>;

std::string group_of(std::string_view api_version) {
  size_t slash = api_version.find('/');
  return slash == std::string_view::npos ? "" : std::string(api_version.substr(0, slash));
}

class DisruptionController : public std::enable_shared_from_this<DisruptionController> {
 public:
  explicit DisruptionController(ContextPtr context);
  void start();

 private:
  // Who says how many pods there should be, and how many.
  struct Owner {
    std::string uid;
    int32_t scale = 0;
  };
  struct Scales {
    std::map<std::string, int32_t> by_owner;
    std::vector<std::string> unmanaged;  // pods without a controller
    int32_t sum() const {
      int32_t total = 0;
      for (const auto& [uid, scale] : by_owner) total += scale;
      return total;
    }
  };

  Task<Status> reconcile(std::string key);
  Task<Status> try_sync(BudgetPtr budget);
  Task<Status> write(BudgetPtr budget, PodDisruptionBudgetStatus status);
  Task<Result<Scales>> scales_of(std::vector<PodPtr> pods);
  Task<Result<std::optional<Owner>>> owner_of(std::string ns, OwnerReference reference);
  std::optional<Owner> known_owner(std::string_view ns, const OwnerReference& reference) const;
  Task<Result<std::optional<Owner>>> scale_of_any(std::string ns, OwnerReference reference);
  Task<Result<std::string>> plural_with_scale(OwnerReference reference);
  Task<Result<client::ApiResponse>> get(std::string target);
  Task<Status> drop_stale_condition(std::string key);
  void pod_changed(const PodPtr& old, const PodPtr& now);
  std::vector<BudgetPtr> budgets_of(const Pod& pod) const;
  void tell(const PodDisruptionBudget& budget, std::string type, std::string reason, std::string message);
  static std::string key_of(const api::meta_v1::ObjectMeta& metadata) { return metadata.namespace_.str() + "/" + metadata.name.str(); }

  ContextPtr context_;
  client::Informer<PodDisruptionBudget> budgets_;
  client::Informer<Pod> pods_;
  client::Informer<ReplicationController> rcs_;
  client::Informer<ReplicaSet> sets_;
  client::Informer<Deployment> deployments_;
  client::Informer<StatefulSet> stateful_sets_;
  std::shared_ptr<client::WorkQueue> queue_, stale_queue_;
  std::shared_ptr<client::EventRecorder> events_;
  std::map<std::string, std::string> plurals_;  // "g/v Kind" -> plural, of kinds with a scale
};

DisruptionController::DisruptionController(ContextPtr context)
    : context_(std::move(context)),
      budgets_(context_->informers.get<PodDisruptionBudget>()),
      pods_(context_->informers.get<Pod>()),
      rcs_(context_->informers.get<ReplicationController>()),
      sets_(context_->informers.get<ReplicaSet>()),
      deployments_(context_->informers.get<Deployment>()),
      stateful_sets_(context_->informers.get<StatefulSet>()),
      queue_(context_->make_queue("disruption")),
      stale_queue_(context_->make_queue("stale_pod_disruption")),
      events_(context_->recorder("controllermanager")) {}

void DisruptionController::start() {
  auto self = shared_from_this();
  budgets_.add_handler(
      [self](const BudgetPtr& old, const BudgetPtr& now) { self->queue_->add(key_of((now != nullptr ? *now : *old).metadata)); });
  pods_.add_handler([self](const PodPtr& old, const PodPtr& now) { self->pod_changed(old, now); });
  ControllerContext::Cores cores{budgets_.core_ptr(), pods_.core_ptr(),        rcs_.core_ptr(),
                                 sets_.core_ptr(),    deployments_.core_ptr(), stateful_sets_.core_ptr()};
  context_->run_when_synced(cores, queue_, "disruption", 1, [self](std::string key) { return self->reconcile(std::move(key)); });
  context_->run_when_synced(cores, stale_queue_, "stale pod disruption", 1,
                            [self](std::string key) { return self->drop_stale_condition(std::move(key)); });
}

void DisruptionController::tell(const PodDisruptionBudget& budget, std::string type, std::string reason, std::string message) {
  events_->event(client::reference_to(budget), std::move(type), std::move(reason), std::move(message));
}

// ---- events ----------------------------------------------------------------------------------------------------------------

std::vector<BudgetPtr> DisruptionController::budgets_of(const Pod& pod) const {
  std::vector<BudgetPtr> found;
  budgets_.for_each_in(pod.metadata.namespace_, [&](const BudgetPtr& budget) {
    auto selector = schema::LabelSelector::from(budget->spec.selector.get());
    if (selector.ok() && selector->matches(pod.metadata.labels)) found.push_back(budget);
  });
  return found;
}

void DisruptionController::pod_changed(const PodPtr& old, const PodPtr& now) {
  const Pod& pod = now != nullptr ? *now : *old;
  std::vector<BudgetPtr> budgets = budgets_of(pod);
  // Upstream picks one of several; each has its status.
  for (const BudgetPtr& budget : budgets) queue_->add(key_of(budget->metadata));
  if (budgets.size() > 1) {
    std::string message = fmt::format("Pod {}/{} matches multiple PodDisruptionBudgets.  Chose {} arbitrarily.", quote(pod.metadata.namespace_),
                                      quote(pod.metadata.name), quote(budgets[0]->metadata.name));
    events_->event(client::reference_to(pod), "Warning", "MultiplePodDisruptionBudgets", std::move(message));
  }
  bool relabelled = old != nullptr && now != nullptr && !(old->metadata.labels == now->metadata.labels);
  if (relabelled) {
    for (const BudgetPtr& budget : budgets_of(*old)) queue_->add(key_of(budget->metadata));
  }
  if (now == nullptr) return;
  if (auto due = stale_disruption(*now)) {
    Duration wait = std::chrono::duration_cast<Duration>(*due - context_->clock.now());
    stale_queue_->add_after(key_of(now->metadata), std::max(wait, Duration::zero()));
  }
}

// ---- budgets ---------------------------------------------------------------------------------------------------------------

Task<Status> DisruptionController::reconcile(std::string key) {
  BudgetPtr budget = budgets_.get(key);
  if (budget == nullptr) co_return Status();
  Status status = co_await try_sync(budget);
  if (status.ok() || status.code() == 409) co_return status;
  PodDisruptionBudgetStatus failed = failed_status(*budget, status.message(), context_->now());
  if (failed == budget->status) co_return Status();
  status = co_await write(budget, std::move(failed));
  co_return status;
}

Task<Status> DisruptionController::write(BudgetPtr budget, PodDisruptionBudgetStatus status) {
  PodDisruptionBudget changed = *budget;
  changed.status = std::move(status);
  auto updated = co_await context_->client.update_status(std::move(changed));
  co_return updated.status();
}

Task<Status> DisruptionController::try_sync(BudgetPtr budget) {
  auto selector = schema::LabelSelector::from(budget->spec.selector.get());
  if (!selector.ok()) {
    tell(*budget, "Warning", "NoPods", "Failed to get pods: " + std::string(selector.status().message()));
    co_return selector.status();
  }
  std::vector<PodPtr> pods;
  pods_.for_each_in(budget->metadata.namespace_, [&](const PodPtr& pod) {
    if (selector->matches(pod->metadata.labels)) pods.push_back(pod);
  });
  if (pods.empty()) tell(*budget, "Normal", "NoPods", "No matching pods found");

  Scales scales;
  auto expected = static_cast<int32_t>(pods.size());
  Status failure;
  if (needs_scale(*budget)) {
    std::vector<PodPtr> copy = pods;
    auto found = co_await scales_of(std::move(copy));
    failure = found.status();
    if (found.ok()) scales = std::move(*found);
    expected = scales.sum();
  }
  Result<int32_t> desired = desired_healthy(*budget, expected);
  if (failure.ok()) failure = desired.status();
  if (!failure.ok()) {
    tell(*budget, "Warning", "CalculateExpectedPodCountFailed",
         "Failed to calculate the number of expected pods: " + std::string(failure.message()));
    co_return failure;
  }
  if (!scales.unmanaged.empty())
    tell(*budget, "Warning", "UnmanagedPods",
         "Pods selected by this PodDisruptionBudget (selector: " + selector_text(budget->spec.selector.get()) +
             ") were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined "
             "behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.");

  WallTime now = context_->clock.now();
  Disrupted disrupted = disrupted_pods(*budget, pods, now);
  for (const PodPtr& pod : disrupted.not_deleted)
    events_->event(client::reference_to(*pod), "Warning", "NotDeleted",
                   fmt::format("Pod was expected by PDB {0}/{0} to be deleted but it wasn't", budget->metadata.namespace_.view()));
  int32_t healthy = healthy_pods(pods, disrupted.pods, now);
  auto changed = new_status(*budget, healthy, *desired, expected, std::move(disrupted.pods), context_->now());
  if (changed) {
    Status written = co_await write(budget, std::move(*changed));
    if (!written.ok()) co_return written;
  }
  if (disrupted.recheck) {
    // A little late is surely past it.
    Duration wait = std::chrono::duration_cast<Duration>(*disrupted.recheck - now) + std::chrono::milliseconds(10);
    queue_->add_after(key_of(budget->metadata), wait);
  }
  co_return Status();
}

// ---- scales ----------------------------------------------------------------------------------------------------------------

Task<Result<DisruptionController::Scales>> DisruptionController::scales_of(std::vector<PodPtr> pods) {
  Scales scales;
  std::map<std::string, bool> asked;
  for (const PodPtr& pod : pods) {
    const OwnerReference* reference = controller_of(pod->metadata);
    if (reference == nullptr) {
      scales.unmanaged.push_back(pod->metadata.name.str());
      continue;
    }
    if (!asked.emplace(reference->uid.str(), true).second) continue;
    std::string ns = pod->metadata.namespace_.str();
    OwnerReference copy = *reference;
    auto owner = co_await owner_of(std::move(ns), std::move(copy));
    if (!owner.ok()) co_return owner.status();
    if (!owner->has_value()) co_return Status::error("found no controllers for pod " + quote(pod->metadata.name));
    scales.by_owner[(*owner)->uid] = (*owner)->scale;
  }
  co_return scales;
}

// The workloads that everybody uses, from the caches. A ReplicaSet of a Deployment stands for the Deployment.
std::optional<DisruptionController::Owner> DisruptionController::known_owner(std::string_view ns, const OwnerReference& reference) const {
  std::string group = group_of(reference.api_version);
  auto found = [&reference](const auto& object) { return object != nullptr && object->metadata.uid == reference.uid; };
  auto scale = [](const auto& object) { return Owner{object->metadata.uid.str(), object->spec.replicas.value_or(1)}; };
  if (reference.kind == "ReplicationController" && group.empty()) {
    auto rc = rcs_.get(ns, reference.name);
    return found(rc) ? std::optional(scale(rc)) : std::nullopt;
  }
  if (reference.kind == "StatefulSet" && group == "apps") {
    auto set = stateful_sets_.get(ns, reference.name);
    return found(set) ? std::optional(scale(set)) : std::nullopt;
  }
  if (reference.kind != "ReplicaSet" || (group != "apps" && group != "extensions")) return std::nullopt;
  auto rs = sets_.get(ns, reference.name);
  if (!found(rs)) return std::nullopt;
  const OwnerReference* upper = controller_of(rs->metadata);
  if (upper == nullptr || upper->kind != "Deployment") return scale(rs);
  auto deployment = deployments_.get(ns, upper->name);
  if (deployment == nullptr || deployment->metadata.uid != upper->uid) return std::nullopt;
  return scale(deployment);
}

Task<Result<std::optional<DisruptionController::Owner>>> DisruptionController::owner_of(std::string ns, OwnerReference reference) {
  if (auto owner = known_owner(ns, reference)) co_return owner;
  auto owner = co_await scale_of_any(std::move(ns), std::move(reference));
  co_return owner;
}

Task<Result<client::ApiResponse>> DisruptionController::get(std::string target) {
  client::ApiRequest request;
  request.target = std::move(target);
  request.accept = "application/json";
  request.user_agent = context_->client.user_agent();
  auto response = co_await context_->client.transport().send(std::move(request));
  if (!response.ok()) co_return response.status();
  if (response->status != 200)
    co_return client::status_of_response(response->status, response->headers.get("Content-Type"), response->body);
  co_return std::move(*response);
}

Task<Result<std::string>> DisruptionController::plural_with_scale(OwnerReference reference) {
  std::string key = reference.api_version.str() + " " + reference.kind.str(), group = group_of(reference.api_version);
  if (auto known = plurals_.find(key); known != plurals_.end()) co_return known->second;
  std::string target = (group.empty() ? "/api/" : "/apis/") + reference.api_version.str();
  auto response = co_await get(std::move(target));
  if (!response.ok() && response.status().code() != 404) co_return response.status();
  std::string plural;
  bool has_scale = false;
  if (response.ok()) {
    auto list = schema::from_json<api::meta_v1::APIResourceList>(response->body);
    if (!list.ok()) co_return list.status();
    for (const auto& resource : list->resources)
      if (resource.kind == reference.kind && resource.name.view().find('/') == std::string_view::npos) plural = resource.name.str();
    for (const auto& resource : list->resources) has_scale = has_scale || resource.name == plural + "/scale";
  }
  if (plural.empty())
    co_return Status::error(fmt::format("no matches for kind {} in version {}", quote(reference.kind), quote(reference.api_version)));
  if (!has_scale) co_return Status::error(plural + (group.empty() ? "" : "." + group) + " does not implement the scale subresource");
  plurals_[key] = plural;
  co_return plural;
}

// Any other kind says by its scale subresource. None when the owner is gone or another one of its name.
Task<Result<std::optional<DisruptionController::Owner>>> DisruptionController::scale_of_any(std::string ns, OwnerReference reference) {
  OwnerReference copy = reference;
  auto plural = co_await plural_with_scale(std::move(copy));
  if (!plural.ok()) co_return plural.status();
  std::string target = (group_of(reference.api_version).empty() ? "/api/" : "/apis/") + reference.api_version.str() + "/namespaces/" + ns +
                       "/" + *plural + "/" + reference.name.str() + "/scale";
  auto response = co_await get(std::move(target));
  if (response.status().code() == 404) {
    plurals_.erase(reference.api_version.str() + " " + reference.kind.str());
    co_return std::optional<Owner>();
  }
  if (!response.ok()) co_return response.status();
  auto scale = schema::from_json<Scale>(response->body);
  if (!scale.ok()) co_return scale.status();
  std::optional<Owner> owner;
  if (scale->metadata.uid == reference.uid) owner = Owner{scale->metadata.uid.str(), scale->spec.replicas};
  co_return owner;
}

// ---- conditions of pods ----------------------------------------------------------------------------------------------------

Task<Status> DisruptionController::drop_stale_condition(std::string key) {
  PodPtr pod = pods_.get(key);
  auto due = pod == nullptr ? std::nullopt : stale_disruption(*pod);
  if (!due) co_return Status();
  WallTime now = context_->clock.now();
  if (*due > now) {
    stale_queue_->add_after(key, std::chrono::duration_cast<Duration>(*due - now));
    co_return Status();
  }
  Pod changed = *pod;
  for (auto& condition : changed.status.conditions) {
    if (!(condition.type == "DisruptionTarget")) continue;
    condition = {};
    condition.type = "DisruptionTarget";
    condition.status = "False";
    condition.last_transition_time = context_->now();
  }
  auto updated = co_await context_->client.update_status(std::move(changed));
  co_return updated.status();
}

}  // namespace

void start_disruption(const ContextPtr& context) { std::make_shared<DisruptionController>(context)->start(); }

}  // namespace knarr::controller
