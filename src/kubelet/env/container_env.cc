// SPDX-License-Identifier: Apache-2.0
#include "kubelet/env/container_env.h"

#include "kubelet/env/expansion.h"
#include "kubelet/env/field_path.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace {

// [-._a-zA-Z][-._a-zA-Z0-9]*, and not ".", ".." or "..x".
bool is_env_name(std::string_view name) {
  if (name.empty() || name == "." || name.starts_with("..")) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    char c = name[i];
    bool letter =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_';
    bool digit = c >= '0' && c <= '9';
    if (!letter && !(digit && i > 0)) return false;
  }
  return true;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}

// Variables in the order in which they were first set.
class Environment {
 public:
  void set(std::string name, std::string value) {
    auto [at, added] = index_.try_emplace(name, variables_.size());
    if (added) {
      variables_.emplace_back(std::move(name), std::move(value));
    } else {
      variables_[at->second].second = std::move(value);
    }
  }
  const std::string* find(std::string_view name) const {
    auto at = index_.find(name);
    return at == index_.end() ? nullptr : &variables_[at->second].second;
  }
  EnvVars take() { return std::move(variables_); }

 private:
  EnvVars variables_;
  std::map<std::string, size_t, std::less<>> index_;
};

// One call of make_container_env.
class Builder {
 public:
  Builder(ObjectSource& objects, EnvInputs inputs) : objects_(objects), in_(std::move(inputs)) {}

  Task<Result<EnvVars>> run() {
    for (auto& [name, value] : service_env(in_.services)) services_.set(name, value);
    for (const core::EnvFromSource& from : in_.container->env_from) {
      Status status = co_await add_from(from);
      CO_TRY(status);
    }
    for (const core::EnvVar& variable : in_.container->env) {
      Status status = co_await add_variable(variable);
      CO_TRY(status);
    }
    EnvVars result = env_.take();
    Environment taken;
    for (const auto& [name, value] : result) taken.set(name, "");
    for (auto& [name, value] : services_.take())
      if (taken.find(name) == nullptr) result.emplace_back(std::move(name), std::move(value));
    co_return result;
  }

 private:
  std::string ns() const { return in_.pod->metadata.namespace_.str(); }

  Task<Result<ConfigMapPtr>> config_map(std::string name) {
    if (auto at = config_maps_.find(name); at != config_maps_.end()) co_return at->second;
    std::string space = ns();
    Result<ConfigMapPtr> found = co_await objects_.config_map(std::move(space), name);
    if (found.ok()) config_maps_[name] = *found;
    co_return found;
  }
  Task<Result<SecretPtr>> secret(std::string name) {
    if (auto at = secrets_.find(name); at != secrets_.end()) co_return at->second;
    std::string space = ns();
    Result<SecretPtr> found = co_await objects_.secret(std::move(space), name);
    if (found.ok()) secrets_[name] = *found;
    co_return found;
  }

  void add_all(const schema::Map<schema::Str>& data, std::string_view prefix, std::string_view kind,
               std::string_view name) {
    std::vector<std::string> invalid;
    for (const auto& entry : data) {
      std::string key = std::string(prefix) + entry.key.str();
      if (!is_env_name(key)) {
        invalid.push_back(std::move(key));
      } else {
        env_.set(std::move(key), entry.value.str());
      }
    }
    if (invalid.empty() || !in_.event) return;
    std::sort(invalid.begin(), invalid.end());
    in_.event("Warning", "InvalidEnvironmentVariableNames",
              "Keys [" + join(invalid, ", ") + "] from the EnvFrom " + std::string(kind) + " " +
                  ns() + "/" + std::string(name) +
                  " were skipped since they are considered invalid environment variable names.");
  }

  Task<Status> add_from(const core::EnvFromSource& from) {
    if (from.config_map_ref) {
      std::string name = from.config_map_ref->local_object_reference.name.str();
      Result<ConfigMapPtr> found = co_await config_map(name);
      if (found.ok()) {
        add_all((*found)->data, from.prefix, "configMap", name);
      } else if (!found.status().is("NotFound") || !from.config_map_ref->optional.value_or(false)) {
        co_return found.status();
      }
    } else if (from.secret_ref) {
      std::string name = from.secret_ref->local_object_reference.name.str();
      Result<SecretPtr> found = co_await secret(name);
      if (found.ok()) {
        add_all((*found)->data, from.prefix, "secret", name);
      } else if (!found.status().is("NotFound") || !from.secret_ref->optional.value_or(false)) {
        co_return found.status();
      }
    }
    co_return Status();
  }

  std::string expanded(std::string_view text) const {
    return expand_variables(text, [this](std::string_view name) -> std::optional<std::string_view> {
      if (const std::string* value = env_.find(name)) return *value;
      if (const std::string* value = services_.find(name)) return *value;
      return std::nullopt;
    });
  }

