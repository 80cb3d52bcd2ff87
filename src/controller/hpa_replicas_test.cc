// SPDX-License-Identifier: Apache-2.0
#include "controller/hpa_replicas.h"

#include <gtest/gtest.h>

#include "controller/hpa_metrics.h"
#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

using api::autoscaling_v2::HorizontalPodAutoscalerBehavior;
using api::core_v1::Pod;
using std::chrono::seconds;

const WallTime kNow = schema::to_wall(*schema::parse_time("2024-01-01T12:00:00Z"));

PodPtr pod(const std::string& name, const std::string& phase = "Running", const std::string& ready = "True") {
  auto value = schema::from_json<Pod>(R"({"metadata":{"name":")" + name + R"("},"spec":{"containers":[{"name":"c","resources":{"requests":
      {"cpu":"1"}}}]},"status":{"phase":")" +
                                      phase + R"(","startTime":"2024-01-01T11:00:00Z","conditions":[{"type":"Ready","status":")" + ready +
                                      R"(","lastTransitionTime":"2024-01-01T11:00:10Z"}]}})");
  EXPECT_TRUE(value.ok());
  return std::make_shared<const Pod>(std::move(*value));
}
PodMetrics metrics(const std::vector<int64_t>& values) {
  PodMetrics result;
  for (size_t i = 0; i < values.size(); ++i) result["p" + std::to_string(i)] = {values[i], kNow, seconds(60)};
  return result;
}
std::vector<PodPtr> running(int count) {
  std::vector<PodPtr> pods;
  for (int i = 0; i < count; ++i) pods.push_back(pod("p" + std::to_string(i)));
  return pods;
}
std::string by_utilization(const std::vector<PodPtr>& pods, const std::vector<int64_t>& values, int32_t current, int32_t target) {
  auto proposal = replicas_by_utilization(pods, metrics(values), "cpu", "", current, target, kNow);
  if (!proposal.ok()) return std::string(proposal.status().message());
  return fmt::format("{} at {}% ({})", proposal->replicas, proposal->utilization, proposal->usage);
}

TEST(HpaReplicas, ByUtilization) {
  EXPECT_EQ(by_utilization(running(3), {300, 500, 700}, 3, 30), "5 at 50% (500)");
  EXPECT_EQ(by_utilization(running(5), {100, 300, 500, 250, 250}, 5, 50), "3 at 28% (280)");
  EXPECT_EQ(by_utilization(running(3), {400, 500, 600}, 3, 48), "3 at 50% (500)") << "too small a change";
  EXPECT_EQ(by_utilization({}, {}, 3, 50), "no pods returned by selector while calculating replica count");
  EXPECT_EQ(by_utilization(running(2), {}, 2, 50), "did not receive metrics for targeted pods (pods might be unready)");
}

TEST(HpaReplicas, PodsThatSayNothing) {
  // Growing: the missing and the unready are taken to use nothing.
  std::vector<PodPtr> pods = running(2);
  pods.push_back(pod("p2", "Pending", "False"));
  EXPECT_EQ(by_utilization(pods, {900, 900}, 3, 50), "4 at 90% (900)");
  EXPECT_EQ(by_utilization(running(3), {900, 900}, 3, 50), "4 at 90% (900)");
  // Shrinking: the missing are taken to use all they asked for.
  EXPECT_EQ(by_utilization(running(4), {100, 100, 100}, 4, 50), "3 at 10% (100)");
  // No change when they could turn it around.
  EXPECT_EQ(by_utilization(running(3), {550, 650}, 3, 50), "3 at 60% (600)");
  // Failed pods are nobody.
  pods = running(2);
  pods.push_back(pod("p2", "Failed", "False"));
  EXPECT_EQ(by_utilization(pods, {1000, 1000, 9000}, 2, 50), "4 at 100% (1000)");
}

TEST(HpaReplicas, ByValue) {
  EXPECT_EQ(replicas_by_value(running(4), 4, 20000, 15000)->replicas, 6);
  EXPECT_EQ(replicas_by_value(running(4), 4, 15500, 15000)->replicas, 4);
  EXPECT_EQ(replicas_by_value({}, 0, 20000, 15000)->replicas, 2);
  EXPECT_FALSE(replicas_by_value({}, 4, 40000, 15000).ok());
  Proposal each = replicas_by_value_per_pod(3, 8600, 2150);
  EXPECT_EQ(each.replicas, 4);
  EXPECT_EQ(each.usage, 2867);
  auto average = replicas_by_average(running(3), metrics({10000, 20000, 30000}), "", 3, 15000, kNow);
  ASSERT_TRUE(average.ok());
  EXPECT_EQ(average->replicas, 4);
  EXPECT_EQ(average->usage, 20000);
}

