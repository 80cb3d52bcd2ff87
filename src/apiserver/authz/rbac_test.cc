// SPDX-License-Identifier: Apache-2.0
// What rules, bindings and nodes' references allow; the cases follow upstream's rbac_test.go, policy_comparator_test.go and node_authorizer_test.go.
#include <gtest/gtest.h>

#include "apiserver/authz/abac.h"
#include "apiserver/authz/node_graph.h"
#include "apiserver/authz/policy_rules.h"
#include "apiserver/authz/rbac_index.h"

namespace knarr::apiserver::authz {
namespace {

using api::rbac_v1::RoleRef;
using api::rbac_v1::Subject;

schema::List<schema::Str> words(std::string_view text) {
  schema::List<schema::Str> out;
  while (!text.empty()) {
    size_t comma = text.find(',');
    out.push_back(text.substr(0, comma) == "core" ? std::string_view() : text.substr(0, comma));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return out;
}
PolicyRule rule(std::string_view verbs, std::string_view groups, std::string_view resources, std::string_view names = "") {
  PolicyRule made;
  made.verbs = words(verbs);
  made.api_groups = words(groups);
  made.resources = words(resources);
  made.resource_names = words(names);
  return made;
}
PolicyRule url_rule(std::string_view verbs, std::string_view urls) {
  PolicyRule made;
  made.verbs = words(verbs);
  made.non_resource_urls = words(urls);
  return made;
}

bool allows(const PolicyRule& rule, std::string_view verb, std::string_view group, std::string_view resource, std::string_view subresource = "",
            std::string_view name = "") {
  User user;
  return rule_allows(rule, {.user = user, .verb = verb, .is_resource = true, .group = group, .resource = resource, .subresource = subresource, .name = name});
}
bool allows_url(const PolicyRule& rule, std::string_view verb, std::string_view path) {
  User user;
  return rule_allows(rule, {.user = user, .verb = verb, .path = path});
}

TEST(PolicyRules, MatchExactlyOrByStar) {
  for (std::string_view verb : {"verb1", "verb2"})
    for (std::string_view group : {"group1", "group2"})
      for (std::string_view resource : {"resource1", "resource2"}) {
        EXPECT_EQ(allows(rule("*", "group1", "resource1"), verb, group, resource), group == "group1" && resource == "resource1");
        EXPECT_EQ(allows(rule("verb1", "*", "resource1"), verb, group, resource), verb == "verb1" && resource == "resource1");
        EXPECT_EQ(allows(rule("verb1", "group1", "*"), verb, group, resource), verb == "verb1" && group == "group1");
        EXPECT_TRUE(allows(rule("verb1,verb2", "group1,group2", "resource1,resource2"), verb, group, resource));
      }
}

TEST(PolicyRules, SubresourcesAreNamedOrStarred) {
  PolicyRule status = rule("*", "*", "pods/status"), scale = rule("*", "*", "*/scale"), pods = rule("*", "*", "pods");
  EXPECT_TRUE(allows(status, "get", "", "pods", "status"));
  EXPECT_FALSE(allows(status, "get", "", "pods"));
  EXPECT_FALSE(allows(status, "get", "", "pods", "scale"));
  EXPECT_FALSE(allows(status, "get", "", "nodes", "status"));
  EXPECT_TRUE(allows(scale, "get", "apps", "deployments", "scale"));
  EXPECT_FALSE(allows(scale, "get", "apps", "deployments"));
  EXPECT_FALSE(allows(scale, "get", "apps", "deployments", "upscale"));
  EXPECT_FALSE(allows(pods, "get", "", "pods", "log"));
}

TEST(PolicyRules, ResourceNamesRestrict) {
  PolicyRule named = rule("get", "core", "secrets", "a,b");
  EXPECT_TRUE(allows(named, "get", "", "secrets", "", "b"));
  EXPECT_FALSE(allows(named, "get", "", "secrets", "", "c"));
  EXPECT_FALSE(allows(named, "get", "", "secrets"));
}

TEST(PolicyRules, PathsMatchWholeOrByTrailingStar) {
  EXPECT_TRUE(allows_url(url_rule("verb1", "*"), "verb1", "/foo/baz/one"));
  EXPECT_FALSE(allows_url(url_rule("verb1", "*"), "verb2", "/foo"));
  EXPECT_FALSE(allows_url(url_rule("verb1", "/foo/*"), "verb1", "/foo"));
  EXPECT_TRUE(allows_url(url_rule("verb1", "/foo/*"), "verb1", "/foo/bar/one"));
  EXPECT_FALSE(allows_url(url_rule("verb1", "/foo/*"), "verb1", "/notfoo/bar"));
  EXPECT_TRUE(allows_url(url_rule("*", "/foo,/foo/bar/one"), "verb2", "/foo/bar/one"));
  EXPECT_FALSE(allows_url(url_rule("*", "/foo,/foo/bar/one"), "verb2", "/foo/bar"));
  EXPECT_FALSE(allows_url(rule("*", "*", "*"), "get", "/foo"));
  EXPECT_FALSE(allows(url_rule("*", "*"), "get", "", "pods"));
}

TEST(PolicyRules, CoverageIsCheckedAtomByAtom) {
  struct Case {
    std::vector<PolicyRule> owned;
    PolicyRule wanted;
    std::string missing;
  };
  const Case cases[] = {
      {{rule("get", "v1", "builds")}, rule("get", "v1", "builds"), ""},
      {{rule("get,delete", "v1", "builds,deployments")}, rule("get", "v1", "builds,deployments"), ""},
      {{rule("delete", "v1", "deployments"), rule("delete", "v1", "builds"), rule("update", "v1", "deployments,builds")},
       rule("delete,update", "v1", "builds,deployments"),
       ""},
      {{rule("*", "*", "roles")}, rule("get", "v1", "builds"), R"({APIGroups:["v1"], Resources:["builds"], Verbs:["get"]})"},
      {{rule("get", "*", "*")}, rule("get,list,watch", "core", "pods"), R"({APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]})"},
      {{rule("get", "v1", "builds", "foo")}, rule("get", "v1", "builds"), R"({APIGroups:["v1"], Resources:["builds"], Verbs:["get"]})"},
      {{rule("get", "v1", "builds")}, rule("get", "v1", "builds", "foo"), ""},
      {{rule("get", "v1", "*/scale")}, rule("get", "v1", "deployments/scale,deployments/status"),
       R"({APIGroups:["v1"], Resources:["deployments/status"], Verbs:["get"]})"},
      {{rule("*", "*", "*")}, url_rule("get", "/apis"), R"({NonResourceURLs:["/apis"], Verbs:["get"]})"},
      {{url_rule("*", "/apis/*")}, url_rule("get", "/apis/x,/api"), R"({NonResourceURLs:["/api"], Verbs:["get"]})"},
      {{url_rule("*", "*")}, url_rule("*", "*"), ""},
  };
  for (const Case& each : cases) {
    std::vector<const PolicyRule*> owned;
    for (const PolicyRule& one : each.owned) owned.push_back(&one);
    EXPECT_EQ(describe_rules(uncovered_rules(owned, {each.wanted})), each.missing);
  }
}

RoleRef ref(std::string_view kind, std::string_view name) {
  RoleRef made;
  made.kind = kind;
  made.name = name;
  return made;
}
Subject subject(std::string_view kind, std::string_view name, std::string_view ns = "") {
  Subject made;
  made.kind = kind;
  made.name = name;
  made.namespace_ = ns;
  return made;
}
// The names of the bindings that apply, in the order of the visit.
std::string bindings_of(const RbacIndex& index, const User& user, std::string_view ns) {
  std::string names;
  index.visit(user, ns, [&](const RbacIndex::Binding& binding, const Subject&) {
    names += (names.empty() ? "" : " ") + binding.name + (binding.role->present ? "" : "!");
    return true;
  });
  return names;
}

TEST(RbacIndex, FindsBindingsBySubjectAndNamespace) {
  RbacIndex index;
  index.set_role("", "admin", {rule("*", "*", "*")});
  index.set_binding("", "everywhere", ref("ClusterRole", "admin"), {subject("Group", "admins"), subject("ServiceAccount", "bot", "ns1")});
  index.set_binding("ns1", "here", ref("ClusterRole", "admin"), {subject("User", "joe"), subject("ServiceAccount", "bot")});
  index.set_binding("ns2", "there", ref("Role", "none"), {subject("User", "joe")});
  EXPECT_EQ(bindings_of(index, {"joe", "", {}, {}}, "ns1"), "here");
  EXPECT_EQ(bindings_of(index, {"joe", "", {"x", "admins"}, {}}, "ns2"), "everywhere there!");
  EXPECT_EQ(bindings_of(index, {"joe", "", {}, {}}, ""), "");
  EXPECT_EQ(bindings_of(index, {"system:serviceaccount:ns1:bot", "", {}, {}}, "ns1"), "everywhere here");
  // A service account of another namespace is another account; a group of the name is no user.
  EXPECT_EQ(bindings_of(index, {"system:serviceaccount:ns2:bot", "", {}, {}}, "ns1"), "");
  EXPECT_EQ(bindings_of(index, {"admins", "", {"joe"}, {}}, "ns1"), "");
  index.set_role("ns2", "none", {});
  EXPECT_EQ(bindings_of(index, {"joe", "", {}, {}}, "ns2"), "there");
  index.remove_role("ns2", "none");
  EXPECT_EQ(bindings_of(index, {"joe", "", {}, {}}, "ns2"), "there!");
  index.remove_binding("ns2", "there");
  EXPECT_EQ(bindings_of(index, {"joe", "", {}, {}}, "ns2"), "");
  index.set_binding("ns1", "here", ref("ClusterRole", "admin"), {subject("User", "ann")});
  EXPECT_EQ(bindings_of(index, {"joe", "", {}, {}}, "ns1"), "");
  EXPECT_EQ(bindings_of(index, {"ann", "", {}, {}}, "ns1"), "here");
}

TEST(NodeGraph, ReachesWhatPodsReferTo) {
  NodeGraph graph;
  api::core_v1::Pod pod;
  pod.metadata.namespace_ = "ns";
  pod.metadata.name = "p";
  pod.metadata.uid = "1";
  pod.spec.node_name = "n1";
  pod.spec.service_account_name = "bot";
  pod.spec.image_pull_secrets.emplace_back().name = "pull";
  auto& container = pod.spec.containers.emplace_back();
  container.env_from.emplace_back().config_map_ref.ensure().local_object_reference.name = "settings";
  container.env.emplace_back().value_from.ensure().secret_key_ref.ensure().local_object_reference.name = "key";
  pod.spec.volumes.emplace_back().volume_source.persistent_volume_claim.ensure().claim_name = "claim";
  auto& ephemeral = pod.spec.volumes.emplace_back();
  ephemeral.name = "scratch";
  ephemeral.volume_source.ephemeral.ensure();
  graph.put_pod(pod);
  using Kind = NodeGraph::Kind;
  auto reaches = [&](Kind kind, std::string_view name) { return graph.reaches("n1", kind, "ns", name); };
  for (std::string_view secret : {"pull", "key"}) EXPECT_TRUE(reaches(Kind::kSecret, secret));
  EXPECT_TRUE(reaches(Kind::kConfigMap, "settings"));
  EXPECT_TRUE(reaches(Kind::kServiceAccount, "bot"));
  EXPECT_TRUE(reaches(Kind::kClaim, "claim"));
  EXPECT_TRUE(reaches(Kind::kClaim, "p-scratch"));
  EXPECT_FALSE(reaches(Kind::kSecret, "settings"));
  EXPECT_FALSE(graph.reaches("n1", Kind::kSecret, "other", "key"));
  EXPECT_FALSE(graph.reaches("n2", Kind::kSecret, "ns", "key"));

  api::core_v1::PersistentVolume volume;
  volume.metadata.name = "disk";
  volume.spec.claim_ref.ensure().namespace_ = "ns";
  volume.spec.claim_ref->name = "claim";
  auto& csi = volume.spec.persistent_volume_source.csi.ensure();
  csi.node_stage_secret_ref.ensure().namespace_ = "storage";
  csi.node_stage_secret_ref->name = "stage";
  csi.controller_publish_secret_ref.ensure().namespace_ = "storage";
  csi.controller_publish_secret_ref->name = "publish";
  graph.put_volume(volume);
  EXPECT_TRUE(graph.reaches("n1", Kind::kVolume, "", "disk"));
  EXPECT_FALSE(graph.reaches("n2", Kind::kVolume, "", "disk"));
  EXPECT_TRUE(graph.reaches("n1", Kind::kSecret, "storage", "stage"));
  EXPECT_FALSE(graph.reaches("n1", Kind::kSecret, "storage", "publish"));
  graph.put_attachment("a", "n2");
  EXPECT_TRUE(graph.reaches("n2", Kind::kAttachment, "", "a"));
  EXPECT_FALSE(graph.reaches("n1", Kind::kAttachment, "", "a"));

  // A second pod holds on to what it shares with the first.
  pod.metadata.name = "q";
  graph.put_pod(pod);
  graph.remove_pod("ns", "p");
  EXPECT_TRUE(reaches(Kind::kSecret, "key"));
  EXPECT_FALSE(reaches(Kind::kClaim, "p-scratch"));
  graph.remove_pod("ns", "q");
  EXPECT_FALSE(reaches(Kind::kSecret, "key"));
  EXPECT_FALSE(graph.reaches("n1", Kind::kVolume, "", "disk"));
}

TEST(NodeGraph, MirrorPodsGrantNothing) {
  NodeGraph graph;
  api::core_v1::Pod pod;
  pod.metadata.namespace_ = "ns";
  pod.metadata.name = "p";
  pod.metadata.annotations["kubernetes.io/config.mirror"] = "x";
  pod.spec.node_name = "n1";
  pod.spec.image_pull_secrets.emplace_back().name = "pull";
  graph.put_pod(pod);
  EXPECT_FALSE(graph.reaches("n1", NodeGraph::Kind::kSecret, "ns", "pull"));
}

TEST(Abac, PoliciesNameSubjectAndObject) {
  auto policies = parse_abac_policies(
      "# a comment\n\n"
      R"({"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"bob","namespace":"ns","resource":"pods","readonly":true}})"
      "\n"
      R"({"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"group":"ops","nonResourcePath":"/logs/*"}})");
  ASSERT_TRUE(policies.ok()) << policies.status().message();
  ASSERT_EQ(policies->size(), 2u);
  User bob{"bob", "", {}, {}}, ann{"ann", "", {"ops"}, {}};
  auto may = [&](const User& user, std::string_view verb, std::string_view ns, std::string_view resource) {
    Attributes attributes{.user = user, .verb = verb, .is_resource = true, .resource = resource, .namespace_ = ns};
    return abac_allows((*policies)[0], attributes) || abac_allows((*policies)[1], attributes);
  };
  EXPECT_TRUE(may(bob, "list", "ns", "pods"));
  EXPECT_FALSE(may(bob, "create", "ns", "pods"));
  EXPECT_FALSE(may(bob, "list", "other", "pods"));
  EXPECT_FALSE(may(bob, "list", "ns", "secrets"));
  EXPECT_FALSE(may(ann, "list", "ns", "pods"));
  EXPECT_TRUE(abac_allows((*policies)[1], {.user = ann, .verb = "get", .path = "/logs/x"}));
  EXPECT_FALSE(abac_allows((*policies)[1], {.user = ann, .verb = "get", .path = "/log"}));
  EXPECT_FALSE(abac_allows((*policies)[1], {.user = bob, .verb = "get", .path = "/logs/x"}));
  EXPECT_FALSE(parse_abac_policies("{}").ok());
}

}  // namespace
}  // namespace knarr::apiserver::authz
