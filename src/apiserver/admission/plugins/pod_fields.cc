// SPDX-License-Identifier: Apache-2.0
// Small plugins about pods and nodes: TaintNodesByCondition, Priority, DefaultTolerationSeconds,
// RuntimeClass.
#include "api/node_v1.h"
#include "api/scheduling_v1.h"
#include "apiserver/admission/plugins/plugins.h"
#include "apiserver/field_errors.h"

namespace knarr::apiserver::admission {

namespace {

constexpr std::string_view kNotReady = "node.kubernetes.io/not-ready";
constexpr std::string_view kUnreachable = "node.kubernetes.io/unreachable";

// ---- TaintNodesByCondition
// ------------------------------------------------------------------------------------------------------

// A new node takes no pods before its controller has seen it ready.
Task<Status> taint_node(Attributes& a) {
  auto* node = object_as<core::Node>(a);
  if (node == nullptr || a.operation != Operation::kCreate || !is_for(a, "", "nodes"))
    co_return Status();
  for (const core::Taint& taint : node->spec.taints)
    if (taint.key == kNotReady && taint.effect == "NoSchedule") co_return Status();
  core::Taint& taint = node->spec.taints.emplace_back();
  taint.key = kNotReady;
  taint.effect = "NoSchedule";
  co_return Status();
}

// ---- Priority
// -------------------------------------------------------------------------------------------------------------------

using api::scheduling_v1::PriorityClass;

// The default class of the lowest value, when there are several.
std::optional<PriorityClass> default_class(ApiServer& server) {
  std::optional<PriorityClass> found;
  server.for_each_cached("scheduling.k8s.io", "priorityclasses", "",
                         [&found](const schema::Object& object) {
                           const auto* candidate = object.as<PriorityClass>();
                           if (candidate == nullptr || !candidate->global_default) return;
                           if (!found || found->value > candidate->value) found = *candidate;
                         });
  return found;
}

Status set_priority(const Attributes& a, core::PodSpec& spec) {
  int32_t priority = 0;
  schema::Opt<schema::Str> policy("PreemptLowerPriority");
  if (spec.priority_class_name.empty()) {
    if (auto found = default_class(server_of(a))) {
      spec.priority_class_name = found->metadata.name;
      priority = found->value;
      policy = found->preemption_policy;
    }
  } else {
    auto found = server_of(a).cached<PriorityClass>("", spec.priority_class_name);
    if (found == nullptr)
      return forbid(a,
                    "no PriorityClass with name " + spec.priority_class_name.str() + " was found");
    priority = found->value;
    policy = found->preemption_policy;
  }
  if (spec.priority && *spec.priority != priority)
    return forbid(
        a, "the integer value of priority (" + std::to_string(*spec.priority) +
               ") must not be provided in pod spec; priority admission controller computed " +
               std::to_string(priority) + " from the given PriorityClass name");
  spec.priority = priority;
  if (!policy) return {};
  if (spec.preemption_policy && !(*spec.preemption_policy == *policy))
    return forbid(
        a, "the string value of PreemptionPolicy (" + spec.preemption_policy->str() +
               ") must not be provided in pod spec; priority admission controller computed " +
               policy->str() + " from the given PriorityClass name");
  spec.preemption_policy = policy;
  return {};
}

Task<Status> mutate_priority(Attributes& a) {
  auto* pod = object_as<core::Pod>(a);
  if (pod == nullptr || !is_for(a, "", "pods")) co_return Status();
  if (a.operation == Operation::kCreate) co_return set_priority(a, pod->spec);
  const auto* old = old_as<core::Pod>(a);
  if (a.operation != Operation::kUpdate || old == nullptr) co_return Status();
  // An update that leaves them out means to keep them.
  if (!pod->spec.priority) pod->spec.priority = old->spec.priority;
  if (!pod->spec.preemption_policy) pod->spec.preemption_policy = old->spec.preemption_policy;
  co_return Status();
}

Task<Status> validate_priority(Attributes& a) {
  const auto* object = object_as<PriorityClass>(a);
  if (object == nullptr || !object->global_default ||
      !is_for(a, "scheduling.k8s.io", "priorityclasses"))
    co_return Status();
  auto found = default_class(server_of(a));
  if (!found) co_return Status();
  bool another =
      a.operation == Operation::kCreate || !(found->metadata.name == object->metadata.name);
  if (another)
    co_return forbid(a, "PriorityClass " + found->metadata.name.str() +
                            " is already marked as default. Only one default can exist");
  co_return Status();
}

// ---- DefaultTolerationSeconds
// -----------------------------------------------------------------------------------------------------

void tolerate(core::Pod& pod, std::string_view key) {
  for (const core::Toleration& toleration : pod.spec.tolerations) {
    bool covers = (toleration.key == key || toleration.key.empty()) &&
                  (toleration.effect == "NoExecute" || toleration.effect.empty());
    if (covers) return;
  }
  core::Toleration& toleration = pod.spec.tolerations.emplace_back();
  toleration.key = key;
  toleration.operator_ = "Exists";
  toleration.effect = "NoExecute";
  toleration.toleration_seconds = 300;
}
Task<Status> add_tolerations(Attributes& a) {
  auto* pod = object_as<core::Pod>(a);
  if (pod == nullptr || !is_for(a, "", "pods")) co_return Status();
  // Judged by what the pod had, before either is added.
  tolerate(*pod, kNotReady);
  tolerate(*pod, kUnreachable);
  co_return Status();
}

// ---- RuntimeClass
// ---------------------------------------------------------------------------------------------------------------

using api::node_v1::RuntimeClass;

constexpr std::string_view kOverheadMismatch =
    "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

// Null in `out` when the pod names none.
Status find_class(const Attributes& a, const core::Pod& pod,
                  std::shared_ptr<const RuntimeClass>& out) {
  if (!pod.spec.runtime_class_name) return {};
  out = server_of(a).cached<RuntimeClass>("", *pod.spec.runtime_class_name);
  if (out == nullptr)
    return forbid(
        a, "pod rejected: RuntimeClass " + quoted(*pod.spec.runtime_class_name) + " not found");
  return {};
}

// Whether every taint that `b` tolerates is tolerated by `a`.
bool is_superset(const core::Toleration& a, const core::Toleration& b) {
  if (a == b) return true;
  if (!(a.key == b.key) && !(a.key.empty() && a.operator_ == "Exists")) return false;
  if (!(a.effect == b.effect) && !a.effect.empty()) return false;
  if (a.effect == "NoExecute") {
    if (a.toleration_seconds &&
        (!b.toleration_seconds || *b.toleration_seconds > *a.toleration_seconds))
      return false;
  }
  if (a.operator_ == "Exists") return true;
  return (a.operator_.empty() || a.operator_ == "Equal") &&
         (b.operator_.empty() || b.operator_ == "Equal") && a.value == b.value;
}
// Both lists without what another entry covers already.
schema::List<core::Toleration> merge_tolerations(const schema::List<core::Toleration>& first,
                                                 const schema::List<core::Toleration>& second) {
  schema::List<core::Toleration> all = first, merged;
  for (const core::Toleration& toleration : second) all.push_back(toleration);
  for (size_t i = 0; i < all.size(); ++i) {
    bool covered = false;
    for (const core::Toleration& kept : merged) covered |= is_superset(kept, all[i]);
    for (size_t j = i + 1; j < all.size() && !covered; ++j)
      covered = is_superset(all[j], all[i]) && !(all[i] == all[j]);
    if (!covered) merged.push_back(all[i]);
  }
  return merged;
}

Task<Status> mutate_runtime_class(Attributes& a) {
  auto* pod = object_as<core::Pod>(a);
  if (pod == nullptr || a.operation != Operation::kCreate || !is_for(a, "", "pods"))
    co_return Status();
  std::shared_ptr<const RuntimeClass> found;
  CO_TRY(find_class(a, *pod, found));
  if (found == nullptr) co_return Status();
  if (found->overhead) {
    if (!pod->spec.overhead.is_null() && !(pod->spec.overhead == found->overhead->pod_fixed))
      co_return forbid(a, kOverheadMismatch);
    pod->spec.overhead = found->overhead->pod_fixed;
  }
  if (!found->scheduling) co_return Status();
  for (const auto& [key, value] : found->scheduling->node_selector) {
    const schema::Str* own = pod->spec.node_selector.find(key);
    if (own != nullptr && !(*own == value))
      co_return forbid(a, "conflict: runtimeClass.scheduling.nodeSelector[" + key.str() +
                              "] = " + value.str() + "; pod.spec.nodeSelector[" + key.str() +
                              "] = " + own->str());
    pod->spec.node_selector[key] = value;
  }
  pod->spec.tolerations = merge_tolerations(pod->spec.tolerations, found->scheduling->tolerations);
  co_return Status();
}

Task<Status> validate_runtime_class(Attributes& a) {
  const auto* pod = object_as<core::Pod>(a);
  if (pod == nullptr || a.operation != Operation::kCreate || !is_for(a, "", "pods"))
    co_return Status();
  std::shared_ptr<const RuntimeClass> found;
  CO_TRY(find_class(a, *pod, found));
  if (found != nullptr && found->overhead) {
    if (!(pod->spec.overhead == found->overhead->pod_fixed)) co_return forbid(a, kOverheadMismatch);
  } else if (!pod->spec.overhead.empty()) {
    co_return forbid(
        a, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
  }
  co_return Status();
}

}  // namespace

Plugin node_taint() { return {"TaintNodesByCondition", true, &taint_node, nullptr}; }
Plugin priority() { return {"Priority", true, &mutate_priority, &validate_priority}; }
Plugin default_toleration_seconds() {
  return {"DefaultTolerationSeconds", true, &add_tolerations, nullptr};
}
Plugin runtime_class() {
  return {"RuntimeClass", true, &mutate_runtime_class, &validate_runtime_class};
}

}  // namespace knarr::apiserver::admission
