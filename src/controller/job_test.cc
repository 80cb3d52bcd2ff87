// SPDX-License-Identifier: Apache-2.0
// Rounds of the Job controller against a played server: what it sends for a Job and its pods.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "client/fake_transport.h"
#include "client/wire.h"
#include "controller/job.h"
#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

using api::core_v1::Pod;
using client::ApiRequest;
using client::FakeTransport;

const WallTime kNow = schema::to_wall(*schema::parse_time("2024-01-01T12:00:00Z"));

std::string join(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ",") + item;
  return text;
}

class JobControllerTest : public testing::Test {
 protected:
  JobControllerTest()
      : transport(std::make_shared<FakeTransport>(io.get_executor())),
        client(transport, "test"),
        informers(client, io.get_executor()),
        context(std::make_shared<ControllerContext>(client, informers, clock, io.get_executor(), Options())) {
    transport->fallback = [this](const ApiRequest& request) { return answer(request); };
  }
  ~JobControllerTest() override {
    context->stop();
    informers.stop();
    settle();
  }

  // A Job "j" with this .spec (without the template) and .status.
  void job(const std::string& spec, const std::string& status, const std::string& more_metadata = "") {
    job_text = R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"namespace":"n","name":"j","uid":"u","resourceVersion":"1")" +
               more_metadata +
               R"(},"spec":{"backoffLimit":6,"selector":{"matchLabels":{"l":"u"}},"template":{"metadata":{"labels":{"l":"u"}},)" +
               R"("spec":{"restartPolicy":"Never","containers":[{"name":"c"}]}})" + (spec.empty() ? "" : ",") + spec + R"(},"status":)" +
               status + "}";
  }
  void pod(const std::string& name, const std::string& phase, const std::string& more_metadata = "", const std::string& more_status = "") {
    pods.push_back(
        R"({"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"n","name":")" + name + R"(","uid":")" + name +
        R"(","labels":{"l":"u"},"finalizers":["batch.kubernetes.io/job-tracking"],"ownerReferences":[{"apiVersion":"batch/v1",)" +
        R"("kind":"Job","name":"j","uid":"u","controller":true}])" + more_metadata + R"(},"spec":{},"status":{"phase":")" + phase + "\"" +
        more_status + "}}");
  }
  static std::string index(int i) { return fmt::format(R"(,"annotations":{{"batch.kubernetes.io/job-completion-index":"{}"}})", i); }
  static std::string ended(const char* time) {
    return fmt::format(R"(,"containerStatuses":[{{"name":"c","state":{{"terminated":{{"exitCode":1,"finishedAt":"{}"}}}}}}])", time);
  }
  static constexpr const char* kDeleting = R"(,"deletionTimestamp":"2024-01-01T11:00:00Z")";

  void run() {
    // One round: those that its events would bring are far away.
    std::make_shared<JobController>(context, std::chrono::hours(1))->start();
    informers.start();
    settle();
  }
  void settle() {
    io.restart();
    while (io.poll() > 0) {
    }
  }

  // What the controller did, in short: "+pod", "-pod" (deleted), "~pod" (finalizer removed), "!Reason", "=active/succeeded/failed ...".
  FakeTransport::Answer answer(const ApiRequest& request) {
    std::string path = request.target.substr(0, request.target.find('?'));
    std::string name = path.substr(path.rfind('/') + 1);
    auto list = [](const char* kind, const std::vector<std::string>& items) {
      return FakeTransport::Answer{
          200, fmt::format(R"({{"kind":"{}List","metadata":{{"resourceVersion":"9"}},"items":[{}]}})", kind, join(items))};
    };
    if (request.method == "GET") return name == "jobs" ? list("Job", {job_text}) : list("Pod", pods);
    if (request.method == "PATCH" && path.find("/events/") != std::string::npos) return {200, "{}"};  // the same event again
    if (name == "events") {
      auto event = decode<api::core_v1::Event>(request);
      events.push_back(event.reason.str());
      return {201, schema::to_json(event)};
    }
    if (request.method == "POST") {
      Pod made = decode<Pod>(request);
      done.push_back("+" + made.metadata.generate_name.str());
      if (refuse_creates) return failure(403, "Forbidden");
      made.metadata.name = made.metadata.generate_name.str() + "x";
      return {201, schema::to_json(made)};
    }
    if (request.method == "DELETE" || request.method == "PATCH") {
      done.push_back((request.method == "DELETE" ? "-" : "~") + name);
      if (request.method == "PATCH" && refuse_patches) return failure(500, "InternalError");
      return {200, request.method == "DELETE" ? R"({"kind":"Status","apiVersion":"v1","status":"Success"})" : pods.at(0)};
    }
    BatchJob written = decode<BatchJob>(request);
    done.push_back(status_text(written));
    written_status = written.status;
    if (refuse_status) return failure(409, "Conflict");
    return {200, schema::to_json(written)};
  }
  static FakeTransport::Answer failure(int code, const char* reason) {
    return {code, fmt::format(R"({{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"{}","code":{}}})", reason,
                              code)};
  }
  template <class T>
  static T decode(const ApiRequest& request) {
    auto object = client::decode_object(request.content_type, request.body, T::table());
    EXPECT_TRUE(object.ok());
    return object.ok() ? std::move(*object->template as<T>()) : T();
  }
  static std::string status_text(const BatchJob& job) {
    std::string text = fmt::format("={}/{}/{}", job.status.active, job.status.succeeded, job.status.failed);
    const auto* uncounted = job.status.uncounted_terminated_pods.get();
    if (uncounted != nullptr && uncounted->succeeded.size() + uncounted->failed.size() > 0)
      text += fmt::format(" [{}|{}]", uncounted->succeeded.size(), uncounted->failed.size());
    if (!job.status.completed_indexes.empty()) text += " " + job.status.completed_indexes.str();
    for (const auto& condition : job.status.conditions) text += fmt::format(" {}:{}", condition.type.view(), condition.status.view());
    return text;
  }
  using Lines = std::vector<std::string>;
  // Pods are handled at the same time, in no order: what happened to them in between two other things is sorted.
  Lines log() const {
    Lines lines = done;
    auto of_pod = [](const std::string& line) { return line[0] == '~' || line[0] == '-'; };
    for (auto at = lines.begin(); at != lines.end();) {
      auto end = std::find_if_not(at, lines.end(), of_pod);
      std::sort(at, end);
      at = end == lines.end() ? end : end + 1;
    }
    return lines;
  }

  boost::asio::io_context io;
  FakeClock clock{kNow};
  std::shared_ptr<FakeTransport> transport;
  client::Client client;
  client::InformerFactory informers;
  ContextPtr context;
  std::string job_text;
  std::vector<std::string> pods;
  Lines done, events;
  api::batch_v1::JobStatus written_status;
  bool refuse_creates = false, refuse_patches = false, refuse_status = false;
};