  // nullopt: an optional source that is absent leaves the variable out.
  using Value = std::optional<std::string>;
  Task<Result<Value>> config_map_value(const core::ConfigMapKeySelector& selector) {
    std::string name = selector.local_object_reference.name.str();
    bool optional = selector.optional.value_or(false);
    Result<ConfigMapPtr> found = co_await config_map(name);
    if (!found.ok()) {
      if (optional && found.status().is("NotFound")) co_return Value();
      co_return found.status();
    }
    if (const schema::Str* value = (*found)->data.find(selector.key)) co_return Value(value->str());
    if (optional) co_return Value();
    co_return Status::error("couldn't find key " + selector.key.str() + " in ConfigMap " + ns() +
                            "/" + name);
  }
  Task<Result<Value>> secret_value(const core::SecretKeySelector& selector) {
    std::string name = selector.local_object_reference.name.str();
    bool optional = selector.optional.value_or(false);
    Result<SecretPtr> found = co_await secret(name);
    if (!found.ok()) {
      if (optional && found.status().is("NotFound")) co_return Value();
      co_return found.status();
    }
    if (const schema::Str* value = (*found)->data.find(selector.key)) co_return Value(value->str());
    if (optional) co_return Value();
    co_return Status::error("couldn't find key " + selector.key.str() + " in Secret " + ns() + "/" +
                            name);
  }

  Task<Status> add_variable(const core::EnvVar& variable) {
    std::string value;
    if (!variable.value.empty()) {
      value = expanded(variable.value);
    } else if (variable.value_from) {
      const core::EnvVarSource& source = *variable.value_from;
      if (source.field_ref) {
        CO_TRY_ASSIGN(value, pod_field_value(*in_.pod, source.field_ref->field_path, in_.pod_ips,
                                             in_.host_ips));
      } else if (source.resource_field_ref) {
        CO_TRY_ASSIGN(value, resource_field_value(*source.resource_field_ref, *in_.pod,
                                                  in_.container, in_.allocatable));
      } else if (source.config_map_key_ref) {
        Result<Value> found = co_await config_map_value(*source.config_map_key_ref);
        CO_TRY_ASSIGN(Value text, found);
        if (!text.has_value()) co_return Status();
        value = std::move(*text);
      } else if (source.secret_key_ref) {
        Result<Value> found = co_await secret_value(*source.secret_key_ref);
        CO_TRY_ASSIGN(Value text, found);
        if (!text.has_value()) co_return Status();
        value = std::move(*text);
      }
    }
    env_.set(variable.name.str(), std::move(value));
    co_return Status();
  }

  ObjectSource& objects_;
  EnvInputs in_;
  Environment env_, services_;
  std::map<std::string, ConfigMapPtr> config_maps_;
  std::map<std::string, SecretPtr> secrets_;
};

}  // namespace

Task<Result<EnvVars>> make_container_env(ObjectSource& objects, EnvInputs inputs) {
  auto builder = std::make_unique<Builder>(objects, std::move(inputs));
  Result<EnvVars> result = co_await builder->run();
  co_return result;
}

CommandLine expand_command(const core::Container& container, const EnvVars& env) {
  std::map<std::string_view, std::string_view> values;
  for (const auto& [name, value] : env) values[name] = value;
  VariableLookup lookup = [&](std::string_view name) -> std::optional<std::string_view> {
    auto at = values.find(name);
    if (at == values.end()) return std::nullopt;
    return at->second;
  };
  CommandLine line;
  for (const schema::Str& text : container.command)
    line.command.push_back(expand_variables(text, lookup));
  for (const schema::Str& text : container.args)
    line.args.push_back(expand_variables(text, lookup));
  return line;
}

Result<std::string> pod_field_value(const core::Pod& pod, std::string_view path,
                                    const std::vector<std::string>& pod_ips,
                                    const std::vector<std::string>& host_ips) {
  if (auto parts = split_subscript(path);
      parts && parts->first != "metadata.annotations" && parts->first != "metadata.labels")
    return Status::error("field label does not support subscript: " + std::string(path));
  if (path == "spec.nodeName" || path == "spec.host") return pod.spec.node_name.str();
  if (path == "spec.serviceAccountName") return pod.spec.service_account_name.str();
  if (path == "status.hostIP" || path == "status.hostIPs") {
    if (host_ips.empty()) return Status::error("host IP unknown; known addresses: []");
    // PodHostIPs is an alpha feature of this version, off by default: the list is empty.
    return path == "status.hostIP" ? host_ips.front() : std::string();
  }
  if (path == "status.podIP") return pod_ips.empty() ? std::string() : pod_ips.front();
  if (path == "status.podIPs") return join(pod_ips, ",");
  if (!path.starts_with("metadata.") && path != "spec.restartPolicy" &&
      path != "spec.schedulerName" && path != "status.phase")
    return Status::error("field label not supported: " + std::string(path));
  return metadata_field(pod.metadata, path);
}

}  // namespace knarr::kubelet
