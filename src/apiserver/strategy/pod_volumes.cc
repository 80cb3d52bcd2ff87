// SPDX-License-Identifier: Apache-2.0
// Validation of the volumes of a pod.
#include <set>

#include "apiserver/strategy/pod.h"
#include "apiserver/strategy/volume_sources.h"
#include "schema/quantity.h"

namespace knarr::apiserver {

namespace {

const std::vector<std::string_view>& volume_field_paths() {
  static const std::vector<std::string_view> paths = {"metadata.annotations", "metadata.labels",
                                                      "metadata.name", "metadata.namespace",
                                                      "metadata.uid"};
  return paths;
}

void validate_key_to_path(const core::KeyToPath& item, const Path& path, FieldErrors& errors) {
  require(item.key, path / "key", errors);
  require(item.path, path / "path", errors);
  validate_non_reserved_path(item.path, path / "path", errors);
  validate_mode(item.mode, path / "mode", errors);
}
void validate_items(const List<core::KeyToPath>& items, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < items.size(); ++i)
    validate_key_to_path(items[i], (path / "items").index(i), errors);
}

void validate_downward_file(const core::DownwardAPIVolumeFile& file, const PodOptions& options,
                            const Path& path, FieldErrors& errors) {
  require(file.path, path / "path", errors);
  validate_non_reserved_path(file.path, path / "path", errors);
  if (file.field_ref) {
    validate_object_field_selector(*file.field_ref, volume_field_paths(), path / "fieldRef",
                                   errors);
    if (file.resource_field_ref)
      errors.invalid(path, "\"resource\"",
                     "fieldRef and resourceFieldRef can not be specified simultaneously");
    validate_host_ips_field(*file.field_ref, options, path / "fieldRef", errors);
  } else if (file.resource_field_ref) {
    validate_resource_field_selector(*file.resource_field_ref, true, path / "resourceFieldRef",
                                     errors);
  } else {
    errors.required(path, "one of fieldRef and resourceFieldRef is required");
  }
  validate_mode(file.mode, path / "mode", errors);
}

void validate_token(const core::ServiceAccountTokenProjection& token, const Path& path,
                    const Path& parent, FieldErrors& errors) {
  int64_t seconds = token.expiration_seconds.value_or(3600);
  Path at = path / "expirationSeconds";
  if (seconds < 600)
    errors.invalid(at, std::to_string(seconds), "may not specify a duration less than 10 minutes");
  if (seconds > int64_t{1} << 32)
    errors.invalid(at, std::to_string(seconds),
                   "may not specify a duration larger than 2^32 seconds");
  if (token.path.empty()) errors.required(parent / "path");
}

void validate_projected(const core::ProjectedVolumeSource& source, const PodOptions& options,
                        const Path& path, FieldErrors& errors) {
  validate_mode(source.default_mode, path / "defaultMode", errors);
  std::set<std::string_view> taken;
  auto take = [&](const Str& target, std::string_view printed) {
    if (!target.empty() && !taken.insert(target.view()).second)
      errors.invalid(path, quoted(printed), "conflicting duplicate paths");
  };
  for (size_t i = 0; i < source.sources.size(); ++i) {
    const core::VolumeProjection& projection = source.sources[i];
    Path at = (path / "sources").index(i);
    int count = 0;
    auto keyed = [&](const auto& projected, const Path& where) {
      ++count;
      const Str& name = projected.local_object_reference.name;
      require(name, where / "name", errors);
      for (size_t j = 0; j < projected.items.size(); ++j) {
        validate_key_to_path(projected.items[j], (where / "items").index(j), errors);
        take(projected.items[j].path, name);
      }
    };
    if (projection.secret) keyed(*projection.secret, at / "secret");
    if (projection.config_map) keyed(*projection.config_map, at / "configMap");
    if (projection.downward_api) {
      ++count;
      for (const core::DownwardAPIVolumeFile& file : projection.downward_api->items) {
        validate_downward_file(file, options, at / "downwardAPI", errors);
        take(file.path, file.path);
      }
    }
    if (projection.service_account_token) {
      ++count;
      validate_token(*projection.service_account_token, at / "serviceAccountToken", path, errors);
    }
    if (count > 1) errors.forbidden(at, "may not specify more than 1 volume type");
  }
}

void validate_ephemeral(const core::EphemeralVolumeSource& source, std::string_view volume,
                        const meta::ObjectMeta* metadata, const Path& parent, FieldErrors& errors) {
  Path path = parent / "ephemeral" / "volumeClaimTemplate";
  if (!source.volume_claim_template) {
    errors.required(path);
  } else {
    const core::PersistentVolumeClaimTemplate& claim = *source.volume_claim_template;
    validate_annotations(claim.metadata.annotations, path / "metadata" / "annotations", errors);
    validate_labels(claim.metadata.labels, path / "metadata" / "labels", errors);
    meta::ObjectMeta rest = claim.metadata;
    rest.annotations.reset();
    rest.labels.reset();
    for (const schema::Field& field : meta::ObjectMeta::table().fields()) {
      // Only labels and annotations mean anything on a template.
      if (field.kind == schema::Kind::kString && field.shape == schema::Shape::kPlain &&
          !static_cast<const Str*>(schema::field_at(static_cast<const void*>(&rest), field))
               ->empty())
        errors.forbidden(path / "metadata" / schema::field_name(meta::ObjectMeta::table(), field),
                         "cannot be set");
    }
    if (!rest.owner_references.empty())
      errors.forbidden(path / "metadata" / "ownerReferences", "cannot be set");
    if (!rest.finalizers.empty())
      errors.forbidden(path / "metadata" / "finalizers", "cannot be set");
    validate_pvc_spec(claim.spec, nullptr, path / "spec", errors);
  }
  if (metadata == nullptr || metadata->name.empty() || volume.empty()) return;
  std::string claim_name = metadata->name.str() + "-" + std::string(volume);
  for (const std::string& message : check_dns1123_subdomain(claim_name))
    errors.invalid(parent / "name", quoted(volume),
                   "PVC name " + quoted(claim_name) + ": " + message);
}

void validate_source(const core::VolumeSource& source, std::string_view volume,
                     const meta::ObjectMeta* metadata, const PodOptions& options, const Path& path,
                     FieldErrors& errors) {
  int count = 0;
  // `shown` differs from the field where upstream's message does.
  auto once = [&](const auto& box, std::string_view name, auto validate,
                  std::string_view shown = {}) {
    if (!box) return;
    if (count++ > 0) {
      errors.forbidden(path / (shown.empty() ? name : shown),
                       "may not specify more than 1 volume type");
    } else {
      validate(*box, path / name);
    }
  };
  if (source.empty_dir) {
    ++count;
    if (source.empty_dir->size_limit &&
        schema::QuantityValue::of(*source.empty_dir->size_limit).sign() < 0)
      errors.forbidden(path / "emptyDir" / "sizeLimit",
                       "SizeLimit field must be a valid resource quantity");
  }
  once(source.host_path, "hostPath",
       [&](const auto& s, const Path& at) { validate_host_path(s, at, errors); });
  once(source.git_repo, "gitRepo", [&](const auto& s, const Path& at) {
    require(s.repository, at / "repository", errors);
    validate_descending_path(s.directory, at / "directory", errors);
  });
  once(
      source.gce_persistent_disk, "persistentDisk",
      [&](const auto& s, const Path& at) { validate_gce_disk(s, at, errors); },
      "gcePersistentDisk");
  once(source.aws_elastic_block_store, "awsElasticBlockStore",
       [&](const auto& s, const Path& at) { validate_aws_disk(s, at, errors); });
  once(source.secret, "secret", [&](const auto& s, const Path& at) {
    require(s.secret_name, at / "secretName", errors);
    validate_mode(s.default_mode, at / "defaultMode", errors);
    validate_items(s.items, at, errors);
  });
  once(source.nfs, "nfs", [&](const auto& s, const Path& at) { validate_nfs(s, at, errors); });
  once(source.iscsi, "iscsi", [&](const auto& s, const Path& at) {
    validate_iscsi(s, "must be valid format starting with iqn, eui, or naa", at, errors);
    if (s.initiator_name && volume.size() + 1 + s.target_portal.size() > 64)
      errors.invalid(path / "name", quoted(volume),
                     "Total length of <volume name>:<iscsi.targetPortal> must be under 64 "
                     "characters if iscsi.initiatorName is specified.");
  });
  once(source.glusterfs, "glusterfs", [&](const auto& s, const Path& at) {
    require(s.endpoints, at / "endpoints", errors);
    require(s.path, at / "path", errors);
  });
  once(source.flocker, "flocker",
       [&](const auto& s, const Path& at) { validate_flocker(s, at, errors); });
  once(source.persistent_volume_claim, "persistentVolumeClaim",
       [&](const auto& s, const Path& at) { require(s.claim_name, at / "claimName", errors); });
  once(source.rbd, "rbd", [&](const auto& s, const Path& at) { validate_rbd(s, at, errors); });
  once(source.cinder, "cinder",
       [&](const auto& s, const Path& at) { validate_cinder(s, at, errors); });
  once(
      source.cephfs, "cephfs",
      [&](const auto& s, const Path& at) { validate_cephfs(s, at, errors); }, "cephFS");
  once(source.quobyte, "quobyte",
       [&](const auto& s, const Path& at) { validate_quobyte(s, at, errors); });
  once(
      source.downward_api, "downwardAPI",
      [&](const auto& s, const Path& at) {
        validate_mode(s.default_mode, at / "defaultMode", errors);
        for (const core::DownwardAPIVolumeFile& file : s.items)
          validate_downward_file(file, options, at, errors);
      },
      "downwarAPI");
  once(source.fc, "fc", [&](const auto& s, const Path& at) { validate_fc(s, at, errors); });
  once(source.flex_volume, "flexVolume",
       [&](const auto& s, const Path& at) { validate_flex(s, at, errors); });
  once(source.config_map, "configMap", [&](const auto& s, const Path& at) {
    require(s.local_object_reference.name, at / "name", errors);
    validate_mode(s.default_mode, at / "defaultMode", errors);
    validate_items(s.items, at, errors);
  });
  once(source.azure_file, "azureFile",
       [&](const auto& s, const Path& at) { validate_azure_file(s, at, errors); });
  once(source.vsphere_volume, "vsphereVolume",
       [&](const auto& s, const Path& at) { require(s.volume_path, at / "volumePath", errors); });
  once(source.photon_persistent_disk, "photonPersistentDisk",
       [&](const auto& s, const Path& at) { require(s.pd_id, at / "pdID", errors); });
  once(source.portworx_volume, "portworxVolume",
       [&](const auto& s, const Path& at) { require(s.volume_id, at / "volumeID", errors); });
  once(source.azure_disk, "azureDisk",
       [&](const auto& s, const Path& at) { validate_azure_disk(s, at, errors); });
  once(source.storageos, "storageos",
       [&](const auto& s, const Path& at) { validate_storageos(s, at, errors); });
  once(source.projected, "projected",
       [&](const auto& s, const Path& at) { validate_projected(s, options, at, errors); });
  once(source.scale_io, "scaleIO",
       [&](const auto& s, const Path& at) { validate_scale_io(s, at, errors); });
  once(source.csi, "csi", [&](const auto& s, const Path& at) {
    validate_csi_driver_name(s.driver, at / "driver", errors);
    if (!s.node_publish_secret_ref) return;
    const Str& name = s.node_publish_secret_ref->name;
    if (name.empty()) {
      errors.required(at / "nodePublishSecretRef" / "name");
    } else {
      invalid_each(at / "name", name, check_dns1123_subdomain(name), errors);
    }
  });
  once(source.ephemeral, "ephemeral",
       [&](const auto& s, const Path&) { validate_ephemeral(s, volume, metadata, path, errors); });
  if (count == 0) errors.required(path, "must specify a volume type");
}

}  // namespace

