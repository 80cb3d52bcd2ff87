// SPDX-License-Identifier: Apache-2.0
// The budget's arithmetic; the whole way is in testdata/cases/eviction.yaml.
#include "apiserver/subresource/eviction.h"

#include <gtest/gtest.h>

namespace knarr::apiserver::subresource {
namespace {

using api::policy_v1::PodDisruptionBudget;

const schema::Time kNow = schema::Time::from_unix(1700000000);

PodDisruptionBudget budget(int allowed) {
  PodDisruptionBudget made;
  made.metadata.name = "b";
  made.metadata.generation = 2;
  made.status.observed_generation = 2;
  made.status.disruptions_allowed = allowed;
  return made;
}

TEST(TakeDisruption, CountsDownAndNotesThePod) {
  PodDisruptionBudget one = budget(2);
  ASSERT_TRUE(take_disruption(one, "p", kNow, false).ok());
  EXPECT_EQ(one.status.disruptions_allowed, 1);
  ASSERT_NE(one.status.disrupted_pods.find("p"), nullptr);
  EXPECT_TRUE(one.status.conditions.empty());
  ASSERT_TRUE(take_disruption(one, "q", kNow, false).ok());
  ASSERT_EQ(one.status.conditions.size(), 1u);
  EXPECT_EQ(one.status.conditions[0].status, "False");
  Status refused = take_disruption(one, "r", kNow, false);
  EXPECT_EQ(refused.code(), 429);
  EXPECT_EQ(one.status.disrupted_pods.size(), 2u);
}

TEST(TakeDisruption, ADryRunNotesNothing) {
  PodDisruptionBudget one = budget(1);
  ASSERT_TRUE(take_disruption(one, "p", kNow, true).ok());
  EXPECT_TRUE(one.status.disrupted_pods.empty());
}

TEST(TakeDisruption, WaitsForTheController) {
  PodDisruptionBudget one = budget(1);
  one.metadata.generation = 3;
  Status refused = take_disruption(one, "p", kNow, false);
  EXPECT_EQ(refused.code(), 429);
  ASSERT_NE(refused.info(), nullptr);
  EXPECT_EQ(refused.info()->retry_after_seconds, 10);
  ASSERT_EQ(refused.info()->causes.size(), 1u);
  EXPECT_EQ(refused.info()->causes[0].type, "DisruptionBudget");
}

TEST(TakeDisruption, RefusesNonsense) {
  PodDisruptionBudget one = budget(-1);
  EXPECT_EQ(take_disruption(one, "p", kNow, false).code(), 403);
  PodDisruptionBudget full = budget(1);
  for (int i = 0; i < 2001; ++i) full.status.disrupted_pods[std::to_string(i)] = kNow;
  EXPECT_EQ(take_disruption(full, "p", kNow, false).code(), 403);
}

}  // namespace
}  // namespace knarr::apiserver::subresource
