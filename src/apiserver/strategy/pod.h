// SPDX-License-Identifier: Apache-2.0
// What pods and the templates of pods have in common: defaults, fields behind closed feature gates,
// quality of service, validation. Pure functions over API objects; any thread.
#pragma once

#include <string_view>

#include "api/core_v1.h"
#include "apiserver/strategy/validators.h"

namespace knarr::apiserver {

namespace core = api::core_v1;
namespace meta = api::meta_v1;

// ---- defaults (pod_defaults.cc)
// -----------------------------------------------------------------------------------------------
// What is irregular in a pod spec, wherever it stands; constants come from the tables
// (table_defaults.h).
void default_pod_spec(core::PodSpec& spec);
// Pods only: requests from limits, enableServiceLinks, host ports.
void default_pod(core::Pod& pod);
void default_pod_status(core::PodStatus& status);
// The pull policy that an image name implies: Always for the tag "latest" and for none.
std::string_view default_pull_policy(std::string_view image);

// Clears fields of features that are off in 1.28, unless the old object uses them already. `old`
// may be null.
void drop_disabled_pod_fields(core::PodSpec& spec, const core::PodSpec* old);
void drop_disabled_pod_status(core::PodStatus& status, const core::PodStatus* old);

std::string_view pod_qos(const core::PodSpec& spec);  // Guaranteed, Burstable or BestEffort

// Visits every container of a spec, init first, then regular, then ephemeral ones (as their common
// part), with its path.
template <class Visit>
void visit_containers(const core::PodSpec& spec, const Path& path, Visit visit) {
  for (size_t i = 0; i < spec.init_containers.size(); ++i)
    visit(spec.init_containers[i], (path / "initContainers").index(i));
  for (size_t i = 0; i < spec.containers.size(); ++i)
    visit(spec.containers[i], (path / "containers").index(i));
  for (size_t i = 0; i < spec.ephemeral_containers.size(); ++i)
    visit(spec.ephemeral_containers[i].ephemeral_container_common,
          (path / "ephemeralContainers").index(i));
}

// ---- validation
// ---------------------------------------------------------------------------------------------------------------
struct PodOptions {
  bool is_pod = false;                      // a Pod itself, not a template
  bool allow_host_ips = false;              // status.hostIPs in the downward API (gate off in 1.28)
  bool allow_invalid_label_values = false;  // of affinity selectors: the old object has them
  bool allow_invalid_spread_selector = false;
  bool allow_indivisible_huge_pages = false;
  bool allow_invalid_deletion_cost = false;
};
// What an update tolerates because the old object already breaks it.
PodOptions pod_options(const core::PodSpec* old_spec, const meta::ObjectMeta* old_meta);

// `metadata` null for templates.
void validate_pod_spec(const core::PodSpec& spec, const meta::ObjectMeta* metadata,
                       const Path& path, const PodOptions& options, FieldErrors& errors);
void validate_pod_template(const core::PodTemplateSpec& spec, const Path& path,
                           const PodOptions& options, FieldErrors& errors);
// The same, and what replication needs: labels that match the selector and restartPolicy Always.
void validate_pod_annotations(const Map<Str>& annotations, const core::PodSpec& spec,
                              const Path& path, const PodOptions& options, FieldErrors& errors);

void validate_pod(const core::Pod& pod, FieldErrors& errors);
void validate_pod_update(const core::Pod& pod, const core::Pod& old, FieldErrors& errors);
void validate_pod_status_update(const core::Pod& pod, const core::Pod& old, FieldErrors& errors);
// PUT and PATCH of pods/ephemeralcontainers.
void validate_ephemeral_containers_update(const core::Pod& pod, const core::Pod& old,
                                          FieldErrors& errors);
// POST of pods/binding and bindings.
void validate_binding(const core::Binding& binding, FieldErrors& errors);
// metadata and spec of a pod, as every one of the above does first.
void validate_pod_metadata_and_spec(const core::Pod& pod, const PodOptions& options,
                                    FieldErrors& errors);

// Texts for Warning headers. `root` is where metadata and spec are: "" of a pod, "spec.template".
void pod_warnings(const core::PodSpec& spec, const meta::ObjectMeta& metadata, const Path& root,
                  std::vector<std::string>& out);
std::string_view deprecated_node_label(std::string_view key);  // "" when it is not
void node_term_warnings(const core::NodeSelectorTerm& term, const Path& path,
                        std::vector<std::string>& out);
void claim_warnings(const core::PersistentVolumeClaimSpec& spec, const Path& path,
                    std::vector<std::string>& out);
// Of the template of a workload that is made, or whose spec has changed.
template <class T>
void template_warnings(const core::PodTemplateSpec& made, const T& object, const T* old,
                       const Path& root, std::vector<std::string>& out) {
  if (old == nullptr || old->metadata.generation != object.metadata.generation)
    pod_warnings(made.spec, made.metadata, root, out);
}

// Parts, by file.
using VolumeIndex = std::map<std::string_view, const core::VolumeSource*>;
VolumeIndex validate_volumes(const List<core::Volume>& volumes, const meta::ObjectMeta* metadata,
                             const Path& path, const PodOptions& options,
                             FieldErrors& errors);  // pod_volumes.cc
void validate_all_containers(const core::PodSpec& spec, const VolumeIndex& volumes,
                             const Path& path, const PodOptions& options,
                             FieldErrors& errors);  // pod_containers.cc
void validate_env(const List<core::EnvVar>& vars, const Path& path, const PodOptions& options,
                  FieldErrors& errors);  // pod_env.cc
void validate_env_from(const List<core::EnvFromSource>& sources, const Path& path,
                       FieldErrors& errors);
void validate_object_field_selector(const core::ObjectFieldSelector& selector,
                                    const std::vector<std::string_view>& known, const Path& path,
                                    FieldErrors& errors);
void validate_resource_field_selector(const core::ResourceFieldSelector& selector, bool volume,
                                      const Path& path, FieldErrors& errors);
void validate_host_ips_field(const core::ObjectFieldSelector& selector, const PodOptions& options,
                             const Path& path, FieldErrors& errors);
void validate_lifecycle(const core::Container& container, const Path& path,
                        FieldErrors& errors);  // pod_probes.cc
void validate_probes(const core::Container& container, const Path& path, FieldErrors& errors);
void validate_security_context(const core::SecurityContext* context, const Path& path,
                               FieldErrors& errors);  // pod_security.cc
void validate_pod_security_context(const core::PodSpec& spec, const Path& path,
                                   FieldErrors& errors);
void validate_seccomp(const Map<Str>& annotations, const core::PodSpec& spec, const Path& path,
                      FieldErrors& errors);
void validate_pod_os(const core::PodSpec& spec, const Path& path, FieldErrors& errors);
void validate_affinity(const core::Affinity* affinity, const PodOptions& options, const Path& path,
                       FieldErrors& errors);  // pod_scheduling.cc
void validate_node_selector(const core::NodeSelector& selector, const Path& path,
                            FieldErrors& errors);
void validate_tolerations(const List<core::Toleration>& tolerations, const Path& path,
                          FieldErrors& errors);
void validate_taint_effect(std::string_view effect, bool allow_empty, const Path& path,
                           FieldErrors& errors);
void validate_topology_spread(const List<core::TopologySpreadConstraint>& constraints,
                              const PodOptions& options, const Path& path, FieldErrors& errors);
void validate_resources(const core::ResourceRequirements& resources, const Path& path,
                        const PodOptions& options, FieldErrors& errors);  // resources.cc

}  // namespace knarr::apiserver