TEST_F(JobControllerTest, StartsPods) {
  job(R"("parallelism":2,"completions":5)", "{}");
  run();
  EXPECT_EQ(log(), (Lines{"+j-", "+j-", "=2/0/0"}));
  EXPECT_EQ(*written_status.start_time, schema::to_time(kNow));
  EXPECT_EQ(*written_status.ready, 0);
}

TEST_F(JobControllerTest, StartsTheIndexesThatAreMissing) {
  job(R"("parallelism":3,"completions":6,"completionMode":"Indexed")",
      R"({"startTime":"2024-01-01T11:00:00Z","completedIndexes":"1","succeeded":1})");
  pod("a", "Running", index(0));
  pod("b", "Succeeded", index(2));
  run();
  EXPECT_EQ(log(), (Lines{"+j-3-", "+j-4-", "=3/2/0 1,2", "~b"}));
}

TEST_F(JobControllerTest, CountsAndCompletes) {
  job(R"("parallelism":2,"completions":2)", R"({"startTime":"2024-01-01T11:00:00Z","active":2})");
  pod("a", "Succeeded");
  pod("b", "Succeeded");
  run();
  EXPECT_EQ(log(), (Lines{"=0/0/0 [2|0]", "~a", "~b", "=0/2/0 Complete:True"}));
  EXPECT_EQ(*written_status.completion_time, schema::to_time(kNow));
  EXPECT_EQ(events, Lines{"Completed"});
}

