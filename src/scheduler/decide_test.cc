// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "scheduler/plugins/plugins.h"
#include "scheduler/scheduler.h"

namespace knarr::scheduler {
namespace {

using api::core_v1::Node;
using api::core_v1::Pod;
using schema::Quantity;

std::shared_ptr<Node> make_node(std::string name, std::string cpu = "4", std::string memory = "8Gi") {
  auto node = std::make_shared<Node>();
  node->metadata.name = name;
  node->metadata.labels["kubernetes.io/hostname"] = name;
  node->status.allocatable["cpu"] = Quantity(cpu);
  node->status.allocatable["memory"] = Quantity(memory);
  node->status.allocatable["pods"] = Quantity("10");
  return node;
}

std::shared_ptr<Pod> make_pod(std::string name, std::string cpu = "", std::string memory = "") {
  auto pod = std::make_shared<Pod>();
  pod->metadata.name = name;
  pod->metadata.namespace_ = "default";
  pod->metadata.uid = "uid-" + name;
  auto& container = pod->spec.containers.emplace_back();
  container.name = "c";
  if (!cpu.empty()) container.resources.requests["cpu"] = Quantity(cpu);
  if (!memory.empty()) container.resources.requests["memory"] = Quantity(memory);
  return pod;
}

class DecideTest : public testing::Test {
 protected:
  Decision decide_for(const std::shared_ptr<Pod>& pod) {
    Handle handle{cache_};
    PodInfo info(pod);
    return decide(handle, info, 0, &start_at_, &random_);
  }
  Cache cache_;
  size_t start_at_ = 0;
  uint64_t random_ = 42;
};

TEST_F(DecideTest, SaysThatThereAreNoNodes) {
  EXPECT_EQ(decide_for(make_pod("a")).message, "no nodes available to schedule pods");
}

TEST_F(DecideTest, ChoosesTheEmptierNode) {
  cache_.set_node(make_node("full"));
  cache_.set_node(make_node("empty"));
  auto running = make_pod("running", "3", "6Gi");
  running->spec.node_name = "full";
  cache_.set_pod(running);
  Decision decision = decide_for(make_pod("a", "500m", "1Gi"));
  ASSERT_NE(decision.node, nullptr) << decision.message;
  EXPECT_EQ(decision.node->name(), "empty");
  EXPECT_EQ(decision.feasible, 2);
}

TEST_F(DecideTest, CountsTheReasonsOfEveryNodeInUpstreamsWords) {
  cache_.set_node(make_node("small", "1"));
  auto tainted = make_node("tainted");
  auto& taint = tainted->spec.taints.emplace_back();
  taint.key = "dedicated";
  taint.value = "db";
  taint.effect = "NoSchedule";
  cache_.set_node(tainted);
  auto cordoned = make_node("cordoned");
  cordoned->spec.unschedulable = true;
  cache_.set_node(cordoned);
  Decision decision = decide_for(make_pod("a", "2"));
  EXPECT_EQ(decision.node, nullptr);
  EXPECT_EQ(decision.message,
            "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {dedicated: db}, 1 node(s) were unschedulable.");
  EXPECT_TRUE(decision.wake_events & kPodDelete);
  EXPECT_TRUE(decision.wake_events & kNodeTaint);
}

TEST_F(DecideTest, HoldsTheNumberOfPodsAndExtendedResources) {
  auto node = make_node("n");
  node->status.allocatable["pods"] = Quantity("1");
  node->status.allocatable["example.com/gpu"] = Quantity("1");
  cache_.set_node(node);
  auto wants_two = make_pod("two");
  wants_two->spec.containers[0].resources.requests["example.com/gpu"] = Quantity("2");
  EXPECT_EQ(decide_for(wants_two).message, "0/1 nodes are available: 1 Insufficient example.com/gpu.");
  auto running = make_pod("running");
  running->spec.node_name = "n";
  cache_.set_pod(running);
  EXPECT_EQ(decide_for(make_pod("a")).message, "0/1 nodes are available: 1 Too many pods.");
  cache_.remove_pod(*running);
  EXPECT_NE(decide_for(make_pod("a")).node, nullptr);
}

TEST_F(DecideTest, ForgetsAnAssumedPod) {
  cache_.set_node(make_node("n", "1"));
  auto first = make_pod("first", "1");
  cache_.assume(first, "n");
  EXPECT_EQ(decide_for(make_pod("second", "1")).node, nullptr);
  cache_.forget(first->metadata.uid);
  EXPECT_NE(decide_for(make_pod("second", "1")).node, nullptr);
}

TEST_F(DecideTest, LooksOnlyAtTheNodesThatADaemonPodNames) {
  cache_.set_node(make_node("a"));
  cache_.set_node(make_node("b"));
  auto pod = make_pod("daemon");
  auto& term = pod->spec.affinity.ensure().node_affinity.ensure().required_during_scheduling_ignored_during_execution.ensure().node_selector_terms.emplace_back();
  auto& requirement = term.match_fields.emplace_back();
  requirement.key = "metadata.name";
  requirement.operator_ = "In";
  requirement.values.push_back("b");
  Decision decision = decide_for(pod);
  ASSERT_NE(decision.node, nullptr) << decision.message;
  EXPECT_EQ(decision.node->name(), "b");
  EXPECT_EQ(decision.evaluated, 1);
}

TEST_F(DecideTest, KeepsHostPortsApart) {
  cache_.set_node(make_node("n"));
  auto with_port = [](std::string name, std::string ip, std::string protocol) {
    auto pod = make_pod(name);
    auto& port = pod->spec.containers[0].ports.emplace_back();
    port.container_port = 80;
    port.host_port = 8080;
    port.host_ip = ip;
    port.protocol = protocol;
    return pod;
  };
  cache_.assume(with_port("a", "127.0.0.1", "TCP"), "n");
  EXPECT_NE(decide_for(with_port("b", "127.0.0.2", "TCP")).node, nullptr);
  EXPECT_NE(decide_for(with_port("c", "127.0.0.1", "UDP")).node, nullptr);
  EXPECT_EQ(decide_for(with_port("d", "", "TCP")).message,
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.");
}

struct Toleration {
  const char *key, *op, *value, *effect;
  bool tolerated;
};

TEST(Tolerations, FollowUpstreamsRules) {
  api::core_v1::Taint taint;
  taint.key = "k";
  taint.value = "v";
  taint.effect = "NoSchedule";
  const Toleration cases[] = {
      {"k", "Equal", "v", "NoSchedule", true}, {"k", "", "v", "", true},         {"k", "Exists", "", "", true}, {"", "Exists", "", "", true},
      {"k", "Equal", "w", "", false},          {"j", "Equal", "v", "", false},   {"k", "Equal", "v", "NoExecute", false},
  };
  for (const Toleration& c : cases) {
    schema::List<api::core_v1::Toleration> tolerations;
    auto& toleration = tolerations.emplace_back();
    toleration.key = c.key;
    toleration.operator_ = c.op;
    toleration.value = c.value;
    toleration.effect = c.effect;
    EXPECT_EQ(plugins::tolerates(tolerations, taint), c.tolerated) << c.key << " " << c.op << " " << c.value << " " << c.effect;
  }
}

TEST(PodRequests, TakesTheLargerOfInitAndSum) {
  auto pod = make_pod("a", "100m", "1Gi");
  auto& second = pod->spec.containers.emplace_back();
  second.resources.requests["cpu"] = Quantity("200m");
  auto& init = pod->spec.init_containers.emplace_back();
  init.resources.requests["cpu"] = Quantity("1");
  pod->spec.overhead["cpu"] = Quantity("10m");
  PodRequests requests = pod_requests(*pod);
  EXPECT_EQ(requests.total.milli_cpu, 1010);
  EXPECT_EQ(requests.total.memory, int64_t{1} << 30);
  EXPECT_EQ(requests.nonzero_memory, (int64_t{1} << 30) + 200 * 1024 * 1024);
}

}  // namespace
}  // namespace knarr::scheduler
