// SPDX-License-Identifier: Apache-2.0
#include "apiserver/admission/plugins/plugins.h"

#include "apiserver/registry/registry.h"

namespace knarr::apiserver::admission {

Status forbid(const Attributes& a, std::string_view detail) {
  std::string name = a.context.name;
  if (name.empty()) {
    name = "Unknown";
    if (a.object != nullptr && a.type != nullptr) {
      const auto& meta = metadata_of(*a.type, a.object);
      if (!meta.name.empty()) {
        name = meta.name.str();
      } else if (!meta.generate_name.empty()) {
        name = meta.generate_name.str();
      }
    }
  }
  return forbidden(a.context.resource.group, a.context.resource.plural, name, detail);
}

std::span<const Plugin> plugins() {
  // Upstream's order (pkg/kubeapiserver/options/plugins.go).
  static const Plugin all[] = {
      namespace_lifecycle(),
      limit_ranger(),
      service_account(),
      node_restriction(),
      node_taint(),
      pod_security_standards(),
      priority(),
      default_toleration_seconds(),
      default_storage_class(),
      storage_object_in_use_protection(),
      claim_resize(),
      runtime_class(),
      certificate_approval(),
      certificate_signing(),
      certificate_subject_restriction(),
      default_ingress_class(),
      resource_quota(),
  };
  return all;
}

}  // namespace knarr::apiserver::admission
