// SPDX-License-Identifier: Apache-2.0
// What is allowed in a pod but hardly meant: the texts of Warning headers (upstream:
// pkg/api/pod/warnings.go).
#include <set>

#include "apiserver/strategy/pod.h"
#include "schema/quantity.h"

namespace knarr::apiserver {

namespace {

using Warnings = std::vector<std::string>;

void warn(Warnings& out, const Path& path, std::string_view text) {
  out.push_back(path.text() + ": " + std::string(text));
}

void placement_warnings(const core::PodSpec& spec, const Path& path, Warnings& out) {
  for (const auto& [key, value] : spec.node_selector)
    if (std::string_view text = deprecated_node_label(key); !text.empty())
      warn(out, (path / "nodeSelector").key(key), text);
  if (spec.affinity && spec.affinity->node_affinity) {
    const core::NodeAffinity& nodes = *spec.affinity->node_affinity;
    Path at = path / "affinity" / "nodeAffinity";
    if (const auto& required = nodes.required_during_scheduling_ignored_during_execution)
      for (size_t i = 0; i < required->node_selector_terms.size(); ++i)
        node_term_warnings(
            required->node_selector_terms[i],
            (at / "requiredDuringSchedulingIgnoredDuringExecution" / "nodeSelectorTerms").index(i),
            out);
    const auto& preferred = nodes.preferred_during_scheduling_ignored_during_execution;
    for (size_t i = 0; i < preferred.size(); ++i)
      node_term_warnings(
          preferred[i].preference,
          (at / "preferredDuringSchedulingIgnoredDuringExecution").index(i) / "preference", out);
  }
  for (size_t i = 0; i < spec.topology_spread_constraints.size(); ++i) {
    const core::TopologySpreadConstraint& constraint = spec.topology_spread_constraints[i];
    Path at = (path / "topologySpreadConstraints").index(i);
    std::string_view text = deprecated_node_label(constraint.topology_key);
    if (!text.empty())
      warn(out, at / "topologyKey", constraint.topology_key.str() + " is " + std::string(text));
    if (!constraint.label_selector)
      warn(out, at / "labelSelector", "a null labelSelector results in matching no pod");
  }
}

void fractional(const schema::Map<schema::Quantity>& amounts, std::string_view name,
                const Path& path, Warnings& out) {
  const schema::Quantity* amount = amounts.find(name);
  if (amount == nullptr) return;
  schema::QuantityValue value = schema::QuantityValue::of(*amount);
  if (value.milli_value() % 1000 != 0)
    warn(out, path.key(name),
         "fractional byte value " + quoted(amount->text) + " is invalid, must be an integer");
}

void volume_warnings(const core::PodSpec& spec, const Path& path, Warnings& out) {
  for (size_t i = 0; i < spec.volumes.size(); ++i) {
    const core::VolumeSource& source = spec.volumes[i].volume_source;
    Path at = (path / "volumes").index(i);
    if (source.photon_persistent_disk)
      warn(out, at / "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+");
    if (source.git_repo) warn(out, at / "gitRepo", "deprecated in v1.11");
    if (source.scale_io) warn(out, at / "scaleIO", "deprecated in v1.16, non-functional in v1.22+");
    if (source.flocker) warn(out, at / "flocker", "deprecated in v1.22, non-functional in v1.25+");
    if (source.storageos)
      warn(out, at / "storageOS", "deprecated in v1.22, non-functional in v1.25+");
    if (source.quobyte) warn(out, at / "quobyte", "deprecated in v1.22, non-functional in v1.25+");
    if (source.glusterfs)
      warn(out, at / "glusterfs", "deprecated in v1.25, non-functional in v1.26+");
    if (source.ephemeral && source.ephemeral->volume_claim_template)
      claim_warnings(source.ephemeral->volume_claim_template->spec,
                     at / "ephemeral" / "volumeClaimTemplate" / "spec", out);
    if (source.cephfs) warn(out, at / "cephfs", "deprecated in v1.28, non-functional in v1.31+");
    if (source.rbd) warn(out, at / "rbd", "deprecated in v1.28, non-functional in v1.31+");
  }
}

void duplicate_warnings(const core::PodSpec& spec, const Path& path, Warnings& out) {
  std::set<std::string_view> ips, secrets;
  for (size_t i = 0; i < spec.host_aliases.size(); ++i)
    if (!ips.insert(spec.host_aliases[i].ip.view()).second)
      warn(out, (path / "hostAliases").index(i) / "ip",
           "duplicate ip " + quoted(spec.host_aliases[i].ip));
  const auto& pulls = spec.image_pull_secrets;
  for (size_t i = 0; i < pulls.size(); ++i)
    if (!secrets.insert(pulls[i].name.view()).second)
      warn(out, (path / "imagePullSecrets").index(i) / "name",
           "duplicate name " + quoted(pulls[i].name));
  for (size_t i = 0; i < pulls.size(); ++i)
    if (pulls[i].name.empty())
      warn(out, (path / "imagePullSecrets").index(i) / "name", "invalid empty name \"\"");
}

// A name that is set again without use of the value it had.
void env_warnings(const List<core::EnvVar>& env, const Path& path, Warnings& out) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < env.size(); ++i) {
    if (seen.insert(env[i].name.view()).second) continue;
    std::string reference = "$(" + env[i].name.str() + ")";
    bool uses = !env[i].value_from && !(env[i].value == reference) &&
                env[i].value.view().find(reference) != std::string_view::npos;
    if (!uses)
      warn(out, (path / "env").index(i), "hides previous definition of " + quoted(env[i].name));
  }
}

