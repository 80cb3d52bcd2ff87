// SPDX-License-Identifier: Apache-2.0
// Strategies of storage.k8s.io.
#include <set>

#include "api/storage_v1.h"
#include "apiserver/strategy/pod.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"
#include "apiserver/strategy/volume.h"
#include "apiserver/strategy/workloads.h"
#include "schema/quantity.h"

namespace knarr::apiserver {

namespace {

namespace storage = api::storage_v1;

constexpr size_t kMaxMapBytes = 256 << 10;

size_t bytes_of(const Map<Str>& map) {
  size_t total = 0;
  for (const auto& [key, value] : map) total += key.size() + value.size();
  return total;
}

// ---- StorageClass
// ---------------------------------------------------------------------------------------------------------------

void default_class(storage::StorageClass& object) { apply_table_defaults(object); }

void validate_topologies(const List<core::TopologySelectorTerm>& terms, const Path& path,
                         FieldErrors& errors) {
  for (size_t i = 0; i < terms.size(); ++i) {
    Path expressions = path.index(i) / "matchLabelExpressions";
    std::set<std::string_view> keys;
    for (size_t j = 0; j < terms[i].match_label_expressions.size(); ++j) {
      const auto& requirement = terms[i].match_label_expressions[j];
      Path at = expressions.index(j);
      if (requirement.values.empty()) errors.required(at / "values");
      std::set<std::string_view> values;
      for (size_t k = 0; k < requirement.values.size(); ++k)
        if (!values.insert(requirement.values[k].view()).second)
          errors.duplicate((at / "values").index(k), quoted(requirement.values[k]));
      invalid_each(at / "key", requirement.key, check_qualified_name(requirement.key), errors);
      if (!keys.insert(requirement.key.view()).second)
        errors.duplicate(at / "key", quoted(requirement.key));
    }
    for (size_t j = 0; j < i; ++j)
      if (terms[i] == terms[j]) errors.duplicate(expressions, "\"\"");
  }
}
void validate_class(const storage::StorageClass& object, FieldErrors& errors) {
  if (object.provisioner.empty()) {
    errors.required(Path("provisioner"));
  } else {
    std::string name = lower(object.provisioner);
    invalid_each(Path("provisioner"), name, check_qualified_name(name), errors);
  }
  if (object.parameters.size() > 512) {
    errors.too_long(Path("parameters"), "", 512);
  } else {
    if (object.parameters.contains(""))
      errors.invalid(Path("parameters"), "\"\"", "field can not be empty.");
    if (bytes_of(object.parameters) > kMaxMapBytes)
      errors.too_long(Path("parameters"), "", kMaxMapBytes);
  }
  if (!object.reclaim_policy.value_or("").empty())
    validate_supported(*object.reclaim_policy, {"Delete", "Retain"}, Path("reclaimPolicy"), errors);
  if (!object.volume_binding_mode) {
    errors.required(Path("volumeBindingMode"));
  } else {
    validate_supported(*object.volume_binding_mode, {"Immediate", "WaitForFirstConsumer"},
                       Path("volumeBindingMode"), errors);
  }
  validate_topologies(object.allowed_topologies, Path("allowedTopologies"), errors);
}
void validate_class_update(const storage::StorageClass& object, const storage::StorageClass& old,
                           FieldErrors& errors) {
  validate_class(object, errors);
  if (!(object.parameters == old.parameters))
    errors.forbidden(Path("parameters"), "updates to parameters are forbidden.");
  if (!(object.provisioner == old.provisioner))
    errors.forbidden(Path("provisioner"), "updates to provisioner are forbidden.");
  if (!(object.reclaim_policy == old.reclaim_policy))
    errors.forbidden(Path("reclaimPolicy"), "updates to reclaimPolicy are forbidden.");
  validate_immutable(object.volume_binding_mode, old.volume_binding_mode,
                     go_pointer_text(object.volume_binding_mode), Path("volumeBindingMode"),
                     errors);
}

// ---- CSIDriver
// ------------------------------------------------------------------------------------------------------------------

void default_driver(storage::CSIDriver& object) { apply_table_defaults(object); }
void prepare_driver_update(WriteContext&, storage::CSIDriver& object,
                           const storage::CSIDriver& old) {
  bool counts = !(object.spec.token_requests == old.spec.token_requests) ||
                !(object.spec.requires_republish == old.spec.requires_republish) ||
                !(object.spec.se_linux_mount == old.spec.se_linux_mount);
  if (counts) object.metadata.generation = old.metadata.generation + 1;
}
void validate_driver(const storage::CSIDriver& object, FieldErrors& errors) {
  const storage::CSIDriverSpec& spec = object.spec;
  Path path("spec");
  if (!spec.attach_required) errors.required(path / "attachedRequired");
  if (!spec.pod_info_on_mount) errors.required(path / "podInfoOnMount");
  if (!spec.storage_capacity) errors.required(path / "storageCapacity");
  if (spec.fs_group_policy)
    validate_supported(*spec.fs_group_policy, {"File", "None", "ReadWriteOnceWithFSType"},
                       path / "fsGroupPolicy", errors);
  std::set<std::string_view> audiences;
  for (size_t i = 0; i < spec.token_requests.size(); ++i) {
    const storage::TokenRequest& request = spec.token_requests[i];
    Path at = (path / "tokenRequests").index(i);
    if (!audiences.insert(request.audience.view()).second) {
      errors.duplicate(at / "audience", quoted(request.audience));
      continue;
    }
    if (!request.expiration_seconds) continue;
    std::string seconds = std::to_string(*request.expiration_seconds);
    if (*request.expiration_seconds < 600)
      errors.invalid(at / "expirationSeconds", seconds,
                     "may not specify a duration less than 10 minutes");
    if (*request.expiration_seconds > int64_t{1} << 32)
      errors.invalid(at / "expirationSeconds", seconds,
                     "may not specify a duration larger than 2^32 seconds");
  }
  for (const Str& mode : spec.volume_lifecycle_modes)
    validate_supported(mode, {"Persistent", "Ephemeral"}, path / "volumeLifecycleModes", errors);
}
void validate_driver_update(const storage::CSIDriver& object, const storage::CSIDriver& old,
                            FieldErrors& errors) {
  validate_driver(object, errors);
  Path path("spec");
  auto flag = [](const Opt<bool>& value) { return !value ? "null" : *value ? "true" : "false"; };
  validate_immutable(object.spec.attach_required, old.spec.attach_required,
                     flag(object.spec.attach_required), path / "attachedRequired", errors);
  validate_immutable(object.spec.fs_group_policy, old.spec.fs_group_policy,
                     go_pointer_text(object.spec.fs_group_policy), path / "fsGroupPolicy", errors);
  validate_immutable(object.spec.pod_info_on_mount, old.spec.pod_info_on_mount,
                     flag(object.spec.pod_info_on_mount), path / "podInfoOnMount", errors);
  validate_immutable(object.spec.volume_lifecycle_modes, old.spec.volume_lifecycle_modes,
                     "[]storage.VolumeLifecycleMode", path / "volumeLifecycleModes", errors);
}

// ---- CSINode
// --------------------------------------------------------------------------------------------------------------------

void validate_csi_node(const storage::CSINode& object, FieldErrors& errors) {
  Path path = Path("spec") / "drivers";
  std::set<std::string_view> names;
  for (size_t i = 0; i < object.spec.drivers.size(); ++i) {
    const storage::CSINodeDriver& driver = object.spec.drivers[i];
    Path at = path.index(i);
    validate_csi_driver_name(driver.name, at / "name", errors);
    if (driver.node_id.empty()) errors.required(at / "nodeID");
    if (driver.node_id.size() > 256)
      errors.invalid(at / "nodeID", quoted(driver.node_id), "must be 256 characters or less");
    if (driver.allocatable && driver.allocatable->count)
      validate_nonnegative(*driver.allocatable->count, at / "allocatable" / "count", errors);
    if (!names.insert(driver.name.view()).second)
      errors.duplicate(at / "name", quoted(driver.name));
    std::set<std::string_view> keys;
    for (const Str& key : driver.topology_keys) {
      if (key.empty()) errors.required(at);
      if (!keys.insert(key.view()).second) errors.duplicate(at, quoted(key));
      invalid_each(at, key, check_qualified_name(key), errors);
    }
  }
}
void validate_csi_node_update(const storage::CSINode& object, const storage::CSINode& old,
                              FieldErrors& errors) {
  validate_csi_node(object, errors);
  for (const storage::CSINodeDriver& before : old.spec.drivers)
    for (const storage::CSINodeDriver& now : object.spec.drivers)
      if (before.name == now.name && !(before == now))
        errors.invalid(Path("CSINodeDriver"), "storage.CSINodeDriver", kFieldImmutable);
}

// ---- CSIStorageCapacity
// ---------------------------------------------------------------------------------------------------------

void validate_capacity_with(const storage::CSIStorageCapacity& object, bool allow_invalid,
                            FieldErrors& errors) {
  validate_label_selector(object.node_topology.get(), Path("nodeTopology"), errors, allow_invalid);
  invalid_each(Path("storageClassName"), object.storage_class_name,
               check_dns1123_subdomain(object.storage_class_name), errors);
  if (object.capacity && schema::QuantityValue::of(*object.capacity).sign() < 0)
    errors.invalid(Path("capacity"), quoted(object.capacity->text), kIsNegative);
}
void validate_capacity(const storage::CSIStorageCapacity& object, FieldErrors& errors) {
  validate_capacity_with(object, false, errors);
}
void validate_capacity_update(const storage::CSIStorageCapacity& object,
                              const storage::CSIStorageCapacity& old, FieldErrors& errors) {
  FieldErrors before;
  validate_label_selector(old.node_topology.get(), Path(), before);
  validate_capacity_with(object, !before.empty(), errors);
  if (!(object.node_topology == old.node_topology))
    errors.invalid(Path("nodeTopology"), go_selector(object.node_topology), kFieldImmutable);
  validate_immutable(object.storage_class_name, old.storage_class_name,
                     quoted(object.storage_class_name), Path("storageClassName"), errors);
}

// ---- VolumeAttachment
// -----------------------------------------------------------------------------------------------------------

void default_attachment(storage::VolumeAttachment& object) { apply_table_defaults(object); }
void validate_attachment_common(const storage::VolumeAttachment& object, FieldErrors& errors) {
  constexpr std::string_view kOne =
      "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
  Path path("spec"), source = path / "source";
  if (object.spec.attacher.empty()) errors.required(path / "attacher");
  const auto& name = object.spec.source.persistent_volume_name;
  const auto& spec = object.spec.source.inline_volume_spec;
  if (!name && !spec) {
    errors.required(source, kOne);
  } else if (name && spec) {
    errors.forbidden(source, kOne);
  } else if (name) {
    if (name->empty())
      errors.required(source / "persistentVolumeName",
                      "must specify non empty persistentVolumeName");
  } else {
    validate_pv_spec(*spec, "", true, source / "inlineVolumeSpec", errors);
  }
  invalid_each(path / "nodeName", object.spec.node_name,
               check_dns1123_subdomain(object.spec.node_name), errors);
  Path status("status");
  if (bytes_of(object.status.attachment_metadata) > kMaxMapBytes)
    errors.too_long(status / "attachmentMetadata", "", kMaxMapBytes);
  if (object.status.attach_error && object.status.attach_error->message.size() > 1024)
    errors.too_long(status / "attachError" / "message", "", kMaxMapBytes);
  if (object.status.detach_error && object.status.detach_error->message.size() > 1024)
    errors.too_long(status / "detachError" / "message", "", kMaxMapBytes);
}
void validate_attachment(const storage::VolumeAttachment& object, FieldErrors& errors) {
  validate_attachment_common(object, errors);
  validate_csi_driver_name(object.spec.attacher, Path("spec.attacher"), errors);
  if (const auto& name = object.spec.source.persistent_volume_name)
    invalid_each(Path("spec.source.persistentVolumeName"), *name, check_dns1123_subdomain(*name),
                 errors);
}
void validate_attachment_update(const storage::VolumeAttachment& object,
                                const storage::VolumeAttachment& old, FieldErrors& errors) {
  validate_attachment_common(object, errors);
  if (!(object.spec == old.spec))
    errors.invalid(Path("spec"), "storage.VolumeAttachmentSpec", kFieldImmutable);
}
void prepare_attachment_status(WriteContext&, storage::VolumeAttachment& object,
                               const storage::VolumeAttachment& old) {
  object.spec = old.spec;
  object.metadata.deletion_timestamp = old.metadata.deletion_timestamp;
  object.metadata.generation = old.metadata.generation;
  object.metadata.labels = old.metadata.labels;
  object.metadata.annotations = old.metadata.annotations;
  object.metadata.owner_references = old.metadata.owner_references;
  object.metadata.finalizers = old.metadata.finalizers;
}

constexpr std::string_view kGroup = "storage.k8s.io";
void warn_class(WriteContext& context, const storage::StorageClass& object,
                const storage::StorageClass*) {
  for (size_t i = 0; i < object.allowed_topologies.size(); ++i) {
    const auto& terms = object.allowed_topologies[i].match_label_expressions;
    for (size_t j = 0; j < terms.size(); ++j) {
      std::string_view text = deprecated_node_label(terms[j].key);
      if (text.empty()) continue;
      Path path = (Path("allowedTopologies").index(i) / "matchLabelExpressions").index(j) / "key";
      context.warnings.push_back(path.text() + ": " + std::string(text));
    }
  }
}

constexpr Strategy kStrategies[] = {
    {.group = kGroup,
     .plural = "storageclasses",
     .defaults = erase_defaults<&default_class>,
     .validate = erase_validate<&validate_class>,
     .validate_update = erase_validate_update<&validate_class_update>,
     .warnings = erase_warnings<&warn_class>,
     .returns_deleted_object = true},
    {.group = kGroup,
     .plural = "csidrivers",
     .defaults = erase_defaults<&default_driver>,
     .prepare_update = erase_update<&prepare_driver_update>,
     .validate = erase_validate<&validate_driver>,
     .validate_update = erase_validate_update<&validate_driver_update>,
     .allow_unconditional_update = false,
     .returns_deleted_object = true},
    {.group = kGroup,
     .plural = "csinodes",
     .validate = erase_validate<&validate_csi_node>,
     .validate_update = erase_validate_update<&validate_csi_node_update>,
     .allow_unconditional_update = false,
     .returns_deleted_object = true},
    {.group = kGroup,
     .plural = "csistoragecapacities",
     .validate = erase_validate<&validate_capacity>,
     .validate_update = erase_validate_update<&validate_capacity_update>,
     .allow_unconditional_update = false},
    {.group = kGroup,
     .plural = "volumeattachments",
     .defaults = erase_defaults<&default_attachment>,
     .validate = erase_validate<&validate_attachment>,
     .validate_update = erase_validate_update<&validate_attachment_update>,
     .prepare_status = erase_update<&prepare_attachment_status>,
     .validate_status = erase_validate_update<&validate_attachment_update>,
     .has_status = true,
     .allow_unconditional_update = false,
     .returns_deleted_object = true},
};

}  // namespace

std::span<const Strategy> storage_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
