// SPDX-License-Identifier: Apache-2.0
// The decisions of the controllers that are pure functions.
#include <gtest/gtest.h>

#include "controller/cidr_set.h"
#include "controller/deployment_util.h"
#include "controller/expectations.h"
#include "controller/gc_graph.h"
#include "controller/namespace_conditions.h"
#include "controller/slice_plan.h"
#include "controller/taint_eviction.h"
#include "controller/util.h"
#include "schema/codec.h"

namespace knarr::controller {
namespace {

using api::core_v1::Pod;

template <class T>
T parse(const std::string& json) {
  auto value = schema::from_json<T>(json);
  EXPECT_TRUE(value.ok()) << value.status().message();
  return value.ok() ? std::move(*value) : T();
}

// ---- the garbage collector's graph -----------------------------------------------------------------------------------------

class GcGraphTest : public testing::Test {
 protected:
  GcGraphTest()
      : graph(GcGraph::Outputs{[this](const std::string& uid) { to_delete.push_back(uid); },
                               [this](const std::string& uid) { later.push_back(uid); },
                               [this](const std::string& uid) { to_orphan.push_back(uid); },
                               [this](const ObjectIdentity& dependent, const OwnerReference&) { invalid.push_back(dependent.uid); }}) {}
  static ObjectIdentity identity(const std::string& uid, const std::string& ns = "n", const std::string& kind = "ReplicaSet") {
    return {"apps/v1", kind, ns, "name-" + uid, uid};
  }
  static ObjectMeta meta(const std::string& uid, const std::vector<std::string>& owners = {}, bool block = true) {
    ObjectMeta meta;
    meta.uid = uid;
    for (const std::string& owner : owners) {
      OwnerReference& reference = meta.owner_references.emplace_back();
      reference.api_version = "apps/v1";
      reference.kind = "ReplicaSet";
      reference.name = "name-" + owner;
      reference.uid = owner;
      reference.block_owner_deletion = block;
    }
    return meta;
  }
  static ObjectMeta deleting(ObjectMeta meta, const char* finalizer) {
    meta.deletion_timestamp = schema::Time::from_unix(1);
    meta.finalizers.push_back(finalizer);
    return meta;
  }
  void add(const std::string& uid, const std::vector<std::string>& owners = {}) { graph.changed(identity(uid), nullptr, meta(uid, owners)); }
  std::vector<std::string> take(std::vector<std::string>& list) {
    std::vector<std::string> taken = std::move(list);
    list.clear();
    std::sort(taken.begin(), taken.end());
    return taken;
  }
  std::vector<std::string> to_delete, later, to_orphan, invalid;
  GcGraph graph;
};
using Uids = std::vector<std::string>;

TEST_F(GcGraphTest, DependentsOfADeletedOwnerAreLookedAt) {
  add("owner");
  add("a", {"owner"});
  add("b", {"owner"});
  EXPECT_EQ(take(to_delete), Uids{});
  graph.deleted(identity("owner"));
  EXPECT_EQ(take(to_delete), (Uids{"a", "b"}));
  EXPECT_TRUE(graph.is_absent(identity("owner")));
  EXPECT_EQ(graph.size(), 2u);
}

TEST_F(GcGraphTest, AnUnknownOwnerIsVirtualUntilItIsSeen) {
  add("a", {"owner"});
  EXPECT_EQ(take(to_delete), Uids{"owner"});
  EXPECT_TRUE(graph.find("owner")->is_virtual);
  add("owner");
  EXPECT_FALSE(graph.find("owner")->is_virtual);
  graph.deleted(identity("owner"));
  EXPECT_EQ(take(to_delete), Uids{"a"});
}

TEST_F(GcGraphTest, AVirtualOwnerThatIsAbsentGoes) {
  add("a", {"owner"});
  take(to_delete);
  graph.found_absent(identity("owner"));
  EXPECT_EQ(graph.find("owner"), nullptr);
  EXPECT_EQ(take(to_delete), Uids{"a"});
}

TEST_F(GcGraphTest, OnlyTheRefutedDescriptionOfAnOwnerGoes) {
  add("a", {"owner"});
  ObjectMeta other = meta("b", {"owner"});
  other.owner_references[0].kind = "Deployment";
  graph.changed(identity("b"), nullptr, other);
  take(to_delete);
  graph.found_absent(identity("owner"));
  // a believed it: a is looked at. The node lives on as what b says.
  EXPECT_EQ(take(to_delete), Uids{"a"});
  ASSERT_NE(graph.find("owner"), nullptr);
  EXPECT_EQ(graph.find("owner")->identity.kind, "Deployment");
  EXPECT_EQ(take(later), Uids{"owner"});
}

TEST_F(GcGraphTest, AnOwnerOfAnotherNamespaceIsReported) {
  add("owner");
  graph.changed(identity("a", "elsewhere"), nullptr, meta("a", {"owner"}));
  EXPECT_EQ(take(invalid), Uids{"a"});
  EXPECT_EQ(take(to_delete), Uids{"a"});
}

TEST_F(GcGraphTest, ForegroundDeletionWaitsForThoseThatBlock) {
  add("owner");
  add("a", {"owner"});
  graph.changed(identity("b"), nullptr, meta("b", {"owner"}, false));
  take(to_delete);
  ObjectMeta before = meta("owner"), now = deleting(before, "foregroundDeletion");
  graph.changed(identity("owner"), &before, now);
  EXPECT_EQ(take(to_delete), (Uids{"a", "b", "owner"}));
  auto owner = graph.find("owner");
  EXPECT_TRUE(owner->deleting_dependents);
  ASSERT_EQ(owner->blocking_dependents().size(), 1u);
  graph.deleted(identity("a"));
  EXPECT_EQ(take(to_delete), Uids{"owner"});
  EXPECT_TRUE(owner->blocking_dependents().empty());
}

TEST_F(GcGraphTest, OrphaningIsItsOwnQueue) {
  add("owner");
  ObjectMeta before = meta("owner"), now = deleting(before, "orphan");
  graph.changed(identity("owner"), &before, now);
  EXPECT_EQ(take(to_orphan), Uids{"owner"});
  EXPECT_EQ(take(to_delete), Uids{});
}

TEST_F(GcGraphTest, ADroppedReferenceUnblocksTheOwner) {
  add("owner");
  add("a", {"owner"});
  ObjectMeta before = meta("a", {"owner"}), now = meta("a");
  graph.changed(identity("a"), &before, now);
  EXPECT_EQ(take(to_delete), Uids{"owner"});
  EXPECT_TRUE(graph.find("owner")->dependents.empty());
}

// ---- deployments -----------------------------------------------------------------------------------------------------------

Deployment rolling(int replicas, const std::string& surge, const std::string& unavailable) {
  return parse<Deployment>(R"({"spec":{"replicas":)" + std::to_string(replicas) +
                           R"(,"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":)" + surge + R"(,"maxUnavailable":)" +
                           unavailable + "}}}}");
}
RsPtr replica_set(const std::string& name, int replicas, int max_replicas = 0) {
  auto rs = std::make_shared<ReplicaSet>();
  rs->metadata.name = name;
  rs->metadata.uid = name;
  rs->spec.replicas = replicas;
  if (max_replicas != 0) rs->metadata.annotations[kMaxReplicas] = std::to_string(max_replicas);
  return rs;
}

TEST(Deployment, FencepostsRoundSurgeUpAndUnavailableDown) {
  Deployment d = rolling(10, R"("25%")", R"("25%")");
  EXPECT_EQ(max_surge(d), 3);
  EXPECT_EQ(max_unavailable(d), 2);
  EXPECT_EQ(max_unavailable(rolling(10, "0", "0")), 1);
  EXPECT_EQ(max_unavailable(rolling(2, "0", "5")), 2);
  EXPECT_EQ(max_unavailable(rolling(0, "1", "1")), 0);
}

TEST(Deployment, TheNewReplicaSetGrowsIntoTheSurge) {
  Deployment d = rolling(3, "1", "0");
  RsPtr old_rs = replica_set("old", 3), new_rs = replica_set("new", 0);
  EXPECT_EQ(new_rs_size(d, {old_rs, new_rs}, *new_rs), 1);
  EXPECT_EQ(new_rs_size(d, {replica_set("old", 4), new_rs}, *new_rs), 0);
  EXPECT_EQ(new_rs_size(d, {new_rs}, *new_rs), 3);
}

TEST(Deployment, ScalingIsSharedOutInProportion) {
  Deployment d = rolling(20, "0", "1");
  RsPtr big = replica_set("big", 8, 10), small = replica_set("small", 2, 10);
  EXPECT_EQ(proportion(*big, d, 10, 0), 8);
  EXPECT_EQ(proportion(*small, d, 10, 8), 2);
  EXPECT_EQ(proportion(*big, d, 3, 0), 3);
}

TEST(Deployment, HistoryForgetsTheOldest) {
  Deployment d = rolling(1, "1", "0");
  ReplicaSet rs;
  rs.metadata.annotations[kRevision] = "7";
  rs.metadata.annotations[kRevisionHistory] = "1,3";
  EXPECT_TRUE(set_new_rs_annotations(d, rs, 9, true));
  EXPECT_EQ(schema::get_or_empty(rs.metadata.annotations, kRevision), "9");
  EXPECT_EQ(schema::get_or_empty(rs.metadata.annotations, kRevisionHistory), "1,3,7");
  EXPECT_FALSE(set_new_rs_annotations(d, rs, 9, true));
}

TEST(Deployment, TemplatesAreEqualButForTheHash) {
  auto a = parse<api::core_v1::PodTemplateSpec>(R"({"metadata":{"labels":{"x":"y","pod-template-hash":"1"}},"spec":{"hostname":"h"}})");
  auto b = parse<api::core_v1::PodTemplateSpec>(R"({"metadata":{"labels":{"x":"y"}},"spec":{"hostname":"h"}})");
  EXPECT_TRUE(same_template(a, b));
  b.spec.hostname = "other";
  EXPECT_FALSE(same_template(a, b));
}

TEST(Deployment, HashesDependOnTheCollisionCount) {
  api::core_v1::PodTemplateSpec pod_template;
  std::string first = template_hash(pod_template, {}), second = template_hash(pod_template, 1);
  EXPECT_NE(first, second);
  EXPECT_EQ(first, template_hash(pod_template, {}));
  EXPECT_EQ(first.find_first_of("aeiou013"), std::string::npos);
}

// ---- pods ------------------------------------------------------------------------------------------------------------------

PodPtr pod(const std::string& name, const std::string& rest) {
  return std::make_shared<const Pod>(parse<Pod>(R"({"metadata":{"name":")" + name + R"(","uid":")" + name + R"("},)" + rest + "}"));
}

TEST(Deletion, TheLeastValuablePodGoesFirst) {
  const std::string ready = R"("status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]})";
  std::vector<PodPtr> pods = {
      pod("ready", R"("spec":{"nodeName":"n"},)" + ready),
      pod("cheap", R"("spec":{"nodeName":"m"},)" + ready),
      pod("unready", R"("spec":{"nodeName":"n"},"status":{"phase":"Running"})"),
      pod("pending", R"("spec":{"nodeName":"n"},"status":{"phase":"Pending"})"),
      pod("unassigned", R"("spec":{},"status":{"phase":"Pending"})"),
  };
  auto cheap = std::make_shared<Pod>(*pods[1]);
  cheap->metadata.annotations["controller.kubernetes.io/pod-deletion-cost"] = "-5";
  pods[1] = cheap;
  sort_for_deletion(pods, pods, schema::Time::from_unix(1700000000));
  std::vector<std::string> order;
  for (const PodPtr& one : pods) order.push_back(one->metadata.name.str());
  EXPECT_EQ(order, (std::vector<std::string>{"unassigned", "pending", "unready", "cheap", "ready"}));
}

