// SPDX-License-Identifier: Apache-2.0
#include "trace/ring.h"

#include <gtest/gtest.h>

#include "trace/answer.h"
#include "trace/timeline.h"

namespace knarr::trace {
namespace {

using namespace std::chrono_literals;

const WallTime kBegin{std::chrono::seconds(1700000000)};
const std::string kPod = "8b7c2b6e-1111-2222-3333-444455556666", kOther = "8b7c2b6e-1111-2222-3333-444455556667";

TEST(Ring, KeepsStepsByPodInTheirOrder) {
  FakeClock clock(kBegin);
  Ring ring(8, clock);
  ring.add_part("kubelet a");
  clock.advance(1ms);
  ring.add_now(kPod, Step::kSeen, "");
  ring.add_now(kOther, Step::kSeen, "");
  WallTime asked = ring.now();
  clock.advance(20ms);
  ring.add_since(kPod, Step::kSandbox, asked, "10.0.0.1");
  Answer answer = ring.find({kPod});
  EXPECT_EQ(answer.parts, std::vector<std::string>{"kubelet a"});
  EXPECT_EQ(answer.now, kBegin + 21ms);
  EXPECT_EQ(answer.since, kBegin);
  ASSERT_EQ(answer.spans.size(), 2u);
  EXPECT_EQ(answer.spans[0].step, Step::kSeen);
  EXPECT_EQ(answer.spans[0].start, answer.spans[0].end);
  EXPECT_EQ(answer.spans[1].step, Step::kSandbox);
  EXPECT_EQ(answer.spans[1].start, kBegin + 1ms);
  EXPECT_EQ(answer.spans[1].end, kBegin + 21ms);
  EXPECT_EQ(answer.spans[1].detail, "10.0.0.1");
  EXPECT_TRUE(ring.find({"8b7c2b6e"}).spans.empty()) << "a prefix is no UID";
  EXPECT_EQ(ring.find({kPod, kOther}).spans.size(), 3u);
}

TEST(Ring, SaysFromWhenOnItKnowsEverything) {
  FakeClock clock(kBegin);
  Ring ring(3, clock);
  for (int i = 0; i < 5; ++i) {
    clock.advance(1s);
    ring.add_now(i == 0 ? kOther : kPod, Step::kTried, std::to_string(i));
  }
  Answer answer = ring.find({kPod});
  ASSERT_EQ(answer.spans.size(), 3u);
  EXPECT_EQ(answer.spans.front().detail, "2");
  EXPECT_EQ(answer.spans.back().detail, "4");
  EXPECT_EQ(answer.since, kBegin + 2s) << "steps 0 and 1 are gone";
  EXPECT_TRUE(ring.find({kOther}).spans.empty());
}

TEST(Ring, CutsLongDetailsVisibly) {
  Ring ring(2);
  ring.add_now(kPod, Step::kTried, std::string(121, 'x'));
  ring.add_now(kPod, Step::kTried, std::string(122, 'x'));
  Answer answer = ring.find({kPod});
  EXPECT_EQ(answer.spans[0].detail, std::string(121, 'x'));
  EXPECT_EQ(answer.spans[1].detail, std::string(118, 'x') + "...");
}

// A clock that was set back must not make a step end before it began.
TEST(Ring, StepsNeverEndBeforeTheyStart) {
  FakeClock clock(kBegin);
  Ring ring(2, clock);
  clock.advance(-5s);
  ring.add_since(kPod, Step::kImage, kBegin, "");
  EXPECT_EQ(ring.find({kPod}).spans[0].end, kBegin);
}

TEST(Answer, IsReadAsItWasWritten) {
  FakeClock clock(kBegin);
  Ring ring(4, clock);
  ring.add_part("kube-apiserver");
  ring.add_part("kubelet a");
  ring.add(kPod, Step::kStored, kBegin, kBegin + 3ns, "revision 7 \"quoted\"");
  auto text = answer_query(ring, "uid=none&uid=" + kPod);
  ASSERT_TRUE(text.ok());
  auto answer = parse_answer(*text);
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_EQ(answer->parts, (std::vector<std::string>{"kube-apiserver", "kubelet a"}));
  EXPECT_EQ(answer->now, kBegin);
  ASSERT_EQ(answer->spans.size(), 1u);
  EXPECT_EQ(answer->spans[0].step, Step::kStored);
  EXPECT_EQ(answer->spans[0].end - answer->spans[0].start, 3ns);
  EXPECT_EQ(answer->spans[0].detail, "revision 7 \"quoted\"");
}

TEST(Answer, RefusesWhatIsNone) {
  Ring ring(4);
  EXPECT_EQ(answer_query(ring, "").status().code(), 400);
  EXPECT_EQ(answer_query(ring, "pod=default/a").status().code(), 400);
  EXPECT_EQ(answer_query(ring, "uid=%zz").status().code(), 400);
  for (const char* text : {"", "[]", "{\"kind\":\"Status\"}", "{\"parts\":[],\"spans\":[]}", "{\"parts\":[],\"spans\":[],\"now\":-1,\"since\":0}",
                           "{\"parts\":[],\"spans\":[{\"step\":\"seen\",\"start\":2,\"end\":1}],\"now\":1,\"since\":1}"})
    EXPECT_FALSE(parse_answer(text).ok()) << text;
  // A step of a later version.
  auto newer = parse_answer("{\"parts\":[],\"spans\":[{\"step\":\"teleported\",\"start\":1,\"end\":1}],\"now\":1,\"since\":1}");
  ASSERT_TRUE(newer.ok());
  EXPECT_TRUE(newer->spans.empty());
}

TEST(Answer, EveryStepHasANameOfItsOwn) {
  for (size_t i = 0; i < kSteps; ++i) {
    Step step = static_cast<Step>(i);
    EXPECT_EQ(find_step(step_info(step).name), step);
  }
  EXPECT_EQ(find_step("none"), std::nullopt);
}

}  // namespace
}  // namespace knarr::trace