TEST_F(JobControllerTest, WaitsAfterAFailure) {
  job(R"("parallelism":1,"completions":1)", R"({"startTime":"2024-01-01T11:00:00Z","active":1})");
  pod("a", "Failed", "", ended("2024-01-01T11:59:55Z"));
  run();
  EXPECT_EQ(log(), (Lines{"=0/0/0 [0|1]", "~a", "=0/0/1"}));
}

TEST_F(JobControllerTest, ReplacesAfterTheWait) {
  job(R"("parallelism":1,"completions":1)", R"({"startTime":"2024-01-01T11:00:00Z","active":1})");
  pod("a", "Failed", "", ended("2024-01-01T11:59:45Z"));
  run();
  EXPECT_EQ(log(), (Lines{"+j-", "=1/0/0 [0|1]", "~a", "=1/0/1"}));
}

TEST_F(JobControllerTest, GivesUp) {
  job(R"("parallelism":2,"completions":2)", R"({"startTime":"2024-01-01T11:00:00Z","active":2,"failed":6})");
  pod("a", "Failed", "", ended("2024-01-01T11:59:55Z"));
  pod("b", "Running");
  run();
  EXPECT_EQ(log(), (Lines{"-b", "=0/0/6 [0|2]", "~a", "~b", "=0/0/8 Failed:True"}));
  EXPECT_EQ(written_status.conditions[0].reason, "BackoffLimitExceeded");
  EXPECT_EQ(events, (Lines{"SuccessfulDelete", "BackoffLimitExceeded"}));
}

TEST_F(JobControllerTest, FailsByPolicyInTwoSteps) {
  job(R"("parallelism":1,"completions":1,"podFailurePolicy":{"rules":[{"action":"FailJob","onExitCodes":{"operator":"In","values":[1]}}]})",
      R"({"startTime":"2024-01-01T11:00:00Z","active":1})");
  pod("a", "Failed", "", ended("2024-01-01T11:59:55Z"));
  run();
  EXPECT_EQ(log(), (Lines{"=0/0/0 [0|1] FailureTarget:True", "~a", "=0/0/1 FailureTarget:True Failed:True"}));
  EXPECT_EQ(written_status.conditions[1].message, "Container c for pod n/a failed with exit code 1 matching FailJob rule at index 0");
}

TEST_F(JobControllerTest, PastItsDeadline) {
  job(R"("parallelism":1,"completions":1,"activeDeadlineSeconds":10)", R"({"startTime":"2024-01-01T11:59:50Z","active":1})");
  pod("a", "Running");
  run();
  EXPECT_EQ(log(), (Lines{"-a", "=0/0/0 [0|1]", "~a", "=0/0/1 Failed:True"}));
  EXPECT_EQ(written_status.conditions[0].reason, "DeadlineExceeded");
}

TEST_F(JobControllerTest, Suspends) {
  job(R"("parallelism":2,"completions":2,"suspend":true)", R"({"startTime":"2024-01-01T11:00:00Z","active":2})");
  pod("a", "Running");
  pod("b", "Running");
  run();
  EXPECT_EQ(log(), (Lines{"-a", "-b", "~a", "~b", "=0/0/0 Suspended:True"}));
  EXPECT_EQ(events, (Lines{"SuccessfulDelete", "SuccessfulDelete", "Suspended"}));
}

TEST_F(JobControllerTest, Resumes) {
  job(R"("parallelism":1,"completions":1,"suspend":false)",
      R"({"startTime":"2024-01-01T11:00:00Z","conditions":[{"type":"Suspended","status":"True","reason":"JobSuspended",)"
      R"("message":"Job suspended"}]})");
  run();
  EXPECT_EQ(log(), (Lines{"+j-", "=1/0/0 Suspended:False"}));
  EXPECT_EQ(*written_status.start_time, schema::to_time(kNow)) << "the deadline counts anew";
}

