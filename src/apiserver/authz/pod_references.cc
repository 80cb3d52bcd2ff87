// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authz/pod_references.h"

namespace knarr::apiserver::authz {
namespace {

using api::core_v1::PersistentVolume;
using api::core_v1::Pod;
using api::core_v1::Volume;

void visit_name(std::string_view name, VisitName visit) {
  if (!name.empty()) visit(name);
}

// Calls visit(env_from, env) for every container of a pod.
template <class Visit>
void visit_containers(const Pod& pod, Visit visit) {
  for (const auto& container : pod.spec.init_containers) visit(container.env_from, container.env);
  for (const auto& container : pod.spec.containers) visit(container.env_from, container.env);
  for (const auto& container : pod.spec.ephemeral_containers)
    visit(container.ephemeral_container_common.env_from, container.ephemeral_container_common.env);
}

template <class Reference>
void visit_reference(const Reference& source, VisitName visit) {
  if (source && source->secret_ref) visit_name(source->secret_ref->name, visit);
}

void visit_secrets_of(const Volume& volume, VisitName visit) {
  const auto& source = volume.volume_source;
  if (source.azure_file) visit_name(source.azure_file->secret_name, visit);
  visit_reference(source.cephfs, visit);
  visit_reference(source.cinder, visit);
  visit_reference(source.flex_volume, visit);
  visit_reference(source.rbd, visit);
  visit_reference(source.scale_io, visit);
  visit_reference(source.iscsi, visit);
  visit_reference(source.storageos, visit);
  if (source.projected)
    for (const auto& each : source.projected->sources)
      if (each.secret) visit_name(each.secret->local_object_reference.name, visit);
  if (source.secret) visit_name(source.secret->secret_name, visit);
  if (source.csi && source.csi->node_publish_secret_ref) visit_name(source.csi->node_publish_secret_ref->name, visit);
}

}  // namespace

void visit_secrets(const Pod& pod, VisitName visit) {
  for (const auto& reference : pod.spec.image_pull_secrets) visit_name(reference.name, visit);
  visit_containers(pod, [&](const auto& env_from, const auto& env) {
    for (const auto& source : env_from)
      if (source.secret_ref) visit_name(source.secret_ref->local_object_reference.name, visit);
    for (const auto& variable : env)
      if (variable.value_from && variable.value_from->secret_key_ref) visit_name(variable.value_from->secret_key_ref->local_object_reference.name, visit);
  });
  for (const Volume& volume : pod.spec.volumes) visit_secrets_of(volume, visit);
}

void visit_config_maps(const Pod& pod, VisitName visit) {
  visit_containers(pod, [&](const auto& env_from, const auto& env) {
    for (const auto& source : env_from)
      if (source.config_map_ref) visit_name(source.config_map_ref->local_object_reference.name, visit);
    for (const auto& variable : env)
      if (variable.value_from && variable.value_from->config_map_key_ref)
        visit_name(variable.value_from->config_map_key_ref->local_object_reference.name, visit);
  });
  for (const Volume& volume : pod.spec.volumes) {
    const auto& source = volume.volume_source;
    if (source.config_map) visit_name(source.config_map->local_object_reference.name, visit);
    if (!source.projected) continue;
    for (const auto& each : source.projected->sources)
      if (each.config_map) visit_name(each.config_map->local_object_reference.name, visit);
  }
}

void visit_claims(const Pod& pod, VisitName visit) {
  for (const Volume& volume : pod.spec.volumes) {
    const auto& source = volume.volume_source;
    if (source.persistent_volume_claim) {
      visit_name(source.persistent_volume_claim->claim_name, visit);
    } else if (source.ephemeral) {
      visit(pod.metadata.name.str() + "-" + volume.name.str());
    }
  }
}

void visit_node_secrets(const PersistentVolume& volume, absl::FunctionRef<void(std::string_view ns, std::string_view name)> visit) {
  const auto& source = volume.spec.persistent_volume_source;
  std::string_view claim_ns = volume.spec.claim_ref ? volume.spec.claim_ref->namespace_.view() : std::string_view();
  // `fallback` is the namespace of a reference that names none.
  auto visit_one = [&](const auto& reference, std::string_view fallback) {
    if (!reference || reference->name.empty()) return;
    visit(reference->namespace_.empty() ? fallback : reference->namespace_.view(), reference->name);
  };
  if (source.azure_file && !source.azure_file->secret_name.empty()) {
    std::string_view ns = source.azure_file->secret_namespace.value_or("");
    visit(ns.empty() ? claim_ns : ns, source.azure_file->secret_name);
  }
  if (source.cephfs) visit_one(source.cephfs->secret_ref, claim_ns);
  if (source.cinder) visit_one(source.cinder->secret_ref, "");
  if (source.flex_volume) visit_one(source.flex_volume->secret_ref, claim_ns);
  if (source.rbd) visit_one(source.rbd->secret_ref, claim_ns);
  if (source.scale_io) visit_one(source.scale_io->secret_ref, claim_ns);
  if (source.iscsi) visit_one(source.iscsi->secret_ref, claim_ns);
  if (source.storageos) visit_one(source.storageos->secret_ref, "");
  if (!source.csi) return;
  visit_one(source.csi->node_publish_secret_ref, "");
  visit_one(source.csi->node_stage_secret_ref, "");
  visit_one(source.csi->node_expand_secret_ref, "");
}

}  // namespace knarr::apiserver::authz
