// SPDX-License-Identifier: Apache-2.0
// Validation of environment variables and of the downward API.
#include "apiserver/strategy/pod.h"
#include "schema/quantity.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kRequestsHugePages = "requests.hugepages-";
constexpr std::string_view kLimitsHugePages = "limits.hugepages-";

const std::vector<std::string_view>& env_field_paths() {
  static const std::vector<std::string_view> paths = {"metadata.name",
                                                      "metadata.namespace",
                                                      "metadata.uid",
                                                      "spec.nodeName",
                                                      "spec.serviceAccountName",
                                                      "status.hostIP",
                                                      "status.hostIPs",
                                                      "status.podIP",
                                                      "status.podIPs"};
  return paths;
}

// Labels that a field selector of a pod may name; the conversion refuses all others.
bool known_field_label(std::string_view path) {
  for (std::string_view known :
       {"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace",
        "metadata.uid", "spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName",
        "spec.schedulerName", "status.phase", "status.hostIP", "status.hostIPs", "status.podIP",
        "status.podIPs", "spec.host"})
    if (known == path) return true;
  return false;
}

// "metadata.labels['x']" -> path and subscript.
bool split_subscript(std::string_view text, std::string_view& path, std::string_view& subscript) {
  path = text;
  if (!text.ends_with("']")) return false;
  std::string_view cut = text.substr(0, text.size() - 2);
  size_t open = cut.find("['");
  if (open == cut.npos || open == 0) return false;
  path = cut.substr(0, open);
  subscript = cut.substr(open + 2);
  return true;
}

void validate_divisor(std::string_view resource, const schema::Quantity& divisor, const Path& path,
                      FieldErrors& errors) {
  if (schema::QuantityValue::of(divisor).is_zero()) return;
  bool cpu = resource == "limits.cpu" || resource == "requests.cpu";
  std::string_view text = divisor.text;
  if (cpu) {
    if (text != "1m" && text != "1")
      errors.invalid(path / "divisor", quoted(resource),
                     "only divisor's values 1m and 1 are supported with the cpu resource");
    return;
  }
  std::string_view what;
  if (resource == "limits.memory" || resource == "requests.memory") what = "memory";
  if (resource == "limits.ephemeral-storage" || resource == "requests.ephemeral-storage")
    what = "local ephemeral storage";
  if (resource.starts_with(kRequestsHugePages) || resource.starts_with(kLimitsHugePages))
    what = "hugepages";
  if (what.empty()) return;
  for (std::string_view known :
       {"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"})
    if (known == text) return;
  errors.invalid(path / "divisor", quoted(resource),
                 "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei "
                 "are supported with the " +
                     std::string(what) + " resource");
}

template <class Selector>
void validate_key_selector(const Selector& selector, const Path& path, FieldErrors& errors) {
  const Str& name = selector.local_object_reference.name;
  invalid_each(path / "name", name, check_dns1123_subdomain(name), errors);
  if (selector.key.empty()) {
    errors.required(path / "key");
  } else {
    invalid_each(path / "key", selector.key, check_config_map_key(selector.key), errors);
  }
}

void validate_value_from(const core::EnvVar& var, const Path& path, const PodOptions& options,
                         FieldErrors& errors) {
  if (!var.value_from) return;
  const core::EnvVarSource& from = *var.value_from;
  int sources = 0;
  if (from.field_ref) {
    ++sources;
    validate_object_field_selector(*from.field_ref, env_field_paths(), path / "fieldRef", errors);
    validate_host_ips_field(*from.field_ref, options, path / "fieldRef", errors);
  }
  if (from.resource_field_ref) {
    ++sources;
    validate_resource_field_selector(*from.resource_field_ref, false, path / "resourceFieldRef",
                                     errors);
  }
  if (from.config_map_key_ref) {
    ++sources;
    validate_key_selector(*from.config_map_key_ref, path / "configMapKeyRef", errors);
  }
  if (from.secret_key_ref) {
    ++sources;
    validate_key_selector(*from.secret_key_ref, path / "secretKeyRef", errors);
  }
  if (sources == 0) {
    errors.invalid(
        path, "\"\"",
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
  } else if (!var.value.empty()) {
    errors.invalid(path, "\"\"", "may not be specified when `value` is not empty");
  } else if (sources > 1) {
    errors.invalid(path, "\"\"", "may not have more than one field specified at a time");
  }
}

}  // namespace