TEST_F(JobControllerTest, TooManyPods) {
  job(R"("parallelism":1,"completions":3)", R"({"startTime":"2024-01-01T11:00:00Z","active":2})");
  pod("a", "Running");
  pod("b", "Pending");
  run();
  EXPECT_EQ(log(), (Lines{"-b", "~b", "=1/0/0"}));
}

TEST_F(JobControllerTest, WorkQueueEndsWithTheFirstSuccess) {
  job(R"("parallelism":3)", R"({"startTime":"2024-01-01T11:00:00Z","active":3})");
  pod("a", "Succeeded");
  pod("b", "Running");
  run();
  EXPECT_EQ(log(), (Lines{"=1/0/0 [1|0]", "~a", "=1/1/0"})) << "nobody is replaced, nobody is stopped";
}

TEST_F(JobControllerTest, ReplacesATerminatingPodUnlessAPolicyWaitsForItsEnd) {
  job(R"("parallelism":1,"completions":1)", R"({"startTime":"2024-01-01T09:00:00Z","active":1})");
  pod("a", "Running", kDeleting);
  run();
  EXPECT_EQ(log(), (Lines{"+j-", "=1/0/0 [0|1]", "~a", "=1/0/1"}));
}

TEST_F(JobControllerTest, WithAPolicyATerminatingPodIsWaitedFor) {
  job(R"("parallelism":1,"completions":1,"podFailurePolicy":{"rules":[]})", R"({"startTime":"2024-01-01T09:00:00Z","active":1})");
  pod("a", "Running", kDeleting);
  run();
  EXPECT_EQ(log(), (Lines{"=0/0/0"}));
}

TEST_F(JobControllerTest, RefusedCreationsStopTheSlowStart) {
  refuse_creates = true;
  job(R"("parallelism":5,"completions":5)", "{}");
  run();
  EXPECT_EQ(log(), (Lines{"+j-", "=0/0/0"}));
  EXPECT_EQ(events, Lines{"FailedCreate"});
}

TEST_F(JobControllerTest, CountsNothingWhoseFinalizerStays) {
  refuse_patches = true;
  job(R"("parallelism":1,"completions":1)", R"({"startTime":"2024-01-01T11:00:00Z","active":1})");
  pod("a", "Succeeded");
  run();
  EXPECT_EQ(log(), (Lines{"=0/0/0 [1|0]", "~a"}));
}

TEST_F(JobControllerTest, KeepsFinalizersUntilTheStatusIsWritten) {
  refuse_status = true;
  job(R"("parallelism":1,"completions":1)", R"({"startTime":"2024-01-01T11:00:00Z","active":1})");
  pod("a", "Succeeded");
  run();
  EXPECT_EQ(log(), (Lines{"=0/0/0 [1|0]"}));
}

TEST_F(JobControllerTest, ADeletedJobLetsItsPodsGo) {
  job(R"("parallelism":2,"completions":2)", R"({"startTime":"2024-01-01T11:00:00Z","active":1})", kDeleting);
  pod("a", "Running");
  run();
  EXPECT_EQ(log(), (Lines{"=1/0/0", "~a"}));
}

TEST_F(JobControllerTest, AFinishedJobIsLeftAlone) {
  job(R"("parallelism":1,"completions":1)", R"({"conditions":[{"type":"Complete","status":"True"}]})");
  pod("a", "Running");
  run();
  EXPECT_EQ(log(), Lines{});
}

TEST_F(JobControllerTest, PodsNobodyCountsLoseTheFinalizer) {
  job(R"("parallelism":1,"completions":1)", R"({"conditions":[{"type":"Complete","status":"True"}]})");
  pod("a", "Running", kDeleting);
  run();
  EXPECT_EQ(log(), Lines{"~a"});
}

TEST_F(JobControllerTest, UnknownMode) {
  job(R"("parallelism":1,"completions":1,"completionMode":"Other")", "{}");
  run();
  EXPECT_EQ(log(), Lines{});
  EXPECT_EQ(events, Lines{"UnknownCompletionMode"});
}

}  // namespace
}  // namespace knarr::controller
