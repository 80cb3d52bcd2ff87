// SPDX-License-Identifier: Apache-2.0
// What a DaemonSet does about nodes and pods.
#include <gtest/gtest.h>

#include "controller/controller_history.h"
#include "controller/daemonset_util.h"
#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

using api::core_v1::Pod;
using Names = std::vector<std::string>;

template <class T>
T parse(const std::string& json) {
  auto value = schema::from_json<T>(json);
  EXPECT_TRUE(value.ok()) << value.status().message() << "\n" << json;
  return value.ok() ? std::move(*value) : T();
}

constexpr int64_t kNow = 1'700'000'000;
const schema::Time kTime = schema::Time::from_unix(kNow);
constexpr const char* kInPlace = R"({"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":1}})";

DaemonSet make_set(const std::string& pod_spec = "{}", const std::string& strategy = kInPlace) {
  return parse<DaemonSet>(R"({"metadata":{"name":"ds","namespace":"n","uid":"u"},"spec":{"selector":{"matchLabels":{"a":"b"}},"updateStrategy":)" +
                          strategy + R"(,"template":{"metadata":{"labels":{"a":"b"}},"spec":)" + pod_spec + "}}}");
}
std::string surge(const char* size) {
  return std::string(R"({"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":0,"maxSurge":)") + size + "}}";
}

NodePtr make_node(const std::string& name, const std::string& taints = "[]", const std::string& labels = R"({"type":"production"})") {
  return std::make_shared<const Node>(
      parse<Node>(R"({"metadata":{"name":")" + name + R"(","labels":)" + labels + R"(},"spec":{"taints":)" + taints + "}}"));
}

struct PodShape {
  std::string hash = "new";
  bool ready = true;
  std::string phase = "Running";
  int64_t age = 100;
  bool deleting = false;
};
PodPtr make_pod(const std::string& name, const std::string& node, const PodShape& shape) {
  Pod pod;
  pod.metadata.name = name;
  pod.metadata.labels[kRevisionHashLabel] = shape.hash;
  pod.metadata.creation_timestamp = schema::Time::from_unix(kNow - shape.age);
  if (shape.deleting) pod.metadata.deletion_timestamp = kTime;
  pod.spec.node_name = node;
  pod.status.phase = shape.phase;
  auto& condition = pod.status.conditions.emplace_back();
  condition.type = "Ready";
  condition.status = shape.ready ? "True" : "False";
  condition.last_transition_time = pod.metadata.creation_timestamp;
  return std::make_shared<const Pod>(std::move(pod));
}

Names names_of(const std::vector<PodPtr>& pods) {
  Names names;
  for (const PodPtr& pod : pods) names.push_back(pod->metadata.name.str());
  return names;
}

// ---- nodes

TEST(DaemonPlacementTest, NodesThatFit) {
  auto term = [](const char* value) {
    return std::string(R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"type","operator":"In","values":[")") +
           value + R"("]}]}]}}}})";
  };
  struct Case {
    const char* what;
    std::string pod_spec, taints;
    bool run, keep;
  };
  const Case cases[] = {
      {"anywhere", "{}", "[]", true, true},
      {"another node by name", R"({"nodeName":"other"})", "[]", false, false},
      {"this node by name", R"({"nodeName":"node"})", "[]", true, true},
      {"selector that matches", R"({"nodeSelector":{"type":"production"}})", "[]", true, true},
      {"selector that does not", R"({"nodeSelector":{"type":"test"}})", "[]", false, false},
      {"affinity that matches", term("production"), "[]", true, true},
      {"affinity that does not", term("test"), "[]", false, false},
      {"NoSchedule keeps new ones away only", "{}", R"([{"key":"k","effect":"NoSchedule"}])", false, true},
      {"NoExecute drives out", "{}", R"([{"key":"k","effect":"NoExecute"}])", false, false},
      {"both", "{}", R"([{"key":"a","effect":"NoSchedule"},{"key":"k","effect":"NoExecute"}])", false, false},
      {"PreferNoSchedule is a wish", "{}", R"([{"key":"k","effect":"PreferNoSchedule"}])", true, true},
      {"tolerated", R"({"tolerations":[{"key":"k","operator":"Exists"}]})", R"([{"key":"k","effect":"NoExecute"}])", true, true},
      {"cordoned", "{}", R"([{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}])", true, true},
      {"not ready", "{}", R"([{"key":"node.kubernetes.io/not-ready","effect":"NoExecute"}])", true, true},
      {"unreachable", "{}", R"([{"key":"node.kubernetes.io/unreachable","effect":"NoExecute"}])", true, true},
      {"under pressure", "{}", R"([{"key":"node.kubernetes.io/memory-pressure","effect":"NoSchedule"},{"key":"node.kubernetes.io/disk-pressure","effect":"NoSchedule"},{"key":"node.kubernetes.io/pid-pressure","effect":"NoSchedule"}])", true, true},
      {"without network", "{}", R"([{"key":"node.kubernetes.io/network-unavailable","effect":"NoSchedule"}])", false, true},
      {"which the host's pods do not need", R"({"hostNetwork":true})", R"([{"key":"node.kubernetes.io/network-unavailable","effect":"NoSchedule"}])", true, true},
  };
  for (const Case& c : cases) {
    DaemonSet set = make_set(c.pod_spec);
    DaemonPlacement::Verdict verdict = DaemonPlacement(set).on(*make_node("node", c.taints));
    EXPECT_EQ(verdict.run, c.run) << c.what;
    EXPECT_EQ(verdict.keep, c.keep) << c.what;
  }
}

