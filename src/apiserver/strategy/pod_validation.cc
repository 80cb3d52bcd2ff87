// SPDX-License-Identifier: Apache-2.0
// Validation of a pod as a whole; its parts are in the other pod_*.cc files.
#include <set>

#include "apiserver/strategy/pod.h"
#include "schema/codec.h"

namespace knarr::apiserver {

namespace {

void validate_dns(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  const core::PodDNSConfig* config = spec.dns_config.get();
  if (spec.dns_policy == "None") {
    if (config == nullptr)
      return errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
    if (config->nameservers.empty())
      return errors.required(path / "nameservers",
                             "must provide at least one DNS nameserver when `dnsPolicy` is None");
  }
  if (config == nullptr) return;
  if (config->nameservers.size() > 3)
    errors.invalid(path / "nameservers", go_list(config->nameservers),
                   "must not have more than 3 nameservers");
  for (size_t i = 0; i < config->nameservers.size(); ++i)
    if (!parse_ip(config->nameservers[i]))
      errors.invalid((path / "nameservers").index(i), quoted(config->nameservers[i]),
                     "must be valid IP address");
  if (config->searches.size() > 32)
    errors.invalid(path / "searches", go_list(config->searches),
                   "must not have more than 32 search paths");
  size_t length = config->searches.empty() ? 0 : config->searches.size() - 1;
  for (const Str& search : config->searches) length += search.size();
  if (length > 2048)
    errors.invalid(path / "searches", go_list(config->searches),
                   "must not have more than 2048 characters (including spaces) in the search list");
  for (size_t i = 0; i < config->searches.size(); ++i) {
    std::string_view search = config->searches[i];
    if (search.ends_with('.')) search.remove_suffix(1);
    invalid_each((path / "searches").index(i), search, check_dns1123_subdomain(search), errors);
  }
  for (size_t i = 0; i < config->options.size(); ++i)
    if (config->options[i].name.empty())
      errors.required((path / "options").index(i), "must not be empty");
}

void validate_host_network(const core::PodSpec& spec, const PodOptions& options, const Path& path,
                           FieldErrors& errors) {
  if (!spec.host_network) return;
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    const auto& ports = spec.containers[i].ports;
    for (size_t j = 0; j < ports.size(); ++j)
      if ((options.is_pod || ports[j].host_port != 0) &&
          ports[j].host_port != ports[j].container_port)
        errors.invalid((((path / "containers").index(i)) / "ports").index(j) / "hostPort",
                       std::to_string(ports[j].host_port),
                       "must match `containerPort` when `hostNetwork` is true");
  }
}

void validate_gates(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < spec.readiness_gates.size(); ++i) {
    const Str& type = spec.readiness_gates[i].condition_type;
    invalid_each((path / "readinessGates").index(i) / "conditionType", type,
                 check_qualified_name(type), errors);
  }
  std::set<std::string_view> seen;
  for (size_t i = 0; i < spec.scheduling_gates.size(); ++i) {
    const Str& name = spec.scheduling_gates[i].name;
    Path at = (path / "schedulingGates").index(i);
    invalid_each(at, name, check_qualified_name(name), errors);
    if (!seen.insert(name.view()).second) errors.duplicate(at, quoted(name));
  }
}

void validate_host_aliases(const List<core::HostAlias>& aliases, const Path& path,
                           FieldErrors& errors) {
  for (const core::HostAlias& alias : aliases) {
    if (!parse_ip(alias.ip))
      errors.invalid(path / "ip", quoted(alias.ip), "must be valid IP address");
    for (const Str& hostname : alias.hostnames)
      invalid_each(path / "hostnames", hostname, check_dns1123_subdomain(hostname), errors);
  }
}

