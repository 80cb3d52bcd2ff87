// SPDX-License-Identifier: Apache-2.0
// What the server offers, as discovery tells it: groups in the order of their priority, versions in the order of preference, resources by name.
//
// A Catalog is an immutable snapshot of the served resources; every document made of it is rendered once, on first use, and shared.
// Custom resources and aggregated APIs publish a new snapshot.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/apidiscovery_v2beta1.h"
#include "api/meta_v1.h"
#include "schema/resource.h"

namespace knarr::apiserver::discovery {

struct Version {
  std::string_view name;                              // "v1"
  std::string api_version;                            // "apps/v1"
  std::vector<const schema::Resource*> resources;     // by plural
};

struct Group {
  std::string_view name;                              // "" is core
  std::vector<Version> versions;                      // preferred first
};

class Catalog {
 public:
  explicit Catalog(std::span<const schema::Resource> resources);
  const std::vector<Group>& groups() const { return groups_; }   // core first, then as /apis lists them
  const Group* find_group(std::string_view name) const;
  const Version* find_version(std::string_view group, std::string_view version) const;

  api::meta_v1::APIGroupList group_list() const;
  static api::meta_v1::APIGroup group_document(const Group& group);
  static api::meta_v1::APIResourceList resource_list(const Version& version);
  // `core` picks /api's document, else /apis'.
  api::apidiscovery_v2beta1::APIGroupDiscoveryList aggregated(bool core) const;
  // Upper-case hex of the SHA-512 over the JSON document, in quotes: the ETag of aggregated discovery.
  std::string aggregated_etag(bool core) const;

 private:
  std::vector<Group> groups_;
};

// The catalog of the built-in resources that 1.28 serves by default.
const Catalog& builtin_catalog();

}  // namespace knarr::apiserver::discovery
