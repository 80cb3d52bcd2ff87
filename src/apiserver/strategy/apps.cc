// SPDX-License-Identifier: Apache-2.0
// Strategies of replicationcontrollers, replicasets, deployments and controllerrevisions. Daemon
// and stateful sets: apps_sets.cc.
#include "api/apps_v1.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"
#include "apiserver/strategy/workloads.h"

namespace knarr::apiserver {

namespace {

namespace apps = api::apps_v1;

template <class Status>
void validate_replica_status(const Status& status, FieldErrors& errors) {
  constexpr std::string_view kAboveReplicas = "cannot be greater than status.replicas";
  Path path("status");
  validate_nonnegative(status.replicas, path / "replicas", errors);
  validate_nonnegative(status.fully_labeled_replicas, path / "fullyLabeledReplicas", errors);
  validate_nonnegative(status.ready_replicas, path / "readyReplicas", errors);
  validate_nonnegative(status.available_replicas, path / "availableReplicas", errors);
  validate_nonnegative(status.observed_generation, path / "observedGeneration", errors);
  validate_not_above(status.fully_labeled_replicas, status.replicas, path / "fullyLabeledReplicas",
                     kAboveReplicas, errors);
  validate_not_above(status.ready_replicas, status.replicas, path / "readyReplicas", kAboveReplicas,
                     errors);
  validate_not_above(status.available_replicas, status.replicas, path / "availableReplicas",
                     kAboveReplicas, errors);
  validate_not_above(status.available_replicas, status.ready_replicas, path / "availableReplicas",
                     "cannot be greater than readyReplicas", errors);
}

// ---- ReplicationController
// ------------------------------------------------------------------------------------------------------

void default_controller(core::ReplicationController& controller) {
  apply_table_defaults(controller);
  if (!controller.spec.template_) return;
  const Map<Str>& labels = controller.spec.template_->metadata.labels;
  if (!labels.is_null()) {
    if (controller.spec.selector.empty()) controller.spec.selector = labels;
    if (controller.metadata.labels.empty()) controller.metadata.labels = labels;
  }
  default_pod_spec(controller.spec.template_->spec);
}
void prepare_controller(WriteContext&, core::ReplicationController& controller) {
  if (controller.spec.template_) drop_disabled_pod_fields(controller.spec.template_->spec, nullptr);
}
void prepare_controller_update(WriteContext&, core::ReplicationController& controller,
                               const core::ReplicationController& old) {
  if (controller.spec.template_)
    drop_disabled_pod_fields(controller.spec.template_->spec,
                             old.spec.template_ ? &old.spec.template_->spec : nullptr);
}
void validate_controller_spec(const core::ReplicationController& controller,
                              const PodOptions& options, FieldErrors& errors) {
  const core::ReplicationControllerSpec& spec = controller.spec;
  Path path("spec");
  validate_nonnegative(spec.min_ready_seconds, path / "minReadySeconds", errors);
  if (spec.selector.empty()) errors.required(path / "selector");
  validate_nonnegative(spec.replicas.value_or(0), path / "replicas", errors);
  if (!spec.template_) return errors.required(path / "template");
  validate_selected_template(*spec.template_, schema::LabelSelector::from_set(spec.selector),
                             "ReplicationController", path / "template", options, errors);
}
void validate_controller(const core::ReplicationController& controller, FieldErrors& errors) {
  validate_controller_spec(controller, PodOptions(), errors);
}
void validate_controller_update(const core::ReplicationController& controller,
                                const core::ReplicationController& old, FieldErrors& errors) {
  PodOptions options;
  if (old.spec.template_)
    options = pod_options(&old.spec.template_->spec, &old.spec.template_->metadata);
  validate_controller_spec(controller, options, errors);
}
void validate_controller_status(const core::ReplicationController& controller,
                                const core::ReplicationController&, FieldErrors& errors) {
  validate_replica_status(controller.status, errors);
}
void warn_controller(WriteContext& context, const core::ReplicationController& controller,
                     const core::ReplicationController* old) {
  if (old == nullptr) warn_of_name(context, controller.metadata.name);
  if (controller.spec.template_)
    template_warnings(*controller.spec.template_, controller, old, Path("spec") / "template",
                      context.warnings);
}

// ---- ReplicaSet
// -----------------------------------------------------------------------------------------------------------------

void default_replica_set(apps::ReplicaSet& set) {
  apply_table_defaults(set);
  default_pod_spec(set.spec.template_.spec);
}
void prepare_replica_set(WriteContext&, apps::ReplicaSet& set) {
  drop_disabled_pod_fields(set.spec.template_.spec, nullptr);
}
void prepare_replica_set_update(WriteContext&, apps::ReplicaSet& set, const apps::ReplicaSet& old) {
  drop_disabled_pod_fields(set.spec.template_.spec, &old.spec.template_.spec);
}
// spec.selector and spec.template of ReplicaSets and Deployments.
template <class Spec>
void validate_template_of(const Spec& spec, const PodOptions& options, FieldErrors& errors) {
  Path path("spec");
  validate_workload_selector(spec.selector, "deployment", path / "selector", errors);
  auto selector = schema::LabelSelector::from(spec.selector.get());
  if (!selector.ok()) {
    errors.invalid(path / "selector", go_selector(spec.selector), "invalid label selector");
  } else {
    validate_selected_template(spec.template_, *selector, "ReplicaSet", path / "template", options,
                               errors);
  }
}
void validate_replica_set_spec(const apps::ReplicaSet& set, const PodOptions& options,
                               FieldErrors& errors) {
  validate_nonnegative(set.spec.replicas.value_or(0), Path("spec") / "replicas", errors);
  validate_nonnegative(set.spec.min_ready_seconds, Path("spec") / "minReadySeconds", errors);
  validate_template_of(set.spec, options, errors);
}
void validate_replica_set(const apps::ReplicaSet& set, FieldErrors& errors) {
  validate_replica_set_spec(set, PodOptions(), errors);
}
void validate_replica_set_update(const apps::ReplicaSet& set, const apps::ReplicaSet& old,
                                 FieldErrors& errors) {
  validate_replica_set_spec(
      set, pod_options(&old.spec.template_.spec, &old.spec.template_.metadata), errors);
  validate_selector_unchanged(set.spec.selector, old.spec.selector, errors);
}
void validate_replica_set_status(const apps::ReplicaSet& set, const apps::ReplicaSet&,
                                 FieldErrors& errors) {
  validate_replica_status(set.status, errors);
}
void warn_replica_set(WriteContext& context, const apps::ReplicaSet& set,
                      const apps::ReplicaSet* old) {
  if (old == nullptr) warn_of_name(context, set.metadata.name);
  template_warnings(set.spec.template_, set, old, Path("spec") / "template", context.warnings);
}

// ---- Deployment
// -----------------------------------------------------------------------------------------------------------------

void default_deployment(apps::Deployment& deployment) {
  apps::DeploymentStrategy& strategy = deployment.spec.strategy;
  if (strategy.type.empty()) strategy.type = "RollingUpdate";
  if (strategy.type == "RollingUpdate") strategy.rolling_update.ensure();
  apply_table_defaults(deployment);
  default_pod_spec(deployment.spec.template_.spec);
}
void prepare_deployment(WriteContext&, apps::Deployment& deployment) {
  drop_disabled_pod_fields(deployment.spec.template_.spec, nullptr);
}
void prepare_deployment_update(WriteContext&, apps::Deployment& deployment,
                               const apps::Deployment& old) {
  drop_disabled_pod_fields(deployment.spec.template_.spec, &old.spec.template_.spec);
  // Annotations are copied to replica sets: a change of them counts.
  if (!(deployment.metadata.annotations == old.metadata.annotations))
    deployment.metadata.generation = old.metadata.generation + 1;
}
void prepare_deployment_status(WriteContext&, apps::Deployment& deployment,
                               const apps::Deployment& old) {
  deployment.spec = old.spec;
  deployment.metadata.labels = old.metadata.labels;
}

void validate_strategy(const apps::DeploymentStrategy& strategy, const Path& path,
                       FieldErrors& errors) {
  if (strategy.type == "Recreate") {
    if (strategy.rolling_update)
      errors.forbidden(path / "rollingUpdate",
                       "may not be specified when strategy `type` is 'Recreate'");
    return;
  }
  if (!(strategy.type == "RollingUpdate"))
    return errors.not_supported(path,
                                "apps.DeploymentStrategy{Type:" + quoted(strategy.type) +
                                    ", RollingUpdate:(*apps.RollingUpdateDeployment)(nil)}",
                                {"Recreate", "RollingUpdate"});
  if (!strategy.rolling_update)
    return errors.required(path / "rollingUpdate", "this should be defaulted and never be nil");
  schema::IntOrString unavailable =
      strategy.rolling_update->max_unavailable.value_or(schema::IntOrString());
  schema::IntOrString surge = strategy.rolling_update->max_surge.value_or(schema::IntOrString());
  Path at = path / "rollingUpdate";
  validate_int_or_percent(unavailable, at / "maxUnavailable", errors);
  validate_int_or_percent(surge, at / "maxSurge", errors);
  if (int_or_percent(unavailable) == 0 && int_or_percent(surge) == 0)
    errors.invalid(at / "maxUnavailable", go_int_or_string(unavailable),
                   "may not be 0 when `maxSurge` is 0");
  validate_at_most_100_percent(unavailable, at / "maxUnavailable", errors);
}
void validate_deployment_spec(const apps::DeploymentSpec& spec, const PodOptions& options,
                              FieldErrors& errors) {
  Path path("spec");
  validate_nonnegative(spec.replicas.value_or(0), path / "replicas", errors);
  validate_template_of(spec, options, errors);
  validate_strategy(spec.strategy, path / "strategy", errors);
  validate_nonnegative(spec.min_ready_seconds, path / "minReadySeconds", errors);
  validate_nonnegative(spec.revision_history_limit.value_or(0), path / "revisionHistoryLimit",
                       errors);
  if (spec.progress_deadline_seconds) {
    int32_t deadline = *spec.progress_deadline_seconds;
    validate_nonnegative(deadline, path / "progressDeadlineSeconds", errors);
    if (deadline <= spec.min_ready_seconds)
      errors.invalid(path / "progressDeadlineSeconds", std::to_string(deadline),
                     "must be greater than minReadySeconds");
  }
}
void validate_deployment(const apps::Deployment& deployment, FieldErrors& errors) {
  validate_deployment_spec(deployment.spec, PodOptions(), errors);
}
void validate_deployment_update(const apps::Deployment& deployment, const apps::Deployment& old,
                                FieldErrors& errors) {
  validate_deployment_spec(
      deployment.spec, pod_options(&old.spec.template_.spec, &old.spec.template_.metadata), errors);
  validate_selector_unchanged(deployment.spec.selector, old.spec.selector, errors);
}
void validate_deployment_status(const apps::Deployment& deployment, const apps::Deployment& old,
                                FieldErrors& errors) {
  constexpr std::string_view kAboveReplicas = "cannot be greater than status.replicas";
  const apps::DeploymentStatus& status = deployment.status;
  Path path("status");
  validate_nonnegative(status.observed_generation, path / "observedGeneration", errors);
  validate_nonnegative(status.replicas, path / "replicas", errors);
  validate_nonnegative(status.updated_replicas, path / "updatedReplicas", errors);
  validate_nonnegative(status.ready_replicas, path / "readyReplicas", errors);
  validate_nonnegative(status.available_replicas, path / "availableReplicas", errors);
  validate_nonnegative(status.unavailable_replicas, path / "unavailableReplicas", errors);
  validate_not_above(status.updated_replicas, status.replicas, path / "updatedReplicas",
                     kAboveReplicas, errors);
  validate_not_above(status.ready_replicas, status.replicas, path / "readyReplicas", kAboveReplicas,
                     errors);
  validate_not_above(status.available_replicas, status.replicas, path / "availableReplicas",
                     kAboveReplicas, errors);
  validate_not_above(status.available_replicas, status.ready_replicas, path / "availableReplicas",
                     "cannot be greater than readyReplicas", errors);
  validate_collision_count(status.collision_count, old.status.collision_count, errors);
}
void warn_deployment(WriteContext& context, const apps::Deployment& deployment,
                     const apps::Deployment* old) {
  if (old == nullptr) warn_of_name(context, deployment.metadata.name);
  template_warnings(deployment.spec.template_, deployment, old, Path("spec") / "template",
                    context.warnings);
}

// ---- ControllerRevision
// ---------------------------------------------------------------------------------------------------------

void validate_revision(const apps::ControllerRevision& revision, FieldErrors& errors) {
  if (revision.data.bytes.empty()) errors.required(Path("data"), "data is mandatory");
  validate_nonnegative(revision.revision, Path("revision"), errors);
}
void validate_revision_update(const apps::ControllerRevision& revision,
                              const apps::ControllerRevision& old, FieldErrors& errors) {
  validate_revision(revision, errors);
  if (!(revision.data == old.data))
    errors.invalid(Path("data"), quoted(revision.data.bytes), kFieldImmutable);
}

constexpr Strategy kControllers = {
    .group = "",
    .plural = "replicationcontrollers",
    .defaults = erase_defaults<&default_controller>,
    .prepare_create = erase_create<&prepare_controller>,
    .prepare_update = erase_update<&prepare_controller_update>,
    .validate = erase_validate<&validate_controller>,
    .validate_update = erase_validate_update<&validate_controller_update>,
    .warnings = erase_warnings<&warn_controller>,
    .validate_status = erase_validate_update<&validate_controller_status>,
    .has_generation = true,
    .has_status = true,
    .orphan_by_default = true};
constexpr Strategy kReplicaSets = {
    .group = "apps",
    .plural = "replicasets",
    .defaults = erase_defaults<&default_replica_set>,
    .prepare_create = erase_create<&prepare_replica_set>,
    .prepare_update = erase_update<&prepare_replica_set_update>,
    .validate = erase_validate<&validate_replica_set>,
    .validate_update = erase_validate_update<&validate_replica_set_update>,
    .warnings = erase_warnings<&warn_replica_set>,
    .validate_status = erase_validate_update<&validate_replica_set_status>,
    .has_generation = true,
    .has_status = true};
constexpr Strategy kDeployments = {
    .group = "apps",
    .plural = "deployments",
    .defaults = erase_defaults<&default_deployment>,
    .prepare_create = erase_create<&prepare_deployment>,
    .prepare_update = erase_update<&prepare_deployment_update>,
    .validate = erase_validate<&validate_deployment>,
    .validate_update = erase_validate_update<&validate_deployment_update>,
    .warnings = erase_warnings<&warn_deployment>,
    .prepare_status = erase_update<&prepare_deployment_status>,
    .validate_status = erase_validate_update<&validate_deployment_status>,
    .has_generation = true,
    .has_status = true};
constexpr Strategy kRevisions = {
    .group = "apps",
    .plural = "controllerrevisions",
    .validate = erase_validate<&validate_revision>,
    .validate_update = erase_validate_update<&validate_revision_update>};
constexpr Strategy kStrategies[] = {kControllers, kReplicaSets, kDeployments, kRevisions};

}  // namespace

std::span<const Strategy> workload_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
