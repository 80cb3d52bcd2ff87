// SPDX-License-Identifier: Apache-2.0
// Strategies of leases, priorityclasses and runtimeclasses.
#include "api/coordination_v1.h"
#include "api/node_v1.h"
#include "api/scheduling_v1.h"
#include "apiserver/strategy/pod.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"

namespace knarr::apiserver {

namespace {

// ---- Lease
// ----------------------------------------------------------------------------------------------------------------------

using api::coordination_v1::Lease;

void validate_lease(const Lease& lease, FieldErrors& errors) {
  Path path("spec");
  if (lease.spec.lease_duration_seconds && *lease.spec.lease_duration_seconds <= 0)
    errors.invalid(path / "leaseDurationSeconds",
                   std::to_string(*lease.spec.lease_duration_seconds), "must be greater than 0");
  if (lease.spec.lease_transitions && *lease.spec.lease_transitions < 0)
    errors.invalid(path / "leaseTransitions", std::to_string(*lease.spec.lease_transitions),
                   kIsNegative);
}
void validate_lease_update(const Lease& lease, const Lease&, FieldErrors& errors) {
  validate_lease(lease, errors);
}

// ---- PriorityClass
// --------------------------------------------------------------------------------------------------------------

using api::scheduling_v1::PriorityClass;

constexpr int32_t kHighestUserPriority = 1000000000;

void default_priority(PriorityClass& object) { apply_table_defaults(object); }

std::string system_class_problem(const PriorityClass& object) {
  struct Known {
    std::string_view name;
    int32_t value;
  };
  for (Known known :
       {Known{"system-node-critical", 2000001000}, Known{"system-cluster-critical", 2000000000}}) {
    if (!(object.metadata.name == known.name)) continue;
    if (object.value != known.value)
      return "value of " + object.metadata.name.str() + " PriorityClass must be " +
             std::to_string(known.value);
    if (object.global_default)
      return "globalDefault of " + object.metadata.name.str() + " PriorityClass must be false";
    return {};
  }
  return object.metadata.name.str() + " is not a known system priority class";
}
void validate_priority(const PriorityClass& object, FieldErrors& errors) {
  if (object.metadata.name.view().starts_with("system-")) {
    std::string problem = system_class_problem(object);
    if (!problem.empty())
      errors.forbidden(
          Path("metadata") / "name",
          "priority class names with 'system-' prefix are reserved for system use only. error: " +
              problem);
  } else if (object.value > kHighestUserPriority) {
    errors.forbidden(Path("value"), "maximum allowed value of a user defined priority is " +
                                        std::to_string(kHighestUserPriority));
  }
  if (object.preemption_policy)
    validate_choice(*object.preemption_policy, {"PreemptLowerPriority", "Never"},
                    Path("preemptionPolicy"), errors);
}
void validate_priority_update(const PriorityClass& object, const PriorityClass& old,
                              FieldErrors& errors) {
  if (object.value != old.value)
    errors.forbidden(Path("value"), "may not be changed in an update.");
  validate_immutable(object.preemption_policy, old.preemption_policy,
                     go_pointer_text(object.preemption_policy), Path("preemptionPolicy"), errors);
}
// The generation stays at 1: nothing that may change counts.
void prepare_priority(WriteContext&, PriorityClass& object) { object.metadata.generation = 1; }

// ---- RuntimeClass
// ---------------------------------------------------------------------------------------------------------------

using api::node_v1::RuntimeClass;

void validate_runtime(const RuntimeClass& object, FieldErrors& errors) {
  invalid_each(Path("handler"), object.handler, check_dns1123_label(object.handler), errors);
  if (object.overhead) {
    core::ResourceRequirements overhead;
    overhead.limits = object.overhead->pod_fixed;
    validate_resources(overhead, Path("overhead"), PodOptions(), errors);
  }
  if (!object.scheduling) return;
  Path path("scheduling");
  validate_labels(object.scheduling->node_selector, path / "nodeSelector", errors);
  const auto& tolerations = object.scheduling->tolerations;
  validate_tolerations(tolerations, path / "tolerations" / "tolerations", errors);
  for (size_t i = 1; i < tolerations.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const core::Toleration &a = tolerations[i], &b = tolerations[j];
      if (!(a.key == b.key) || !(a.operator_ == b.operator_) || !(a.value == b.value) ||
          !(a.effect == b.effect))
        continue;
      errors.duplicate((path / "tolerations").index(i),
                       "core.Toleration{Key:" + quoted(a.key) + "}");
      break;
    }
  }
}
void validate_runtime_update(const RuntimeClass& object, const RuntimeClass& old,
                             FieldErrors& errors) {
  validate_runtime(object, errors);
  validate_immutable(object.handler, old.handler, quoted(object.handler), Path("handler"), errors);
}

constexpr Strategy kStrategies[] = {
    {.group = "coordination.k8s.io",
     .plural = "leases",
     .validate = erase_validate<&validate_lease>,
     .validate_update = erase_validate_update<&validate_lease_update>,
     .allow_create_on_update = true,
     .allow_unconditional_update = false},
    {.group = "scheduling.k8s.io",
     .plural = "priorityclasses",
     .defaults = erase_defaults<&default_priority>,
     .prepare_create = erase_create<&prepare_priority>,
     .validate = erase_validate<&validate_priority>,
     .validate_update = erase_validate_update<&validate_priority_update>},
    {.group = "node.k8s.io",
     .plural = "runtimeclasses",
     .validate = erase_validate<&validate_runtime>,
     .validate_update = erase_validate_update<&validate_runtime_update>,
     .allow_create_on_update = true,
     .allow_unconditional_update = false},
};

}  // namespace

std::span<const Strategy> small_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
