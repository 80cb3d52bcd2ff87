// SPDX-License-Identifier: Apache-2.0
// Which methods a handler takes: every verb of its path comes to it.
#pragma once

#include "apiserver/context.h"

namespace knarr::apiserver::subresource {

inline Status method_not_allowed() {
  return Status::make(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
}
// POST to .../RESOURCE/NAME/SUBRESOURCE, and to a collection.
inline Status expect_create_of_one(const RequestContext& context) {
  return context.info.verb == "create" && context.info.parts.size() == 3 ? Status() : method_not_allowed();
}
inline Status expect_create(const RequestContext& context) {
  return context.info.verb == "create" && context.info.parts.size() == 1 ? Status() : method_not_allowed();
}

}  // namespace knarr::apiserver::subresource
