// SPDX-License-Identifier: Apache-2.0
#include "apiserver/discovery/catalog.h"

#include <gtest/gtest.h>

namespace knarr::apiserver::discovery {
namespace {

TEST(Catalog, ListsTheGroupsThatAreServedByDefaultInUpstreamsOrder) {
  std::vector<std::string> names;
  for (const Group& group : builtin_catalog().groups()) {
    std::string text(group.name);
    for (const Version& version : group.versions) text += " " + std::string(version.name);
    names.push_back(text);
  }
  const std::vector<std::string> expected = {
      " v1", "apiregistration.k8s.io v1", "apps v1", "events.k8s.io v1", "authentication.k8s.io v1", "authorization.k8s.io v1",
      "autoscaling v2 v1", "batch v1", "certificates.k8s.io v1", "networking.k8s.io v1", "policy v1", "rbac.authorization.k8s.io v1",
      "storage.k8s.io v1", "admissionregistration.k8s.io v1", "apiextensions.k8s.io v1", "scheduling.k8s.io v1",
      "coordination.k8s.io v1", "node.k8s.io v1", "discovery.k8s.io v1", "flowcontrol.apiserver.k8s.io v1beta3 v1beta2"};
  EXPECT_EQ(names, expected);
}

TEST(Catalog, DescribesSubresourcesOfOtherGroups) {
  auto list = Catalog::resource_list(*builtin_catalog().find_version("", "v1"));
  bool found = false;
  for (const auto& resource : list.resources) {
    if (resource.name != "pods/eviction") continue;
    found = true;
    EXPECT_EQ(resource.group, "policy");
    EXPECT_EQ(resource.version, "v1");
    EXPECT_EQ(resource.kind, "Eviction");
    EXPECT_TRUE(resource.namespaced);
    EXPECT_EQ(resource.singular_name, "");
    ASSERT_EQ(resource.verbs.size(), 1u);
    EXPECT_EQ(resource.verbs[0], "create");
  }
  EXPECT_TRUE(found);
}

TEST(Catalog, LeavesTheGroupOfAKindOutWhenItIsTheDocumentsOwn) {
  auto list = builtin_catalog().aggregated(false);
  for (const auto& group : list.items) {
    if (group.metadata.name != "apps") continue;
    for (const auto& resource : group.versions[0].resources) {
      if (resource.resource != "deployments") continue;
      EXPECT_EQ(resource.response_kind->group, "");
      EXPECT_EQ(resource.response_kind->kind, "Deployment");
      EXPECT_EQ(resource.subresources[0].subresource, "scale");
      EXPECT_EQ(resource.subresources[0].response_kind->group, "autoscaling");
      return;
    }
  }
  FAIL() << "apps/deployments is not there";
}

TEST(Catalog, TagsItsDocumentByContent) {
  std::string etag = builtin_catalog().aggregated_etag(false);
  EXPECT_EQ(etag.size(), 130u);
  EXPECT_EQ(etag, builtin_catalog().aggregated_etag(false));
  EXPECT_NE(etag, builtin_catalog().aggregated_etag(true));
}

}  // namespace
}  // namespace knarr::apiserver::discovery
