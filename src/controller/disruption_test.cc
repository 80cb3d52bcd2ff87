// SPDX-License-Identifier: Apache-2.0
// The arithmetic of budgets, and the steps of the nodes' ttl.
#include <gtest/gtest.h>

#include "controller/disruption_util.h"
#include "controller/ttl.h"
#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

using api::core_v1::Pod;

PodDisruptionBudget make_budget(const std::string& spec) {
  auto budget = schema::from_json<PodDisruptionBudget>(R"({"metadata":{"name":"b","generation":2},"spec":)" + spec + "}");
  EXPECT_TRUE(budget.ok());
  return std::move(*budget);
}

constexpr int64_t kNow = 1'700'000'000;
const schema::Time kTime = schema::Time::from_unix(kNow);
const WallTime kWall = schema::to_wall(kTime);

PodPtr make_pod(const std::string& name, bool ready = true, bool deleting = false) {
  Pod pod;
  pod.metadata.name = name;
  if (deleting) pod.metadata.deletion_timestamp = kTime;
  auto& condition = pod.status.conditions.emplace_back();
  condition.type = "Ready";
  condition.status = ready ? "True" : "False";
  return std::make_shared<const Pod>(std::move(pod));
}

TEST(BudgetTest, DesiredHealthy) {
  struct Case {
    const char* spec;
    int expected, desired;
    bool scale;
  };
  const Case cases[] = {
      {R"({"maxUnavailable":1})", 7, 6, true},     {R"({"maxUnavailable":9})", 7, 0, true},     {R"({"maxUnavailable":"30%"})", 10, 7, true},
      {R"({"maxUnavailable":"30%"})", 7, 4, true}, {R"({"minAvailable":"28%"})", 7, 2, true},   {R"({"minAvailable":"67%"})", 1, 1, true},
      {R"({"minAvailable":3})", 7, 3, false},      {R"({"minAvailable":"0%"})", 7, 0, true},    {R"({})", 7, 0, false},
  };
  for (const Case& c : cases) {
    PodDisruptionBudget budget = make_budget(c.spec);
    auto desired = desired_healthy(budget, c.expected);
    ASSERT_TRUE(desired.ok()) << c.spec;
    EXPECT_EQ(*desired, c.desired) << c.spec;
    EXPECT_EQ(needs_scale(budget), c.scale) << c.spec;
  }
  EXPECT_FALSE(desired_healthy(make_budget(R"({"maxUnavailable":"some"})"), 3).ok());
}

TEST(BudgetTest, DisruptedPodsAreExpectedToGo) {
  PodDisruptionBudget budget = make_budget("{}");
  auto ago = [](int seconds) { return schema::Time::from_unix(kNow - seconds); };
  budget.status.disrupted_pods = {{"fresh", ago(10)}, {"overdue", ago(121)}, {"edge", ago(120)}, {"gone", ago(1)}, {"going", ago(1)}};
  std::vector<PodPtr> pods{make_pod("fresh"), make_pod("overdue"), make_pod("edge"), make_pod("going", true, true), make_pod("other"),
                           make_pod("ill", false)};
  Disrupted disrupted = disrupted_pods(budget, pods, kWall);
  EXPECT_EQ(disrupted.pods.size(), 2u);
  EXPECT_TRUE(disrupted.pods.contains("fresh"));
  EXPECT_TRUE(disrupted.pods.contains("edge"));
  ASSERT_EQ(disrupted.not_deleted.size(), 1u);
  EXPECT_EQ(disrupted.not_deleted[0]->metadata.name, "overdue");
  EXPECT_EQ(*disrupted.recheck, kWall);
  // other, overdue, and edge: its time is up this very moment.
  EXPECT_EQ(healthy_pods(pods, disrupted.pods, kWall), 3);
}

TEST(BudgetTest, Status) {
  PodDisruptionBudget budget = make_budget("{}");
  auto status = new_status(budget, 3, 2, 3, {}, kTime);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->disruptions_allowed, 1);
  EXPECT_EQ(status->observed_generation, 2);
  ASSERT_EQ(status->conditions.size(), 1u);
  EXPECT_EQ(status->conditions[0].reason, "SufficientPods");
  EXPECT_EQ(status->conditions[0].observed_generation, 2);
  budget.status = *status;
  EXPECT_FALSE(new_status(budget, 3, 2, 3, {}, kTime));
  budget.metadata.generation = 3;
  EXPECT_TRUE(new_status(budget, 3, 2, 3, {}, kTime));
  budget.metadata.generation = 2;
  auto fewer = new_status(budget, 1, 2, 3, {}, kTime);
  ASSERT_TRUE(fewer);
  EXPECT_EQ(fewer->disruptions_allowed, 0);
  EXPECT_EQ(fewer->conditions[0].status, "False");
  EXPECT_EQ(fewer->conditions[0].reason, "InsufficientPods");
  EXPECT_EQ(new_status(budget, 3, 0, 0, {}, kTime)->disruptions_allowed, 0) << "nobody expects a pod";
  PodDisruptionBudgetStatus failed = failed_status(budget, "why", kTime);
  EXPECT_EQ(failed.disruptions_allowed, 0);
  EXPECT_EQ(failed.conditions[0].reason, "SyncFailed");
  EXPECT_EQ(failed.conditions[0].message, "why");
  EXPECT_EQ(failed.current_healthy, 3);
}

TEST(BudgetTest, StaleDisruption) {
  Pod pod;
  EXPECT_FALSE(stale_disruption(pod));
  auto& condition = pod.status.conditions.emplace_back();
  condition.type = "DisruptionTarget";
  condition.status = "True";
  condition.last_transition_time = kTime;
  EXPECT_EQ(*stale_disruption(pod), kWall + std::chrono::minutes(2));
  condition.reason = "TerminationByKubelet";
  EXPECT_FALSE(stale_disruption(pod));
  condition.reason = "PreemptionByScheduler";
  pod.status.phase = "Failed";
  EXPECT_FALSE(stale_disruption(pod));
  pod.status.phase = "Running";
  pod.metadata.deletion_timestamp = kTime;
  EXPECT_FALSE(stale_disruption(pod));
}

TEST(BudgetTest, SelectorText) {
  PodDisruptionBudget budget =
      make_budget(R"({"selector":{"matchLabels":{"a":"b"},"matchExpressions":[{"key":"k","operator":"In","values":["x","y"]}]}})");
  EXPECT_EQ(selector_text(budget.spec.selector.get()),
            "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{"
            "LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},},}");
}

TEST(TtlStepsTest, BoundariesOverlap) {
  TtlSteps steps;
  auto grow = [&](int to, int& nodes) {
    for (; nodes < to; ++nodes) steps.add_node();
    for (; nodes > to; --nodes) steps.remove_node();
    return steps.seconds();
  };
  int nodes = 0;
  EXPECT_EQ(grow(100, nodes), 0);
  EXPECT_EQ(grow(101, nodes), 15);
  EXPECT_EQ(grow(90, nodes), 15);
  EXPECT_EQ(grow(89, nodes), 0);
  EXPECT_EQ(grow(501, nodes), 30);
  EXPECT_EQ(grow(2001, nodes), 300);
  EXPECT_EQ(grow(1799, nodes), 60);
}

}  // namespace
}  // namespace knarr::controller
