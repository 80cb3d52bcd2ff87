// SPDX-License-Identifier: Apache-2.0
#include "quota/quota.h"

#include <gtest/gtest.h>

#include "schema/codec.h"

namespace knarr::quota {
namespace {

Pod pod_of(const std::string& json) {
  auto pod = schema::from_json<Pod>(json);
  EXPECT_TRUE(pod.ok()) << pod.status().message();
  return pod.ok() ? std::move(*pod) : Pod();
}
ResourceQuota quota_of(const std::string& spec) {
  auto quota = schema::from_json<ResourceQuota>(R"({"spec":)" + spec + "}");
  EXPECT_TRUE(quota.ok());
  return quota.ok() ? std::move(*quota) : ResourceQuota();
}
std::string text(const Amounts& amounts, const std::string& name) {
  auto at = amounts.find(name);
  return at == amounts.end() ? "-" : at->second.to_string();
}
const schema::Time kNow = schema::Time::from_unix(1700000000);

TEST(PodUsage, AddsContainersAndTakesTheGreatestInitContainer) {
  Pod pod = pod_of(R"({"spec":{"overhead":{"cpu":"50m"},"containers":[
      {"name":"a","resources":{"requests":{"cpu":"100m","memory":"1Gi","example.com/gpu":"1"},"limits":{"cpu":"1"}}},
      {"name":"b","resources":{"requests":{"cpu":"200m"}}}],
    "initContainers":[{"name":"i","resources":{"requests":{"cpu":"250m","memory":"2Gi"}}}]}})");
  Amounts usage = pod_usage(pod, kNow);
  EXPECT_EQ(text(usage, "requests.cpu"), "350m");
  EXPECT_EQ(text(usage, "cpu"), "350m");
  EXPECT_EQ(text(usage, "requests.memory"), "2Gi");
  EXPECT_EQ(text(usage, "limits.cpu"), "1050m");
  EXPECT_EQ(text(usage, "limits.memory"), "-");
  EXPECT_EQ(text(usage, "requests.example.com/gpu"), "1");
  EXPECT_EQ(text(usage, "pods"), "1");
  EXPECT_EQ(text(usage, "count/pods"), "1");
}

TEST(PodUsage, EndedPodsOnlyCountAsObjects) {
  Amounts usage = pod_usage(pod_of(R"({"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Succeeded"}})"), kNow);
  EXPECT_EQ(text(usage, "count/pods"), "1");
  EXPECT_EQ(text(usage, "pods"), "-");
}

TEST(Scopes, OfPods) {
  Pod plain = pod_of(R"({"spec":{"containers":[{"name":"a"}]}})");
  Pod limited = pod_of(R"({"spec":{"activeDeadlineSeconds":5,"priorityClassName":"high","containers":[
      {"name":"a","resources":{"limits":{"memory":"1Gi"}}}]}})");
  struct Case {
    const char* spec;
    bool plain, limited;
  };
  for (const Case& c : {Case{R"({})", true, true}, Case{R"({"scopes":["Terminating"]})", false, true},
                        Case{R"({"scopes":["NotTerminating"]})", true, false}, Case{R"({"scopes":["BestEffort"]})", true, false},
                        Case{R"({"scopes":["NotBestEffort","Terminating"]})", false, true},
                        Case{R"({"scopeSelector":{"matchExpressions":[{"scopeName":"PriorityClass","operator":"In","values":["high"]}]}})",
                             false, true},
                        Case{R"({"scopeSelector":{"matchExpressions":[{"scopeName":"PriorityClass","operator":"NotIn","values":["high"]}]}})",
                             true, false}}) {
    EXPECT_EQ(pod_matches_scopes(quota_of(c.spec), plain), c.plain) << c.spec;
    EXPECT_EQ(pod_matches_scopes(quota_of(c.spec), limited), c.limited) << c.spec;
  }
}

TEST(Names, SayWhatIsCounted) {
  EXPECT_EQ(counted_resource("count/deployments.apps"), (GroupResource{"apps", "deployments"}));
  EXPECT_EQ(counted_resource("requests.memory"), (GroupResource{"", "pods"}));
  EXPECT_EQ(counted_resource("requests.example.com/gpu"), (GroupResource{"", "pods"}));
  EXPECT_EQ(counted_resource("gold.storageclass.storage.k8s.io/requests.storage"), (GroupResource{"", "persistentvolumeclaims"}));
  EXPECT_EQ(counted_resource("services.nodeports"), (GroupResource{"", "services"}));
  EXPECT_EQ(counted_resource("secrets"), (GroupResource{"", "secrets"}));
  EXPECT_EQ(counted_resource("nonsense"), std::nullopt);
}

TEST(Services, CountPortsByType) {
  auto service = schema::from_json<api::core_v1::Service>(R"({"spec":{"type":"LoadBalancer","ports":[{"port":1},{"port":2}]}})");
  ASSERT_TRUE(service.ok());
  Amounts usage = usage_of({"", "services"}, schema::Object::of(*service), kNow);
  EXPECT_EQ(text(usage, "services.nodeports"), "2");
  EXPECT_EQ(text(usage, "services.loadbalancers"), "1");
}

TEST(Constraints, NameTheContainers) {
  Pod pod = pod_of(R"({"spec":{"containers":[{"name":"a"},{"name":"b","resources":{"requests":{"cpu":"1"}}}]}})");
  Status status = check_pod_constraints({"pods", "requests.cpu", "limits.memory"}, pod);
  EXPECT_EQ(status.message(), "must specify limits.memory for: a,b; requests.cpu for: a");
  EXPECT_TRUE(check_pod_constraints({"pods"}, pod).ok());
}

}  // namespace
}  // namespace knarr::quota
