// SPDX-License-Identifier: Apache-2.0
#include "trace/timeline.h"

#include <gtest/gtest.h>

#include "schema/time.h"
#include "trace/coarse.h"
#include "trace/render.h"

namespace knarr::trace {
namespace {

using namespace std::chrono_literals;
using api::core_v1::Event;
using api::core_v1::Pod;

const WallTime kBegin{std::chrono::seconds(1700000000)};

Span span(Step step, Duration from, Duration to, std::string detail = {}) { return {step, kBegin + from, kBegin + to, std::move(detail)}; }

Source source(std::string name, std::vector<Span> spans) {
  Source made{std::move(name), "", ""};
  made.spans = std::move(spans);
  return made;
}

Duration share_of(const std::vector<Share>& shares, std::string_view what) {
  for (const Share& share : shares)
    if (share.what == what) return share.time;
  return Duration(-1);
}

Duration sum_of(const std::vector<Share>& shares) {
  Duration sum{};
  for (const Share& share : shares) sum += share.time;
  return sum;
}

std::vector<Source> three_processes() {
  return {source("kube-apiserver", {span(Step::kReceived, 0ms, 2ms), span(Step::kStored, 2ms, 5ms), span(Step::kBound, 9ms, 11ms)}),
          source("kube-scheduler", {span(Step::kQueued, 6ms, 6ms), span(Step::kTried, 7ms, 8ms), span(Step::kBind, 8ms, 12ms)}),
          source("kubelet a", {span(Step::kSeen, 13ms, 13ms), span(Step::kStatus, 14ms, 60ms), span(Step::kSandbox, 15ms, 100ms),
                               span(Step::kVolumes, 15ms, 110ms), span(Step::kImage, 111ms, 112ms, "c: i present"), span(Step::kCreate, 115ms, 130ms, "c"),
                               span(Step::kStart, 130ms, 150ms, "c"), span(Step::kReady, 155ms, 155ms), span(Step::kStatus, 156ms, 158ms)})};
}

TEST(Timeline, SortsTheStepsOfAllParts) {
  auto sources = three_processes();
  std::swap(sources[0], sources[2]);
  Timeline timeline = merge(sources, {});
  ASSERT_EQ(timeline.entries.size(), 15u);
  EXPECT_EQ(timeline.start, kBegin);
  EXPECT_EQ(timeline.ready, kBegin + 155ms);
  EXPECT_TRUE(timeline.notes.empty());
  for (size_t i = 1; i < timeline.entries.size(); ++i) EXPECT_LE(timeline.entries[i - 1].span.start, timeline.entries[i].span.start);
  EXPECT_EQ(timeline.entries[3].who, "kube-scheduler");
}

TEST(Timeline, EachMomentBelongsToOneKindOfTime) {
  Timeline timeline = merge(three_processes(), {});
  const auto& shares = timeline.shares;
  EXPECT_EQ(sum_of(shares), 155ms) << "nothing is counted twice, nothing is left out";
  EXPECT_EQ(share_of(shares, "API server: store"), 3ms);
  EXPECT_EQ(share_of(shares, "on its way to the scheduler"), 1ms);
  EXPECT_EQ(share_of(shares, "in the scheduler's queue"), 1ms);
  EXPECT_EQ(share_of(shares, "API server: store the binding"), 2ms) << "within the scheduler's call";
  EXPECT_EQ(share_of(shares, "scheduler: binding, on the wire"), 2ms);
  EXPECT_EQ(share_of(shares, "on its way to the kubelet"), 1ms);
  EXPECT_EQ(share_of(shares, "runtime: sandbox and network"), 85ms) << "volumes and a status write beside it do not count";
  EXPECT_EQ(share_of(shares, "kubelet: volumes"), 10ms) << "what the sandbox did not hide";
  EXPECT_EQ(share_of(shares, "kubelet: environment and mounts"), 3ms);
  EXPECT_EQ(share_of(shares, "kubelet: probes and the runtime's word"), 5ms);
}

TEST(Timeline, EndsAtTheLastStepOfAPodThatIsNotReady) {
  auto sources = three_processes();
  sources.pop_back();
  Timeline timeline = merge(sources, {});
  EXPECT_FALSE(timeline.ready);
  EXPECT_EQ(sum_of(timeline.shares), 12ms);
  EXPECT_TRUE(share_out({}, kBegin, kBegin).empty());
  EXPECT_TRUE(share_out({}, kBegin, kBegin - 1s).empty()) << "clocks may disagree";
}

Pod pod_of_upstream() {
  Pod pod;
  pod.spec.node_name = "a";
  pod.metadata.creation_timestamp = schema::to_time(kBegin);
  pod.status.start_time = schema::to_time(kBegin + 1s);
  auto& scheduled = pod.status.conditions.emplace_back();
  scheduled.type = "PodScheduled";
  scheduled.status = "True";
  scheduled.last_transition_time = schema::to_time(kBegin);
  auto& ready = pod.status.conditions.emplace_back();
  ready.type = "Ready";
  ready.status = "True";
  ready.last_transition_time = schema::to_time(kBegin + 3s);
  auto& container = pod.status.container_statuses.emplace_back();
  container.name = "c";
  container.state.running.ensure().started_at = schema::to_time(kBegin + 2s);
  return pod;
}

Event event_of(const char* reason, const char* message, Duration at, int count) {
  Event event;
  event.reason = reason;
  event.message = message;
  event.first_timestamp = schema::to_time(kBegin + at);
  event.count = count;
  return event;
}

TEST(Coarse, ComesFromEventsAndElseFromTheStatus) {
  Pod pod = pod_of_upstream();
  Timeline bare = merge({}, coarse_entries(pod, {}));
  ASSERT_EQ(bare.entries.size(), 5u);
  EXPECT_TRUE(bare.shares.empty()) << "seconds are not shared out";
  EXPECT_FALSE(bare.ready);
  EXPECT_EQ(bare.entries[1].span.detail, "condition PodScheduled");
  EXPECT_EQ(bare.entries[3].span.detail, "c: startedAt");

  std::vector<Event> events = {event_of("FailedScheduling", "0/1 nodes", 0s, 4), event_of("Scheduled", "to a", 1s, 1), event_of("Started", "c", 2s, 1),
                               event_of("Whatever", "", 2s, 1)};
  Timeline told = merge({}, coarse_entries(pod, events));
  ASSERT_EQ(told.entries.size(), 6u);
  EXPECT_EQ(told.entries[1].span.detail, "event FailedScheduling: 0/1 nodes (4 times)");
  EXPECT_EQ(told.entries[1].who, "kube-scheduler");
  EXPECT_EQ(told.entries[4].who, "kubelet a");
  for (const Entry& entry : told.entries) EXPECT_TRUE(entry.coarse);
}

TEST(Coarse, OnlyFillsInForPartsThatRecordedNothing) {
  auto sources = three_processes();
  sources.erase(sources.begin() + 1);
  sources.push_back({"kube-scheduler", "", "not reachable: refused"});
  Timeline timeline = merge(sources, coarse_entries(pod_of_upstream(), {}));
  int coarse = 0;
  for (const Entry& entry : timeline.entries) coarse += entry.coarse;
  EXPECT_EQ(coarse, 1);
  EXPECT_EQ(timeline.notes, std::vector<std::string>{"kube-scheduler: not reachable: refused"});
  EXPECT_EQ(sum_of(timeline.shares), 155ms);
  EXPECT_EQ(share_of(timeline.shares, "until the binding arrived"), 4ms) << "nobody tells more";
}

TEST(Sources, OneForEachPartOfTheProcessThatAnswered) {
  Answer answer;
  answer.parts = {"kube-apiserver", "kube-scheduler", "kubelet a"};
  answer.now = kBegin + 1h;
  answer.since = kBegin + 1s;
  answer.spans = {span(Step::kReceived, 2s, 2s), span(Step::kSeen, 3s, 3s), span(Step::kReady, 4s, 4s)};
  std::vector<Source> sources;
  add_sources(sources, "kube-apiserver", answer, {kBegin + 1h, kBegin + 1h + 2ms}, kBegin);
  ASSERT_EQ(sources.size(), 3u);
  EXPECT_EQ(sources[0].through, "");
  EXPECT_EQ(sources[1].through, "kube-apiserver");
  EXPECT_EQ(sources[0].spans.size(), 1u);
  EXPECT_EQ(sources[2].spans.size(), 2u);
  EXPECT_EQ(sources[1].problem, "recorded nothing of this pod: its record begins at 2023-11-14T22:13:21.000000000Z");
  EXPECT_EQ(sources[0].problem, "");
}

TEST(Sources, ClocksThatDifferAreTold) {
  std::vector<Source> sources;
  auto answer_of = [](std::string part, WallTime now) {
    Answer answer;
    answer.parts = {std::move(part)};
    answer.now = now;
    answer.spans = {span(Step::kSeen, 0s, 0s), span(Step::kReceived, 0s, 0s)};
    return answer;
  };
  add_sources(sources, "kube-apiserver", answer_of("kube-apiserver", kBegin + 2ms), {kBegin, kBegin + 4ms}, kBegin);
  add_sources(sources, "kubelet a", answer_of("kubelet a", kBegin + 6ms), {kBegin, kBegin + 4ms}, kBegin);
  EXPECT_TRUE(merge(sources, {}).notes.empty()) << "4 ms may be the questions' way";
  add_sources(sources, "kubelet b", answer_of("kubelet b", kBegin + 502ms), {kBegin, kBegin + 4ms}, kBegin);
  add_sources(sources, "kubelet c", answer_of("kubelet c", kBegin - 498ms), {kBegin, kBegin + 4ms}, kBegin);
  EXPECT_EQ(merge(sources, {}).notes,
            (std::vector<std::string>{"the clock of kubelet b is 500ms ahead of kube-apiserver's; times are as each clock told them",
                                      "the clock of kubelet c is 500ms behind kube-apiserver's; times are as each clock told them"}));
}

TEST(Text, HasALineAStepAndTheSum) {
  Subject subject{"default", "hello", "u-1", "a", "Running"};
  std::string text = to_text(subject, merge(three_processes(), {}));
  EXPECT_EQ(text.substr(0, text.find("\n\n")),
            "pod default/hello, uid u-1, on node a\n"
            "received at 2023-11-14T22:13:20.000000000Z, ready 155.0 ms later");
  EXPECT_NE(text.find("\n22:13:20.015000      15.0 ms      85.0 ms  kubelet a       sandbox\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n22:13:20.111000     111.0 ms       1.0 ms  kubelet a       image     c: i present\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n  runtime: sandbox and network                                85.0 ms   54.8 %\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n  from the first step to ready                               155.0 ms\n"), std::string::npos) << text;
  EXPECT_EQ(text.find('~'), std::string::npos);
}

TEST(Text, MarksWhatIsCoarse) {
  std::string text = to_text({"default", "hello", "u-1", "a", "Running"}, merge({}, coarse_entries(pod_of_upstream(), {})));
  EXPECT_NE(text.find("\n22:13:23                   ~               kubelet a       ready     condition Ready\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("where the time went"), std::string::npos);
  EXPECT_NE(text.find("\n~ not recorded by the part itself"), std::string::npos);
}

}  // namespace
}  // namespace knarr::trace