TEST(Expectations, AreMetOrLapse) {
  FakeClock clock{WallTime{}};
  Expectations expectations(clock);
  EXPECT_TRUE(expectations.satisfied("k"));
  expectations.expect_creations("k", 2);
  expectations.creation_observed("k");
  EXPECT_FALSE(expectations.satisfied("k"));
  expectations.creation_observed("k");
  EXPECT_TRUE(expectations.satisfied("k"));
  expectations.expect_deletions("k", std::vector<std::string>{"a", "b"});
  expectations.deletion_observed("k", "a");
  expectations.deletion_observed("k", "a");
  EXPECT_FALSE(expectations.satisfied("k"));
  clock.advance(std::chrono::minutes(6));
  EXPECT_TRUE(expectations.satisfied("k"));
}

TEST(Taints, TheShortestTolerationCounts) {
  std::vector<Taint> taints = {make_taint(kNotReadyTaint, "NoExecute"), make_taint("custom", "NoExecute")};
  auto seconds = [&](const std::string& tolerations) {
    return TaintEviction::tolerated_seconds(parse<Pod>(R"({"spec":{"tolerations":)" + tolerations + "}}"), taints);
  };
  EXPECT_EQ(seconds("[]"), 0);
  EXPECT_EQ(seconds(R"([{"operator":"Exists"}])"), std::nullopt);
  EXPECT_EQ(seconds(R"([{"key":"custom","operator":"Exists"},{"key":"node.kubernetes.io/not-ready","operator":"Exists","tolerationSeconds":300}])"), 300);
  EXPECT_EQ(seconds(R"([{"key":"custom","operator":"Exists"}])"), 0);
  EXPECT_EQ(seconds(R"([{"operator":"Exists","effect":"NoSchedule"}])"), 0);
}

