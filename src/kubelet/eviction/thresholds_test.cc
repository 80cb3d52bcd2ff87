// SPDX-License-Identifier: Apache-2.0
#include "kubelet/eviction/thresholds.h"

#include <gtest/gtest.h>

#include "kubelet/image/image_gc.h"

namespace knarr::kubelet {
namespace {

using namespace std::chrono_literals;

constexpr int64_t kMi = 1 << 20;

std::vector<Threshold> parse(const EvictionSettings& settings) {
  auto thresholds = parse_thresholds(settings);
  EXPECT_TRUE(thresholds.ok()) << thresholds.status().message();
  return thresholds.ok() ? *thresholds : std::vector<Threshold>();
}
Observations memory(int64_t available, int64_t capacity = 1000 * kMi) {
  Observations seen;
  seen[0] = Observation{available, capacity};
  return seen;
}
PodPtr make_pod(const std::string& name, const char* request, int32_t priority = 0) {
  auto pod = std::make_shared<core::Pod>();
  pod->metadata.name = name;
  pod->spec.priority = priority;
  core::Container& container = pod->spec.containers.emplace_back();
  container.name = "c";
  if (*request != '\0') container.resources.requests["memory"] = schema::Quantity(std::string(request));
  return pod;
}

TEST(Thresholds, DefaultsAndSwitchedOff) {
  EXPECT_EQ(parse({}).size(), 4u);
  EvictionSettings settings;
  settings.hard = {{"memory.available", "100Mi"}, {"nodefs.available", "0%"}, {"imagefs.available", "100%"}};
  auto thresholds = parse(settings);
  ASSERT_EQ(thresholds.size(), 1u);
  EXPECT_EQ(thresholds[0].amount.of(1000 * kMi), 100 * kMi);
  settings.hard = {{"memory.free", "1"}};
  EXPECT_EQ(parse_thresholds(settings).status().message(), "unsupported eviction signal memory.free");
  settings.hard = {{"memory.available", "1"}};
  settings.soft = {{"memory.available", "2"}};
  EXPECT_FALSE(parse_thresholds(settings).ok());
}

TEST(Pressure, HardActsAtOnceAndShowsForAWhile) {
  EvictionSettings settings;
  settings.hard = {{"memory.available", "10%"}};
  PressureState state(parse(settings), 5min);
  MonoTime now(1h);
  EXPECT_TRUE(state.observe(memory(101 * kMi), now).empty());
  EXPECT_FALSE(state.under("MemoryPressure"));
  EXPECT_EQ(state.observe(memory(99 * kMi), now).size(), 1u);
  EXPECT_TRUE(state.under("MemoryPressure"));
  EXPECT_TRUE(state.observe(memory(200 * kMi), now + 4min).empty());
  EXPECT_TRUE(state.under("MemoryPressure"));
  EXPECT_TRUE(state.observe(memory(200 * kMi), now + 6min).empty());
  EXPECT_FALSE(state.under("MemoryPressure"));
}

TEST(Pressure, SoftWaitsForItsGrace) {
  EvictionSettings settings;
  settings.hard = {{"memory.available", "10Mi"}};
  settings.soft = {{"memory.available", "100Mi"}};
  settings.soft_grace = {{"memory.available", "1m30s"}};
  PressureState state(parse(settings), 5min);
  MonoTime now(1h);
  EXPECT_TRUE(state.observe(memory(50 * kMi), now).empty());
  EXPECT_TRUE(state.under("MemoryPressure"));
  EXPECT_TRUE(state.observe(memory(50 * kMi), now + 80s).empty());
  auto due = state.observe(memory(50 * kMi), now + 90s);
  ASSERT_EQ(due.size(), 1u);
  EXPECT_FALSE(due[0].hard);
  EXPECT_TRUE(state.observe(memory(150 * kMi), now + 100s).empty());
  EXPECT_TRUE(state.observe(memory(50 * kMi), now + 110s).empty());  // counts anew
}

TEST(Pressure, GoesOnUntilEnoughIsReclaimed) {
  EvictionSettings settings;
  settings.hard = {{"memory.available", "100Mi"}};
  settings.min_reclaim = {{"memory.available", "50Mi"}};
  PressureState state(parse(settings), 5min);
  MonoTime now(1h);
  EXPECT_TRUE(state.observe(memory(120 * kMi), now).empty());
  EXPECT_EQ(state.observe(memory(90 * kMi), now).size(), 1u);
  EXPECT_EQ(state.observe(memory(120 * kMi), now + 10s).size(), 1u);
  EXPECT_FALSE(state.satisfied(memory(120 * kMi)));
  EXPECT_TRUE(state.observe(memory(151 * kMi), now + 20s).empty());
  EXPECT_TRUE(state.satisfied(memory(151 * kMi)));
}

TEST(Rank, OverRequestThenPriorityThenExcess) {
  std::vector<Candidate> candidates = {{make_pod("within", "100Mi"), 50 * kMi, {}},
                                       {make_pod("important", "10Mi", 1000), 500 * kMi, {}},
                                       {make_pod("over-little", "10Mi"), 20 * kMi, {}},
                                       {make_pod("over-much", ""), 90 * kMi, {}},
                                       {make_pod("unknown", "1Mi", 5), std::nullopt, {}}};
  rank(candidates, "memory");
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates) names.push_back(candidate.pod->metadata.name.str());
  EXPECT_EQ(names, (std::vector<std::string>{"unknown", "over-much", "over-little", "important", "within"}));
}

TEST(Messages, AreUpstreams) {
  Threshold threshold;
  threshold.amount.fixed = 100 * kMi;
  Candidate candidate{make_pod("p", "10Mi"), 20 * kMi, {{"c", 20 * kMi}}};
  EXPECT_EQ(eviction_message(threshold, memory(90 * kMi), candidate),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. Container c was using 20Mi, request is 10Mi, has larger "
            "consumption of memory. ");
  candidate = {make_pod("p", ""), 20 * kMi, {{"c", 20 * kMi}}};
  EXPECT_NE(eviction_message(threshold, {}, candidate).find("Container c was using 20Mi, request is 0, has larger"), std::string::npos);
  EXPECT_EQ(empty_dir_message("v", "10Mi"), "Usage of EmptyDir volume \"v\" exceeds the limit \"10Mi\". ");
}

TEST(Refusal, ByConditionAndPod) {
  EXPECT_EQ(pressure_refusal(*make_pod("p", ""), {}), "");
  EXPECT_EQ(pressure_refusal(*make_pod("p", ""), {"MemoryPressure"}), "The node had condition: [MemoryPressure]. ");
  EXPECT_EQ(pressure_refusal(*make_pod("p", "1Mi"), {"MemoryPressure"}), "");
  EXPECT_EQ(pressure_refusal(*make_pod("p", "1Mi"), {"DiskPressure", "MemoryPressure"}), "The node had condition: [DiskPressure MemoryPressure]. ");
  core::Pod tolerant = *make_pod("p", "");
  core::Toleration& toleration = tolerant.spec.tolerations.emplace_back();
  toleration.key = "node.kubernetes.io/memory-pressure";
  toleration.operator_ = "Exists";
  EXPECT_EQ(pressure_refusal(tolerant, {"MemoryPressure"}), "");
}

cri::Image image(const char* id, bool pinned = false) {
  cri::Image made;
  made.id = id;
  made.size = 10;
  made.pinned = pinned;
  made.repo_tags.push_back(std::string(id) + ":1");
  return made;
}

TEST(ImageGc, FreesFromHighToLow) {
  ImageGcPolicy policy;
  EXPECT_EQ(bytes_to_free(1000, 160, policy), 0);
  // Shares are whole percents of what is free, as upstream: 15.1 % free counts as 85 % used.
  EXPECT_EQ(bytes_to_free(1000, 151, policy), 49);
  EXPECT_EQ(bytes_to_free(1000, 150, policy), 50);
  EXPECT_EQ(bytes_to_free(1000, 0, policy), 200);
  EXPECT_EQ(bytes_to_free(0, 0, policy), 0);
}

TEST(ImageGc, LongestUnusedFirst) {
  ImageAges ages;
  MonoTime now(1h);
  ages.look({image("a"), image("b"), image("c"), image("pin", true)}, {"a", "c:1"}, now);
  ages.look({image("a"), image("b"), image("c"), image("pin", true), image("new")}, {"c:1"}, now + 1min);
  std::vector<std::string> ids;
  for (const auto& candidate : ages.removable(now + 2min, 2min)) ids.push_back(candidate.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"b", "a"}));
  ids.clear();
  for (const auto& candidate : ages.removable(now + 4min, 2min)) ids.push_back(candidate.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"b", "new", "a"}));
}

}  // namespace
}  // namespace knarr::kubelet
