// SPDX-License-Identifier: Apache-2.0
// Endpoints that are no resources: health, version, metrics, discovery, OpenAPI. A constant table, defined in discovery/routes.cc.
#pragma once

#include <span>
#include <string_view>

#include "base/task.h"
#include "net/http.h"

namespace knarr::apiserver {

class ApiServer;
struct RequestContext;

// Answers through the context (respond_raw, respond_object, or context.writer). A failed Status is sent as such when nothing was sent before.
using RawHandler = Task<Status> (*)(RequestContext& context);

struct Route {
  std::string_view path;      // "/version"; of a prefix: "/apis" matches "/apis" and "/apis/..."
  bool prefix = false;
  RawHandler handler = nullptr;
};

// Exact paths win over prefixes, longer prefixes over shorter ones. Resource paths (/api/v1/x, /apis/g/v/x) never come here.
std::span<const Route> routes();

}  // namespace knarr::apiserver