// ---- addresses -------------------------------------------------------------------------------------------------------------

TEST(Cidrs, AreGivenOutOnce) {
  auto set = CidrSet::make(*Cidr::parse("10.0.0.0/22"), 24);
  ASSERT_TRUE(set.ok());
  set->occupy(*Cidr::parse("10.0.1.0/24"));
  EXPECT_EQ(set->allocate()->to_string(), "10.0.0.0/24");
  EXPECT_EQ(set->allocate()->to_string(), "10.0.2.0/24");
  EXPECT_EQ(set->allocate()->to_string(), "10.0.3.0/24");
  EXPECT_EQ(set->allocate(), std::nullopt);
  set->release(*Cidr::parse("10.0.2.0/24"));
  EXPECT_EQ(set->allocate()->to_string(), "10.0.2.0/24");
}

TEST(Cidrs, AForeignRangeTakesAllThatItTouches) {
  auto set = CidrSet::make(*Cidr::parse("10.0.0.0/22"), 24);
  set->occupy(*Cidr::parse("10.0.0.0/23"));
  set->occupy(*Cidr::parse("10.0.2.128/25"));
  set->occupy(*Cidr::parse("192.168.0.0/16"));
  set->occupy(*Cidr::parse("fd00::/64"));
  EXPECT_EQ(set->allocate()->to_string(), "10.0.3.0/24");
  EXPECT_EQ(set->allocate(), std::nullopt);
}

