// SPDX-License-Identifier: Apache-2.0
// Small plugins about classes and volumes: DefaultStorageClass, DefaultIngressClass,
// StorageObjectInUseProtection, PersistentVolumeClaimResize.
#include "api/networking_v1.h"
#include "api/storage_v1.h"
#include "apiserver/admission/plugins/plugins.h"
#include "apiserver/strategy/validators.h"
#include "schema/quantity.h"

namespace knarr::apiserver::admission {

namespace {

using api::networking_v1::Ingress;
using api::networking_v1::IngressClass;
using api::storage_v1::StorageClass;

constexpr std::string_view kBetaClass = "volume.beta.kubernetes.io/storage-class";

// The newest default class, by name among equals; "" when there is none.
template <class Class>
std::string newest_default(ApiServer& server, std::initializer_list<std::string_view> annotations) {
  std::string name;
  schema::Time created;
  server.for_each_cached(
      Class::resource().group, Class::resource().plural, "", [&](const schema::Object& object) {
        const auto* candidate = object.as<Class>();
        if (candidate == nullptr) return;
        bool is_default = false;
        for (std::string_view annotation : annotations)
          is_default |= get_or_empty(candidate->metadata.annotations, annotation) == "true";
        if (!is_default) return;
        const auto& meta = candidate->metadata;
        bool better = name.empty() || meta.creation_timestamp > created ||
                      (meta.creation_timestamp == created && meta.name.view() < name);
        if (!better) return;
        name = meta.name.str();
        created = meta.creation_timestamp;
      });
  return name;
}

Task<Status> default_claim_class(Attributes& a) {
  auto* claim = object_as<core::PersistentVolumeClaim>(a);
  if (claim == nullptr || a.operation != Operation::kCreate ||
      !is_for(a, "", "persistentvolumeclaims"))
    co_return Status();
  if (claim->spec.storage_class_name || claim->metadata.annotations.contains(kBetaClass))
    co_return Status();
  std::string name = newest_default<StorageClass>(
      server_of(a), {"storageclass.kubernetes.io/is-default-class",
                     "storageclass.beta.kubernetes.io/is-default-class"});
  if (!name.empty()) claim->spec.storage_class_name = name;
  co_return Status();
}

Task<Status> set_ingress_class(Attributes& a) {
  auto* ingress = object_as<Ingress>(a);
  if (ingress == nullptr || a.operation != Operation::kCreate ||
      !is_for(a, "networking.k8s.io", "ingresses"))
    co_return Status();
  if (ingress->spec.ingress_class_name ||
      ingress->metadata.annotations.contains("kubernetes.io/ingress.class"))
    co_return Status();
  std::string name =
      newest_default<IngressClass>(server_of(a), {"ingressclass.kubernetes.io/is-default-class"});
  if (!name.empty()) ingress->spec.ingress_class_name = name;
  co_return Status();
}

// Volumes and claims stay while something uses them: a controller takes this finalizer away.
Task<Status> protect(Attributes& a) {
  if (a.operation != Operation::kCreate) co_return Status();
  auto add = [](schema::List<schema::Str>& finalizers, std::string_view name) {
    if (!contains(finalizers, name)) finalizers.push_back(name);
  };
  auto* volume = object_as<core::PersistentVolume>(a);
  auto* claim = object_as<core::PersistentVolumeClaim>(a);
  if (volume != nullptr && a.context.subresource.empty())
    add(volume->metadata.finalizers, "kubernetes.io/pv-protection");
  if (claim != nullptr && a.context.subresource.empty())
    add(claim->metadata.finalizers, "kubernetes.io/pvc-protection");
  co_return Status();
}

std::string_view class_of(const core::PersistentVolumeClaim& claim) {
  if (const schema::Str* beta = claim.metadata.annotations.find(kBetaClass)) return *beta;
  return claim.spec.storage_class_name.value_or("");
}

Task<Status> check_resize(Attributes& a) {
  const auto* claim = object_as<core::PersistentVolumeClaim>(a);
  const auto* old = old_as<core::PersistentVolumeClaim>(a);
  if (claim == nullptr || old == nullptr || !is_for(a, "", "persistentvolumeclaims"))
    co_return Status();
  auto size = [](const core::PersistentVolumeClaim& c) {
    const schema::Quantity* quantity = c.spec.resources.requests.find("storage");
    return quantity == nullptr ? schema::QuantityValue() : schema::QuantityValue::of(*quantity);
  };
  if (size(*claim) <= size(*old)) co_return Status();
  if (!(old->status.phase == "Bound"))
    co_return forbid(a, "Only bound persistent volume claims can be expanded");
  std::string_view name = class_of(*claim);
  auto found = name.empty() || name != class_of(*old) ? nullptr
                                                      : server_of(a).cached<StorageClass>("", name);
  if (found == nullptr || !found->allow_volume_expansion.value_or(false))
    co_return forbid(a,
                     "only dynamically provisioned pvc can be resized and the storageclass that "
                     "provisions the pvc must support resize");
  co_return Status();
}

}  // namespace

Plugin default_storage_class() {
  return {"DefaultStorageClass", true, &default_claim_class, nullptr};
}
Plugin default_ingress_class() {
  return {"DefaultIngressClass", true, &set_ingress_class, nullptr};
}
Plugin storage_object_in_use_protection() {
  return {"StorageObjectInUseProtection", true, &protect, nullptr};
}
Plugin claim_resize() { return {"PersistentVolumeClaimResize", true, nullptr, &check_resize}; }

}  // namespace knarr::apiserver::admission
