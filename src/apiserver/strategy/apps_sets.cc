// SPDX-License-Identifier: Apache-2.0
// Strategies of daemonsets and statefulsets.
#include "api/apps_v1.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"
#include "apiserver/strategy/workloads.h"

namespace knarr::apiserver {

namespace {

namespace apps = api::apps_v1;

// ---- DaemonSet
// ------------------------------------------------------------------------------------------------------------------

// The count of template changes, a field of older versions, lives on in an annotation.
constexpr std::string_view kTemplateGeneration = "deprecated.daemonset.template.generation";

int64_t template_generation(const apps::DaemonSet& set) {
  std::string_view text = get_or_empty(set.metadata.annotations, kTemplateGeneration);
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != text.npos)
    return 0;
  return std::stoll(std::string(text));
}
void set_template_generation(apps::DaemonSet& set, int64_t value) {
  set.metadata.annotations[kTemplateGeneration] = std::to_string(value);
}

void default_daemon_set(apps::DaemonSet& set) {
  apps::DaemonSetUpdateStrategy& strategy = set.spec.update_strategy;
  if (strategy.type.empty()) strategy.type = "RollingUpdate";
  if (strategy.type == "RollingUpdate") strategy.rolling_update.ensure();
  apply_table_defaults(set);
  default_pod_spec(set.spec.template_.spec);
}
void prepare_daemon_set(WriteContext&, apps::DaemonSet& set) {
  set_template_generation(set, std::max<int64_t>(template_generation(set), 1));
  drop_disabled_pod_fields(set.spec.template_.spec, nullptr);
}
void prepare_daemon_set_update(WriteContext&, apps::DaemonSet& set, const apps::DaemonSet& old) {
  drop_disabled_pod_fields(set.spec.template_.spec, &old.spec.template_.spec);
  int64_t generation = template_generation(old);
  set_template_generation(set,
                          set.spec.template_ == old.spec.template_ ? generation : generation + 1);
}
void prepare_daemon_set_status(WriteContext&, apps::DaemonSet& set, const apps::DaemonSet& old) {
  set.spec = old.spec;
  set_template_generation(set, template_generation(old));
}

void validate_daemon_strategy(const apps::DaemonSetUpdateStrategy& strategy, const Path& path,
                              FieldErrors& errors) {
  if (strategy.type == "OnDelete") return;
  if (!(strategy.type == "RollingUpdate"))
    return errors.not_supported(path,
                                "apps.DaemonSetUpdateStrategy{Type:" + quoted(strategy.type) +
                                    ", RollingUpdate:(*apps.RollingUpdateDaemonSet)(nil)}",
                                {"RollingUpdate", "OnDelete"});
  Path at = path / "rollingUpdate";
  if (!strategy.rolling_update) return errors.required(at);
  schema::IntOrString unavailable =
      strategy.rolling_update->max_unavailable.value_or(schema::IntOrString());
  schema::IntOrString surge = strategy.rolling_update->max_surge.value_or(schema::IntOrString());
  validate_int_or_percent(unavailable, at / "maxUnavailable", errors);
  validate_int_or_percent(surge, at / "maxSurge", errors);
  validate_at_most_100_percent(unavailable, at / "maxUnavailable", errors);
  validate_at_most_100_percent(surge, at / "maxSurge", errors);
  bool has_unavailable = int_or_percent(unavailable) != 0, has_surge = int_or_percent(surge) != 0;
  if (has_unavailable && has_surge)
    errors.invalid(at / "maxSurge", go_int_or_string(surge),
                   "may not be set when maxUnavailable is non-zero");
  if (!has_unavailable && !has_surge)
    errors.required(at / "maxUnavailable", "cannot be 0 when maxSurge is 0");
}

void validate_daemon_spec(const apps::DaemonSet& set, const PodOptions& options,
                          bool allow_invalid_values, FieldErrors& errors) {
  const apps::DaemonSetSpec& spec = set.spec;
  Path path("spec");
  validate_label_selector(spec.selector.get(), path / "selector", errors, allow_invalid_values);
  auto selector = schema::LabelSelector::from(spec.selector.get());
  Path labels = path / "template" / "metadata" / "labels";
  bool empty = spec.selector && spec.selector->match_labels.empty() &&
               spec.selector->match_expressions.empty();
  if (selector.ok() && !selector->matches(spec.template_.metadata.labels))
    errors.invalid(labels, go_map(spec.template_.metadata.labels),
                   "`selector` does not match template `labels`");
  if (empty)
    errors.invalid(path / "selector", go_selector(*spec.selector),
                   "empty selector is invalid for daemonset");
  validate_selected_template(spec.template_, schema::LabelSelector(), "DaemonSet",
                             path / "template", options, errors);
  validate_nonnegative(spec.min_ready_seconds, path / "minReadySeconds", errors);
  validate_daemon_strategy(spec.update_strategy, path / "updateStrategy", errors);
  validate_nonnegative(spec.revision_history_limit.value_or(0), path / "revisionHistoryLimit",
                       errors);
}
void validate_daemon_set(const apps::DaemonSet& set, FieldErrors& errors) {
  validate_daemon_spec(set, PodOptions(), false, errors);
}
void validate_daemon_set_update(const apps::DaemonSet& set, const apps::DaemonSet& old,
                                FieldErrors& errors) {
  FieldErrors before;
  validate_label_selector(old.spec.selector.get(), Path(), before);
  validate_daemon_spec(set, pod_options(&old.spec.template_.spec, &old.spec.template_.metadata),
                       !before.empty(), errors);
  validate_selector_unchanged(set.spec.selector, old.spec.selector, errors);
}
void validate_daemon_set_status(const apps::DaemonSet& set, const apps::DaemonSet& old,
                                FieldErrors& errors) {
  const apps::DaemonSetStatus& status = set.status;
  Path path("status");
  validate_nonnegative(status.current_number_scheduled, path / "currentNumberScheduled", errors);
  validate_nonnegative(status.number_misscheduled, path / "numberMisscheduled", errors);
  validate_nonnegative(status.desired_number_scheduled, path / "desiredNumberScheduled", errors);
  validate_nonnegative(status.number_ready, path / "numberReady", errors);
  validate_nonnegative(status.observed_generation, path / "observedGeneration", errors);
  validate_nonnegative(status.updated_number_scheduled, path / "updatedNumberScheduled", errors);
  validate_nonnegative(status.number_available, path / "numberAvailable", errors);
  validate_nonnegative(status.number_unavailable, path / "numberUnavailable", errors);
  validate_collision_count(status.collision_count, old.status.collision_count, errors);
}

// ---- StatefulSet
// ----------------------------------------------------------------------------------------------------------------

void default_stateful_set(apps::StatefulSet& set) {
  apps::StatefulSetUpdateStrategy& strategy = set.spec.update_strategy;
  if (strategy.type.empty()) {
    strategy.type = "RollingUpdate";
    strategy.rolling_update.ensure();
  }
  apply_table_defaults(set);
  default_pod_spec(set.spec.template_.spec);
}
// Gate MaxUnavailableStatefulSet is off.
void drop_max_unavailable(apps::StatefulSet& set, const apps::StatefulSet* old) {
  bool used = old != nullptr && old->spec.update_strategy.rolling_update &&
              old->spec.update_strategy.rolling_update->max_unavailable;
  if (!used && set.spec.update_strategy.rolling_update)
    set.spec.update_strategy.rolling_update->max_unavailable.reset();
}
void prepare_stateful_set(WriteContext&, apps::StatefulSet& set) {
  drop_max_unavailable(set, nullptr);
  drop_disabled_pod_fields(set.spec.template_.spec, nullptr);
}
void prepare_stateful_set_update(WriteContext&, apps::StatefulSet& set,
                                 const apps::StatefulSet& old) {
  drop_max_unavailable(set, &old);
  drop_disabled_pod_fields(set.spec.template_.spec, &old.spec.template_.spec);
}

void validate_stateful_strategy(const apps::StatefulSetUpdateStrategy& strategy, const Path& path,
                                FieldErrors& errors) {
  if (strategy.type.empty()) return errors.required(path);
  Path rolling = path / "rollingUpdate";
  if (strategy.type == "OnDelete") {
    if (strategy.rolling_update)
      errors.invalid(rolling,
                     "apps.RollingUpdateStatefulSetStrategy{Partition:" +
                         std::to_string(strategy.rolling_update->partition.value_or(0)) +
                         ", MaxUnavailable:(*intstr.IntOrString)(nil)}",
                     "only allowed for updateStrategy 'RollingUpdate'");
  } else if (strategy.type == "RollingUpdate") {
    if (!strategy.rolling_update) return;
    validate_nonnegative(strategy.rolling_update->partition.value_or(0), rolling / "partition",
                         errors);
    if (const auto& most = strategy.rolling_update->max_unavailable) {
      validate_int_or_percent(*most, rolling / "maxUnavailable", errors);
      if (int_or_percent(*most) == 0)
        errors.invalid(rolling / "maxUnavailable", go_int_or_string(*most), "cannot be 0");
      validate_at_most_100_percent(*most, rolling / "maxUnavailable", errors);
    }
  } else {
    errors.invalid(path,
                   "apps.StatefulSetUpdateStrategy{Type:" + quoted(strategy.type) +
                       ", RollingUpdate:(*apps.RollingUpdateStatefulSetStrategy)(nil)}",
                   "must be 'RollingUpdate' or 'OnDelete'");
  }
}

void validate_stateful_spec(const apps::StatefulSetSpec& spec, const PodOptions& options,
                            FieldErrors& errors) {
  Path path("spec");
  if (spec.pod_management_policy.empty()) {
    errors.required(path / "podManagementPolicy");
  } else if (!(spec.pod_management_policy == "OrderedReady") &&
             !(spec.pod_management_policy == "Parallel")) {
    errors.invalid(path / "podManagementPolicy", quoted(spec.pod_management_policy),
                   "must be 'OrderedReady' or 'Parallel'");
  }
  validate_stateful_strategy(spec.update_strategy, path / "updateStrategy", errors);
  if (const auto& policy = spec.persistent_volume_claim_retention_policy) {
    Path at = path / "persistentVolumeClaimRetentionPolicy";
    validate_supported(policy->when_deleted, {"Retain", "Delete"}, at / "whenDeleted", errors);
    validate_supported(policy->when_scaled, {"Retain", "Delete"}, at / "whenScaled", errors);
  }
  validate_nonnegative(spec.replicas.value_or(0), path / "replicas", errors);
  validate_nonnegative(spec.min_ready_seconds, path / "minReadySeconds", errors);
  if (spec.ordinals) validate_nonnegative(spec.ordinals->start, path / "ordinals.start", errors);
  validate_workload_selector(spec.selector, "statefulset", path / "selector", errors);
  auto selector = schema::LabelSelector::from(spec.selector.get());
  Path at = path / "template";
  if (!selector.ok()) {
    errors.invalid(path / "selector", go_selector(spec.selector), "");
  } else {
    // Upstream checks the metadata of this template only; its spec is checked when pods are made.
    const core::PodTemplateSpec& made = spec.template_;
    if (!selector->matches_everything() && !selector->matches(made.metadata.labels))
      errors.invalid(at / "metadata" / "labels", go_map(made.metadata.labels),
                     "`selector` does not match template `labels`");
    validate_labels(made.metadata.labels, at / "labels", errors);
    validate_annotations(made.metadata.annotations, at / "annotations", errors);
    validate_pod_annotations(made.metadata.annotations, made.spec, at / "annotations", options,
                             errors);
  }
  if (!(spec.template_.spec.restart_policy == "Always"))
    errors.not_supported(at / "spec" / "restartPolicy", quoted(spec.template_.spec.restart_policy),
                         {"Always"});
  if (spec.template_.spec.active_deadline_seconds)
    errors.forbidden(at / "spec" / "activeDeadlineSeconds",
                     "activeDeadlineSeconds in StatefulSet is not Supported");
}
void validate_stateful_set(const apps::StatefulSet& set, FieldErrors& errors) {
  validate_stateful_spec(set.spec, PodOptions(), errors);
}
void validate_stateful_set_update(const apps::StatefulSet& set, const apps::StatefulSet& old,
                                  FieldErrors& errors) {
  validate_stateful_spec(
      set.spec, pod_options(&old.spec.template_.spec, &old.spec.template_.metadata), errors);
  apps::StatefulSetSpec now = set.spec;
  now.replicas = old.spec.replicas;
  now.template_ = old.spec.template_;
  now.update_strategy = old.spec.update_strategy;
  now.min_ready_seconds = old.spec.min_ready_seconds;
  now.ordinals = old.spec.ordinals;
  now.persistent_volume_claim_retention_policy = old.spec.persistent_volume_claim_retention_policy;
  if (!(now == old.spec))
    errors.forbidden(Path("spec"),
                     "updates to statefulset spec for fields other than 'replicas', 'ordinals', "
                     "'template', 'updateStrategy', "
                     "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
}
void validate_stateful_set_status(const apps::StatefulSet& set, const apps::StatefulSet& old,
                                  FieldErrors& errors) {
  constexpr std::string_view kAboveReplicas = "cannot be greater than status.replicas";
  const apps::StatefulSetStatus& status = set.status;
  Path path("status");
  validate_nonnegative(status.replicas, path / "replicas", errors);
  validate_nonnegative(status.ready_replicas, path / "readyReplicas", errors);
  validate_nonnegative(status.current_replicas, path / "currentReplicas", errors);
  validate_nonnegative(status.updated_replicas, path / "updatedReplicas", errors);
  validate_nonnegative(status.available_replicas, path / "availableReplicas", errors);
  validate_nonnegative(status.observed_generation, path / "observedGeneration", errors);
  validate_not_above(status.ready_replicas, status.replicas, path / "readyReplicas", kAboveReplicas,
                     errors);
  validate_not_above(status.current_replicas, status.replicas, path / "currentReplicas",
                     kAboveReplicas, errors);
  validate_not_above(status.updated_replicas, status.replicas, path / "updatedReplicas",
                     kAboveReplicas, errors);
  validate_not_above(status.available_replicas, status.replicas, path / "availableReplicas",
                     kAboveReplicas, errors);
  validate_not_above(status.available_replicas, status.ready_replicas, path / "availableReplicas",
                     "cannot be greater than status.readyReplicas", errors);
  validate_collision_count(status.collision_count, old.status.collision_count, errors);
}

void warn_daemon_set(WriteContext& context, const apps::DaemonSet& set,
                     const apps::DaemonSet* old) {
  if (old == nullptr || !(set.spec.template_ == old->spec.template_))
    pod_warnings(set.spec.template_.spec, set.spec.template_.metadata, Path("spec") / "template",
                 context.warnings);
}
void warn_stateful_set(WriteContext& context, const apps::StatefulSet& set,
                       const apps::StatefulSet* old) {
  Path spec("spec");
  template_warnings(set.spec.template_, set, old, spec / "template", context.warnings);
  for (size_t i = 0; i < set.spec.volume_claim_templates.size(); ++i) {
    Path at = (spec / "volumeClaimTemplates").index(i);
    claim_warnings(set.spec.volume_claim_templates[i].spec, old == nullptr ? at : at / "Spec",
                   context.warnings);
  }
}

constexpr Strategy kStrategies[] = {
    {.group = "apps",
     .plural = "daemonsets",
     .defaults = erase_defaults<&default_daemon_set>,
     .prepare_create = erase_create<&prepare_daemon_set>,
     .prepare_update = erase_update<&prepare_daemon_set_update>,
     .validate = erase_validate<&validate_daemon_set>,
     .validate_update = erase_validate_update<&validate_daemon_set_update>,
     .warnings = erase_warnings<&warn_daemon_set>,
     .prepare_status = erase_update<&prepare_daemon_set_status>,
     .validate_status = erase_validate_update<&validate_daemon_set_status>,
     .has_generation = true,
     .has_status = true},
    {.group = "apps",
     .plural = "statefulsets",
     .defaults = erase_defaults<&default_stateful_set>,
     .prepare_create = erase_create<&prepare_stateful_set>,
     .prepare_update = erase_update<&prepare_stateful_set_update>,
     .validate = erase_validate<&validate_stateful_set>,
     .validate_update = erase_validate_update<&validate_stateful_set_update>,
     .warnings = erase_warnings<&warn_stateful_set>,
     .validate_status = erase_validate_update<&validate_stateful_set_status>,
     .name_problems = &name_is_dns_label,
     .has_generation = true,
     .has_status = true},
};

}  // namespace

std::span<const Strategy> set_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
