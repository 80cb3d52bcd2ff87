// SPDX-License-Identifier: Apache-2.0
// Subresources with a life of their own (exec, log, eviction, binding, token, ...), beside the generic `status` and `scale`.
// A constant table, defined in subresource/handlers.cc.
#pragma once

#include <span>
#include <string_view>

#include "apiserver/field_errors.h"
#include "apiserver/strategy.h"
#include "base/task.h"

namespace knarr::apiserver {

struct RequestContext;

struct SubresourceHandler {
  std::string_view group, resource, subresource;  // of every version

  // Takes the whole exchange (connect, create): reads the body, answers by context.h's functions or the raw writer. Every verb comes here; a failed
  // Status is sent when nothing was sent before. Authorization is done already.
  Task<Status> (*handle)(RequestContext& context) = nullptr;

  // Or: another door to the parent object (ephemeralcontainers, finalize, approval). The generic get, update and patch run with these
  // instead of the strategy's prepare_update and validate_update; prepare must carry over from old_object all that the door does not open.
  void (*prepare)(WriteContext& context, void* object, const void* old_object) = nullptr;
  void (*validate)(const void* object, const void* old_object, FieldErrors& errors) = nullptr;
};

std::span<const SubresourceHandler> subresource_handlers();

}  // namespace knarr::apiserver
