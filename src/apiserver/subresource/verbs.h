// SPDX-License-Identifier: Apache-2.0
// Which methods a handler takes: every verb of its path comes to it.
#pragma once

#include "apiserver/context.h"
#include "apiserver/errors.h"

namespace knarr::apiserver::subresource {

inline Status method_not_allowed() {
  return Status::make(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
}
// A path that is not there at all comes before a method that it does not take.
inline Status expect_create_at(const RequestContext& context, size_t parts) {
  if (context.info.parts.size() != parts) return generic_not_found();
  return context.info.verb == "create" ? Status() : method_not_allowed();
}
// POST to .../RESOURCE/NAME/SUBRESOURCE, and to a collection.
inline Status expect_create_of_one(const RequestContext& context) { return expect_create_at(context, 3); }
inline Status expect_create(const RequestContext& context) { return expect_create_at(context, 1); }
// Connections are opened by GET or POST.
inline Status expect_connect(const RequestContext& context) {
  if (context.info.parts.size() != 3) return generic_not_found();
  return context.info.verb == "get" || context.info.verb == "create" ? Status() : method_not_allowed();
}

}  // namespace knarr::apiserver::subresource
