// SPDX-License-Identifier: Apache-2.0
// What a request's path and method ask for, parsed as k8s.io/apiserver's endpoints/request does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "net/http.h"

namespace knarr::apiserver {

struct RequestInfo {
  bool is_resource = false;
  std::string path;     // decoded, without the query
  // Of resources: get list watch create update patch delete deletecollection (or proxy, watch of the legacy paths);
  // otherwise the method in lower case.
  std::string verb;
  std::string group, version;
  std::string namespace_;   // also of a request for a Namespace itself, as upstream has it
  std::string resource, subresource, name;
  // resource, name, subresource and whatever follows (the path that a proxy subresource forwards).
  std::vector<std::string> parts;

  // "v1" or "apps/v1".
  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
};

// 400 when the path cannot be a request (bad escapes, /watch/ without a resource).
Result<RequestInfo> parse_request_info(std::string_view method, std::string_view raw_path, const net::QueryParams& query);

// First value of a query parameter, "" when absent.
std::string_view query_value(const net::QueryParams& query, std::string_view name);
bool has_query(const net::QueryParams& query, std::string_view name);

}  // namespace knarr::apiserver
