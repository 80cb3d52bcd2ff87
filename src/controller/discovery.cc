// SPDX-License-Identifier: Apache-2.0
#include "controller/discovery.h"

#include <set>

#include "api/apidiscovery_v2beta1.h"
#include "api/meta_v1.h"
#include "schema/codec.h"

namespace knarr::controller {
namespace {

using api::apidiscovery_v2beta1::APIGroupDiscoveryList;

constexpr std::string_view kAggregated =
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

uint16_t verb_bit(std::string_view verb) {
  static constexpr std::pair<std::string_view, uint16_t> kVerbs[] = {
      {"create", schema::kCreate}, {"delete", schema::kDelete}, {"deletecollection", schema::kDeleteCollection},
      {"get", schema::kGet},       {"list", schema::kList},     {"patch", schema::kPatch},
      {"update", schema::kUpdate}, {"watch", schema::kWatch}};
  for (const auto& [name, bit] : kVerbs)
    if (name == verb) return bit;
  return 0;
}

ServedResourcePtr make_resource(std::string_view group, std::string_view version, std::string_view plural, std::string_view kind,
                                bool namespaced, const schema::List<schema::Str>& verbs, bool preferred) {
  auto made = std::make_shared<ServedResource>();
  made->group = group;
  made->version = version;
  made->api_version = group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
  made->plural = plural;
  made->kind = kind;
  made->list_kind = std::string(kind) + "List";
  made->namespaced = namespaced;
  made->preferred = preferred;
  for (const schema::Str& verb : verbs) made->verbs |= verb_bit(verb);
  schema::Resource& resource = made->resource;
  resource.group = made->group;
  resource.version = made->version;
  resource.api_version = made->api_version;
  resource.plural = made->plural;
  resource.kind = made->kind;
  resource.list_kind = made->list_kind;
  resource.namespaced = namespaced;
  resource.served = true;
  resource.verbs = made->verbs;
  if (const schema::Resource* builtin = schema::find_resource(group, version, plural)) resource.type = builtin->type;
  return made;
}

// Upstream's "preferred resources": those of the first version, then those that only later versions have.
class Collector {
 public:
  void add(std::string_view group, std::string_view version, std::string_view plural, std::string_view kind, bool namespaced,
           const schema::List<schema::Str>& verbs) {
    if (plural.find('/') != std::string_view::npos) return;  // a subresource
    bool first = seen_.insert(std::string(group) + "\n" + std::string(plural)).second;
    found.resources.push_back(make_resource(group, version, plural, kind, namespaced, verbs, first));
  }
  Discovery found;

 private:
  std::set<std::string> seen_;
};

Task<Result<client::ApiResponse>> get(client::Client& client, std::string target, std::string accept) {
  client::ApiRequest request;
  request.target = std::move(target);
  request.accept = std::move(accept);
  request.user_agent = client.user_agent();
  auto response = co_await client.transport().send(std::move(request));
  if (!response.ok()) co_return response.status();
  if (response->status != 200)
    co_return client::status_of_response(response->status, response->headers.get("Content-Type"), response->body);
  co_return std::move(*response);
}

bool is_aggregated(const client::ApiResponse& response) {
  return response.headers.get("Content-Type").find("as=APIGroupDiscoveryList") != std::string_view::npos;
}

Status add_aggregated(Collector& collector, const std::string& body) {
  TRY_ASSIGN(auto list, schema::from_json<APIGroupDiscoveryList>(body));
  for (const auto& group : list.items) {
    for (const auto& version : group.versions) {
      std::string_view group_name = group.metadata.name;
      if (version.freshness == "Stale")
        collector.found.failures.push_back(group.metadata.name.str() + "/" + version.version.str() +
                                           ": stale GroupVersion discovery: " + group.metadata.name.str() + "/" + version.version.str());
      for (const auto& resource : version.resources) {
        std::string_view kind = resource.response_kind ? resource.response_kind->kind.view() : std::string_view();
        if (kind.empty()) continue;
        collector.add(group_name, version.version, resource.resource, kind, resource.scope == "Namespaced", resource.verbs);
      }
    }
  }
  return {};
}

Task<void> add_group_version(client::Client& client, Collector& collector, std::string group, std::string version) {
  std::string api_version = group.empty() ? version : group + "/" + version;
  std::string target = (group.empty() ? "/api/" : "/apis/") + api_version;
  std::string accept = "application/json";
  auto response = co_await get(client, std::move(target), std::move(accept));
  Status status = response.status();
  if (response.ok()) {
    auto list = schema::from_json<api::meta_v1::APIResourceList>(response->body);
    status = list.status();
    if (list.ok()) {
      for (const auto& resource : list->resources)
        collector.add(group, version, resource.name, resource.kind, resource.namespaced, resource.verbs);
    }
  }
  if (!status.ok()) collector.found.failures.push_back(api_version + ": " + std::string(status.message()));
}

}  // namespace

ServedResourcePtr Discovery::find(std::string_view api_version, std::string_view kind) const {
  for (const ServedResourcePtr& resource : resources)
    if (resource->api_version == api_version && resource->kind == kind) return resource;
  return nullptr;
}

Task<Result<Discovery>> discover(client::Client& client) {
  Collector collector;
  std::string core_target = "/api", groups_target = "/apis";
  std::string accept(kAggregated), accept_too(kAggregated);
  auto core = co_await get(client, std::move(core_target), std::move(accept));
  if (!core.ok()) co_return core.status();
  if (is_aggregated(*core)) {
    CO_TRY(add_aggregated(collector, core->body));
  } else {
    std::string none, v1 = "v1";
    co_await add_group_version(client, collector, std::move(none), std::move(v1));
  }
  auto groups = co_await get(client, std::move(groups_target), std::move(accept_too));
  if (!groups.ok()) co_return groups.status();
  if (is_aggregated(*groups)) {
    CO_TRY(add_aggregated(collector, groups->body));
    co_return std::move(collector.found);
  }
  auto list = schema::from_json<api::meta_v1::APIGroupList>(groups->body);
  if (!list.ok()) co_return list.status();
  for (const auto& group : list->groups) {
    std::vector<std::string> versions = {group.preferred_version.version.str()};
    for (const auto& version : group.versions)
      if (version.version != versions.front()) versions.push_back(version.version.str());
    for (const std::string& version : versions) {
      std::string group_name = group.name.str(), wanted = version;
      co_await add_group_version(client, collector, std::move(group_name), std::move(wanted));
    }
  }
  co_return std::move(collector.found);
}

}  // namespace knarr::controller
