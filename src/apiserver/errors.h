// SPDX-License-Identifier: Apache-2.0
// The Status answers of the API, worded as k8s.io/apimachinery's api/errors words them.
#pragma once

#include <string_view>

#include "base/status.h"
#include "schema/resource.h"

namespace knarr::apiserver {

// group and resource name the GroupResource: `pods "x" not found`, `deployments.apps "x" not found`.
Status not_found(std::string_view group, std::string_view resource, std::string_view name);
Status already_exists(std::string_view group, std::string_view resource, std::string_view name);
Status conflict(std::string_view group, std::string_view resource, std::string_view name, std::string_view detail);
Status forbidden(std::string_view group, std::string_view resource, std::string_view name, std::string_view detail);
Status bad_request(std::string_view message);
Status unauthorized(std::string_view message = "Unauthorized");
Status method_not_supported(std::string_view group, std::string_view resource, std::string_view verb);
Status gone(std::string_view message);
Status internal_error(std::string_view message);            // "Internal error occurred: ..."
Status too_many_requests(std::string_view message, int retry_after_seconds);
Status request_entity_too_large(std::string_view message);
Status not_acceptable(std::string_view message);
Status unsupported_media_type(std::string_view message);
Status service_unavailable(std::string_view message);
Status timeout(std::string_view message, int retry_after_seconds);
Status generic_not_found();                                  // "the server could not find the requested resource"

}  // namespace knarr::apiserver