VolumeIndex validate_volumes(const List<core::Volume>& volumes, const meta::ObjectMeta* metadata,
                             const Path& path, const PodOptions& options, FieldErrors& errors) {
  std::set<std::string> created;  // claims that ephemeral volumes will make
  if (metadata != nullptr && !metadata->name.empty())
    for (const core::Volume& volume : volumes)
      if (volume.volume_source.ephemeral)
        created.insert(metadata->name.str() + "-" + volume.name.str());
  VolumeIndex index;
  for (size_t i = 0; i < volumes.size(); ++i) {
    const core::Volume& volume = volumes[i];
    Path at = path.index(i);
    size_t before = errors.causes().size();
    validate_source(volume.volume_source, volume.name, metadata, options, at, errors);
    if (volume.name.empty()) {
      errors.required(at / "name");
    } else {
      invalid_each(at / "name", volume.name, check_dns1123_label(volume.name), errors);
    }
    if (index.contains(volume.name.view())) errors.duplicate(at / "name", quoted(volume.name));
    if (errors.causes().size() == before) index.emplace(volume.name.view(), &volume.volume_source);
    const auto& claim = volume.volume_source.persistent_volume_claim;
    if (claim && created.contains(claim->claim_name.str()))
      errors.invalid(at / "persistentVolumeClaim" / "claimName", quoted(claim->claim_name),
                     "must not reference a PVC that gets created for an ephemeral volume");
  }
  return index;
}

}  // namespace knarr::apiserver
