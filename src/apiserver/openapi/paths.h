// SPDX-License-Identifier: Apache-2.0
// OpenAPI paths and operations of resources: what may be asked where. Both dialects.
#pragma once

#include "apiserver/openapi/definitions.h"
#include "schema/json.h"
#include "schema/resource.h"

namespace knarr::apiserver::openapi {

// Adds the paths of a resource and its subresources to `paths`, and the definitions they name.
void add_resource_paths(Dialect dialect, const schema::Resource& resource, Definitions& definitions, json::Value& paths);

}  // namespace knarr::apiserver::openapi