void container_warnings(const core::PodSpec& spec, const meta::ObjectMeta& metadata,
                        const Path& root, const Path& path, Warnings& out) {
  constexpr std::string_view kField =
      "non-functional in v1.27+; use the \"seccompProfile\" field instead";
  constexpr std::string_view kPod = "seccomp.security.alpha.kubernetes.io/pod",
                             kPrefix = "container.seccomp.security.alpha.kubernetes.io/";
  Path annotations = root / "metadata" / "annotations";
  if ((!spec.security_context || !spec.security_context->seccomp_profile) &&
      metadata.annotations.contains(kPod))
    warn(out, annotations.key(kPod), kField);
  visit_containers(spec, path, [&](const auto& container, const Path& at) {
    std::string key = std::string(kPrefix) + container.name.str();
    if ((!container.security_context || !container.security_context->seccomp_profile) &&
        metadata.annotations.contains(key))
      warn(out, annotations.key(key), kField);
    for (std::string_view name : {"memory", "ephemeral-storage"}) {
      fractional(container.resources.limits, name, at / "resources" / "limits", out);
      fractional(container.resources.requests, name, at / "resources" / "requests", out);
    }
    env_warnings(container.env, at, out);
  });
}

void port_warnings(const core::PodSpec& spec, const Path& path, Warnings& out) {
  std::map<std::pair<int32_t, std::string_view>,
           std::vector<std::pair<std::string, const core::ContainerPort*>>>
      all;
  visit_containers(spec, path, [&](const auto& container, const Path& at) {
    for (size_t i = 0; i < container.ports.size(); ++i) {
      const core::ContainerPort& port = container.ports[i];
      Path here = (at / "ports").index(i);
      if (!port.host_ip.empty() && port.host_port == 0)
        warn(out, here,
             "hostIP set without hostPort: {Name:" + port.name.str() +
                 " HostPort:0 ContainerPort:" + std::to_string(port.container_port) +
                 " Protocol:" + port.protocol.str() + " HostIP:" + port.host_ip.str() + "}");
      auto& others = all[{port.container_port, port.protocol.view()}];
      for (const auto& [where, other] : others) {
        if (port.host_ip == other->host_ip && port.host_port == other->host_port)
          warn(out, here, "duplicate port definition with " + where);
        else if (port.host_port == 0 || other->host_port == 0)
          warn(out, here, "overlapping port definition with " + where);
        else if (port.host_port == other->host_port &&
                 port.host_ip.empty() != other->host_ip.empty())
          warn(out, here, "dangerously ambiguous port definition with " + where);
      }
      others.emplace_back(here.text(), &port);
    }
  });
}

