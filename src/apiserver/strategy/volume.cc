// SPDX-License-Identifier: Apache-2.0
// Strategies of persistentvolumes and persistentvolumeclaims.
#include "apiserver/strategy/volume.h"

#include "apiserver/strategy/pod.h"
#include "apiserver/strategy/resources.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"
#include "apiserver/strategy/volume_sources.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kBetaClass = "volume.beta.kubernetes.io/storage-class";

// ReadWriteOncePod is beta and on in 1.28.
void validate_access_modes(const List<Str>& modes, const Path& path, FieldErrors& errors) {
  bool one_pod = false, others = false;
  for (const Str& mode : modes) {
    validate_supported(mode, {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"},
                       path, errors);
    if (mode == "ReadWriteOncePod") {
      one_pod = true;
    } else if (mode == "ReadOnlyMany" || mode == "ReadWriteMany" || mode == "ReadWriteOnce") {
      others = true;
    }
  }
  if (one_pod && others)
    errors.forbidden(path, "may not use ReadWriteOncePod with other access modes");
}

// ---- PersistentVolumeClaim
// ------------------------------------------------------------------------------------------------------

// dataSource and dataSourceRef say the same where only one is given (gate
// CrossNamespaceVolumeDataSource is off).
void normalize_data_sources(core::PersistentVolumeClaimSpec& spec) {
  if (spec.data_source_ref) spec.data_source_ref->namespace_.reset();
  auto is_known = [](const auto& source) {
    std::string_view group = source.api_group.value_or("");
    return (source.kind == "PersistentVolumeClaim" && group.empty()) ||
           (source.kind == "VolumeSnapshot" && group == "snapshot.storage.k8s.io");
  };
  // An unknown kind in the old field was silently dropped before the new one existed, and still is.
  if (spec.data_source && !is_known(*spec.data_source)) spec.data_source.reset();
  if (spec.data_source && !spec.data_source_ref) {
    core::TypedObjectReference& ref = spec.data_source_ref.ensure();
    ref.api_group = spec.data_source->api_group;
    ref.kind = spec.data_source->kind;
    ref.name = spec.data_source->name;
  } else if (spec.data_source_ref && !spec.data_source && is_known(*spec.data_source_ref)) {
    core::TypedLocalObjectReference& source = spec.data_source.ensure();
    source.api_group = spec.data_source_ref->api_group;
    source.kind = spec.data_source_ref->kind;
    source.name = spec.data_source_ref->name;
  }
}

void default_claim(core::PersistentVolumeClaim& claim) { apply_table_defaults(claim); }
void prepare_claim(WriteContext&, core::PersistentVolumeClaim& claim) {
  claim.status = core::PersistentVolumeClaimStatus();
  claim.status.phase = "Pending";
  claim.spec.resources.claims.reset();
  normalize_data_sources(claim.spec);
}
void prepare_claim_update(WriteContext&, core::PersistentVolumeClaim& claim,
                          const core::PersistentVolumeClaim& old) {
  claim.status = old.status;
  claim.spec.resources.claims.reset();
  normalize_data_sources(claim.spec);
}
void prepare_claim_status(WriteContext&, core::PersistentVolumeClaim& claim,
                          const core::PersistentVolumeClaim& old) {
  claim.spec = old.spec;
  // Gate RecoverVolumeExpansionFailure is off.
  if (old.status.allocated_resources.is_null()) claim.status.allocated_resources.reset();
  if (old.status.allocated_resource_statuses.is_null())
    claim.status.allocated_resource_statuses.reset();
}

template <class Source>
void validate_data_source(const Source& source, const Path& path, FieldErrors& errors) {
  require(source.name, path / "name", errors);
  require(source.kind, path / "kind", errors);
  if (source.api_group.value_or("").empty() && !(source.kind == "PersistentVolumeClaim"))
    errors.invalid(path, quoted(source.kind),
                   "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
}

void validate_claim(const core::PersistentVolumeClaim& claim, FieldErrors& errors) {
  validate_pvc_spec(claim.spec, nullptr, Path("spec"), errors);
}

void validate_claim_update(const core::PersistentVolumeClaim& claim,
                           const core::PersistentVolumeClaim& old, FieldErrors& errors) {
  validate_pvc_spec(claim.spec, &old.spec, Path("spec"), errors);
  core::PersistentVolumeClaimSpec now = claim.spec, before = old.spec;
  normalize_data_sources(before);
  if (before.volume_name.empty()) before.volume_name = now.volume_name;
  const Str* old_beta = old.metadata.annotations.find(kBetaClass);
  const Str* new_beta = claim.metadata.annotations.find(kBetaClass);
  bool from_annotation = old_beta != nullptr && !before.storage_class_name &&
                         now.storage_class_name && *now.storage_class_name == *old_beta &&
                         (new_beta == nullptr || *new_beta == *old_beta);
  if (from_annotation) {
    now.storage_class_name.reset();
  } else {
    std::string_view was = get_or_empty(old.metadata.annotations, kBetaClass),
                     is = get_or_empty(claim.metadata.annotations, kBetaClass);
    if (was != is)
      errors.invalid(Path("metadata") / "annotations" / kBetaClass, quoted(is), kFieldImmutable);
    if (now.storage_class_name && !before.storage_class_name &&
        (old_beta == nullptr || *now.storage_class_name == *old_beta))
      now.storage_class_name = before.storage_class_name;
  }
  const schema::Quantity* new_size = claim.spec.resources.requests.find("storage");
  const schema::Quantity* old_size = old.spec.resources.requests.find("storage");
  if (claim.status.phase == "Bound" && !now.resources.requests.is_null())
    now.resources.requests["storage"] = old_size == nullptr ? schema::Quantity() : *old_size;
  if (!(now == before))
    errors.forbidden(
        Path("spec"),
        "spec is immutable after creation except resources.requests for bound claims\n");
  auto value = [](const schema::Quantity* q) {
    return q == nullptr ? schema::QuantityValue() : schema::QuantityValue::of(*q);
  };
  if (value(new_size) < value(old_size))
    errors.forbidden(Path("spec") / "resources" / "requests" / "storage",
                     "field can not be less than previous value");
  validate_immutable(claim.spec.volume_mode, old.spec.volume_mode,
                     go_pointer_text(claim.spec.volume_mode), Path("volumeMode"), errors);
}

void validate_claim_status(const core::PersistentVolumeClaim& claim,
                           const core::PersistentVolumeClaim&, FieldErrors& errors) {
  if (claim.spec.access_modes.empty()) errors.required(Path("Spec") / "accessModes");
  Path capacity = Path("status") / "capacity";
  for (const auto& [name, quantity] : claim.status.capacity)
    validate_basic_quantity(quantity, capacity.key(name), errors);
}

// ---- PersistentVolume
// -----------------------------------------------------------------------------------------------------------

void default_volume(core::PersistentVolume& volume) {
  apply_table_defaults(volume);
  if (volume.spec.persistent_volume_reclaim_policy.empty())
    volume.spec.persistent_volume_reclaim_policy = "Retain";
  if (!volume.spec.volume_mode) volume.spec.volume_mode = "Filesystem";
}
void prepare_volume(WriteContext&, core::PersistentVolume& volume) {
  volume.status = core::PersistentVolumeStatus();
  volume.status.phase = "Pending";
}
void prepare_volume_update(WriteContext&, core::PersistentVolume& volume,
                           const core::PersistentVolume& old) {
  volume.status = old.status;
}
void prepare_volume_status(WriteContext&, core::PersistentVolume& volume,
                           const core::PersistentVolume& old) {
  volume.spec = old.spec;
  if (!old.status.last_phase_transition_time) volume.status.last_phase_transition_time.reset();
}

void validate_secret_reference(const schema::Box<core::SecretReference>& reference,
                               const Path& path, FieldErrors& errors) {
  if (!reference) return;
  if (reference->name.empty()) {
    errors.required(path / "name");
  } else {
    invalid_each(path / "name", reference->name, check_dns1123_subdomain(reference->name), errors);
  }
  if (reference->namespace_.empty()) {
    errors.required(path / "namespace");
  } else {
    invalid_each(path / "namespace", reference->namespace_,
                 check_dns1123_label(reference->namespace_), errors);
  }
}

void validate_csi(const core::CSIPersistentVolumeSource& source, const Path& path,
                  FieldErrors& errors) {
  validate_csi_driver_name(source.driver, path / "driver", errors);
  require(source.volume_handle, path / "volumeHandle", errors);
  validate_secret_reference(source.controller_publish_secret_ref,
                            path / "controllerPublishSecretRef", errors);
  validate_secret_reference(source.controller_expand_secret_ref, path / "controllerExpandSecretRef",
                            errors);
  validate_secret_reference(source.node_publish_secret_ref, path / "nodePublishSecretRef", errors);
  validate_secret_reference(source.node_expand_secret_ref, path / "nodeExpandSecretRef", errors);
}

void validate_volume_source(const core::PersistentVolumeSource& source, std::string_view name,
                            bool has_affinity, const Path& path, FieldErrors& errors) {
  int count = 0;
  auto once = [&](const auto& box, std::string_view field, auto validate,
                  std::string_view shown = {}) {
    if (!box) return;
    if (count++ > 0) {
      errors.forbidden(path / (shown.empty() ? field : shown),
                       "may not specify more than 1 volume type");
    } else {
      validate(*box, path / field);
    }
  };
  auto with_namespace = [&](const auto& reference, const Path& at) {
    if (reference && reference->namespace_.empty()) errors.required(at / "secretRef" / "namespace");
  };
  once(source.host_path, "hostPath",
       [&](const auto& s, const Path& at) { validate_host_path(s, at, errors); });
  once(
      source.gce_persistent_disk, "persistentDisk",
      [&](const auto& s, const Path& at) { validate_gce_disk(s, at, errors); },
      "gcePersistentDisk");
  once(source.aws_elastic_block_store, "awsElasticBlockStore",
       [&](const auto& s, const Path& at) { validate_aws_disk(s, at, errors); });
  once(source.glusterfs, "glusterfs", [&](const auto& s, const Path& at) {
    require(s.endpoints, at / "endpoints", errors);
    require(s.path, at / "path", errors);
    if (!s.endpoints_namespace) return;
    Path where = at / "endpointsNamespace";
    if (s.endpoints_namespace->empty()) {
      errors.invalid(where, "\"\"",
                     "if the endpointnamespace is set, it must be a valid namespace name");
    } else {
      invalid_each(where, *s.endpoints_namespace, check_dns1123_label(*s.endpoints_namespace),
                   errors);
    }
  });
  once(source.flocker, "flocker",
       [&](const auto& s, const Path& at) { validate_flocker(s, at, errors); });
  once(source.nfs, "nfs", [&](const auto& s, const Path& at) { validate_nfs(s, at, errors); });
  once(source.rbd, "rbd", [&](const auto& s, const Path& at) { validate_rbd(s, at, errors); });
  once(source.quobyte, "quobyte",
       [&](const auto& s, const Path& at) { validate_quobyte(s, at, errors); });
  once(
      source.cephfs, "cephfs",
      [&](const auto& s, const Path& at) { validate_cephfs(s, at, errors); }, "cephFS");
  once(source.iscsi, "iscsi", [&](const auto& s, const Path& at) {
    if (s.initiator_name && name.size() + 1 + s.target_portal.size() > 64)
      errors.invalid(at / "targetportal", quoted(s.target_portal),
                     "Total length of <volume name>:<iscsi.targetPortal> must be under 64 "
                     "characters if iscsi.initiatorName is specified.");
    validate_iscsi(s, "must be valid format", at, errors);
    if (s.secret_ref) require(s.secret_ref->name, at / "secretRef" / "name", errors);
  });
  once(source.cinder, "cinder", [&](const auto& s, const Path& at) {
    validate_cinder(s, at, errors);
    with_namespace(s.secret_ref, at);
  });
  once(source.fc, "fc", [&](const auto& s, const Path& at) { validate_fc(s, at, errors); });
  if (source.flex_volume) {
    ++count;
    validate_flex(*source.flex_volume, path / "flexVolume", errors);
  }
  once(source.azure_file, "azureFile", [&](const auto& s, const Path& at) {
    validate_azure_file(s, at, errors);
    if (s.secret_namespace && s.secret_namespace->empty()) errors.required(at / "secretNamespace");
  });
  once(source.vsphere_volume, "vsphereVolume",
       [&](const auto& s, const Path& at) { require(s.volume_path, at / "volumePath", errors); });
  once(source.photon_persistent_disk, "photonPersistentDisk",
       [&](const auto& s, const Path& at) { require(s.pd_id, at / "pdID", errors); });
  once(source.portworx_volume, "portworxVolume",
       [&](const auto& s, const Path& at) { require(s.volume_id, at / "volumeID", errors); });
  once(source.azure_disk, "azureDisk",
       [&](const auto& s, const Path& at) { validate_azure_disk(s, at, errors); });
  once(source.scale_io, "scaleIO",
       [&](const auto& s, const Path& at) { validate_scale_io(s, at, errors); });
  once(source.local, "local", [&](const auto& s, const Path& at) {
    if (s.path.empty()) {
      errors.required(at / "path");
    } else {
      validate_no_backsteps(s.path, at / "path", errors);
    }
    if (!has_affinity)
      errors.required(path / "nodeAffinity", "Local volume requires node affinity");
  });
  once(source.storageos, "storageos", [&](const auto& s, const Path& at) {
    validate_storageos(s, at, errors);
    with_namespace(s.secret_ref, at);
  });
  once(source.csi, "csi", [&](const auto& s, const Path& at) { validate_csi(s, at, errors); });
  if (count == 0) errors.required(path, "must specify a volume type");
}

void validate_inline_rules(const core::PersistentVolumeSpec& spec, const Path& path,
                           FieldErrors& errors) {
  constexpr std::string_view kNotInline = "may not be specified in the context of inline volumes";
  if (spec.claim_ref) errors.forbidden(path / "claimRef", kNotInline);
  if (!spec.capacity.empty()) errors.forbidden(path / "capacity", kNotInline);
  if (!spec.persistent_volume_source.csi)
    errors.required(path / "csi", "has to be specified in the context of inline volumes");
  if (!spec.persistent_volume_reclaim_policy.empty() &&
      !(spec.persistent_volume_reclaim_policy == "Retain"))
    errors.forbidden(path / "persistentVolumeReclaimPolicy",
                     "may only be Retain in the context of inline volumes");
  if (spec.node_affinity) errors.forbidden(path / "nodeAffinity", kNotInline);
  if (!spec.storage_class_name.empty()) errors.forbidden(path / "storageClassName", kNotInline);
  if (spec.volume_mode && !(*spec.volume_mode == "Filesystem"))
    errors.forbidden(
        path / "volumeMode",
        "may not specify volumeMode other than Filesystem in the context of inline volumes");
}

std::string go_resource_list(const Map<schema::Quantity>& list) {
  std::string out = "core.ResourceList{";
  for (const auto& [name, quantity] : list)
    out += (out.back() == '{' ? "" : ", ") + quoted(name) + ":" + go_quantity(quantity);
  return out + "}";
}

void validate_stored_rules(const core::PersistentVolumeSpec& spec, const Path& path,
                           FieldErrors& errors) {
  Path capacity = path / "capacity";
  if (spec.capacity.empty()) errors.required(capacity);
  if (!spec.capacity.contains("storage") || spec.capacity.size() > 1)
    errors.not_supported(capacity, go_resource_list(spec.capacity), {"storage"});
  for (const auto& [name, quantity] : spec.capacity) {
    validate_basic_quantity(quantity, capacity.key(name), errors);
    validate_positive_quantity(quantity, capacity.key(name), errors);
  }
  if (!spec.persistent_volume_reclaim_policy.empty())
    validate_supported(spec.persistent_volume_reclaim_policy, {"Delete", "Recycle", "Retain"},
                       path / "persistentVolumeReclaimPolicy", errors);
  if (spec.node_affinity) {
    if (spec.node_affinity->required) {
      validate_node_selector(*spec.node_affinity->required, path / "nodeAffinity" / "required",
                             errors);
    } else {
      errors.required(path / "nodeAffinity" / "required", "must specify required node constraints");
    }
  }
  if (!spec.storage_class_name.empty())
    invalid_each(path / "storageClassName", spec.storage_class_name,
                 check_dns1123_subdomain(spec.storage_class_name), errors);
  if (spec.volume_mode)
    validate_supported(*spec.volume_mode, {"Block", "Filesystem"}, path / "volumeMode", errors);
}

void validate_volume(const core::PersistentVolume& volume, FieldErrors& errors) {
  validate_pv_spec(volume.spec, volume.metadata.name, false, Path("spec"), errors);
}

void validate_volume_update(const core::PersistentVolume& volume, const core::PersistentVolume& old,
                            FieldErrors& errors) {
  validate_volume(volume, errors);
  core::PersistentVolumeSource now = volume.spec.persistent_volume_source;
  const core::PersistentVolumeSource& before = old.spec.persistent_volume_source;
  if (before.csi && now.csi && !before.csi->controller_expand_secret_ref)
    now.csi->controller_expand_secret_ref.reset();
  if (!(now == before))
    errors.forbidden(Path("spec") / "persistentvolumesource",
                     "spec.persistentvolumesource is immutable after creation\n");
  validate_immutable(volume.spec.volume_mode, old.spec.volume_mode,
                     go_pointer_text(volume.spec.volume_mode), Path("volumeMode"), errors);
  if (old.spec.node_affinity && !(volume.spec.node_affinity == old.spec.node_affinity))
    errors.invalid(Path("nodeAffinity"), "core.VolumeNodeAffinity",
                   "field is immutable, except for updating from beta label to GA");
}

void warn_volume(WriteContext& context, const core::PersistentVolume& volume,
                 const core::PersistentVolume*) {
  std::vector<std::string>& out = context.warnings;
  if (volume.metadata.annotations.contains("volume.beta.kubernetes.io/storage-class"))
    out.push_back(
        "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "
        "\"storageClassName\" attribute instead");
  if (volume.spec.node_affinity && volume.spec.node_affinity->required) {
    const auto& terms = volume.spec.node_affinity->required->node_selector_terms;
    for (size_t i = 0; i < terms.size(); ++i)
      node_term_warnings(
          terms[i], (Path("spec") / "nodeAffinity" / "required" / "nodeSelectorTerms").index(i),
          out);
  }
  const core::PersistentVolumeSource& source = volume.spec.persistent_volume_source;
  if (source.cephfs) out.push_back("spec.cephfs: deprecated in v1.28, non-functional in v1.31+");
  if (source.photon_persistent_disk)
    out.push_back("spec.photonPersistentDisk: deprecated in v1.11, non-functional in v1.16+");
  if (source.scale_io) out.push_back("spec.scaleIO: deprecated in v1.16, non-functional in v1.22+");
  if (source.storageos)
    out.push_back("spec.storageOS: deprecated in v1.22, non-functional in v1.25+");
  if (source.glusterfs)
    out.push_back("spec.glusterfs: deprecated in v1.25, non-functional in v1.26+");
  if (source.rbd) out.push_back("spec.rbd: deprecated in v1.28, non-functional in v1.31+");
}
void warn_claim(WriteContext& context, const core::PersistentVolumeClaim& claim,
                const core::PersistentVolumeClaim*) {
  claim_warnings(claim.spec, Path("spec"), context.warnings);
}

constexpr Strategy kStrategies[] = {
    {.group = "",
     .plural = "persistentvolumes",
     .defaults = erase_defaults<&default_volume>,
     .prepare_create = erase_create<&prepare_volume>,
     .prepare_update = erase_update<&prepare_volume_update>,
     .validate = erase_validate<&validate_volume>,
     .validate_update = erase_validate_update<&validate_volume_update>,
     .warnings = erase_warnings<&warn_volume>,
     .prepare_status = erase_update<&prepare_volume_status>,
     .has_status = true,
     .returns_deleted_object = true},
    {.group = "",
     .plural = "persistentvolumeclaims",
     .defaults = erase_defaults<&default_claim>,
     .prepare_create = erase_create<&prepare_claim>,
     .prepare_update = erase_update<&prepare_claim_update>,
     .validate = erase_validate<&validate_claim>,
     .validate_update = erase_validate_update<&validate_claim_update>,
     .warnings = erase_warnings<&warn_claim>,
     .prepare_status = erase_update<&prepare_claim_status>,
     .validate_status = erase_validate_update<&validate_claim_status>,
     .has_status = true,
     .returns_deleted_object = true},
};

}  // namespace

std::span<const Strategy> volume_strategies() { return kStrategies; }

void validate_pv_spec(const core::PersistentVolumeSpec& spec, std::string_view name,
                      bool inline_spec, const Path& path, FieldErrors& errors) {
  if (spec.access_modes.empty()) errors.required(path / "accessModes");
  validate_access_modes(spec.access_modes, path / "accessModes", errors);
  if (inline_spec) {
    validate_inline_rules(spec, path, errors);
  } else {
    validate_stored_rules(spec, path, errors);
  }
  validate_volume_source(spec.persistent_volume_source, name,
                         spec.node_affinity.has_value() && !inline_spec, path, errors);
  const auto& host_path = spec.persistent_volume_source.host_path;
  if (host_path && host_path->path.view().find_first_not_of("/.") == std::string_view::npos &&
      spec.persistent_volume_reclaim_policy == "Recycle")
    errors.forbidden(path / "persistentVolumeReclaimPolicy",
                     "may not be 'recycle' for a hostPath mount of '/'");
}

void validate_pvc_spec(const core::PersistentVolumeClaimSpec& spec,
                       const core::PersistentVolumeClaimSpec* old, const Path& path,
                       FieldErrors& errors) {
  if (spec.access_modes.empty())
    errors.required(path / "accessModes", "at least 1 access mode is required");
  if (spec.selector) {
    FieldErrors before;
    if (old != nullptr) validate_label_selector(old->selector.get(), Path(), before);
    validate_label_selector(spec.selector.get(), path / "selector", errors, !before.empty());
  }
  validate_access_modes(spec.access_modes, path / "accessModes", errors);
  Path storage = (path / "resources").key("storage");
  const schema::Quantity* size = spec.resources.requests.find("storage");
  if (size == nullptr) {
    errors.required(storage);
  } else if (schema::QuantityValue::of(*size).sign() <= 0) {
    validate_positive_quantity(*size, storage, errors);
  } else {
    validate_resource_quantity("storage", *size, storage, errors);
  }
  if (!spec.storage_class_name.value_or("").empty())
    invalid_each(path / "storageClassName", *spec.storage_class_name,
                 check_dns1123_subdomain(*spec.storage_class_name), errors);
  if (spec.volume_mode)
    validate_supported(*spec.volume_mode, {"Block", "Filesystem"}, path / "volumeMode", errors);
  if (spec.data_source) validate_data_source(*spec.data_source, path / "dataSource", errors);
  if (spec.data_source_ref) {
    validate_data_source(*spec.data_source_ref, path / "dataSourceRef", errors);
    std::string_view ns = spec.data_source_ref->namespace_.value_or("");
    if (!ns.empty())
      invalid_each(path / "dataSourceRef" / "namespace", ns, check_dns1123_label(ns), errors);
    if (!ns.empty() && spec.data_source) {
      errors.invalid(path, (path / "dataSource").text(),
                     "may not be specified when dataSourceRef.namespace is specified");
    } else if (spec.data_source) {
      bool same = spec.data_source->api_group == spec.data_source_ref->api_group &&
                  spec.data_source->kind == spec.data_source_ref->kind &&
                  spec.data_source->name == spec.data_source_ref->name;
      if (!same) errors.invalid(path, (path / "dataSource").text(), "must match dataSourceRef");
    }
  }
}

}  // namespace knarr::apiserver