TEST(Cidrs, OfVersionSix) {
  auto set = CidrSet::make(*Cidr::parse("fd00:1::/56"), 64);
  EXPECT_EQ(set->allocate()->to_string(), "fd00:1::/64");
  EXPECT_EQ(set->allocate()->to_string(), "fd00:1:0:1::/64");
  EXPECT_FALSE(CidrSet::make(*Cidr::parse("fd00::/40"), 64).ok());
  for (const char* bad : {"10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/-1", ""}) EXPECT_FALSE(Cidr::parse(bad).ok()) << bad;
}

// ---- endpoint slices -------------------------------------------------------------------------------------------------------

class SlicePlanTest : public testing::Test {
 protected:
  SlicePlanTest() {
    service = parse<Service>(R"({"metadata":{"name":"s","namespace":"n","uid":"su"},"spec":{"clusterIP":"10.0.0.1","ipFamilies":["IPv4"],
      "selector":{"a":"b"},"ports":[{"name":"p","port":80,"protocol":"TCP","targetPort":8080}]}})");
  }
  std::map<std::string, DesiredPortGroup> desired(int from, int to, bool ready = true) {
    std::map<std::string, DesiredPortGroup> groups;
    for (int i = from; i < to; ++i) {
      Pod one = parse<Pod>(fmt::format(
          R"({{"metadata":{{"name":"p{0}","namespace":"n","uid":"u{0}"}},"status":{{"podIPs":[{{"ip":"10.1.{1}.{2}"}}],"conditions":[{{"type":"Ready","status":"{3}"}}]}}}})",
          i, i / 200, i % 200, ready ? "True" : "False"));
      auto ports = slice_ports(service, one);
      DesiredPortGroup& group = groups[port_key(ports)];
      group.ports = ports;
      Endpoint endpoint = pod_to_endpoint(one, nullptr, service, false);
      std::string key = endpoint_key(endpoint);
      group.endpoints[key] = std::move(endpoint);
    }
    return groups;
  }
  // What the server would hold afterwards.
  std::vector<SlicePtr> store(const SlicePlan& plan) {
    std::vector<SlicePtr> stored;
    for (const auto* list : {&plan.create, &plan.update})
      for (const EndpointSlice& slice : *list) {
        auto copy = std::make_shared<EndpointSlice>(slice);
        if (copy->metadata.name.empty()) copy->metadata.name = "s-" + std::to_string(++names);
        stored.push_back(std::move(copy));
      }
    return stored;
  }
  Service service;
  int names = 0;
};

