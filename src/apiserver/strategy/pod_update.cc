// SPDX-License-Identifier: Apache-2.0
// Which changes of a pod an update may make.
#include "apiserver/strategy/pod.h"
#include "schema/codec.h"
#include "schema/json.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kMirror = "kubernetes.io/config.mirror";
constexpr std::string_view kAppArmor = "container.apparmor.security.beta.kubernetes.io/";

// Upstream prints a Go diff here, whose format it does not promise. Ours: one line a JSON field
// that differs, with both values.
void diff(const json::Value& before, const json::Value& after, const std::string& path,
          std::string& out, int depth) {
  if (before == after) return;
  if (before.is_object() && after.is_object() && depth < 32) {
    for (const auto& [key, value] : before.members()) {
      const json::Value* other = after.find(key);
      diff(value, other == nullptr ? json::Value() : *other, path + "." + key, out, depth + 1);
    }
    for (const auto& [key, value] : after.members())
      if (before.find(key) == nullptr) diff(json::Value(), value, path + "." + key, out, depth + 1);
    return;
  }
  if (before.is_array() && after.is_array() && before.items().size() == after.items().size() &&
      depth < 32) {
    for (size_t i = 0; i < before.items().size(); ++i)
      diff(before.items()[i], after.items()[i], path + "[" + std::to_string(i) + "]", out,
           depth + 1);
    return;
  }
  out +=
      "  " + path + ":\n- \t" + json::to_string(before) + "\n+ \t" + json::to_string(after) + "\n";
}
template <class T>
std::string diff_of(const T& before, const T& after, std::string_view root) {
  auto old_json = json::parse(schema::to_json(before)),
       new_json = json::parse(schema::to_json(after));
  std::string out;
  if (old_json.ok() && new_json.ok()) diff(*old_json, *new_json, std::string(root), out, 0);
  return out;
}

void validate_annotation_updates(const core::Pod& pod, const core::Pod& old,
                                 const PodOptions& options, FieldErrors& errors) {
  Path path = Path("metadata") / "annotations";
  for (const auto& [key, value] : old.metadata.annotations) {
    const Str* now = pod.metadata.annotations.find(key);
    if (now != nullptr && *now == value) continue;
    if (key.view().starts_with(kAppArmor))
      errors.forbidden(path.key(key), "may not remove or update AppArmor annotations");
    if (key == kMirror)
      errors.forbidden(path.key(key), "may not remove or update mirror pod annotation");
  }
  for (const auto& [key, value] : pod.metadata.annotations) {
    if (old.metadata.annotations.contains(key)) continue;
    if (key.view().starts_with(kAppArmor))
      errors.forbidden(path.key(key), "may not add AppArmor annotations");
    if (key == kMirror) errors.forbidden(path.key(key), "may not add mirror pod annotation");
  }
  validate_pod_annotations(pod.metadata.annotations, pod.spec, path, options, errors);
}

// False when the lists cannot be compared.
bool validate_container_updates(const List<core::Container>& now,
                                const List<core::Container>& before, const Path& path,
                                FieldErrors& errors) {
  if (now.size() != before.size()) {
    errors.forbidden(path, "pod updates may not add or remove containers");
    return false;
  }
  for (size_t i = 0; i < now.size(); ++i) {
    if (now[i].image.empty()) errors.required(path.index(i) / "image");
    if (trim(now[i].image).size() != now[i].image.size())
      errors.invalid(path.index(i) / "image", quoted(now[i].image),
                     "must not have leading or trailing whitespace");
  }
  return true;
}

bool validate_deadline(const core::PodSpec& now, const core::PodSpec& before, const Path& path,
                       FieldErrors& errors) {
  if (now.active_deadline_seconds) {
    int64_t value = *now.active_deadline_seconds;
    if (value < 0 || value > INT32_MAX) {
      errors.invalid(path, std::to_string(value), range_message(0, INT32_MAX));
      return false;
    }
    if (before.active_deadline_seconds && *before.active_deadline_seconds < value) {
      errors.invalid(path, std::to_string(value), "must be less than or equal to previous value");
      return false;
    }
  } else if (before.active_deadline_seconds) {
    errors.invalid(path, "null", "must not update from a positive integer to nil value");
  }
  return true;
}

void validate_added_tolerations(const core::PodSpec& now, const core::PodSpec& before,
                                const Path& path, FieldErrors& errors) {
  for (const core::Toleration& old : before.tolerations) {
    bool found = false;
    for (const core::Toleration& candidate : now.tolerations) {
      core::Toleration same = old;
      same.toleration_seconds = candidate.toleration_seconds;
      found |= same == candidate;
    }
    if (!found)
      return errors.forbidden(
          path, "existing toleration can not be modified except its tolerationSeconds");
  }
  validate_tolerations(now.tolerations, path, errors);
}

