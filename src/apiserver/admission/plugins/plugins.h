// SPDX-License-Identifier: Apache-2.0
// The admission plugins, one a file, and what they share.
#pragma once

#include <string>
#include <string_view>

#include "api/core_v1.h"
#include "apiserver/admission/admission.h"
#include "apiserver/errors.h"
#include "apiserver/server.h"

namespace knarr::apiserver::admission {

namespace core = api::core_v1;

// Whether the request is for this resource itself, not for a subresource of it.
inline bool is_for(const Attributes& a, std::string_view group, std::string_view plural) {
  return a.context.resource.group == group && a.context.resource.plural == plural &&
         a.context.subresource.empty();
}
// The object as T; null when it is another kind or absent.
template <class T>
T* object_as(Attributes& a) {
  return a.type == &T::table() ? static_cast<T*>(a.object) : nullptr;
}
template <class T>
const T* old_as(const Attributes& a) {
  return a.type == &T::table() ? static_cast<const T*>(a.old_object) : nullptr;
}
inline ApiServer& server_of(const Attributes& a) { return a.context.server; }

// 403 `pods "x" is forbidden: detail`. An object whose name will be generated is named by its
// prefix.
Status forbid(const Attributes& attributes, std::string_view detail);

Plugin namespace_lifecycle();
Plugin limit_ranger();
Plugin service_account();
Plugin node_restriction();
Plugin node_taint();
Plugin pod_security_standards();
Plugin priority();
Plugin default_toleration_seconds();
Plugin default_storage_class();
Plugin storage_object_in_use_protection();
Plugin claim_resize();
Plugin runtime_class();
Plugin certificate_approval();
Plugin certificate_signing();
Plugin certificate_subject_restriction();
Plugin default_ingress_class();
Plugin resource_quota();

}  // namespace knarr::apiserver::admission
