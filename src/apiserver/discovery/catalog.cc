// SPDX-License-Identifier: Apache-2.0
#include "apiserver/discovery/catalog.h"

#include <openssl/sha.h>

#include <algorithm>

#include "schema/codec.h"

namespace knarr::apiserver::discovery {
namespace {

using api::apidiscovery_v2beta1::APIGroupDiscovery;
using api::apidiscovery_v2beta1::APIGroupDiscoveryList;
using api::apidiscovery_v2beta1::APIResourceDiscovery;
using api::apidiscovery_v2beta1::APISubresourceDiscovery;
using api::apidiscovery_v2beta1::APIVersionDiscovery;
using api::meta_v1::APIGroup;
using api::meta_v1::APIGroupList;
using api::meta_v1::APIResource;
using api::meta_v1::APIResourceList;
using api::meta_v1::GroupVersionForDiscovery;

// The order in which /apis lists groups: that of their APIServices' priorities. Groups that are not here follow by name.
constexpr std::string_view kGroupOrder[] = {
    "", "apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch",
    "certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io",
    "apiextensions.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io", "discovery.k8s.io", "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io", "resource.k8s.io"};

size_t group_rank(std::string_view group) {
  return static_cast<size_t>(std::find(std::begin(kGroupOrder), std::end(kGroupOrder), group) - std::begin(kGroupOrder));
}

// Kubernetes' order of versions: GA before beta before alpha, higher numbers first.
struct VersionRank {
  int stability = 0;  // 3 GA, 2 beta, 1 alpha, 0 not a Kubernetes version
  int major = 0, minor = 0;
  friend auto operator<=>(const VersionRank&, const VersionRank&) = default;
};

VersionRank version_rank(std::string_view text) {
  auto number = [&text] {
    int value = 0;
    bool any = false;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9' && value < 100000) {
      value = value * 10 + (text[0] - '0');
      text.remove_prefix(1);
      any = true;
    }
    return any ? value : -1;
  };
  VersionRank rank;
  if (!text.starts_with('v')) return rank;
  text.remove_prefix(1);
  rank.major = number();
  if (rank.major < 0) return {};
  if (text.empty()) {
    rank.stability = 3;
    return rank;
  }
  bool beta = text.starts_with("beta"), alpha = text.starts_with("alpha");
  if (!beta && !alpha) return {};
  text.remove_prefix(beta ? 4 : 5);
  rank.minor = number();
  rank.stability = beta ? 2 : 1;
  return rank.minor < 0 || !text.empty() ? VersionRank{} : rank;
}

std::vector<std::string_view> verb_names(uint16_t verbs) {
  static constexpr std::pair<uint16_t, std::string_view> kNames[] = {
      {schema::kCreate, "create"}, {schema::kDelete, "delete"}, {schema::kDeleteCollection, "deletecollection"},
      {schema::kGet, "get"},       {schema::kList, "list"},     {schema::kPatch, "patch"},
      {schema::kUpdate, "update"}, {schema::kWatch, "watch"}};
  std::vector<std::string_view> names;
  for (const auto& [bit, name] : kNames)
    if (verbs & bit) names.push_back(name);
  return names;
}

template <class Out>
void fill_strings(Out& out, const auto& values) {
  for (std::string_view value : values) out.emplace_back() = value;
}

GroupVersionForDiscovery version_document(const Version& version) {
  GroupVersionForDiscovery document;
  document.group_version = version.api_version;
  document.version = version.name;
  return document;
}

void add_resource(schema::List<APIResource>& out, const schema::Resource& resource) {
  APIResource& entry = out.emplace_back();
  entry.name = resource.plural;
  entry.singular_name = resource.singular;
  entry.namespaced = resource.namespaced;
  entry.kind = resource.kind;
  entry.storage_version_hash = resource.storage_hash;
  entry.verbs.reserve(8);
  fill_strings(entry.verbs, verb_names(resource.verbs));
  fill_strings(entry.short_names, resource.short_names);
  fill_strings(entry.categories, resource.categories);
  for (const schema::Subresource& subresource : resource.subresources) {
    APIResource& sub = out.emplace_back();
    sub.name = std::string(resource.plural) + "/" + std::string(subresource.name);
    sub.namespaced = resource.namespaced;
    sub.kind = subresource.kind != nullptr ? subresource.kind->kind : resource.kind;
    if (subresource.kind != nullptr && subresource.kind->api_version != resource.api_version) {
      sub.group = subresource.kind->group;
      sub.version = subresource.kind->version;
    }
    sub.verbs.reserve(4);
    fill_strings(sub.verbs, verb_names(subresource.verbs));
  }
}

// Group and version stay empty when they are those of the enclosing document.
api::meta_v1::GroupVersionKind response_kind(const schema::Resource& resource, const schema::KindInfo* kind) {
  api::meta_v1::GroupVersionKind out;
  out.kind = kind != nullptr ? kind->kind : resource.kind;
  if (kind != nullptr && kind->api_version != resource.api_version) {
    out.group = kind->group;
    out.version = kind->version;
  }
  return out;
}

APIResourceDiscovery resource_discovery(const schema::Resource& resource) {
  APIResourceDiscovery entry;
  entry.resource = resource.plural;
  entry.response_kind = response_kind(resource, nullptr);
  entry.scope = resource.namespaced ? "Namespaced" : "Cluster";
  entry.singular_resource = resource.singular;
  entry.verbs.reserve(8);
  fill_strings(entry.verbs, verb_names(resource.verbs));
  fill_strings(entry.short_names, resource.short_names);
  fill_strings(entry.categories, resource.categories);
  for (const schema::Subresource& subresource : resource.subresources) {
    APISubresourceDiscovery& sub = entry.subresources.emplace_back();
    sub.subresource = subresource.name;
    sub.response_kind = response_kind(resource, subresource.kind);
    sub.verbs.reserve(4);
    fill_strings(sub.verbs, verb_names(subresource.verbs));
  }
  return entry;
}

}  // namespace

