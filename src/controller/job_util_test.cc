// SPDX-License-Identifier: Apache-2.0
#include "controller/job_util.h"

#include <gtest/gtest.h>

#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

using api::core_v1::Pod;
using schema::Time;

template <class T>
T parse(const std::string& json) {
  auto value = schema::from_json<T>(json);
  EXPECT_TRUE(value.ok()) << json << ": " << value.status().message();
  return value.ok() ? std::move(*value) : T();
}

// ---- indexes ---------------------------------------------------------------------------------------------------------------

TEST(IndexSet, Text) {
  struct Case {
    const char *text, *expected;
    int completions, total;
  };
  const Case kCases[] = {
      {"", "", 5, 0},
      {"1", "1", 5, 1},
      {"1,3-5,7", "1,3-5,7", 10, 5},
      {"0,1,2", "0-2", 5, 3},
      {"0,1", "0,1", 5, 2},
      {"3-4", "3,4", 5, 2},
      // An elastic Job has shrunk.
      {"0,2-5,8", "0,2,3", 4, 3},
      {"4-7", "", 4, 0},
      // Corrupted parts are passed over.
      {"abc,2,3-x,5", "2,5", 9, 2},
      {",1,", "1", 9, 1},
  };
  for (const Case& c : kCases) {
    IndexSet set = IndexSet::parse(c.text, c.completions);
    EXPECT_EQ(set.to_string(), c.expected) << c.text;
    EXPECT_EQ(set.total(), c.total) << c.text;
  }
}

TEST(IndexSet, MergesAndFinds) {
  IndexSet set = IndexSet::parse("1,3-5,9", 20).merged(IndexSet({0, 2, 6, 12}));
  EXPECT_EQ(set.to_string(), "0-6,9,12");
  for (int index : {0, 3, 6, 9, 12}) EXPECT_TRUE(set.contains(index)) << index;
  for (int index : {7, 8, 10, 13}) EXPECT_FALSE(set.contains(index)) << index;
  EXPECT_FALSE(IndexSet().contains(0));
  EXPECT_EQ(IndexSet::parse("0-9", 20).merged(IndexSet::parse("3-4", 20)).to_string(), "0-9");
}

TEST(IndexSet, FirstFree) {
  using Indexes = std::vector<int>;
  EXPECT_EQ(first_free_indexes(IndexSet(), 3, 5), (Indexes{0, 1, 2}));
  EXPECT_EQ(first_free_indexes(IndexSet(), 9, 2), (Indexes{0, 1}));
  EXPECT_EQ(first_free_indexes(IndexSet::parse("0-2,5,7", 20), 4, 20), (Indexes{3, 4, 6, 8}));
  EXPECT_EQ(first_free_indexes(IndexSet::parse("0-4", 5), 3, 5), Indexes{});
  EXPECT_EQ(first_free_indexes(IndexSet(), 0, 5), Indexes{});
}

// ---- one pod ---------------------------------------------------------------------------------------------------------------

TEST(JobPod, CompletionIndex) {
  auto index = [](const std::string& text) {
    return completion_index(parse<Pod>(R"({"metadata":{"annotations":{"batch.kubernetes.io/job-completion-index":")" + text + "\"}}}"));
  };
  EXPECT_EQ(index("0"), 0);
  EXPECT_EQ(index("42"), 42);
  for (const char* bad : {"", "-1", "a", "1a", "99999999999"}) EXPECT_EQ(index(bad), kUnknownIndex) << bad;
  EXPECT_EQ(completion_index(Pod()), kUnknownIndex);
}

