// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/planner.h"

#include "kubelet/env/field_path.h"
#include "kubelet/volume/ownership.h"
#include "kubelet/volume/payload.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace {

Status no_mode() { return Status::error("no defaultMode used, not even the default value for it"); }

Status no_plugin(std::string_view volume) {
  return Status::error("failed to get Plugin from volumeSpec for volume " + go_quote(volume) +
                       " err=no volume plugin matched");
}

}  // namespace

bool is_projection(const core::VolumeSource& source) {
  return source.config_map || source.secret || source.downward_api || source.projected;
}

Task<Result<SetUpJob>> VolumePlanner::plan(PodPtr pod, const core::Volume& volume) {
  std::string uid = pod->metadata.uid.str();
  const core::VolumeSource& source = volume.volume_source;
  SetUpJob job;
  job.name = volume.name.str();
  if (!is_path_element(job.name))
    co_return Status::error("invalid volume name " + go_quote(job.name));
  if (pod->spec.security_context && pod->spec.security_context->fs_group)
    job.fs_group = *pod->spec.security_context->fs_group;
  if (source.host_path) {
    job.type = SetUpJob::Type::kHostPath;
    job.host_path = *source.host_path;
    job.path = source.host_path->path.str();
    co_return job;
  }
  if (source.empty_dir) {
    job.path = volume_path(uid, "empty-dir", job.name);
    job.ready_file = pod_dir(uid) + "/plugins/kubernetes.io~empty-dir/" + job.name + "/ready";
    job.medium = source.empty_dir->medium.str();
    job.tmpfs = job.medium == "Memory";
    if (job.tmpfs) job.size_bytes = memory_volume_size(*source.empty_dir, *pod, allocatable());
    co_return job;
  }
  if (source.persistent_volume_claim || source.ephemeral) {
    const auto& claim = source.persistent_volume_claim;
    // A generic ephemeral volume's claim is named by pod and volume.
    std::string name = claim ? claim->claim_name.str() : pod->metadata.name.str() + "-" + job.name;
    bool read_only = claim.has_value() && claim->read_only;
    Result<SetUpJob> planned = co_await plan_claim(pod, std::move(job), std::move(name), read_only);
    co_return planned;
  }
  if (!is_projection(source)) co_return no_plugin(job.name);
  job.type = SetUpJob::Type::kProjection;
  // ConfigMaps lie on disk; what may be secret stays in memory.
  job.tmpfs = !source.config_map;
  std::string_view plugin = source.config_map     ? "configmap"
                            : source.secret       ? "secret"
                            : source.downward_api ? "downward-api"
                                                  : "projected";
  job.path = volume_path(uid, plugin, job.name);
  if (job.tmpfs)
    job.size_bytes = memory_volume_size(core::EmptyDirVolumeSource(), *pod, allocatable());
  CO_TRY_ASSIGN(job.nested, nested_mount_points(job.name, *pod));
  Result<Payload> payload = co_await collect(pod, source);
  CO_TRY_ASSIGN(job.payload, payload);
  co_return job;
}

Task<Result<Payload>> VolumePlanner::collect(PodPtr pod, const core::VolumeSource& source) {
  if (source.config_map) {
    const core::ConfigMapVolumeSource& from = *source.config_map;
    if (!from.default_mode) co_return no_mode();
    std::string name = from.local_object_reference.name.str();
    Result<Payload> payload = co_await config_map_files(
        pod, std::move(name), from.items, *from.default_mode, from.optional.value_or(false));
    co_return payload;
  }
  if (source.secret) {
    const core::SecretVolumeSource& from = *source.secret;
    if (!from.default_mode) co_return no_mode();
    std::string name = from.secret_name.str();
    Result<Payload> payload = co_await secret_files(
        pod, std::move(name), from.items, *from.default_mode, from.optional.value_or(false));
    co_return payload;
  }
  if (source.downward_api) {
    const core::DownwardAPIVolumeSource& from = *source.downward_api;
    if (!from.default_mode) co_return no_mode();
    co_return downward_payload(from.items, *pod, allocatable(), *from.default_mode);
  }
  const core::ProjectedVolumeSource& from = *source.projected;
  if (!from.default_mode) co_return no_mode();
  Payload all;
  std::vector<Status> errors;
  for (const core::VolumeProjection& projection : from.sources) {
    Result<Payload> part = co_await collect_projection(pod, projection, *from.default_mode);
    if (!part.ok()) {
      errors.push_back(part.status());
      continue;
    }
    for (auto& [path, file] : *part) all[path] = std::move(file);
  }
  CO_TRY(aggregate_errors(errors));
  co_return all;
}

