// SPDX-License-Identifier: Apache-2.0
// Validation of containers: regular, init and ephemeral ones.
#include <set>

#include "apiserver/strategy/pod.h"

namespace knarr::apiserver {

namespace {

using Names = std::set<std::string_view>;

void validate_ports(const List<core::ContainerPort>& ports, const Path& path, FieldErrors& errors) {
  Names names;
  for (size_t i = 0; i < ports.size(); ++i) {
    const core::ContainerPort& port = ports[i];
    Path at = path.index(i);
    if (!port.name.empty()) {
      Messages problems = check_port_name(port.name);
      if (!problems.empty()) {
        invalid_each(at / "name", port.name, problems, errors);
      } else if (!names.insert(port.name.view()).second) {
        errors.duplicate(at / "name", quoted(port.name));
      }
    }
    auto check = [&](int32_t number, std::string_view field) {
      for (const std::string& message : check_port_number(number))
        errors.invalid(at / field, std::to_string(number), message);
    };
    if (port.container_port == 0) {
      errors.required(at / "containerPort");
    } else {
      check(port.container_port, "containerPort");
    }
    if (port.host_port != 0) check(port.host_port, "hostPort");
    validate_choice(port.protocol, {"SCTP", "TCP", "UDP"}, at / "protocol", errors);
  }
}

template <class Container>
bool is_privileged(const Container& container) {
  return container.security_context && container.security_context->privileged.value_or(false);
}

template <class Container>
void validate_mounts(const Container& container, const VolumeIndex& volumes, const Path& path,
                     FieldErrors& errors) {
  Names points;
  for (size_t i = 0; i < container.volume_mounts.size(); ++i) {
    const core::VolumeMount& mount = container.volume_mounts[i];
    Path at = path.index(i);
    if (mount.name.empty()) errors.required(at / "name");
    if (!volumes.contains(mount.name.view())) errors.not_found(at / "name", quoted(mount.name));
    if (mount.mount_path.empty()) errors.required(at / "mountPath");
    if (!points.insert(mount.mount_path.view()).second)
      errors.invalid(at / "mountPath", quoted(mount.mount_path), "must be unique");
    for (const core::VolumeDevice& device : container.volume_devices) {
      if (device.name == mount.name)
        errors.invalid(at / "name", quoted(mount.name), "must not already exist in volumeDevices");
      if (device.device_path == mount.mount_path)
        errors.invalid(at / "mountPath", quoted(mount.mount_path),
                       "must not already exist as a path in volumeDevices");
    }
    if (!mount.sub_path.empty()) validate_descending_path(mount.sub_path, path / "subPath", errors);
    if (!mount.sub_path_expr.empty()) {
      if (!mount.sub_path.empty())
        errors.invalid(at / "subPathExpr", quoted(mount.sub_path_expr),
                       "subPathExpr and subPath are mutually exclusive");
      validate_descending_path(mount.sub_path_expr, path / "subPathExpr", errors);
    }
    if (mount.mount_propagation) {
      Path where = path / "mountPropagation";
      validate_supported(*mount.mount_propagation, {"Bidirectional", "HostToContainer", "None"},
                         where, errors);
      if (*mount.mount_propagation == "Bidirectional" && !is_privileged(container))
        errors.forbidden(
            where, "Bidirectional mount propagation is available only to privileged containers");
    }
  }
}

template <class Container>
void validate_devices(const Container& container, const VolumeIndex& volumes, const Path& path,
                      FieldErrors& errors) {
  Names paths, names;
  for (size_t i = 0; i < container.volume_devices.size(); ++i) {
    const core::VolumeDevice& device = container.volume_devices[i];
    Path at = path.index(i);
    std::string name = quoted(device.name), where = quoted(device.device_path);
    auto volume = volumes.find(device.name.view());
    if (device.name.empty()) errors.required(at / "name");
    if (names.contains(device.name.view())) errors.invalid(at / "name", name, "must be unique");
    if (volume == volumes.end()) {
      errors.not_found(at / "name", name);
    } else if (!volume->second->persistent_volume_claim && !volume->second->ephemeral) {
      errors.invalid(
          at / "name", name,
          "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
    }
    if (device.device_path.empty()) errors.required(at / "devicePath");
    if (paths.contains(device.device_path.view()))
      errors.invalid(at / "devicePath", where, "must be unique");
    FieldErrors backsteps;
    validate_no_backsteps(device.device_path, at, backsteps);
    if (!backsteps.empty()) {
      errors.invalid(at / "devicePath", where, "can not contain backsteps ('..')");
    } else {
      paths.insert(device.device_path.view());
    }
    for (const core::VolumeMount& mount : container.volume_mounts) {
      if (mount.name == device.name)
        errors.invalid(at / "name", name, "must not already exist in volumeMounts");
      if (mount.mount_path == device.device_path)
        errors.invalid(at / "devicePath", where,
                       "must not already exist as a path in volumeMounts");
    }
    if (!device.name.empty()) names.insert(device.name.view());
  }
}

// Container and EphemeralContainerCommon have the same fields.
template <class Container>
void validate_common(const Container& container, const VolumeIndex& volumes, const Path& path,
                     const PodOptions& options, FieldErrors& errors) {
  if (container.name.empty()) {
    errors.required(path / "name");
  } else {
    invalid_each(path / "name", container.name, check_dns1123_label(container.name), errors);
  }
  if (container.image.empty()) errors.required(path / "image");
  validate_choice(container.termination_message_policy, {"File", "FallbackToLogsOnError"},
                  path / "terminationMessagePolicy", errors);
  validate_ports(container.ports, path / "ports", errors);
  validate_env(container.env, path / "env", options, errors);
  validate_env_from(container.env_from, path / "envFrom", errors);
  validate_mounts(container, volumes, path / "volumeMounts", errors);
  validate_devices(container, volumes, path / "volumeDevices", errors);
  validate_choice(container.image_pull_policy, {"Always", "IfNotPresent", "Never"},
                  path / "imagePullPolicy", errors);
  validate_resources(container.resources, path / "resources", options, errors);
  validate_security_context(container.security_context.get(), path / "securityContext", errors);
}

// Two ports of the same protocol, address and host port, in the containers from `first` on.
void validate_host_ports(const core::Container* first, size_t count, const Path& path,
                         FieldErrors& errors) {
  std::set<std::string> taken;
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = 0; j < first[i].ports.size(); ++j) {
      const core::ContainerPort& port = first[i].ports[j];
      if (port.host_port == 0) continue;
      std::string key =
          port.protocol.str() + "/" + port.host_ip.str() + "/" + std::to_string(port.host_port);
      if (!taken.insert(key).second)
        errors.duplicate((path.index(i) / "ports").index(j) / "hostPort", quoted(key));
    }
  }
}

void validate_regular(const core::PodSpec& spec, const VolumeIndex& volumes, const Path& path,
                      const PodOptions& options, FieldErrors& errors) {
  if (spec.containers.empty()) return errors.required(path);
  Names names;
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    const core::Container& container = spec.containers[i];
    Path at = path.index(i);
    validate_common(container, volumes, at, options, errors);
    if (!names.insert(container.name.view()).second)
      errors.duplicate(at / "name", quoted(container.name));
    validate_lifecycle(container, at, errors);
    validate_probes(container, at, errors);
    if (container.restart_policy)
      errors.forbidden(at / "restartPolicy", "may not be set for non-init containers");
  }
  validate_host_ports(spec.containers.begin(), spec.containers.size(), path, errors);
}

