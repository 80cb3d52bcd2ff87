// SPDX-License-Identifier: Apache-2.0
// /api and /apis: the legacy documents, and the aggregated one where the client asks for it.
#include "apiserver/discovery/documents.h"

#include <algorithm>

#include "api/apidiscovery_v2beta1.h"
#include "api/meta_v1.h"
#include "apiserver/context.h"
#include "apiserver/discovery/catalog.h"
#include "apiserver/errors.h"

namespace knarr::apiserver::discovery {
namespace {

using api::apidiscovery_v2beta1::APIGroupDiscoveryList;

// One media range of an Accept header, split into its parameters.
bool asks_for_aggregated(std::string_view range) {
  auto has = [range](std::string_view parameter) {
    for (size_t at = range.find(parameter); at != std::string_view::npos; at = range.find(parameter, at + 1)) {
      size_t end = at + parameter.size();
      bool starts = at == 0 || range[at - 1] == ';' || range[at - 1] == ' ';
      bool ends = end == range.size() || range[end] == ';' || range[end] == ' ';
      if (starts && ends) return true;
    }
    return false;
  };
  return has("g=apidiscovery.k8s.io") && has("v=v2beta1") && has("as=APIGroupDiscoveryList");
}

// The first range that names a known form decides, as clients list what they like best first.
struct Wanted {
  bool aggregated = false;
  bool protobuf = false;
};
Wanted negotiate(std::string_view accept) {
  while (!accept.empty()) {
    size_t comma = accept.find(',');
    std::string_view range = accept.substr(0, comma);
    accept = comma == std::string_view::npos ? std::string_view() : accept.substr(comma + 1);
    Wanted wanted;
    wanted.protobuf = range.find("application/vnd.kubernetes.protobuf") != std::string_view::npos;
    if (!wanted.protobuf && range.find("application/json") == std::string_view::npos) continue;
    wanted.aggregated = asks_for_aggregated(range);
    if (wanted.aggregated || range.find("as=") == std::string_view::npos) return wanted;
  }
  return {};
}

// Rendered once: the built-in catalog never changes.
struct Rendered {
  std::string etag, json, protobuf;
  explicit Rendered(bool core) {
    const Catalog& catalog = builtin_catalog();
    APIGroupDiscoveryList list = catalog.aggregated(core);
    etag = catalog.aggregated_etag(core);
    json = schema::encode(schema::Encoding::kJson, APIGroupDiscoveryList::kind_info(), &list);
    protobuf = schema::encode(schema::Encoding::kProtobuf, APIGroupDiscoveryList::kind_info(), &list);
  }
  static const Rendered& of(bool core) {
    static const Rendered api(true), apis(false);
    return core ? api : apis;
  }
};

Task<Status> respond_aggregated(RequestContext& context, bool core, bool protobuf) {
  const Rendered& rendered = Rendered::of(core);
  net::Headers headers = response_headers(context);
  headers.set("ETag", rendered.etag);
  headers.set("Vary", "Accept");
  headers.set("Cache-Control", "public");
  Body body;
  int code = 304;
  if (context.request.headers.get("If-None-Match") != rendered.etag) {
    code = 200;
    std::string type = protobuf ? "application/vnd.kubernetes.protobuf" : "application/json";
    headers.set("Content-Type", type + ";g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList");
    body.append(Slice::of_static(protobuf ? rendered.protobuf : rendered.json));
  }
  Status status = co_await context.writer.respond(code, std::move(headers), std::move(body));
  co_return status;
}

std::vector<std::string_view> path_parts(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    size_t slash = path.find('/');
    if (std::string_view part = path.substr(0, slash); !part.empty()) parts.push_back(part);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

Task<Status> respond_versions(RequestContext& context) {
  api::meta_v1::APIVersions versions;
  for (const Version& version : builtin_catalog().find_group("")->versions) versions.versions.emplace_back() = version.name;
  api::meta_v1::ServerAddressByClientCIDR& address = versions.server_address_by_client_cidrs.emplace_back();
  address.client_cidr = "0.0.0.0/0";
  const Options& options = context.server.options();
  address.server_address = options.advertise_address + ":" + std::to_string(options.secure_port);
  Status status = co_await respond_object(context, 200, versions);
  co_return status;
}

Task<Status> fail(Status status) { co_return status; }

Task<Status> respond_groups(RequestContext& context) {
  api::meta_v1::APIGroupList list = builtin_catalog().group_list();
  Status status = co_await respond_object(context, 200, list);
  co_return status;
}

Task<Status> respond_group(RequestContext& context, std::string name) {
  const Group* group = builtin_catalog().find_group(name);
  if (group == nullptr || name.empty()) co_return generic_not_found();
  api::meta_v1::APIGroup document = Catalog::group_document(*group);
  Status status = co_await respond_object(context, 200, document);
  co_return status;
}

Task<Status> respond_resources(RequestContext& context, std::string group, std::string version) {
  const Version* found = builtin_catalog().find_version(group, version);
  if (found == nullptr) co_return generic_not_found();
  api::meta_v1::APIResourceList list = Catalog::resource_list(*found);
  Status status = co_await respond_object(context, 200, list);
  co_return status;
}

}  // namespace

// Tail calls hand over the task itself: a coroutine that only waits for another would be a frame for nothing.
Task<Status> serve_api(RequestContext& context) {
  std::vector<std::string_view> parts = path_parts(context.info.path);
  if (parts.size() > 2) return fail(generic_not_found());
  if (parts.size() == 2) return respond_resources(context, "", std::string(parts[1]));
  Wanted wanted = negotiate(context.request.headers.get("Accept"));
  return wanted.aggregated ? respond_aggregated(context, true, wanted.protobuf) : respond_versions(context);
}

Task<Status> serve_apis(RequestContext& context) {
  std::vector<std::string_view> parts = path_parts(context.info.path);
  if (parts.size() > 3) return fail(generic_not_found());
  if (parts.size() == 3) return respond_resources(context, std::string(parts[1]), std::string(parts[2]));
  if (parts.size() == 2) return respond_group(context, std::string(parts[1]));
  Wanted wanted = negotiate(context.request.headers.get("Accept"));
  return wanted.aggregated ? respond_aggregated(context, false, wanted.protobuf) : respond_groups(context);
}

}  // namespace knarr::apiserver::discovery
