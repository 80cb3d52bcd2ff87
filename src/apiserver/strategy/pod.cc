// SPDX-License-Identifier: Apache-2.0
// Strategies of pods and podtemplates.
#include "apiserver/strategy/pod.h"

#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"

namespace knarr::apiserver {

namespace {

void defaults(core::Pod& pod) {
  // Not defaults, but what upstream's conversion does to every pod that comes in.
  for (std::string_view key :
       {"pod.beta.kubernetes.io/init-containers", "pod.alpha.kubernetes.io/init-containers",
        "pod.beta.kubernetes.io/init-container-statuses",
        "pod.alpha.kubernetes.io/init-container-statuses"})
    pod.metadata.annotations.erase(key);
  auto& grace = pod.spec.termination_grace_period_seconds;
  if (grace && *grace < 0) grace = 1;
  apply_table_defaults(pod);
  default_pod(pod);
}

void prepare_create(WriteContext&, core::Pod& pod) {
  pod.status = core::PodStatus();
  pod.status.phase = "Pending";
  pod.status.qos_class = pod_qos(pod.spec);
  drop_disabled_pod_fields(pod.spec, nullptr);
  if (!pod.spec.scheduling_gates.empty()) {
    core::PodCondition& condition = pod.status.conditions.emplace_back();
    condition.type = "PodScheduled";
    condition.status = "False";
    condition.reason = "SchedulingGated";
    condition.message = "Scheduling is blocked due to non-empty scheduling gates";
  }
}

void prepare_update(WriteContext&, core::Pod& pod, const core::Pod& old) {
  pod.status = old.status;
  drop_disabled_pod_fields(pod.spec, &old.spec);
}

void prepare_status(WriteContext&, core::Pod& pod, const core::Pod& old) {
  pod.spec = old.spec;
  pod.metadata.deletion_timestamp = old.metadata.deletion_timestamp;
  pod.metadata.owner_references = old.metadata.owner_references;
  default_pod_status(pod.status);
  drop_disabled_pod_status(pod.status, &old.status);
}

int64_t grace_period(const core::Pod& pod, int64_t requested) {
  int64_t period =
      requested >= 0 ? requested : pod.spec.termination_grace_period_seconds.value_or(0);
  if (pod.spec.node_name.empty()) return 0;
  if (pod.status.phase == "Failed" || pod.status.phase == "Succeeded") return 0;
  return period < 0 ? 1 : period;
}

void warn(WriteContext& context, const core::Pod& pod, const core::Pod* old) {
  if (old != nullptr) return;
  Messages problems = check_dns1123_label(pod.metadata.name);
  if (!problems.empty())
    context.warnings.push_back(
        "metadata.name: this is used in the Pod's hostname, which can result in surprising "
        "behavior; a DNS label is "
        "recommended: [" +
        join(problems, " ") + "]");
  pod_warnings(pod.spec, pod.metadata, Path(), context.warnings);
}

void default_template(core::PodTemplate& object) {
  apply_table_defaults(object);
  default_pod_spec(object.template_.spec);
}
void prepare_template(WriteContext&, core::PodTemplate& object) {
  drop_disabled_pod_fields(object.template_.spec, nullptr);
}
void prepare_template_update(WriteContext&, core::PodTemplate& object,
                             const core::PodTemplate& old) {
  drop_disabled_pod_fields(object.template_.spec, &old.template_.spec);
}
void validate_template(const core::PodTemplate& object, FieldErrors& errors) {
  validate_pod_template(object.template_, Path("template"), pod_options(nullptr, nullptr), errors);
}
void validate_template_update(const core::PodTemplate& object, const core::PodTemplate& old,
                              FieldErrors& errors) {
  validate_pod_template(object.template_, Path("template"),
                        pod_options(&old.template_.spec, &old.template_.metadata), errors);
}

void warn_template(WriteContext& context, const core::PodTemplate& object,
                   const core::PodTemplate* old) {
  template_warnings(object.template_, object, old, Path("template"), context.warnings);
}

constexpr Strategy kStrategies[] = {
    {.group = "",
     .plural = "pods",
     .defaults = erase_defaults<&defaults>,
     .prepare_create = erase_create<&prepare_create>,
     .prepare_update = erase_update<&prepare_update>,
     .validate = erase_validate<&validate_pod>,
     .validate_update = erase_validate_update<&validate_pod_update>,
     .warnings = erase_warnings<&warn>,
     .prepare_status = erase_update<&prepare_status>,
     .validate_status = erase_validate_update<&validate_pod_status_update>,
     .grace_period = erase_grace<&grace_period>,
     .has_status = true,
     .returns_deleted_object = true},
    {.group = "",
     .plural = "podtemplates",
     .defaults = erase_defaults<&default_template>,
     .prepare_create = erase_create<&prepare_template>,
     .prepare_update = erase_update<&prepare_template_update>,
     .validate = erase_validate<&validate_template>,
     .validate_update = erase_validate_update<&validate_template_update>,
     .warnings = erase_warnings<&warn_template>,
     .has_generation = true,
     .returns_deleted_object = true},
};

}  // namespace

std::span<const Strategy> pod_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