void validate_init(const core::PodSpec& spec, const VolumeIndex& volumes, const Path& path,
                   const PodOptions& options, FieldErrors& errors) {
  constexpr std::string_view kNotForInit =
      "may not be set for init containers without restartPolicy=Always";
  Names names;
  for (const core::Container& container : spec.containers) names.insert(container.name.view());
  for (size_t i = 0; i < spec.init_containers.size(); ++i) {
    const core::Container& container = spec.init_containers[i];
    Path at = path.index(i);
    validate_common(container, volumes, at, options, errors);
    bool sidecar = false;
    if (container.restart_policy) {
      validate_supported(*container.restart_policy, {"Always"}, at / "restartPolicy", errors);
      sidecar = *container.restart_policy == "Always";
    }
    if (names.contains(container.name.view())) {
      errors.duplicate(at / "name", quoted(container.name));
    } else if (!container.name.empty()) {
      names.insert(container.name.view());
    }
    validate_host_ports(&container, 1, path, errors);
    if (sidecar) {
      validate_lifecycle(container, at, errors);
      validate_probes(container, at, errors);
    } else {
      if (container.lifecycle) errors.forbidden(at / "lifecycle", kNotForInit);
      if (container.liveness_probe) errors.forbidden(at / "livenessProbe", kNotForInit);
      if (container.readiness_probe) errors.forbidden(at / "readinessProbe", kNotForInit);
      if (container.startup_probe) errors.forbidden(at / "startupProbe", kNotForInit);
    }
  }
}