TEST(DaemonPodTest, TolerationsReplaceTheirLike) {
  DaemonSet set = make_set(R"({"tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":30},{"key":"own"}]})");
  auto made = daemon_template(set, "h");
  ASSERT_EQ(made.spec.tolerations.size(), 7u);
  EXPECT_FALSE(made.spec.tolerations[0].toleration_seconds);
  EXPECT_EQ(made.spec.tolerations[1].key, "own");
  EXPECT_EQ(schema::get_or_empty(made.metadata.labels, "controller-revision-hash"), "h");
  EXPECT_EQ(set.spec.template_.spec.tolerations.size(), 2u);
}

TEST(DaemonPodTest, PinningReplacesRequiredAffinityOnly) {
  auto pod = parse<Pod>(R"({"spec":{"affinity":{"nodeAffinity":{
      "requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"k","operator":"Exists"}]}]},
      "preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1,"preference":{"matchExpressions":[{"key":"p","operator":"Exists"}]}}]}}}})");
  pin_to_node(pod.spec, "n1");
  EXPECT_EQ(target_node(pod), "n1");
  EXPECT_EQ(pod.spec.affinity->node_affinity->required_during_scheduling_ignored_during_execution->node_selector_terms.size(), 1u);
  EXPECT_EQ(pod.spec.affinity->node_affinity->preferred_during_scheduling_ignored_during_execution.size(), 1u);
  pod.spec.node_name = "n2";
  EXPECT_EQ(target_node(pod), "n2");
  EXPECT_EQ(target_node(Pod()), std::nullopt);
}

TEST(DaemonPodTest, UpdatedByHashOrGeneration) {
  Pod pod;
  pod.metadata.labels[kRevisionHashLabel] = "h";
  pod.metadata.labels["pod-template-generation"] = "3";
  EXPECT_TRUE(is_pod_updated(pod, "h", std::nullopt));
  EXPECT_TRUE(is_pod_updated(pod, "other", 3));
  EXPECT_FALSE(is_pod_updated(pod, "other", 4));
  EXPECT_FALSE(is_pod_updated(Pod(), "", std::nullopt));
}

// ---- one node

TEST(NodeNeedsTest, InPlace) {
  DaemonSet set = make_set();
  DaemonPlacement::Verdict run{true, true}, keep{false, true}, none{};
  EXPECT_TRUE(node_needs(set, run, nullptr, "new", kTime).create);
  EXPECT_FALSE(node_needs(set, keep, nullptr, "new", kTime).create);
  std::vector<PodPtr> pods{make_pod("young", "n", {.age = 1}), make_pod("old", "n", {.age = 9}), make_pod("unbound", "", {.age = 99}),
                           make_pod("going", "n", {.age = 100, .deleting = true}), make_pod("failed", "n", {.phase = "Failed"}),
                           make_pod("done", "n", {.phase = "Succeeded"})};
  NodeNeeds needs = node_needs(set, keep, &pods, "new", kTime);
  EXPECT_FALSE(needs.create);
  EXPECT_EQ(names_of(needs.remove), (Names{"young", "unbound"}));  // the oldest that is bound stays
  EXPECT_EQ(names_of(needs.failed), Names{"failed"});
  EXPECT_EQ(names_of(needs.succeeded), Names{"done"});
  needs = node_needs(set, none, &pods, "new", kTime);
  EXPECT_EQ(names_of(needs.remove), (Names{"young", "old", "unbound", "failed", "done"}));
  std::vector<PodPtr> going{make_pod("going", "n", {.deleting = true})};
  EXPECT_FALSE(node_needs(set, run, &going, "new", kTime).create) << "the next one waits until it is gone";
}