void validate_names(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  auto subdomain = [&](std::string_view name, std::string_view field) {
    if (!name.empty()) invalid_each(path / field, name, check_dns1123_subdomain(name), errors);
  };
  auto label = [&](std::string_view name, std::string_view field) {
    if (!name.empty()) invalid_each(path / field, name, check_dns1123_label(name), errors);
  };
  subdomain(spec.service_account_name, "serviceAccountName");
  subdomain(spec.node_name, "nodeName");
  if (spec.active_deadline_seconds &&
      (*spec.active_deadline_seconds < 1 || *spec.active_deadline_seconds > INT32_MAX))
    errors.invalid(path / "activeDeadlineSeconds", std::to_string(*spec.active_deadline_seconds),
                   range_message(1, INT32_MAX));
  label(spec.hostname, "hostname");
  label(spec.subdomain, "subdomain");
  validate_tolerations(spec.tolerations, path / "tolerations", errors);
  validate_host_aliases(spec.host_aliases, path / "hostAliases", errors);
  subdomain(spec.priority_class_name, "priorityClassName");
  if (spec.runtime_class_name)
    invalid_each(path / "runtimeClassName", *spec.runtime_class_name,
                 check_dns1123_subdomain(*spec.runtime_class_name), errors);
  if (spec.preemption_policy)
    validate_choice(*spec.preemption_policy, {"PreemptLowerPriority", "Never"},
                    path / "preemptionPolicy", errors);
}

bool has_bad_selector(const core::PodSpec& spec, bool values_only) {
  FieldErrors found;
  auto look = [&](const meta::LabelSelector* selector) {
    FieldErrors all, without_values;
    validate_label_selector(selector, Path(), all);
    validate_label_selector(selector, Path(), without_values, true);
    if (values_only ? all.causes().size() > without_values.causes().size() : !all.empty())
      found.required(Path());
  };
  if (!values_only) {
    for (const auto& constraint : spec.topology_spread_constraints)
      look(constraint.label_selector.get());
    return !found.empty();
  }
  auto terms = [&](const auto& affinity) {
    for (const auto& term : affinity.required_during_scheduling_ignored_during_execution)
      look(term.label_selector.get());
    for (const auto& term : affinity.preferred_during_scheduling_ignored_during_execution)
      look(term.pod_affinity_term.label_selector.get());
  };
  if (spec.affinity && spec.affinity->pod_affinity) terms(*spec.affinity->pod_affinity);
  if (spec.affinity && spec.affinity->pod_anti_affinity) terms(*spec.affinity->pod_anti_affinity);
  return !found.empty();
}

bool uses_host_ips(const core::PodSpec& spec) {
  for (const auto* containers : {&spec.init_containers, &spec.containers})
    for (const core::Container& container : *containers)
      for (const core::EnvVar& var : container.env)
        if (var.value_from && var.value_from->field_ref &&
            var.value_from->field_ref->field_path == "status.hostIPs")
          return true;
  return false;
}

bool has_odd_huge_pages(const core::PodSpec& spec) {
  for (const auto* containers : {&spec.init_containers, &spec.containers}) {
    for (const core::Container& container : *containers) {
      FieldErrors strict, loose;
      PodOptions allow;
      allow.allow_indivisible_huge_pages = true;
      validate_resources(container.resources, Path(), PodOptions(), strict);
      validate_resources(container.resources, Path(), allow, loose);
      if (strict.causes().size() > loose.causes().size()) return true;
    }
  }
  return false;
}

}  // namespace

PodOptions pod_options(const core::PodSpec* old_spec, const meta::ObjectMeta* old_meta) {
  PodOptions options;
  if (old_spec != nullptr) {
    options.allow_host_ips = uses_host_ips(*old_spec);
    options.allow_invalid_label_values = has_bad_selector(*old_spec, true);
    options.allow_invalid_spread_selector = has_bad_selector(*old_spec, false);
    options.allow_indivisible_huge_pages = has_odd_huge_pages(*old_spec);
    if (old_meta != nullptr) {
      Map<Str> cost;
      if (const Str* value =
              old_meta->annotations.find("controller.kubernetes.io/pod-deletion-cost")) {
        cost["controller.kubernetes.io/pod-deletion-cost"] = *value;
        FieldErrors errors;
        validate_pod_annotations(cost, *old_spec, Path(), PodOptions(), errors);
        options.allow_invalid_deletion_cost = !errors.empty();
      }
    }
  }
  return options;
}