TEST(JobPod, FinishedTime) {
  auto finished = [](const std::string& json) { return schema::format_time(finished_time(parse<Pod>(json))); };
  EXPECT_EQ(finished(R"({"status":{"containerStatuses":[
      {"state":{"terminated":{"finishedAt":"2009-11-10T22:00:00Z"}}},{"state":{"terminated":{"finishedAt":"2009-11-10T23:00:00Z"}}},
      {"state":{"terminated":{"finishedAt":"2009-11-10T21:00:00Z"}}}]}})"),
            "2009-11-10T23:00:00Z");
  // One still runs: the guess is when the pod was unready, then when its deletion began, then its creation.
  std::string running = R"("containerStatuses":[{"state":{"terminated":{"finishedAt":"2009-11-10T23:00:00Z"}}},{"state":{"running":{}}}])";
  EXPECT_EQ(finished(R"({"metadata":{"deletionTimestamp":"2009-11-10T20:00:30Z","deletionGracePeriodSeconds":30},"status":{"conditions":
      [{"type":"Ready","status":"False","lastTransitionTime":"2009-11-10T19:00:00Z"}],)" +
                     running + "}}"),
            "2009-11-10T19:00:00Z");
  EXPECT_EQ(finished(R"({"metadata":{"deletionTimestamp":"2009-11-10T20:00:30Z","deletionGracePeriodSeconds":30},"status":{"conditions":
      [{"type":"Ready","status":"True","lastTransitionTime":"2009-11-10T19:00:00Z"}],)" +
                     running + "}}"),
            "2009-11-10T20:00:00Z");
  EXPECT_EQ(finished(R"({"metadata":{"creationTimestamp":"2009-11-10T18:00:00Z"},"status":{)" + running + "}}"), "2009-11-10T18:00:00Z");
}

TEST(JobPod, FailedWithAndWithoutPolicy) {
  BatchJob plain, strict;
  strict.spec.pod_failure_policy.ensure();
  Pod failed = parse<Pod>(R"({"status":{"phase":"Failed"}})");
  Pod leaving = parse<Pod>(R"({"metadata":{"deletionTimestamp":"2009-11-10T20:00:30Z"},"status":{"phase":"Running"}})");
  Pod done = parse<Pod>(R"({"metadata":{"deletionTimestamp":"2009-11-10T20:00:30Z"},"status":{"phase":"Succeeded"}})");
  EXPECT_TRUE(has_pod_failed(failed, plain));
  EXPECT_TRUE(has_pod_failed(failed, strict));
  EXPECT_TRUE(has_pod_failed(leaving, plain));
  EXPECT_FALSE(has_pod_failed(leaving, strict));
  EXPECT_FALSE(has_pod_failed(done, plain));
  EXPECT_FALSE(has_pod_failed(Pod(), plain));
}

