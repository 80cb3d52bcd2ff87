// SPDX-License-Identifier: Apache-2.0
// Validation of the sources that volumes of pods and persistent volumes have in common. Templates
// over the pairs of types that differ only in how they name a secret. Pure functions.
#pragma once

#include "api/core_v1.h"
#include "apiserver/strategy/validators.h"

namespace knarr::apiserver {

namespace core = api::core_v1;
namespace meta = api::meta_v1;

inline constexpr std::string_view kFileModeMessage =
    "must be a number between 0 and 0777 (octal), both inclusive";

void validate_host_path(const core::HostPathVolumeSource& source, const Path& path,
                        FieldErrors& errors);
void validate_gce_disk(const core::GCEPersistentDiskVolumeSource& source, const Path& path,
                       FieldErrors& errors);
void validate_aws_disk(const core::AWSElasticBlockStoreVolumeSource& source, const Path& path,
                       FieldErrors& errors);
void validate_nfs(const core::NFSVolumeSource& source, const Path& path, FieldErrors& errors);
void validate_quobyte(const core::QuobyteVolumeSource& source, const Path& path,
                      FieldErrors& errors);
void validate_flocker(const core::FlockerVolumeSource& source, const Path& path,
                      FieldErrors& errors);
void validate_fc(const core::FCVolumeSource& source, const Path& path, FieldErrors& errors);
void validate_azure_disk(const core::AzureDiskVolumeSource& source, const Path& path,
                         FieldErrors& errors);
void validate_csi_driver_name(std::string_view name, const Path& path, FieldErrors& errors);
// `name` is an iSCSI qualified name (iqn, eui or naa). The message for an unknown family differs
// between pods and persistent volumes.
void validate_iqn(std::string_view name, std::string_view unknown_message, const Path& path,
                  FieldErrors& errors);
void validate_flex_options(const Map<Str>& options, const Path& path, FieldErrors& errors);

// validate_pvc_spec is in volume.cc.
void validate_pvc_spec(const core::PersistentVolumeClaimSpec& spec,
                       const core::PersistentVolumeClaimSpec* old, const Path& path,
                       FieldErrors& errors);

inline void require(const Str& value, const Path& path, FieldErrors& errors) {
  if (value.empty()) errors.required(path);
}
inline void validate_mode(const Opt<int32_t>& mode, const Path& path, FieldErrors& errors) {
  if (mode && (*mode > 0777 || *mode < 0))
    errors.invalid(path, std::to_string(*mode), kFileModeMessage);
}

template <class Source>
void validate_iscsi(const Source& source, std::string_view unknown_message, const Path& path,
                    FieldErrors& errors) {
  require(source.target_portal, path / "targetPortal", errors);
  if (source.iqn.empty()) {
    errors.required(path / "iqn");
  } else {
    validate_iqn(source.iqn, unknown_message, path / "iqn", errors);
  }
  if (source.lun < 0 || source.lun > 255)
    errors.invalid(path / "lun", std::to_string(source.lun), range_message(0, 255));
  if ((source.chap_auth_discovery || source.chap_auth_session) && !source.secret_ref)
    errors.required(path / "secretRef");
  if (source.initiator_name)
    validate_iqn(*source.initiator_name, unknown_message, path / "initiatorname", errors);
}
template <class Source>
void validate_rbd(const Source& source, const Path& path, FieldErrors& errors) {
  if (source.monitors.empty()) errors.required(path / "monitors");
  require(source.image, path / "image", errors);
}
template <class Source>
void validate_cephfs(const Source& source, const Path& path, FieldErrors& errors) {
  if (source.monitors.empty()) errors.required(path / "monitors");
}
template <class Source>
void validate_cinder(const Source& source, const Path& path, FieldErrors& errors) {
  require(source.volume_id, path / "volumeID", errors);
  if (source.secret_ref) require(source.secret_ref->name, path / "secretRef" / "name", errors);
}
template <class Source>
void validate_flex(const Source& source, const Path& path, FieldErrors& errors) {
  require(source.driver, path / "driver", errors);
  validate_flex_options(source.options, path / "options", errors);
}
template <class Source>
void validate_azure_file(const Source& source, const Path& path, FieldErrors& errors) {
  require(source.secret_name, path / "secretName", errors);
  require(source.share_name, path / "shareName", errors);
}
template <class Source>
void validate_scale_io(const Source& source, const Path& path, FieldErrors& errors) {
  require(source.gateway, path / "gateway", errors);
  require(source.system, path / "system", errors);
  require(source.volume_name, path / "volumeName", errors);
}
template <class Source>
void validate_storageos(const Source& source, const Path& path, FieldErrors& errors) {
  if (source.volume_name.empty()) {
    errors.required(path / "volumeName");
  } else {
    invalid_each(path / "volumeName", source.volume_name, check_dns1123_label(source.volume_name),
                 errors);
  }
  if (!source.volume_namespace.empty())
    invalid_each(path / "volumeNamespace", source.volume_namespace,
                 check_dns1123_label(source.volume_namespace), errors);
  if (source.secret_ref) require(source.secret_ref->name, path / "secretRef" / "name", errors);
}

}  // namespace knarr::apiserver
