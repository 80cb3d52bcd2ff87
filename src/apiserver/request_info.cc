// SPDX-License-Identifier: Apache-2.0
#include "apiserver/request_info.h"

#include "apiserver/errors.h"
#include "schema/selector.h"

namespace knarr::apiserver {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// A path's segments, decoded one by one so that an escaped slash stays inside its segment.
Result<std::vector<std::string>> split_path(std::string_view path) {
  while (!path.empty() && path.front() == '/') path.remove_prefix(1);
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  std::vector<std::string> parts;
  while (!path.empty()) {
    size_t slash = path.find('/');
    TRY_ASSIGN(std::string part, net::percent_decode(path.substr(0, slash)));
    parts.push_back(std::move(part));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
    if (path.empty()) break;
  }
  return parts;
}

bool truthy(std::string_view value) { return value != "false" && value != "0" && value != "False" && value != "FALSE"; }

std::string_view verb_of(std::string_view method) {
  if (method == "POST") return "create";
  if (method == "GET" || method == "HEAD") return "get";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return "delete";
  return "";
}

bool namespace_subresource(std::string_view name) { return name == "status" || name == "finalize"; }

// A collection's get is a list or a watch; a field selector on the name makes it one of a single object, for authorization.
void refine_collection(RequestInfo& info, const net::QueryParams& query) {
  if (!info.name.empty()) return;
  if (info.verb == "get") {
    info.verb = has_query(query, "watch") && truthy(query_value(query, "watch")) ? "watch" : "list";
    std::string_view text = query_value(query, "fieldSelector");
    if (text.empty()) return;
    auto selector = schema::FieldSelector::parse(text);
    if (!selector.ok()) return;
    const std::string* name = selector->required_value("metadata.name");
    if (name != nullptr && *name != "." && *name != ".." && name->find_first_of("/%") == std::string::npos) info.name = *name;
  } else if (info.verb == "delete") {
    info.verb = "deletecollection";
  }
}

}  // namespace

std::string_view query_value(const net::QueryParams& query, std::string_view name) {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return {};
}

bool has_query(const net::QueryParams& query, std::string_view name) {
  for (const auto& [key, value] : query)
    if (key == name) return true;
  return false;
}

Result<RequestInfo> parse_request_info(std::string_view method, std::string_view raw_path, const net::QueryParams& query) {
  RequestInfo info;
  TRY_ASSIGN(info.path, net::percent_decode(raw_path));
  for (char c : method) info.verb += lower(c);
  TRY_ASSIGN(std::vector<std::string> parts, split_path(raw_path));
  if (parts.size() < 3 || (parts[0] != "api" && parts[0] != "apis")) return info;
  size_t at = 1;
  if (parts[0] == "apis") {
    if (parts.size() < 4) return info;
    info.group = parts[1];
    at = 2;
  }
  info.is_resource = true;
  info.version = parts[at++];
  if (parts[at] == "proxy" || parts[at] == "watch") {
    if (parts.size() < at + 2) return bad_request("unable to determine kind and namespace from url, " + info.path);
    info.verb = parts[at++];
  } else {
    info.verb = verb_of(method);
  }
  if (parts[at] == "namespaces" && parts.size() > at + 1) {
    info.namespace_ = parts[at + 1];
    if (parts.size() > at + 2 && !namespace_subresource(parts[at + 2])) at += 2;
  }
  info.parts.assign(parts.begin() + static_cast<ptrdiff_t>(at), parts.end());
  info.resource = info.parts[0];
  if (info.parts.size() >= 2) info.name = info.parts[1];
  if (info.parts.size() >= 3 && info.verb != "proxy" && info.verb != "watch") info.subresource = info.parts[2];
  refine_collection(info, query);
  return info;
}

}  // namespace knarr::apiserver