TEST(JobPod, FailurePolicy) {
  auto match = [](const std::string& rules, const std::string& status) {
    auto policy = parse<api::batch_v1::PodFailurePolicy>("{\"rules\":[" + rules + "]}");
    Pod pod = parse<Pod>(R"({"metadata":{"namespace":"n","name":"p"},"status":)" + status + "}");
    FailureMatch match = match_failure_policy(&policy, pod);
    return match.fail_job.value_or(match.counts ? "counts" : "ignored");
  };
  auto on_codes = [](const char* action, const char* op, const char* values, const char* container = nullptr) {
    std::string name = container == nullptr ? "" : std::string(R"("containerName":")") + container + "\",";
    return fmt::format(R"({{"action":"{}","onExitCodes":{{{}"operator":"{}","values":{}}}}})", action, name, op, values);
  };
  auto on_condition = [](const char* action) {
    return fmt::format(R"({{"action":"{}","onPodConditions":[{{"type":"DisruptionTarget","status":"True"}}]}})", action);
  };
  auto ended = [](int code, const char* list = "containerStatuses") {
    return fmt::format(
        R"({{"{}":[{{"name":"other","state":{{"running":{{}}}}}},{{"name":"c","state":{{"terminated":{{"exitCode":{}}}}}}}]}})", list,
        code);
  };
  const std::string kDisrupted = R"({"conditions":[{"type":"Ready","status":"False"},{"type":"DisruptionTarget","status":"True"}]})";

  EXPECT_EQ(match("", ended(2)), "counts");
  EXPECT_EQ(match(on_codes("FailJob", "In", "[1,2]"), ended(2)),
            "Container c for pod n/p failed with exit code 2 matching FailJob rule at index 0");
  EXPECT_EQ(match(on_codes("FailJob", "In", "[1,2]"), ended(2, "initContainerStatuses")),
            "Container c for pod n/p failed with exit code 2 matching FailJob rule at index 0");
  EXPECT_EQ(match(on_codes("FailJob", "In", "[1,2]"), ended(3)), "counts");
  EXPECT_EQ(match(on_codes("FailJob", "NotIn", "[1,2]"), ended(3)),
            "Container c for pod n/p failed with exit code 3 matching FailJob rule at index 0");
  EXPECT_EQ(match(on_codes("FailJob", "NotIn", "[1,2]"), ended(2)), "counts");
  EXPECT_EQ(match(on_codes("FailJob", "NotIn", "[1]"), ended(0)), "counts") << "success is no failure";
  EXPECT_EQ(match(on_codes("Ignore", "In", "[2]", "c"), ended(2)), "ignored");
  EXPECT_EQ(match(on_codes("Ignore", "In", "[2]", "other"), ended(2)), "counts");
  // The first rule that matches decides.
  EXPECT_EQ(match(on_codes("Ignore", "In", "[2]") + "," + on_codes("FailJob", "In", "[2]"), ended(2)), "ignored");
  EXPECT_EQ(match(on_codes("Count", "In", "[2]") + "," + on_codes("FailJob", "In", "[2]"), ended(2)), "counts");
  EXPECT_EQ(match(on_codes("Ignore", "In", "[9]") + "," + on_codes("FailJob", "In", "[2]"), ended(2)),
            "Container c for pod n/p failed with exit code 2 matching FailJob rule at index 1");
  // An action of a gate that is off decides nothing.
  EXPECT_EQ(match(on_codes("FailIndex", "In", "[2]") + "," + on_codes("Ignore", "In", "[2]"), ended(2)), "ignored");
  EXPECT_EQ(match(on_condition("Ignore"), kDisrupted), "ignored");
  EXPECT_EQ(match(on_condition("FailJob"), kDisrupted), "Pod n/p has condition DisruptionTarget matching FailJob rule at index 0");
  EXPECT_EQ(match(on_condition("FailJob"), R"({"conditions":[{"type":"DisruptionTarget","status":"False"}]})"), "counts");
}

TEST(JobPod, NamePrefix) {
  EXPECT_EQ(pod_name_prefix_of_index("job", 7), "job-7-");
  std::string prefix = pod_name_prefix_of_index(std::string(60, 'x'), 123);
  EXPECT_EQ(prefix, std::string(53, 'x') + "-123-");
}

// ---- back-off --------------------------------------------------------------------------------------------------------------

PodPtr ended_at(const char* phase, int64_t seconds) {
  auto pod = std::make_shared<Pod>();
  pod->status.phase = phase;
  pod->status.container_statuses.emplace_back().state.terminated.ensure().finished_at = Time::from_unix(seconds);
  return pod;
}

TEST(JobBackoff, Counts) {
  struct Case {
    const char* name;
    BackoffRecord before;
    std::vector<int64_t> succeeded, failed;
    int32_t failures;
    int64_t last;
  };
  auto time = [](int64_t s) { return Time::from_unix(s); };
  const Case kCases[] = {
      {"nothing new", {2, time(50)}, {}, {}, 2, 50}, {"a failure", {}, {}, {100}, 1, 100},
      {"two failures", {}, {}, {100, 90}, 2, 100},   {"one more", {2, time(50)}, {}, {100}, 3, 100},
      {"then success", {}, {100}, {80, 90}, 0, 0},   {"success between", {}, {80}, {100, 60, 70, 90}, 2, 100},
      {"at the same time", {}, {100}, {100}, 0, 0},  {"success forgets", {4, time(50)}, {100}, {}, 0, 0},
  };
  for (const Case& c : kCases) {
    std::vector<PodPtr> succeeded, failed;
    for (int64_t at : c.succeeded) succeeded.push_back(ended_at("Succeeded", at));
    for (int64_t at : c.failed) failed.push_back(ended_at("Failed", at));
    BackoffRecord record = next_backoff(c.before, succeeded, failed);
    EXPECT_EQ(record.failures, c.failures) << c.name;
    if (c.last != 0) {
      EXPECT_EQ(record.last_failure.unix_seconds(), c.last) << c.name;
    }
  }
}