TEST(NodeNeedsTest, WithSurge) {
  DaemonSet set = make_set("{}", surge("1"));
  DaemonPlacement::Verdict run{true, true};
  auto removed = [&](std::vector<PodPtr> pods) { return names_of(node_needs(set, run, &pods, "new", kTime).remove); };
  std::vector<PodPtr> going{make_pod("going", "n", {.deleting = true})};
  EXPECT_TRUE(node_needs(set, run, &going, "new", kTime).create) << "a pod on its way out does not hold up the next";
  EXPECT_EQ(removed({make_pod("was", "n", {.hash = "old"}), make_pod("is", "n", {.ready = false})}), Names{});
  EXPECT_EQ(removed({make_pod("was", "n", {.hash = "old", .ready = false}), make_pod("is", "n", {.ready = false})}), Names{"was"});
  EXPECT_EQ(removed({make_pod("was", "n", {.hash = "old"}), make_pod("is", "n", {})}), Names{"was"});
  EXPECT_EQ(removed({make_pod("a", "n", {.age = 3}), make_pod("b", "n", {.age = 2}), make_pod("c", "n", {.hash = "old", .age = 1})}),
            (Names{"b", "c"}));
  set.spec.min_ready_seconds = 50;
  EXPECT_EQ(removed({make_pod("was", "n", {.hash = "old"}), make_pod("is", "n", {.age = 49})}), Names{});
  EXPECT_EQ(removed({make_pod("was", "n", {.hash = "old"}), make_pod("is", "n", {.age = 51})}), Names{"was"});
}

TEST(NodeNeedsTest, PodsThatWaitForANodeThatIsGone) {
  PodsByNode pods;
  pods["gone"] = {make_pod("waits", "", {}), make_pod("bound", "gone", {})};
  pods["here"] = {make_pod("other", "", {})};
  EXPECT_EQ(names_of(pods_without_node({make_node("here")}, pods)), Names{"waits"});
}

// ---- rolling updates

struct Roll {
  explicit Roll(DaemonSet set) : set(std::move(set)) {}
  DaemonSet set;
  std::vector<NodePtr> nodes;
  PodsByNode pods;
  void node(const std::string& name, std::vector<PodPtr> list, const std::string& taints = "[]") {
    nodes.push_back(make_node(name, taints));
    if (!list.empty()) pods[name] = std::move(list);
  }
  PodChanges plan() {
    DaemonPlacement placement(set);
    auto changes = rolling_changes(set, placement, nodes, pods, "new", kTime);
    EXPECT_TRUE(changes.ok());
    return changes.ok() ? *changes : PodChanges();
  }
};
PodPtr outdated(const std::string& name, bool ready = true) { return make_pod(name, "x", {.hash = "old", .ready = ready}); }
PodPtr updated(const std::string& name, bool ready = true) { return make_pod(name, "x", {.hash = "new", .ready = ready}); }

TEST(RollingChangesTest, InPlaceAsManyAsMayBeUnavailable) {
  Roll roll(make_set("{}", R"({"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":2}})"));
  roll.node("n1", {outdated("a")});
  roll.node("n2", {outdated("b")});
  roll.node("n3", {outdated("c")});
  EXPECT_EQ(names_of(roll.plan().remove), (Names{"a", "b"}));
  roll.pods["n1"] = {updated("a2", false)};
  EXPECT_EQ(names_of(roll.plan().remove), Names{"b"});
  roll.pods.erase("n2");  // nothing there counts as unavailable
  EXPECT_EQ(names_of(roll.plan().remove), Names{});
  roll.pods["n3"] = {outdated("c", false)};
  EXPECT_EQ(names_of(roll.plan().remove), Names{"c"}) << "what is of no use anyway may go";
}