Task<Result<Payload>> VolumePlanner::collect_projection(PodPtr pod,
                                                        const core::VolumeProjection& projection,
                                                        int32_t mode) {
  if (projection.secret) {
    const core::SecretProjection& from = *projection.secret;
    std::string name = from.local_object_reference.name.str();
    Result<Payload> payload = co_await secret_files(pod, std::move(name), from.items, mode,
                                                    from.optional.value_or(false));
    co_return payload;
  }
  if (projection.config_map) {
    const core::ConfigMapProjection& from = *projection.config_map;
    std::string name = from.local_object_reference.name.str();
    Result<Payload> payload = co_await config_map_files(pod, std::move(name), from.items, mode,
                                                        from.optional.value_or(false));
    co_return payload;
  }
  if (projection.downward_api)
    co_return downward_payload(projection.downward_api->items, *pod, allocatable(), mode);
  if (!projection.service_account_token) co_return Payload();
  const core::ServiceAccountTokenProjection& from = *projection.service_account_token;
  TokenKey key;
  key.ns = pod->metadata.namespace_.str();
  key.service_account = pod->spec.service_account_name.str();
  key.audience = from.audience.str();
  key.expiration_seconds = from.expiration_seconds.value_or(3600);
  key.pod_name = pod->metadata.name.str();
  key.pod_uid = pod->metadata.uid.str();
  Result<std::string> token = co_await tokens_.token(std::move(key));
  if (!token.ok()) co_return token.status();
  FileProjection file;
  file.data = std::move(*token);
  file.user = common_user(*pod);
  bool has_group = pod->spec.security_context && pod->spec.security_context->fs_group;
  // Only its user needs to read it; with fsGroup the group's bits are added later.
  file.mode = file.user || has_group ? 0600 : mode;
  Payload payload;
  payload[from.path.str()] = std::move(file);
  co_return payload;
}

Task<Result<Payload>> VolumePlanner::config_map_files(PodPtr pod, std::string name,
                                                      const ItemList& items, int32_t mode,
                                                      bool optional) {
  std::string ns = pod->metadata.namespace_.str();
  Result<ConfigMapPtr> found = co_await objects_.config_map(std::move(ns), std::move(name));
  if (found.ok()) co_return config_map_payload(items, **found, mode, optional);
  if (!optional || !found.status().is("NotFound")) co_return found.status();
  core::ConfigMap none;
  co_return config_map_payload(items, none, mode, optional);
}
Task<Result<Payload>> VolumePlanner::secret_files(PodPtr pod, std::string name,
                                                  const ItemList& items, int32_t mode,
                                                  bool optional) {
  std::string ns = pod->metadata.namespace_.str();
  Result<SecretPtr> found = co_await objects_.secret(std::move(ns), std::move(name));
  if (found.ok()) co_return secret_payload(items, **found, mode, optional);
  if (!optional || !found.status().is("NotFound")) co_return found.status();
  core::Secret none;
  co_return secret_payload(items, none, mode, optional);
}

Task<Result<SetUpJob>> VolumePlanner::plan_claim(PodPtr pod, SetUpJob job, std::string claim,
                                                 bool read_only) {
  std::string ns = pod->metadata.namespace_.str();
  std::string which = "error processing PVC " + ns + "/" + claim;
  Result<core::PersistentVolumeClaim> found =
      co_await client_.get<core::PersistentVolumeClaim>(std::move(ns), std::move(claim));
  if (!found.ok())
    co_return found.status()
        .with_context("failed to fetch PVC from API server")
        .with_context(which);
  if (found->metadata.deletion_timestamp) co_return Status::error(which + ": PVC is being deleted");
  if (found->status.phase != "Bound" || found->spec.volume_name.empty())
    co_return Status::error(which + ": PVC is not bound");
  std::string none, volume_name = found->spec.volume_name.str();
  Result<core::PersistentVolume> volume =
      co_await client_.get<core::PersistentVolume>(std::move(none), std::move(volume_name));
  if (!volume.ok()) co_return volume.status().with_context(which);
  const core::PersistentVolumeSource& source = volume->spec.persistent_volume_source;
  job.read_only = read_only;
  if (volume->spec.volume_mode.value_or("Filesystem") != "Filesystem")
    co_return Status::error(which + ": block volumes are not supported");
  if (source.host_path) {
    job.type = SetUpJob::Type::kHostPath;
    job.host_path = *source.host_path;
    job.path = source.host_path->path.str();
    job.fs_group.reset();
    co_return job;
  }
  if (!source.local) co_return no_plugin(job.name);
  job.type = SetUpJob::Type::kLocal;
  job.source_path = source.local->path.str();
  // Named by the volume, not by the pod's name for it, as upstream.
  job.path = volume_path(pod->metadata.uid, "local-volume", volume->metadata.name);
  if (!is_path_element(volume->metadata.name))
    co_return Status::error("invalid volume name " + go_quote(volume->metadata.name));
  co_return job;
}

}  // namespace knarr::kubelet