TEST(JobBackoff, Remaining) {
  using std::chrono::seconds;
  auto remaining = [](int32_t failures, int64_t passed) {
    WallTime last{seconds(1000000)};
    return std::chrono::duration_cast<seconds>(remaining_backoff({failures, schema::to_time(last)}, last + seconds(passed))).count();
  };
  EXPECT_EQ(remaining(0, 0), 0);
  EXPECT_EQ(remaining(1, 5), 5);
  EXPECT_EQ(remaining(2, 5), 15);
  EXPECT_EQ(remaining(4, 60), 20);
  EXPECT_EQ(remaining(4, 81), 0);
  EXPECT_EQ(remaining(7, 0), 600);
  EXPECT_EQ(remaining(1000, 100), 500);
  EXPECT_EQ(remaining(1, -5), 15) << "a failure in the future";
}

// ---- conditions ------------------------------------------------------------------------------------------------------------

TEST(JobConditions, Ensure) {
  BatchJob job;
  Time now = Time::from_unix(1000);
  EXPECT_FALSE(ensure_job_condition(job, make_job_condition("Suspended", "False", "r", "m", now)));
  EXPECT_TRUE(job.status.conditions.empty());
  EXPECT_TRUE(ensure_job_condition(job, make_job_condition("Suspended", "True", "r", "m", now)));
  EXPECT_FALSE(ensure_job_condition(job, make_job_condition("Suspended", "True", "r", "m", Time::from_unix(2000))));
  EXPECT_EQ(job.status.conditions[0].last_transition_time, now);
  EXPECT_TRUE(ensure_job_condition(job, make_job_condition("Suspended", "False", "s", "m", Time::from_unix(2000))));
  ASSERT_EQ(job.status.conditions.size(), 1u);
  EXPECT_EQ(job.status.conditions[0].status, "False");
  EXPECT_FALSE(is_job_finished(job));
  job.status.conditions.push_back(make_job_condition("Failed", "False", "r", "m", now));
  EXPECT_FALSE(is_job_finished(job));
  job.status.conditions.push_back(make_job_condition("Complete", "True", "r", "m", now));
  EXPECT_TRUE(is_job_finished(job));
}

TEST(JobLimits, RestartsOfContainers) {
  BatchJob job = parse<BatchJob>(R"({"spec":{"backoffLimit":3,"template":{"spec":{"restartPolicy":"OnFailure"}}}})");
  auto pod = [](const char* phase, int restarts) {
    return std::make_shared<const Pod>(parse<Pod>(fmt::format(
        R"({{"status":{{"phase":"{}","initContainerStatuses":[{{"restartCount":1}}],"containerStatuses":[{{"restartCount":{}}}]}}}})",
        phase, restarts)));
  };
  EXPECT_FALSE(past_restart_limit(job, {pod("Running", 1)}));
  EXPECT_TRUE(past_restart_limit(job, {pod("Running", 2)}));
  EXPECT_TRUE(past_restart_limit(job, {pod("Running", 0), pod("Pending", 1)}));
  EXPECT_FALSE(past_restart_limit(job, {pod("Failed", 9)}));
  job.spec.backoff_limit = 0;
  EXPECT_TRUE(past_restart_limit(job, {pod("Running", 0)}));
  job.spec.template_.spec.restart_policy = "Never";
  EXPECT_FALSE(past_restart_limit(job, {pod("Running", 9)}));
}