TEST(HpaReplicas, LimitsWithoutBehavior) {
  EXPECT_EQ(limit_without_behavior(2, 10, 1, 20).replicas, 4);
  EXPECT_EQ(limit_without_behavior(2, 10, 1, 20).reason, "ScaleUpLimit");
  EXPECT_EQ(limit_without_behavior(10, 25, 1, 15).reason, "TooManyReplicas");
  EXPECT_EQ(limit_without_behavior(10, 1, 3, 15).replicas, 3);
  EXPECT_EQ(limit_without_behavior(10, 1, 3, 15).reason, "TooFewReplicas");
  EXPECT_EQ(limit_without_behavior(10, 12, 3, 15).reason, "DesiredWithinRange");
}

TEST(HpaReplicas, RemembersHighRecommendations) {
  ScaleHistory history;
  history.begin(5, kNow);
  EXPECT_EQ(history.stabilize(3, seconds(300), kNow + seconds(15)), 5);
  EXPECT_EQ(history.stabilize(7, seconds(300), kNow + seconds(30)), 7);
  EXPECT_EQ(history.stabilize(2, seconds(300), kNow + seconds(330)), 7);
  EXPECT_EQ(history.stabilize(2, seconds(300), kNow + seconds(346)), 2);
}

TEST(HpaReplicas, BehaviorLimitsTheRate) {
  auto behavior = schema::from_json<HorizontalPodAutoscalerBehavior>(R"({
      "scaleUp":{"stabilizationWindowSeconds":0,"selectPolicy":"Max","policies":[{"type":"Pods","value":4,"periodSeconds":60},
                 {"type":"Percent","value":100,"periodSeconds":60}]},
      "scaleDown":{"stabilizationWindowSeconds":120,"selectPolicy":"Min","policies":[{"type":"Pods","value":2,"periodSeconds":60},
                   {"type":"Percent","value":10,"periodSeconds":60}]}})");
  ASSERT_TRUE(behavior.ok());
  ScaleHistory history;
  EXPECT_EQ(history.limit_rate(3, 20, 1, 50, *behavior, kNow).replicas, 7);
  EXPECT_EQ(history.limit_rate(10, 50, 1, 50, *behavior, kNow).replicas, 20);
  EXPECT_EQ(history.limit_rate(10, 1, 1, 50, *behavior, kNow).replicas, 9) << "the lesser change";
  history.scaled(3, 7, *behavior, kNow);
  EXPECT_EQ(history.limit_rate(7, 20, 1, 50, *behavior, kNow + seconds(30)).replicas, 7);
  EXPECT_EQ(history.limit_rate(7, 20, 1, 50, *behavior, kNow + seconds(30)).reason, "ScaleUpLimit");
  EXPECT_EQ(history.limit_rate(7, 20, 1, 50, *behavior, kNow + seconds(61)).replicas, 14);
  EXPECT_EQ(history.stabilize(7, 3, *behavior, kNow).replicas, 3);
  EXPECT_EQ(history.stabilize(7, 6, *behavior, kNow + seconds(10)).replicas, 6);
  Limited stable = history.stabilize(7, 2, *behavior, kNow + seconds(20));
  EXPECT_EQ(stable.replicas, 6);
  EXPECT_EQ(stable.reason, "ScaleDownStabilized");
}

TEST(HpaMetrics, Reads) {
  std::string list = R"({"items":[{"metadata":{"name":"a","namespace":"n"},"timestamp":"2024-01-01T12:00:00Z","window":"30s",
      "containers":[{"name":"x","usage":{"cpu":"250m","memory":"1Mi"}},{"name":"y","usage":{"cpu":"1n"}}]},
      {"metadata":{"name":"b","namespace":"n"},"containers":[{"name":"x","usage":{}}]}]})";
  auto all = read_pod_metrics(list, "cpu", "");
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 1u) << "incomplete metrics are none";
  EXPECT_EQ(all->at("a").value, 251);
  EXPECT_EQ(all->at("a").timestamp, kNow);
  EXPECT_EQ(all->at("a").window, seconds(30));
  EXPECT_EQ(read_pod_metrics(list, "cpu", "x")->at("a").value, 250);
  EXPECT_EQ(read_pod_metrics(list, "cpu", "y").status().message(),
            "failed to get container metrics: container y not present in metrics for pod n/b");
  EXPECT_EQ(read_pod_metrics(R"({"items":[]})", "cpu", "").status().message(), "no metrics returned from resource metrics API");
  auto values = read_metric_values(R"({"items":[{"describedObject":{"name":"p"},"value":"1500m","windowSeconds":10}]})");
  ASSERT_TRUE(values.ok());
  EXPECT_EQ(values->at("p").value, 1500);
  EXPECT_EQ(values->at("p").window, seconds(10));
}

}  // namespace
}  // namespace knarr::controller
