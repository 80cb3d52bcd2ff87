// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/payload.h"

#include <algorithm>
#include <set>

#include "kubelet/env/container_env.h"
#include "kubelet/env/field_path.h"
#include "kubelet/volume/tree.h"

namespace knarr::kubelet {
namespace core = api::core_v1;

Result<Payload> config_map_payload(const ItemList& items, const core::ConfigMap& config_map,
                                   int32_t default_mode, bool optional) {
  Payload payload;
  if (items.empty()) {
    for (const auto& entry : config_map.data)
      payload[entry.key.str()] = {entry.value.str(), default_mode, {}};
    for (const auto& entry : config_map.binary_data)
      payload[entry.key.str()] = {entry.value.str(), default_mode, {}};
    return payload;
  }
  for (const core::KeyToPath& item : items) {
    const schema::Str* value = config_map.data.find(item.key);
    if (value == nullptr) value = config_map.binary_data.find(item.key);
    if (value == nullptr) {
      if (optional) continue;
      return Status::error("configmap references non-existent config key: " + item.key.str());
    }
    payload[item.path.str()] = {value->str(), item.mode.value_or(default_mode), {}};
  }
  return payload;
}

Result<Payload> secret_payload(const ItemList& items, const core::Secret& secret,
                               int32_t default_mode, bool optional) {
  Payload payload;
  if (items.empty()) {
    for (const auto& entry : secret.data)
      payload[entry.key.str()] = {entry.value.str(), default_mode, {}};
    return payload;
  }
  for (const core::KeyToPath& item : items) {
    const schema::Str* value = secret.data.find(item.key);
    if (value == nullptr) {
      if (optional) continue;
      return Status::error("references non-existent secret key: " + item.key.str());
    }
    payload[item.path.str()] = {value->str(), item.mode.value_or(default_mode), {}};
  }
  return payload;
}

Result<Payload> downward_payload(const schema::List<core::DownwardAPIVolumeFile>& items,
                                 const core::Pod& pod,
                                 const schema::Map<schema::Quantity>& allocatable,
                                 int32_t default_mode) {
  Payload payload;
  std::vector<Status> errors;
  for (const core::DownwardAPIVolumeFile& item : items) {
    FileProjection file;
    file.mode = item.mode.value_or(default_mode);
    Result<std::string> value = std::string();
    if (item.field_ref) {
      value = metadata_field(pod.metadata, item.field_ref->field_path);
    } else if (item.resource_field_ref) {
      value = resource_field_value(*item.resource_field_ref, pod, nullptr, allocatable);
    }
    if (!value.ok()) {
      errors.push_back(value.status());
    } else {
      file.data = std::move(*value);
    }
    payload[clean_path(item.path)] = std::move(file);
  }
  TRY(aggregate_errors(errors));
  return payload;
}

Status aggregate_errors(const std::vector<Status>& errors) {
  std::vector<std::string> seen;
  for (const Status& error : errors)
    if (std::find(seen.begin(), seen.end(), error.message()) == seen.end())
      seen.emplace_back(error.message());
  if (seen.empty()) return {};
  if (seen.size() == 1) return errors.front();
  std::string text = "[";
  for (size_t i = 0; i < seen.size(); ++i) text += (i == 0 ? "" : ", ") + seen[i];
  return Status::error(text + "]");
}

namespace {

Status nested_in_container(std::string_view name, const schema::List<core::VolumeMount>& mounts,
                           std::vector<std::string>& found) {
  std::vector<std::string> all, mine;
  for (const core::VolumeMount& mount : mounts) {
    std::string path = clean_path(mount.mount_path);
    if (mount.name == name) mine.push_back(path);
    all.push_back(std::move(path));
  }
  std::sort(all.begin(), all.end());
  for (const std::string& here : mine) {
    if (here.starts_with("../")) return Status::error("invalid container mount point " + here);
    std::string inside = here + "/";
    std::vector<std::string> taken;
    for (const std::string& path : all) {
      if (!path.starts_with(inside)) continue;
      bool deeper = std::any_of(taken.begin(), taken.end(),
                                [&](const std::string& outer) { return path.starts_with(outer); });
      if (deeper) continue;
      taken.push_back(path + "/");
      found.push_back(path.substr(inside.size()));
    }
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> nested_mount_points(std::string_view name, const core::Pod& pod) {
  std::vector<std::string> found;
  for (const core::Container& container : pod.spec.init_containers)
    TRY(nested_in_container(name, container.volume_mounts, found));
  for (const core::Container& container : pod.spec.containers)
    TRY(nested_in_container(name, container.volume_mounts, found));
  for (const core::EphemeralContainer& container : pod.spec.ephemeral_containers)
    TRY(nested_in_container(name, container.ephemeral_container_common.volume_mounts, found));
  return found;
}

}  // namespace knarr::kubelet