// ---- which pods go ---------------------------------------------------------------------------------------------------------

PodPtr active_pod(const char* name, const char* index, const char* phase = "Running", bool ready = false, int64_t made = 0) {
  auto pod = std::make_shared<Pod>();
  pod->metadata.name = name;
  pod->metadata.creation_timestamp = Time::from_unix(made);
  if (*index != '\0') pod->metadata.annotations[kCompletionIndex] = index;
  pod->status.phase = phase;
  if (std::string_view(phase) == "Running") pod->spec.node_name = "node";
  auto& condition = pod->status.conditions.emplace_back();
  condition.type = "Ready";
  condition.status = ready ? "True" : "False";
  return pod;
}

std::string names(const std::vector<PodPtr>& pods) {
  std::string text;
  for (const PodPtr& pod : pods) text += (text.empty() ? "" : " ") + pod->metadata.name.str();
  return text;
}

TEST(JobPods, RemovalOrder) {
  BatchJob job = parse<BatchJob>(R"({"spec":{"completionMode":"NonIndexed"}})");
  std::vector<PodPtr> pods = {active_pod("ready", "", "Running", true), active_pod("old", "", "Running", false, 10),
                              active_pod("new", "", "Running", false, 20), active_pod("pending", "", "Pending")};
  EXPECT_EQ(names(active_pods_for_removal(job, pods, 0)), "");
  EXPECT_EQ(names(active_pods_for_removal(job, pods, 3)), "pending new old");
  EXPECT_EQ(names(active_pods_for_removal(job, pods, 9)), "pending new old ready");
}

TEST(JobPods, RepeatedIndexes) {
  BatchJob job = parse<BatchJob>(R"({"spec":{"completionMode":"Indexed","completions":5}})");
  std::vector<PodPtr> pods = {active_pod("none", ""), active_pod("a0", "0", "Pending"), active_pod("b0", "0"),
                              active_pod("a1", "1"),  active_pod("a2", "2", "Pending"), active_pod("b2", "2"),
                              active_pod("out", "5")};
  EXPECT_EQ(names(active_pods_for_removal(job, pods, 0)), "none a0 a2 out");
  EXPECT_EQ(names(active_pods_for_removal(job, pods, 5)), "none a0 a2 out b0");
}

TEST(JobPods, Template) {
  BatchJob job = parse<BatchJob>(R"({"metadata":{"name":"j","uid":"u"},"spec":{"completionMode":"Indexed","template":{
      "metadata":{"labels":{"a":"b"},"finalizers":["x/y"]},"spec":{"initContainers":[{"name":"i"}],
      "containers":[{"name":"c","env":[{"name":"JOB_COMPLETION_INDEX","value":"mine"}]}]}}}})");
  Pod pod = pod_of_job(job, 3);
  EXPECT_EQ(pod.metadata.generate_name, "j-3-");
  EXPECT_EQ(pod.spec.hostname, "j-3");
  EXPECT_EQ(*pod.metadata.labels.find(kCompletionIndex), "3");
  EXPECT_EQ(*pod.metadata.annotations.find(kCompletionIndex), "3");
  EXPECT_EQ(pod.metadata.finalizers.size(), 2u);
  EXPECT_TRUE(has_tracking_finalizer(pod));
  EXPECT_EQ(pod.spec.init_containers[0].env[0].value_from->field_ref->field_path,
            "metadata.labels['batch.kubernetes.io/job-completion-index']");
  ASSERT_EQ(pod.spec.containers[0].env.size(), 1u);
  EXPECT_EQ(pod.spec.containers[0].env[0].value, "mine");
  Pod plain = pod_of_job(job, kUnknownIndex);
  EXPECT_EQ(plain.metadata.generate_name, "j-");
  EXPECT_TRUE(plain.spec.init_containers[0].env.empty());
}

// ---- tracking --------------------------------------------------------------------------------------------------------------