template <class Affinity>
void affinity_warnings(const Affinity& affinity, const Path& path, Warnings& out) {
  if (!affinity) return;
  constexpr std::string_view kText = "a null labelSelector results in matching no pod";
  const auto& required = affinity->required_during_scheduling_ignored_during_execution;
  for (size_t i = 0; i < required.size(); ++i)
    if (!required[i].label_selector)
      warn(out,
           (path / "requiredDuringSchedulingIgnoredDuringExecution").index(i) / "labelSelector",
           kText);
  const auto& preferred = affinity->preferred_during_scheduling_ignored_during_execution;
  for (size_t i = 0; i < preferred.size(); ++i)
    if (!preferred[i].pod_affinity_term.label_selector)
      warn(out,
           (path / "preferredDuringSchedulingIgnoredDuringExecution").index(i) / "podAffinityTerm" /
               "labelSelector",
           kText);
}

}  // namespace

std::string_view deprecated_node_label(std::string_view key) {
  if (key == "beta.kubernetes.io/arch")
    return "deprecated since v1.14; use \"kubernetes.io/arch\" instead";
  if (key == "beta.kubernetes.io/os")
    return "deprecated since v1.14; use \"kubernetes.io/os\" instead";
  if (key == "failure-domain.beta.kubernetes.io/region")
    return "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead";
  if (key == "failure-domain.beta.kubernetes.io/zone")
    return "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead";
  if (key == "beta.kubernetes.io/instance-type")
    return "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead";
  return {};
}

void node_term_warnings(const core::NodeSelectorTerm& term, const Path& path, Warnings& out) {
  for (size_t i = 0; i < term.match_expressions.size(); ++i) {
    const Str& key = term.match_expressions[i].key;
    std::string_view text = deprecated_node_label(key);
    if (!text.empty())
      warn(out, (path / "matchExpressions").index(i) / "key",
           key.str() + " is " + std::string(text));
  }
}

void claim_warnings(const core::PersistentVolumeClaimSpec& spec, const Path& path, Warnings& out) {
  fractional(spec.resources.requests, "storage", path / "resources" / "requests", out);
  fractional(spec.resources.limits, "storage", path / "resources" / "limits", out);
}

void pod_warnings(const core::PodSpec& spec, const meta::ObjectMeta& metadata, const Path& root,
                  Warnings& out) {
  Path path = root / "spec";
  placement_warnings(spec, path, out);
  for (auto [key, text] :
       {std::pair<std::string_view, std::string_view>(
            "scheduler.alpha.kubernetes.io/critical-pod",
            "non-functional in v1.16+; use the \"priorityClassName\" field instead"),
        {"security.alpha.kubernetes.io/sysctls",
         "non-functional in v1.11+; use the \"sysctls\" field instead"},
        {"security.alpha.kubernetes.io/unsafe-sysctls",
         "non-functional in v1.11+; use the \"sysctls\" field instead"}})
    if (metadata.annotations.contains(key))
      warn(out, (root / "metadata" / "annotations").key(key), text);
  volume_warnings(spec, path, out);
  duplicate_warnings(spec, path, out);
  for (std::string_view name : {"memory", "ephemeral-storage"})
    fractional(spec.overhead, name, path / "overhead", out);
  container_warnings(spec, metadata, root, path, out);
  port_warnings(spec, path, out);
  if (spec.termination_grace_period_seconds && *spec.termination_grace_period_seconds < 0)
    warn(out, path / "terminationGracePeriodSeconds",
         "must be >= 0; negative values are invalid and will be treated as 1");
  if (spec.affinity) {
    affinity_warnings(spec.affinity->pod_affinity, path / "affinity" / "podAffinity", out);
    affinity_warnings(spec.affinity->pod_anti_affinity, path / "affinity" / "podAntiAffinity", out);
  }
}

}  // namespace knarr::apiserver