TEST_F(SlicePlanTest, AHundredASlice) {
  SlicePlan plan = plan_slices(service, "IPv4", {}, desired(0, 250));
  ASSERT_EQ(plan.create.size(), 3u);
  EXPECT_EQ(plan.create[0].endpoints.size(), 100u);
  EXPECT_EQ(plan.create[2].endpoints.size(), 50u);
  EXPECT_EQ(plan.create[0].ports[0].port, 8080);
  EXPECT_EQ(schema::get_or_empty(plan.create[0].metadata.labels, kServiceNameLabel), "s");
}

TEST_F(SlicePlanTest, NothingIsWrittenTwice) {
  auto stored = store(plan_slices(service, "IPv4", {}, desired(0, 150)));
  SlicePlan again = plan_slices(service, "IPv4", stored, desired(0, 150));
  EXPECT_TRUE(again.create.empty() && again.update.empty() && again.remove.empty());
}

TEST_F(SlicePlanTest, OneMoreEndpointTouchesOneSlice) {
  auto stored = store(plan_slices(service, "IPv4", {}, desired(0, 150)));
  SlicePlan plan = plan_slices(service, "IPv4", stored, desired(0, 151));
  EXPECT_TRUE(plan.create.empty());
  ASSERT_EQ(plan.update.size(), 1u);
  EXPECT_EQ(plan.update[0].endpoints.size(), 51u);
}

TEST_F(SlicePlanTest, AChangeOfReadinessIsAChange) {
  auto stored = store(plan_slices(service, "IPv4", {}, desired(0, 1)));
  SlicePlan plan = plan_slices(service, "IPv4", stored, desired(0, 1, false));
  ASSERT_EQ(plan.update.size(), 1u);
  EXPECT_FALSE(*plan.update[0].endpoints[0].conditions.ready);
}

TEST_F(SlicePlanTest, AServiceIsNeverWithoutASlice) {
  SlicePlan plan = plan_slices(service, "IPv4", {}, {});
  ASSERT_EQ(plan.create.size(), 1u);
  auto stored = store(plan);
  SlicePlan again = plan_slices(service, "IPv4", stored, {});
  EXPECT_TRUE(again.create.empty() && again.update.empty() && again.remove.empty());
}

TEST_F(SlicePlanTest, ASliceThatGoesIsUsedAgain) {
  auto stored = store(plan_slices(service, "IPv4", {}, desired(0, 1)));
  SlicePlan plan = plan_slices(service, "IPv4", stored, {});
  reuse_removed(service, plan);
  EXPECT_TRUE(plan.create.empty() && plan.remove.empty());
  ASSERT_EQ(plan.update.size(), 1u);
  EXPECT_EQ(plan.update[0].metadata.name, stored[0]->metadata.name);
}

// ---- namespaces, and small things ------------------------------------------------------------------------------------------

TEST(NamespaceConditions, SayWhatIsLeft) {
  api::core_v1::NamespaceStatus status;
  NamespaceContent content;
  content.remaining["pods."] = 2;
  content.finalizers["x/y"] = 2;
  EXPECT_TRUE(update_conditions(status, content, schema::Time::from_unix(5)));
  EXPECT_FALSE(update_conditions(status, content, schema::Time::from_unix(6)));
  ASSERT_EQ(status.conditions.size(), 5u);
  EXPECT_EQ(status.conditions[3].message, "Some resources are remaining: pods. has 2 resource instances");
  EXPECT_EQ(status.conditions[4].status, "True");
  EXPECT_TRUE(update_conditions(status, {}, schema::Time::from_unix(7)));
  EXPECT_EQ(status.conditions[4].reason, "ContentHasNoFinalizers");
}

TEST(Util, Texts) {
  EXPECT_EQ(split_key("a/b"), (std::pair<std::string, std::string>{"a", "b"}));
  EXPECT_EQ(split_key("b").first, "");
  EXPECT_EQ(fnv32a("foobar"), 0xbf9cf968u);
  Status a = Status::error("a"), b = Status::error("b");
  EXPECT_EQ(aggregate({a, Status(), b, a}).message(), "[a, b]");
  EXPECT_EQ(aggregate({a, a}).message(), "a");
  EXPECT_TRUE(aggregate({Status()}).ok());
}

}  // namespace
}  // namespace knarr::controller