PodPtr tracked(const char* uid, const char* phase, const char* index = "", bool deleting = false, bool finalizer = true) {
  auto pod = std::make_shared<Pod>();
  pod->metadata.uid = uid;
  pod->status.phase = phase;
  if (*index != '\0') pod->metadata.annotations[kCompletionIndex] = index;
  if (deleting) pod->metadata.deletion_timestamp = Time::from_unix(1);
  if (finalizer) pod->metadata.finalizers.push_back(kJobTracking);
  return pod;
}

struct TrackCase {
  std::string status;  // as the round begins
  std::vector<PodPtr> pods;
  std::string released, first, second;  // UIDs; the status that is written before and after the finalizers went
  std::string spec = "{}", finished, expected_removals;
};

std::string status_text(const BatchJob& job) {
  const auto& uncounted = *job.status.uncounted_terminated_pods;
  auto list = [](const auto& uids) {
    std::string text;
    for (const auto& uid : uids) text += uid.str();
    return text;
  };
  std::string text =
      fmt::format("{}/{} [{}|{}]", job.status.succeeded, job.status.failed, list(uncounted.succeeded), list(uncounted.failed));
  if (!job.status.completed_indexes.empty()) text += " " + job.status.completed_indexes.str();
  return text;
}

void check(const TrackCase& c, const char* name, bool changed = true) {
  JobRound round;
  round.job = parse<BatchJob>("{\"spec\":" + c.spec + ",\"status\":" + c.status + "}");
  round.pods = c.pods;
  for (char uid : c.expected_removals) round.expected_removals.insert(std::string(1, uid));
  auto& uncounted = round.job.status.uncounted_terminated_pods.ensure();
  for (const auto& uid : uncounted.succeeded) round.uncounted_succeeded.insert(uid.str());
  for (const auto& uid : uncounted.failed) round.uncounted_failed.insert(uid.str());
  if (!c.finished.empty()) round.finished = make_job_condition(c.finished, "True", "", "", Time());
  if (is_indexed(round.job)) find_succeeded_indexes(round);
  TrackingPlan plan = plan_tracking(round);
  EXPECT_EQ(plan.changed, changed) << name;
  EXPECT_EQ(status_text(round.job), c.first) << name;
  std::string released;
  for (const PodPtr& pod : plan.release) {
    released += pod->metadata.uid.str();
    plan.held.erase(pod->metadata.uid.str());
  }
  EXPECT_EQ(released, c.released) << name;
  count_released(round.job.status, plan.held);
  EXPECT_EQ(status_text(round.job), c.second) << name;
}

TEST(JobTracking, Counts) {
  check({"{}", {}, "", "0/0 [|]", "0/0 [|]"}, "nothing", false);
  check({"{}",
         {tracked("a", "Succeeded"), tracked("b", "Failed"), tracked("c", "Succeeded", "", true), tracked("d", "Failed", "", true),
          tracked("e", "Pending", "", true), tracked("f", "Pending"), tracked("g", "Running")},
         "abcde",
         "0/0 [ac|bde]",
         "2/3 [|]"},
        "finished pods");
  check({R"({"succeeded":2,"failed":3,"uncountedTerminatedPods":{"succeeded":["a","e"],"failed":["b","f"]}})",
         {tracked("e", "Succeeded", "", false, false), tracked("x", "Failed", "", false, false), tracked("a", "Succeeded"),
          tracked("b", "Failed"), tracked("c", "Succeeded"), tracked("d", "Failed")},
         "abcd",
         "3/4 [ac|bd]",
         "5/6 [|]"},
        "past and new ones");
  check({R"({"succeeded":2,"failed":3,"uncountedTerminatedPods":{"succeeded":["a","g"],"failed":["b","h"]}})",
         {tracked("a", "Succeeded"), tracked("b", "Failed"), tracked("c", "Succeeded"), tracked("d", "Failed"), tracked("e", "Succeeded"),
          tracked("f", "Failed"), tracked("g", "Succeeded"), tracked("h", "Failed")},
         "abef",
         "3/4 [ae|bf]",
         "5/6 [|]",
         "{}",
         "",
         "cdgh"},
        "finalizers that are gone, although the cache has them");
  check(
      {"{}", {tracked("a", "Succeeded"), tracked("b", "Failed"), tracked("c", "Running")}, "abc", "0/0 [a|bc]", "1/2 [|]", "{}", "Failed"},
      "a running pod of a failed Job");
  check({R"({"uncountedTerminatedPods":{"failed":["a"]}})", {tracked("a", "Succeeded")}, "a", "0/0 [|a]", "0/1 [|]"},
        "from failed to succeeded", false);
}