void validate_env(const List<core::EnvVar>& vars, const Path& path, const PodOptions& options,
                  FieldErrors& errors) {
  for (size_t i = 0; i < vars.size(); ++i) {
    Path at = path.index(i);
    if (vars[i].name.empty()) {
      errors.required(at / "name");
    } else {
      invalid_each(at / "name", vars[i].name, check_env_var_name(vars[i].name), errors);
    }
    validate_value_from(vars[i], at / "valueFrom", options, errors);
  }
}

void validate_env_from(const List<core::EnvFromSource>& sources, const Path& path,
                       FieldErrors& errors) {
  for (size_t i = 0; i < sources.size(); ++i) {
    Path at = path.index(i);
    const core::EnvFromSource& source = sources[i];
    if (!source.prefix.empty())
      invalid_each(at / "prefix", source.prefix, check_env_var_name(source.prefix), errors);
    int count = 0;
    auto check_name = [&](const Str& name, const Path& where) {
      ++count;
      if (name.empty()) {
        errors.required(where / "name");
      } else {
        invalid_each(where / "name", name, name_is_dns_subdomain(name, true), errors);
      }
    };
    if (source.config_map_ref)
      check_name(source.config_map_ref->local_object_reference.name, at / "configMapRef");
    if (source.secret_ref)
      check_name(source.secret_ref->local_object_reference.name, at / "secretRef");
    if (count == 0) {
      errors.invalid(path, "\"\"", "must specify one of: `configMapRef` or `secretRef`");
    } else if (count > 1) {
      errors.invalid(path, "\"\"", "may not have more than one field specified at a time");
    }
  }
}

void validate_object_field_selector(const core::ObjectFieldSelector& selector,
                                    const std::vector<std::string_view>& known, const Path& path,
                                    FieldErrors& errors) {
  if (selector.api_version.empty()) return errors.required(path / "apiVersion");
  if (selector.field_path.empty()) return errors.required(path / "fieldPath");
  std::string_view text = selector.field_path, field, subscript;
  auto refuse = [&](const std::string& why) {
    errors.invalid(path / "fieldPath", quoted(text), "error converting fieldPath: " + why);
  };
  if (!(selector.api_version == "v1"))
    return refuse("unsupported pod version: " + selector.api_version.str());
  if (split_subscript(text, field, subscript)) {
    if (field != "metadata.annotations" && field != "metadata.labels")
      return refuse("field label does not support subscript: " + std::string(text));
    std::string name = field == "metadata.annotations" ? lower(subscript) : std::string(subscript);
    invalid_each(path, name, check_qualified_name(name), errors);
    return;
  }
  if (!known_field_label(text)) return refuse("field label not supported: " + std::string(text));
  if (text == "spec.host") text = "spec.nodeName";
  validate_supported(text, known, path / "fieldPath", errors);
}

void validate_host_ips_field(const core::ObjectFieldSelector& selector, const PodOptions& options,
                             const Path& path, FieldErrors& errors) {
  if (!options.allow_host_ips && selector.field_path == "status.hostIPs")
    errors.forbidden(path, "may not be set when feature gate 'PodHostIPs' is not enabled");
}

void validate_resource_field_selector(const core::ResourceFieldSelector& selector, bool volume,
                                      const Path& path, FieldErrors& errors) {
  std::string_view resource = selector.resource;
  if (volume && selector.container_name.empty()) {
    errors.required(path / "containerName");
  } else if (resource.empty()) {
    errors.required(path / "resource");
  } else if (!resource.starts_with(kRequestsHugePages) && !resource.starts_with(kLimitsHugePages)) {
    validate_supported(resource,
                       {"limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",
                        "requests.ephemeral-storage", "requests.memory"},
                       path / "resource", errors);
  }
  validate_divisor(resource, selector.divisor, path, errors);
}

}  // namespace knarr::apiserver
