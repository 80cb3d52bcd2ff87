// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/volume_sources.h"

namespace knarr::apiserver {

namespace {

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// `prefix` and exactly `count` letters or digits.
bool is_fixed_name(std::string_view name, size_t count) {
  if (name.size() != 4 + count) return false;
  for (char c : name.substr(4))
    if (!is_alnum(c)) return false;
  return true;
}

// iqn.YYYY-MM.naming-authority:unique
bool is_iqn(std::string_view name) {
  auto digit = [&](size_t i) { return i < name.size() && name[i] >= '0' && name[i] <= '9'; };
  if (!name.starts_with("iqn.") || !digit(4) || !digit(5) || !digit(6) || !digit(7) || !digit(9) ||
      !digit(10))
    return false;
  if (name.size() < 14 || name[8] != '-' || name[11] != '.') return false;
  size_t colon = name.find(':', 12);
  if (colon == name.npos || colon == 12 || colon + 1 == name.size()) return false;
  for (char c : name.substr(12, colon - 12))
    if (!is_alnum(c) && c != '-' && c != '.') return false;
  return name.find_first_of(",;*&$| \t\n", colon + 1) == name.npos;
}

void validate_partition(int32_t partition, const Path& path, FieldErrors& errors) {
  if (partition < 0 || partition > 255)
    errors.invalid(path, std::to_string(partition), range_message(1, 255));
}

}  // namespace

void validate_host_path(const core::HostPathVolumeSource& source, const Path& path,
                        FieldErrors& errors) {
  if (source.path.empty()) return errors.required(path / "path");
  validate_no_backsteps(source.path, path / "path", errors);
  if (source.type)
    validate_supported(*source.type,
                       {"", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File",
                        "FileOrCreate", "Socket"},
                       path / "type", errors);
}
void validate_gce_disk(const core::GCEPersistentDiskVolumeSource& source, const Path& path,
                       FieldErrors& errors) {
  require(source.pd_name, path / "pdName", errors);
  validate_partition(source.partition, path / "partition", errors);
}
void validate_aws_disk(const core::AWSElasticBlockStoreVolumeSource& source, const Path& path,
                       FieldErrors& errors) {
  require(source.volume_id, path / "volumeID", errors);
  validate_partition(source.partition, path / "partition", errors);
}
void validate_nfs(const core::NFSVolumeSource& source, const Path& path, FieldErrors& errors) {
  require(source.server, path / "server", errors);
  require(source.path, path / "path", errors);
  if (!source.path.view().starts_with('/'))
    errors.invalid(path / "path", quoted(source.path), "must be an absolute path");
}
void validate_quobyte(const core::QuobyteVolumeSource& source, const Path& path,
                      FieldErrors& errors) {
  constexpr std::string_view kPairs =
      "must be a host:port pair or multiple pairs separated by commas";
  if (source.registry.empty()) {
    errors.required(path / "registry", kPairs);
  } else if (source.tenant.size() >= 65) {
    errors.required(path / "tenant", "must be a UUID and may not exceed a length of 64 characters");
  } else {
    for (std::string_view pair : split(source.registry, ','))
      if (pair.find(':') == pair.npos)
        errors.invalid(path / "registry", quoted(source.registry), kPairs);
  }
  require(source.volume, path / "volume", errors);
}
void validate_flocker(const core::FlockerVolumeSource& source, const Path& path,
                      FieldErrors& errors) {
  if (source.dataset_name.empty() && source.dataset_uuid.empty())
    errors.required(path, "one of datasetName and datasetUUID is required");
  if (!source.dataset_name.empty() && !source.dataset_uuid.empty())
    errors.invalid(path, "\"resource\"",
                   "datasetName and datasetUUID can not be specified simultaneously");
  if (source.dataset_name.view().find('/') != std::string_view::npos)
    errors.invalid(path / "datasetName", quoted(source.dataset_name), "must not contain '/'");
}
void validate_fc(const core::FCVolumeSource& source, const Path& path, FieldErrors& errors) {
  bool names = !source.target_wwns.empty(), ids = !source.wwids.empty();
  if (!names && !ids)
    errors.required(path / "targetWWNs", "must specify either targetWWNs or wwids, but not both");
  if (names && ids)
    errors.invalid(path / "targetWWNs", go_list(source.target_wwns),
                   "targetWWNs and wwids can not be specified simultaneously");
  if (!names) return;
  if (!source.lun) {
    errors.required(path / "lun", "lun is required if targetWWNs is specified");
  } else if (*source.lun < 0 || *source.lun > 255) {
    errors.invalid(path / "lun", std::to_string(*source.lun), range_message(0, 255));
  }
}
void validate_azure_disk(const core::AzureDiskVolumeSource& source, const Path& path,
                         FieldErrors& errors) {
  require(source.disk_name, path / "diskName", errors);
  require(source.disk_uri, path / "diskURI", errors);
  if (source.caching_mode)
    validate_supported(*source.caching_mode, {"None", "ReadOnly", "ReadWrite"},
                       path / "cachingMode", errors);
  if (!source.kind) return;
  validate_supported(*source.kind, {"Dedicated", "Managed", "Shared"}, path / "kind", errors);
  std::string_view uri = source.disk_uri;
  if (*source.kind == "Managed") {
    if (!uri.starts_with("/subscriptions/"))
      errors.not_supported(path / "diskURI", quoted(uri),
                           {"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/"
                            "microsoft.compute/disks/{disk-id}"});
  } else if (!uri.starts_with("https://")) {
    errors.not_supported(
        path / "diskURI", quoted(uri),
        {"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"});
  }
}
void validate_csi_driver_name(std::string_view name, const Path& path, FieldErrors& errors) {
  if (name.empty()) errors.required(path);
  if (name.size() > 63) errors.too_long(path, quoted(name), 63);
  invalid_each(path, name, check_dns1123_subdomain(lower(name)), errors);
}
void validate_iqn(std::string_view name, std::string_view unknown_message, const Path& path,
                  FieldErrors& errors) {
  bool good = true;
  if (name.starts_with("iqn")) {
    good = is_iqn(name);
  } else if (name.starts_with("eui")) {
    good = is_fixed_name(name, 16);
  } else if (name.starts_with("naa")) {
    good = is_fixed_name(name, 32);
  } else {
    errors.invalid(path, quoted(name), unknown_message);
  }
  if (!good) errors.invalid(path, quoted(name), "must be valid format");
}
void validate_flex_options(const Map<Str>& options, const Path& path, FieldErrors& errors) {
  for (const auto& [key, value] : options) {
    std::string domain = "." + lower(key.view().substr(0, key.view().find('/')));
    if (domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io"))
      errors.invalid(path.key(key), quoted(key),
                     "kubernetes.io and k8s.io namespaces are reserved");
  }
}

}  // namespace knarr::apiserver