TEST(JobTracking, Indexed) {
  const std::string kSix = R"({"completionMode":"Indexed","completions":6})", kTwo = R"({"completionMode":"Indexed","completions":2})";
  check({"{}",
         {tracked("a", "Succeeded", "1"), tracked("b", "Succeeded", "3"), tracked("c", "Succeeded", "3"), tracked("d", "Running", "5"),
          tracked("e", "Succeeded")},
         "eabc",
         "2/0 [|] 1,3",
         "2/0 [|] 1,3",
         kSix},
        "succeeded");
  check({R"({"succeeded":1,"completedIndexes":"3"})",
         {tracked("a", "Running", "0"), tracked("b", "Succeeded", "1")},
         "b",
         "1/0 [|] 1",
         "1/0 [|] 1",
         kTwo},
        "fewer completions than before");
  check({"{}",
         {tracked("a", "Failed", "1"), tracked("b", "Failed", "3"), tracked("c", "Failed", "3"), tracked("d", "Running", "5"),
          tracked("e", "Failed")},
         "eabc",
         "0/0 [|abc]",
         "0/3 [|]",
         kSix},
        "failed");
  check({R"({"succeeded":5,"failed":2,"completedIndexes":"0-2,4,6,7"})",
         {tracked("a", "Succeeded", "0"), tracked("b", "Succeeded", "3"), tracked("c", "Failed", "5"), tracked("d", "Succeeded", "8")},
         "abcd",
         "6/2 [|c] 0-4,6",
         "6/3 [|] 0-4,6",
         R"({"completionMode":"Indexed","completions":7})"},
        "past and new ones");
}

TEST(JobTracking, PolicyAndDeletion) {
  const std::string kIgnoreTwo = R"({"podFailurePolicy":{"rules":[{"action":"Ignore","onExitCodes":{"operator":"In","values":[2]}}]}})";
  auto exited = [](const char* uid, int code) {
    auto pod = std::make_shared<Pod>(*tracked(uid, "Failed"));
    pod->status.container_statuses.emplace_back().state.terminated.ensure().exit_code = code;
    return pod;
  };
  check({"{}", {exited("a", 2), exited("b", 3)}, "ab", "0/0 [|b]", "0/1 [|]", kIgnoreTwo}, "ignored failures");
  JobRound round;
  round.job.metadata.deletion_timestamp = Time::from_unix(1);
  round.pods = {tracked("a", "Running")};
  TrackingPlan plan = plan_tracking(round);
  EXPECT_EQ(plan.release.size(), 1u);
  EXPECT_FALSE(plan.changed) << "the pods of a deleted Job go uncounted";
}

TEST(JobTracking, IsBounded) {
  JobRound round;
  for (int i = 0; i < 600; ++i) round.pods.push_back(tracked(std::to_string(i).c_str(), i % 2 == 0 ? "Failed" : "Succeeded"));
  TrackingPlan plan = plan_tracking(round);
  EXPECT_TRUE(plan.at_limit);
  EXPECT_EQ(plan.release.size(), kMaxUncountedPods);
  EXPECT_EQ(plan.held.size(), 600u);
}

}  // namespace
}  // namespace knarr::controller