void validate_pod_spec(const core::PodSpec& spec, const meta::ObjectMeta* metadata,
                       const Path& path, const PodOptions& options, FieldErrors& errors) {
  VolumeIndex volumes = validate_volumes(spec.volumes, metadata, path / "volumes", options, errors);
  validate_all_containers(spec, volumes, path, options, errors);
  validate_host_network(spec, options, path, errors);
  validate_choice(spec.restart_policy, {"Always", "OnFailure", "Never"}, path / "restartPolicy",
                  errors);
  validate_choice(spec.dns_policy, {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"},
                  path / "dnsPolicy", errors);
  validate_labels(spec.node_selector, path / "nodeSelector", errors);
  validate_pod_security_context(spec, path, errors);
  validate_affinity(spec.affinity.get(), options, path / "affinity", errors);
  validate_dns(spec, path / "dnsConfig", errors);
  validate_gates(spec, path, errors);
  validate_topology_spread(spec.topology_spread_constraints, options,
                           path / "topologySpreadConstraints", errors);
  validate_names(spec, path, errors);
  if (!spec.overhead.is_null()) {
    core::ResourceRequirements overhead;
    overhead.limits = spec.overhead;
    validate_resources(overhead, path / "overhead", options, errors);
  }
  validate_pod_os(spec, path, errors);
}

void validate_pod_template(const core::PodTemplateSpec& spec, const Path& path,
                           const PodOptions& options, FieldErrors& errors) {
  validate_labels(spec.metadata.labels, path / "labels", errors);
  validate_annotations(spec.metadata.annotations, path / "annotations", errors);
  validate_pod_annotations(spec.metadata.annotations, spec.spec, path / "annotations", options,
                           errors);
  validate_pod_spec(spec.spec, nullptr, path / "spec", options, errors);
  validate_seccomp(spec.metadata.annotations, spec.spec, path / "spec", errors);
  if (!spec.spec.ephemeral_containers.empty())
    errors.forbidden(path / "spec" / "ephemeralContainers",
                     "ephemeral containers not allowed in pod template");
}

void validate_pod_metadata_and_spec(const core::Pod& pod, const PodOptions& options,
                                    FieldErrors& errors) {
  Path spec("spec");
  validate_pod_annotations(pod.metadata.annotations, pod.spec, Path("metadata") / "annotations",
                           options, errors);
  validate_pod_spec(pod.spec, &pod.metadata, spec, options, errors);
  if (pod.spec.service_account_name.empty()) {
    for (size_t i = 0; i < pod.spec.volumes.size(); ++i) {
      const auto& projected = pod.spec.volumes[i].volume_source.projected;
      if (!projected) continue;
      for (size_t j = 0; j < projected->sources.size(); ++j)
        if (projected->sources[j].service_account_token)
          errors.forbidden((((spec / "volumes").index(i)) / "projected" / "sources").index(j) /
                               "serviceAccountToken",
                           "must not be specified when serviceAccountName is not set");
    }
  }
  auto check_image = [&](const List<core::Container>& containers, const Path& path) {
    for (size_t i = 0; i < containers.size(); ++i)
      if (trim(containers[i].image).size() != containers[i].image.size())
        errors.invalid(path.index(i) / "image", quoted(containers[i].image),
                       "must not have leading or trailing whitespace");
  };
  check_image(pod.spec.containers, spec / "containers");
  check_image(pod.spec.init_containers, spec / "initContainers");
}

void validate_pod(const core::Pod& pod, FieldErrors& errors) {
  PodOptions options = pod_options(nullptr, nullptr);
  options.is_pod = true;
  validate_pod_metadata_and_spec(pod, options, errors);
  Path spec("spec");
  if (!pod.spec.ephemeral_containers.empty())
    errors.forbidden(spec / "ephemeralContainers", "cannot be set on create");
  if (!pod.spec.node_name.empty() && !pod.spec.scheduling_gates.empty())
    errors.forbidden(spec / "nodeName",
                     "cannot be set until all schedulingGates have been cleared");
  validate_seccomp(pod.metadata.annotations, pod.spec, spec, errors);
}

void validate_binding(const core::Binding& binding, FieldErrors& errors) {
  if (!binding.target.kind.empty() && !(binding.target.kind == "Node"))
    errors.not_supported(Path("target") / "kind", quoted(binding.target.kind), {"Node", "<empty>"});
  if (binding.target.name.empty()) errors.required(Path("target") / "name");
}

}  // namespace knarr::apiserver