Catalog::Catalog(std::span<const schema::Resource> resources) {
  for (const schema::Resource& resource : resources) {
    if (!resource.served) continue;
    auto group = std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.name == resource.group; });
    if (group == groups_.end()) group = groups_.insert(groups_.end(), Group{resource.group, {}});
    auto& versions = group->versions;
    auto version = std::find_if(versions.begin(), versions.end(), [&](const Version& v) { return v.name == resource.version; });
    if (version == versions.end())
      version = versions.insert(versions.end(), Version{resource.version, std::string(resource.api_version), {}});
    version->resources.push_back(&resource);
  }
  std::sort(groups_.begin(), groups_.end(), [](const Group& a, const Group& b) {
    return std::pair(group_rank(a.name), a.name) < std::pair(group_rank(b.name), b.name);
  });
  for (Group& group : groups_) {
    std::sort(group.versions.begin(), group.versions.end(), [](const Version& a, const Version& b) {
      return version_rank(a.name) > version_rank(b.name);
    });
    for (Version& version : group.versions)
      std::sort(version.resources.begin(), version.resources.end(),
                [](const schema::Resource* a, const schema::Resource* b) { return a->plural < b->plural; });
  }
}

const Group* Catalog::find_group(std::string_view name) const {
  for (const Group& group : groups_)
    if (group.name == name) return &group;
  return nullptr;
}

const Version* Catalog::find_version(std::string_view group_name, std::string_view version_name) const {
  const Group* group = find_group(group_name);
  if (group == nullptr) return nullptr;
  for (const Version& version : group->versions)
    if (version.name == version_name) return &version;
  return nullptr;
}

APIGroup Catalog::group_document(const Group& group) {
  APIGroup document;
  document.name = group.name;
  for (const Version& version : group.versions) document.versions.push_back(version_document(version));
  document.preferred_version = version_document(group.versions.front());
  return document;
}

APIGroupList Catalog::group_list() const {
  APIGroupList list;
  list.groups.reserve(static_cast<uint32_t>(groups_.size()));
  for (const Group& group : groups_)
    if (!group.name.empty()) list.groups.push_back(group_document(group));
  return list;
}

APIResourceList Catalog::resource_list(const Version& version) {
  APIResourceList list;
  list.group_version = version.api_version;
  list.resources.reserve(static_cast<uint32_t>(version.resources.size()));
  for (const schema::Resource* resource : version.resources) add_resource(list.resources, *resource);
  return list;
}

APIGroupDiscoveryList Catalog::aggregated(bool core) const {
  APIGroupDiscoveryList list;
  list.items.reserve(static_cast<uint32_t>(groups_.size()));
  for (const Group& group : groups_) {
    if (group.name.empty() != core) continue;
    APIGroupDiscovery& entry = list.items.emplace_back();
    entry.metadata.name = group.name;
    for (const Version& version : group.versions) {
      APIVersionDiscovery& out = entry.versions.emplace_back();
      out.version = version.name;
      out.freshness = "Current";
      for (const schema::Resource* resource : version.resources) out.resources.push_back(resource_discovery(*resource));
    }
  }
  return list;
}

std::string Catalog::aggregated_etag(bool core) const {
  std::string json = schema::to_json(aggregated(core));
  unsigned char digest[SHA512_DIGEST_LENGTH];
  SHA512(reinterpret_cast<const unsigned char*>(json.data()), json.size(), digest);
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string etag = "\"";
  for (unsigned char byte : digest) {
    etag += kHex[byte >> 4];
    etag += kHex[byte & 15];
  }
  return etag + '"';
}

const Catalog& builtin_catalog() {
  static const Catalog catalog(schema::builtin_resources());
  return catalog;
}

}  // namespace knarr::apiserver::discovery