void validate_deleted_gates(const core::PodSpec& now, const core::PodSpec& before, const Path& path,
                            FieldErrors& errors) {
  for (size_t i = 0; i < now.scheduling_gates.size(); ++i) {
    bool known = false;
    for (const auto& gate : before.scheduling_gates)
      known |= gate.name == now.scheduling_gates[i].name;
    if (!known)
      errors.forbidden(path.index(i) / "name",
                       "only deletion is allowed, but found new scheduling gate '" +
                           now.scheduling_gates[i].name.str() + "'");
  }
}

bool only_additions(const core::NodeSelectorTerm& now, const core::NodeSelectorTerm& before) {
  if (before.match_expressions.empty() && before.match_fields.empty())
    return now.match_expressions.empty() && now.match_fields.empty();
  auto prefix = [](const auto& longer, const auto& shorter) {
    if (longer.size() < shorter.size()) return false;
    for (size_t i = 0; i < shorter.size(); ++i)
      if (!(longer[i] == shorter[i])) return false;
    return true;
  };
  return prefix(now.match_expressions, before.match_expressions) &&
         prefix(now.match_fields, before.match_fields);
}

// A gated pod may have its node selector and node affinity narrowed. What is allowed is put back in
// `munged`.
void allow_gated_changes(core::PodSpec& munged, const core::PodSpec& before, const Path& spec,
                         FieldErrors& errors) {
  if (before.scheduling_gates.empty()) return;
  if (!(munged.node_selector == before.node_selector)) {
    for (const auto& [key, value] : before.node_selector) {
      const Str* now = munged.node_selector.find(key);
      if (now != nullptr && *now == value) continue;
      errors.invalid(spec / "nodeSelector", go_map(munged.node_selector),
                     "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
      break;
    }
    munged.node_selector = before.node_selector;
  }
  const core::NodeAffinity* old_affinity =
      before.affinity ? before.affinity->node_affinity.get() : nullptr;
  const core::NodeAffinity* new_affinity =
      munged.affinity ? munged.affinity->node_affinity.get() : nullptr;
  bool same = old_affinity == nullptr || new_affinity == nullptr ? old_affinity == new_affinity
                                                                 : *old_affinity == *new_affinity;
  if (same) return;
  if (old_affinity != nullptr &&
      old_affinity->required_during_scheduling_ignored_during_execution) {
    Path path = spec / "affinity" / "nodeAffinity" /
                "requiredDuringSchedulingIgnoredDuringExecution" / "nodeSelectorTerms";
    const auto& old_terms =
        old_affinity->required_during_scheduling_ignored_during_execution->node_selector_terms;
    List<core::NodeSelectorTerm> new_terms;
    if (new_affinity != nullptr &&
        new_affinity->required_during_scheduling_ignored_during_execution)
      new_terms =
          new_affinity->required_during_scheduling_ignored_during_execution->node_selector_terms;
    if (!old_terms.empty() && old_terms.size() != new_terms.size()) {
      errors.invalid(path, "[]core.NodeSelectorTerm",
                     "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
    } else {
      for (size_t i = 0; i < old_terms.size(); ++i)
        if (!only_additions(new_terms[i], old_terms[i]))
          errors.invalid(path.index(i), "core.NodeSelectorTerm",
                         "only additions are allowed (no mutations or deletions)");
    }
  }
  if (old_affinity != nullptr) {
    munged.affinity.ensure().node_affinity = before.affinity->node_affinity;
  } else {
    munged.affinity->node_affinity.reset();
    if (!before.affinity && !munged.affinity->pod_affinity && !munged.affinity->pod_anti_affinity)
      munged.affinity.reset();
  }
}

void validate_state_transition(const List<core::ContainerStatus>& now,
                               const List<core::ContainerStatus>& before,
                               std::string_view restart_policy, const Path& path,
                               FieldErrors& errors) {
  if (restart_policy == "Always") return;
  for (size_t i = 0; i < before.size(); ++i) {
    const auto& terminated = before[i].state.terminated;
    if (!terminated || (terminated->exit_code != 0 && restart_policy == "OnFailure")) continue;
    for (const core::ContainerStatus& status : now)
      if (status.name == before[i].name && !status.state.terminated)
        errors.forbidden(path.index(i) / "state",
                         "may not be transitioned to non-terminated state");
  }
}

void validate_pod_ips(const core::PodStatus& status, FieldErrors& errors) {
  Path path = Path("status") / "podIPs";
  std::vector<IpAddress> addresses;
  for (size_t i = 0; i < status.pod_ips.size(); ++i) {
    invalid_each(path.index(i), status.pod_ips[i].ip, check_ip(status.pod_ips[i].ip), errors);
    if (auto address = parse_ip(status.pod_ips[i].ip)) addresses.push_back(*address);
  }
  if (status.pod_ips.size() < 2) return;
  if (!is_dual_stack(addresses) || status.pod_ips.size() > 2)
    errors.invalid(path, "[]core.PodIP", "may specify no more than one IP for each IP family");
  for (size_t i = 1; i < status.pod_ips.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (status.pod_ips[i].ip == status.pod_ips[j].ip) {
        errors.duplicate(path.index(i), "core.PodIP{IP:" + quoted(status.pod_ips[i].ip) + "}");
        break;
      }
}

}  // namespace

void validate_pod_update(const core::Pod& pod, const core::Pod& old, FieldErrors& errors) {
  PodOptions options = pod_options(&old.spec, &old.metadata);
  options.is_pod = true;
  validate_pod_metadata_and_spec(pod, options, errors);
  validate_annotation_updates(pod, old, options, errors);
  Path spec("spec");
  if (!validate_container_updates(pod.spec.containers, old.spec.containers, spec / "containers",
                                  errors))
    return;
  if (!validate_container_updates(pod.spec.init_containers, old.spec.init_containers,
                                  spec / "initContainers", errors))
    return;
  if (!validate_deadline(pod.spec, old.spec, spec / "activeDeadlineSeconds", errors)) return;
  validate_added_tolerations(pod.spec, old.spec, spec / "tolerations", errors);
  validate_deleted_gates(pod.spec, old.spec, spec / "schedulingGates", errors);
  if (pod.spec == old.spec) return;

  core::PodSpec munged = pod.spec;
  for (size_t i = 0; i < munged.containers.size(); ++i)
    munged.containers[i].image = old.spec.containers[i].image;
  for (size_t i = 0; i < munged.init_containers.size(); ++i)
    munged.init_containers[i].image = old.spec.init_containers[i].image;
  munged.active_deadline_seconds = old.spec.active_deadline_seconds;
  munged.scheduling_gates = old.spec.scheduling_gates;
  munged.tolerations = old.spec.tolerations;
  if (old.spec.termination_grace_period_seconds.value_or(0) < 0 &&
      munged.termination_grace_period_seconds.value_or(0) == 1)
    munged.termination_grace_period_seconds = old.spec.termination_grace_period_seconds;
  allow_gated_changes(munged, old.spec, spec, errors);
  if (munged == old.spec) return;
  errors.forbidden(
      spec,
      "pod updates may not change fields other than "
      "`spec.containers[*].image`,`spec.initContainers[*].image`,"
      "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
      "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
      "negative)\n" +
          diff_of(old.spec, munged, "spec"));
}

void validate_pod_status_update(const core::Pod& pod, const core::Pod& old, FieldErrors& errors) {
  validate_annotation_updates(pod, old, pod_options(&old.spec, &old.metadata), errors);
  for (size_t i = 0; i < pod.status.conditions.size(); ++i) {
    const Str& type = pod.status.conditions[i].type;
    if (type == "PodScheduled" || type == "Ready" || type == "Initialized") continue;
    invalid_each((Path("metadata") / "conditions").index(i) / "Type", type,
                 check_qualified_name(type), errors);
  }
  Path status("status");
  if (!(pod.spec.node_name == old.spec.node_name))
    errors.forbidden(status / "nodeName", "may not be changed directly");
  const Str& nominated = pod.status.nominated_node_name;
  if (!nominated.empty() && !(nominated == old.status.nominated_node_name))
    invalid_each(status / "nominatedNodeName", nominated, check_dns1123_subdomain(nominated),
                 errors);
  std::string_view policy = old.spec.restart_policy;
  validate_state_transition(pod.status.container_statuses, old.status.container_statuses, policy,
                            status / "containerStatuses", errors);
  validate_state_transition(pod.status.init_container_statuses, old.status.init_container_statuses,
                            policy, status / "initContainerStatuses", errors);
  validate_state_transition(pod.status.ephemeral_container_statuses,
                            old.status.ephemeral_container_statuses, "Never",
                            status / "ephemeralContainerStatuses", errors);
  validate_pod_ips(pod.status, errors);
}

void validate_ephemeral_containers_update(const core::Pod& pod, const core::Pod& old,
                                          FieldErrors& errors) {
  if (old.metadata.annotations.contains(kMirror))
    return errors.forbidden(Path(), "static pods do not support ephemeral containers");
  PodOptions options = pod_options(&old.spec, &old.metadata);
  options.is_pod = true;
  validate_pod_metadata_and_spec(pod, options, errors);
  validate_annotation_updates(pod, old, options, errors);
  Path path = Path("spec") / "ephemeralContainers";
  for (const core::EphemeralContainer& before : old.spec.ephemeral_containers) {
    const core::EphemeralContainer* now = nullptr;
    std::string name = quoted(before.ephemeral_container_common.name);
    for (const core::EphemeralContainer& candidate : pod.spec.ephemeral_containers)
      if (candidate.ephemeral_container_common.name == before.ephemeral_container_common.name)
        now = &candidate;
    if (now == nullptr) {
      errors.forbidden(path, "existing ephemeral containers " + name + " may not be removed\n");
    } else if (!(*now == before)) {
      errors.forbidden(path, "existing ephemeral containers " + name + " may not be changed\n" +
                                 diff_of(before, *now, ""));
    }
  }
}

}  // namespace knarr::apiserver
