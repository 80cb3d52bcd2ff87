// SPDX-License-Identifier: Apache-2.0
// Strategy of namespaces.
#include "apiserver/strategy/namespace.h"

#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"
#include "apiserver/strategy/validators.h"

namespace knarr::apiserver {

namespace {

namespace core = api::core_v1;

constexpr std::string_view kNameLabel = "kubernetes.io/metadata.name";

void defaults(core::Namespace& object) {
  apply_table_defaults(object);
  if (!object.metadata.name.empty()) object.metadata.labels[kNameLabel] = object.metadata.name;
}

void prepare_create(WriteContext&, core::Namespace& object) {
  object.status = core::NamespaceStatus();
  object.status.phase = "Active";
  if (!contains(object.spec.finalizers, "kubernetes"))
    object.spec.finalizers.push_back("kubernetes");
  // A generated name is known only now.
  object.metadata.labels[kNameLabel] = object.metadata.name;
}

void prepare_update(WriteContext&, core::Namespace& object, const core::Namespace& old) {
  object.spec.finalizers = old.spec.finalizers;
  object.status = old.status;
  object.metadata.labels[kNameLabel] = object.metadata.name;
}

void prepare_status(WriteContext&, core::Namespace& object, const core::Namespace& old) {
  object.spec = old.spec;
}

void validate(const core::Namespace& object, FieldErrors& errors) {
  for (const Str& finalizer : object.spec.finalizers)
    validate_finalizer_name(finalizer, Path("spec") / "finalizers", errors);
}
void validate_update(const core::Namespace& object, const core::Namespace&, FieldErrors& errors) {
  validate(object, errors);
}

void validate_status(const core::Namespace& object, const core::Namespace&, FieldErrors& errors) {
  Path path = Path("status") / "Phase";
  if (!object.metadata.deletion_timestamp) {
    if (!(object.status.phase == "Active"))
      errors.invalid(path, quoted(object.status.phase),
                     "may only be 'Active' if `deletionTimestamp` is empty");
  } else if (!(object.status.phase == "Terminating")) {
    errors.invalid(path, quoted(object.status.phase),
                   "may only be 'Terminating' if `deletionTimestamp` is not empty");
  }
}

constexpr Strategy kStrategies[] = {
    {.group = "",
     .plural = "namespaces",
     .defaults = erase_defaults<&defaults>,
     .prepare_create = erase_create<&prepare_create>,
     .prepare_update = erase_update<&prepare_update>,
     .validate = erase_validate<&validate>,
     .validate_update = erase_validate_update<&validate_update>,
     .prepare_status = erase_update<&prepare_status>,
     .validate_status = erase_validate_update<&validate_status>,
     .name_problems = &name_is_dns_label,
     .has_status = true,
     .returns_deleted_object = true},
};

}  // namespace

std::span<const Strategy> namespace_strategies() { return kStrategies; }

void prepare_namespace_finalize(WriteContext&, core::Namespace& object,
                                const core::Namespace& old) {
  object.status = old.status;
}

void validate_namespace_finalize(const core::Namespace& object, const core::Namespace&,
                                 FieldErrors& errors) {
  Path path = Path("spec") / "finalizers";
  for (size_t i = 0; i < object.spec.finalizers.size(); ++i)
    validate_finalizer_name(object.spec.finalizers[i], path.index(i), errors);
}

}  // namespace knarr::apiserver