TEST(RollingChangesTest, PercentagesRoundUpAndNeverToNothing) {
  Roll roll(make_set("{}", R"({"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"34%"}})"));
  for (const char* name : {"n1", "n2", "n3"}) roll.node(name, {outdated(name)});
  EXPECT_EQ(roll.plan().remove.size(), 2u);
  roll.set = make_set("{}", R"({"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":0}})");
  EXPECT_EQ(roll.plan().remove.size(), 1u);
  roll.set = make_set("{}", R"({"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"many"}})");
  EXPECT_FALSE(rolling_changes(roll.set, DaemonPlacement(roll.set), roll.nodes, roll.pods, "new", kTime).ok());
}

TEST(RollingChangesTest, SurgeMakesNewOnesFirst) {
  Roll roll(make_set("{}", surge("1")));
  roll.node("n1", {outdated("a")});
  roll.node("n2", {outdated("b")});
  EXPECT_EQ(roll.plan().create_on, Names{"n1"});
  roll.pods["n1"] = {outdated("a"), updated("a2", false)};
  EXPECT_EQ(roll.plan().create_on, Names{});
  roll.pods["n1"] = {outdated("a"), updated("a2")};
  PodChanges changes = roll.plan();
  EXPECT_EQ(names_of(changes.remove), Names{"a"});
  EXPECT_EQ(changes.create_on, Names{"n2"});
  roll.pods["n1"] = {updated("a2")};
  roll.pods["n2"] = {outdated("b", false)};
  EXPECT_EQ(roll.plan().create_on, Names{"n2"}) << "beyond the surge: nothing is lost";
}

TEST(RollingChangesTest, SurgeOnNodesThatNoLongerFit) {
  const std::string tainted = R"([{"key":"k","effect":"NoSchedule"}])";
  Roll roll(make_set("{}", surge("1")));
  roll.node("fits", {updated("new")});
  roll.node("unfit", {outdated("useful")}, tainted);
  EXPECT_EQ(names_of(roll.plan().remove), Names{"useful"}) << "more are available than wanted";
  roll.pods["fits"] = {updated("new", false)};
  EXPECT_EQ(names_of(roll.plan().remove), Names{});
  roll.pods["unfit"] = {outdated("useless", false)};
  EXPECT_EQ(names_of(roll.plan().remove), Names{"useless"});
  roll.nodes.pop_back();
  EXPECT_FALSE(rolling_changes(roll.set, DaemonPlacement(roll.set), roll.nodes, roll.pods, "new", kTime).ok());
}

// ---- status

TEST(DaemonCountsTest, OnePodSpeaksForANode) {
  Roll roll(make_set());
  roll.node("n1", {updated("a"), outdated("a1", false)});
  roll.node("n2", {outdated("b", false)});
  roll.node("n3", {});
  roll.node("n4", {updated("d")}, R"([{"key":"k","effect":"NoSchedule"}])");
  roll.set.spec.min_ready_seconds = 10;
  DaemonCounts counts = count_daemons(roll.set, DaemonPlacement(roll.set), roll.nodes, roll.pods, "new", kTime);
  EXPECT_EQ(counts.desired, 3);
  EXPECT_EQ(counts.current, 2);
  EXPECT_EQ(counts.misscheduled, 1);
  EXPECT_EQ(counts.ready, 1);
  EXPECT_EQ(counts.updated, 1);
  EXPECT_EQ(counts.available, 1);
  EXPECT_EQ(counts.unavailable(), 2);
  EXPECT_FALSE(same_counts(roll.set.status, counts));
  set_counts(roll.set.status, counts);
  EXPECT_TRUE(same_counts(roll.set.status, counts));
}

// ---- back-off

TEST(FailedPodBackoffTest, DoublesAndForgets) {
  FakeClock clock{WallTime()};
  FailedPodBackoff backoff(clock);
  using std::chrono::seconds;
  EXPECT_EQ(backoff.next("k"), Duration::zero());
  EXPECT_EQ(backoff.next("k"), seconds(1));
  EXPECT_EQ(backoff.next("other"), Duration::zero());
  clock.advance(seconds(1));
  EXPECT_EQ(backoff.next("k"), Duration::zero());
  clock.advance(seconds(1));
  EXPECT_EQ(backoff.next("k"), seconds(2));
  clock.advance(seconds(1));
  EXPECT_EQ(backoff.next("k"), Duration::zero());
  clock.advance(std::chrono::minutes(31));
  EXPECT_EQ(backoff.next("k"), Duration::zero());
  EXPECT_EQ(backoff.next("k"), seconds(1));
}

}  // namespace
}  // namespace knarr::controller