void validate_ephemeral(const core::PodSpec& spec, const VolumeIndex& volumes, const Path& path,
                        const PodOptions& options, FieldErrors& errors) {
  constexpr std::string_view kNotForEphemeral = "cannot be set for an Ephemeral Container";
  Names others, names;
  for (const auto* list : {&spec.containers, &spec.init_containers})
    for (const core::Container& container : *list) others.insert(container.name.view());
  names = others;
  for (size_t i = 0; i < spec.ephemeral_containers.size(); ++i) {
    const core::EphemeralContainerCommon& container =
        spec.ephemeral_containers[i].ephemeral_container_common;
    const Str& target = spec.ephemeral_containers[i].target_container_name;
    Path at = path.index(i);
    validate_common(container, volumes, at, options, errors);
    if (trim(container.image).size() != container.image.size())
      errors.invalid(at / "image", quoted(container.image),
                     "must not have leading or trailing whitespace");
    if (!names.insert(container.name.view()).second)
      errors.duplicate(at / "name", quoted(container.name));
    if (!target.empty() && !others.contains(target.view()))
      errors.not_found(at / "targetContainerName", quoted(target));
    if (!container.ports.is_null()) errors.forbidden(at / "ports", kNotForEphemeral);
    if (!schema::is_zero(core::ResourceRequirements::table(), &container.resources))
      errors.forbidden(at / "resources", kNotForEphemeral);
    if (!container.resize_policy.is_null()) errors.forbidden(at / "resizePolicy", kNotForEphemeral);
    if (container.restart_policy) errors.forbidden(at / "restartPolicy", kNotForEphemeral);
    if (container.liveness_probe) errors.forbidden(at / "livenessProbe", kNotForEphemeral);
    if (container.readiness_probe) errors.forbidden(at / "readinessProbe", kNotForEphemeral);
    if (container.startup_probe) errors.forbidden(at / "startupProbe", kNotForEphemeral);
    if (container.lifecycle) errors.forbidden(at / "lifecycle", kNotForEphemeral);
    for (size_t j = 0; j < container.volume_mounts.size(); ++j) {
      Path mount = (at / "volumeMounts").index(j);
      if (!container.volume_mounts[j].sub_path.empty())
        errors.forbidden(mount / "subPath", kNotForEphemeral);
      if (!container.volume_mounts[j].sub_path_expr.empty())
        errors.forbidden(mount / "subPathExpr", kNotForEphemeral);
    }
  }
}

}  // namespace

void validate_all_containers(const core::PodSpec& spec, const VolumeIndex& volumes,
                             const Path& path, const PodOptions& options, FieldErrors& errors) {
  validate_regular(spec, volumes, path / "containers", options, errors);
  validate_init(spec, volumes, path / "initContainers", options, errors);
  validate_ephemeral(spec, volumes, path / "ephemeralContainers", options, errors);
}

}  // namespace knarr::apiserver
