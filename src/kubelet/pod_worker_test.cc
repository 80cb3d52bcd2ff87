// SPDX-License-Identifier: Apache-2.0
// A pod's whole life against a runtime in memory and an API server that only takes notes.
#include "kubelet/pod_worker.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/asio/io_context.hpp>

#include "kubelet/fake_runtime.h"
#include "schema/codec.h"
#include "schema/json.h"

namespace knarr::kubelet {
namespace {

// Applies status patches to one pod; deletes are counted.
class NotingTransport final : public client::Transport {
 public:
  core::Pod pod;
  std::vector<std::string> requests;
  bool deleted = false;
  Task<Result<client::ApiResponse>> send(client::ApiRequest request) override {
    requests.push_back(request.method + " " + request.target);
    client::ApiResponse response;
    response.headers.set("Content-Type", "application/json");
    response.status = 200;
    if (request.method == "PATCH") {
      auto patch = json::parse(request.body);
      auto current = json::parse(schema::to_json(pod));
      for (auto& [name, value] : (*patch)["status"].members()) (*current)["status"][name] = value;
      auto next = schema::from_json<core::Pod>(json::to_string(*current));
      if (next.ok()) pod = std::move(*next);
      pod.metadata.resource_version = std::to_string(++version_);
    }
    if (request.method == "DELETE") deleted = true;
    schema::encode_json(response.body, core::Pod::table(), &pod, &core::Pod::kind_info());
    co_return response;
  }
  Task<Result<Streaming>> open(client::ApiRequest) override { co_return Status::error("no watches here"); }

 private:
  int version_ = 10;
};

class NoVolumes final : public VolumeManager {
 public:
  Task<Result<MountedVolumes>> prepare(PodPtr) override { co_return MountedVolumes(); }
  void pod_updated(PodPtr) override {}
  void release(std::string_view) override {}
  Task<Result<std::vector<cri::Mount>>> container_mounts(ContainerContext) override { co_return std::vector<cri::Mount>(); }
  Task<Status> cleanup(std::string) override {
    ++cleanups;
    co_return Status();
  }
  Task<Result<std::map<std::string, int64_t>>> empty_dir_usage(std::string) override { co_return std::map<std::string, int64_t>(); }
  std::vector<std::string> pods_on_disk() const override { return {}; }
  std::string pod_dir(std::string_view uid) const override { return "/tmp/knarr-worker-test/pods/" + std::string(uid); }
  int cleanups = 0;
};

class NoObjects final : public ObjectSource {
 public:
  void register_pod(PodPtr) override {}
  void unregister_pod(std::string_view) override {}
  Task<Result<ConfigMapPtr>> config_map(std::string, std::string) override { co_return Status::make(404, "NotFound", "none"); }
  Task<Result<SecretPtr>> secret(std::string, std::string) override { co_return Status::make(404, "NotFound", "none"); }
  void on_change(std::function<void(const std::string&)>) override {}
};

class NotedEvents final : public EventSink {
 public:
  std::vector<std::string> events;
  void write(core::ObjectReference, std::string, std::string reason, std::string message) override { events.push_back(reason + ": " + message); }
  bool has(const std::string& event) const { return std::find(events.begin(), events.end(), event) != events.end(); }
};

class PodWorkerTest : public ::testing::Test {
 protected:
  PodWorkerTest()
      : transport(std::make_shared<NotingTransport>()),
        api(transport, "kubelet"),
        cgroups(CgroupManager::Options{}),
        restarts(clock, std::chrono::seconds(10), std::chrono::minutes(5)),
        pulls(clock, std::chrono::seconds(10), std::chrono::minutes(5)) {
    config.cgroups_per_qos = false;
    config.pod_logs_dir = "/tmp/knarr-worker-test/logs";
    config.container_logs_dir.clear();
    config.resolv_conf.clear();
    context.reset(new Context{config, io.get_executor(), clock, api, runtime, runtime, events, volumes, objects, cgroups, restarts, pulls, {}, "fake",
                              {"1.2.3.4"}, 1 << 30, {}, false, {}});
    puller = std::make_unique<ImagePuller>(*context);
    pod_runtime = std::make_unique<PodRuntime>(*context, *puller);
    statuses = std::make_unique<StatusManager>(api, clock, io.get_executor());
    probes = std::make_unique<ProbeManager>(*context, [](const std::string&) {});
    core::Pod& pod = transport->pod;
    pod.metadata.name = "p";
    pod.metadata.namespace_ = "ns";
    pod.metadata.uid = "u";
    pod.metadata.resource_version = "1";
    pod.spec.restart_policy = "Always";
    pod.spec.dns_policy = "Default";
    pod.spec.termination_grace_period_seconds = 30;
    add_container(pod.spec.containers, "a");
  }
  static void add_container(schema::List<core::Container>& list, std::string_view name) {
    core::Container container;
    container.name = name;
    container.image = "image";
    container.image_pull_policy = "IfNotPresent";
    list.push_back(std::move(container));
  }
  void begin() {
    PodWorker::Parts parts{*context, *pod_runtime, *statuses, *probes, admit, [this](const std::string&) { ended = true; }, [](const core::Pod&) {},
                           [](PodWorker&) {}, {}};
    worker = std::make_shared<PodWorker>(std::move(parts), std::make_shared<core::Pod>(transport->pod), PodRecord{});
    worker->start();
    settle();
  }
  // Until nothing happens any more: a little while without a handler, as blocking calls answer from their own threads.
  void settle() {
    io.restart();
    while (io.run_for(std::chrono::milliseconds(50)) > 0) io.restart();
  }
  void TearDown() override { settle(); }
  void update() {
    auto pod = std::make_shared<core::Pod>(transport->pod);
    statuses->pod_updated(pod);
    worker->update(pod);
    settle();
  }
  void end_container(const std::string& id, int code) {
    runtime.finish(id, code);
    worker->runtime_event(id);
    settle();
  }
  const core::PodStatus& status() { return transport->pod.status; }
  size_t count(const std::string& call) { return static_cast<size_t>(std::count(runtime.calls.begin(), runtime.calls.end(), call)); }

  boost::asio::io_context io;
  FakeClock clock{WallTime(std::chrono::hours(1))};
  Config config;
  std::shared_ptr<NotingTransport> transport;
  client::Client api;
  FakeRuntime runtime;
  NotedEvents events;
  NoVolumes volumes;
  NoObjects objects;
  CgroupManager cgroups;
  Backoff restarts, pulls;
  std::unique_ptr<Context> context;
  std::unique_ptr<ImagePuller> puller;
  std::unique_ptr<PodRuntime> pod_runtime;
  std::unique_ptr<StatusManager> statuses;
  std::unique_ptr<ProbeManager> probes;
  std::function<std::optional<StartFailure>(const core::Pod&)> admit;
  std::shared_ptr<PodWorker> worker;
  bool ended = false;
};

TEST_F(PodWorkerTest, RunsAndSaysSo) {
  begin();
  EXPECT_EQ(status().phase, "Running");
  EXPECT_EQ(status().pod_ip, "10.0.0.1");
  EXPECT_EQ(status().container_statuses[0].container_id, "fake://c2");
  EXPECT_TRUE(status().container_statuses[0].ready);
  EXPECT_EQ(events.events, (std::vector<std::string>{"Pulled: Container image \"image\" already present on machine", "Created: Created container a",
                                                    "Started: Started container a"}));
}

TEST_F(PodWorkerTest, ItsOwnStatusDoesNotWakeIt) {
  begin();
  size_t before = transport->requests.size();
  update();
  EXPECT_EQ(transport->requests.size(), before);
}

TEST_F(PodWorkerTest, CrashLoops) {
  begin();
  runtime.containers["c2"].started_at = std::chrono::nanoseconds(clock.now().time_since_epoch()).count();
  end_container("c2", 1);  // at once the first time
  EXPECT_EQ(count("create a"), 2u);
  std::string second = std::string(status().container_statuses[0].container_id.view().substr(7));
  runtime.containers[second].started_at = std::chrono::nanoseconds(clock.now().time_since_epoch()).count();
  end_container(second, 1);
  EXPECT_EQ(count("create a"), 2u);
  const core::ContainerStatus& a = status().container_statuses[0];
  EXPECT_EQ(a.state.waiting->reason, "CrashLoopBackOff");
  EXPECT_EQ(a.state.waiting->message, "back-off 10s restarting failed container=a pod=p_ns(u)");
  EXPECT_EQ(a.last_state.terminated->exit_code, 1);
  EXPECT_EQ(a.restart_count, 1);
  EXPECT_TRUE(events.has("BackOff: Back-off restarting failed container a in pod p_ns(u)"));
  clock.advance(std::chrono::seconds(11));
  worker->wake();
  settle();
  EXPECT_EQ(count("create a"), 3u);
}

TEST_F(PodWorkerTest, InitContainersRunOneByOne) {
  add_container(transport->pod.spec.init_containers, "i1");
  add_container(transport->pod.spec.init_containers, "i2");
  begin();
  EXPECT_EQ(count("create i1"), 1u);
  EXPECT_EQ(count("create i2"), 0u);
  EXPECT_EQ(status().container_statuses[0].state.waiting->reason, "PodInitializing");
  end_container("c2", 0);
  EXPECT_EQ(count("create i2"), 1u);
  std::string second;
  for (auto& [id, item] : runtime.containers)
    if (item.metadata->name == "i2") second = id;
  end_container(second, 0);
  EXPECT_EQ(count("create a"), 1u);
  EXPECT_EQ(status().phase, "Running");
  EXPECT_EQ(find_condition(status(), "Initialized")->status, "True");
}

TEST_F(PodWorkerTest, CompletesAndCleansUp) {
  transport->pod.spec.restart_policy = "Never";
  begin();
  end_container("c2", 0);
  EXPECT_EQ(status().phase, "Succeeded");
  EXPECT_EQ(status().container_statuses[0].state.terminated->reason, "Completed");
  EXPECT_EQ(count("stop_pod_sandbox s1"), 1u);
  EXPECT_EQ(volumes.cleanups, 1);
  EXPECT_EQ(worker->state(), PodWorker::State::kTerminated);
  EXPECT_FALSE(transport->deleted);
  EXPECT_EQ(count("remove c2"), 0u);  // its log is still wanted
}

TEST_F(PodWorkerTest, DeletionIsGracefulAndFinal) {
  begin();
  transport->pod.metadata.deletion_timestamp = schema::Time::from_unix(7200);
  transport->pod.metadata.deletion_grace_period_seconds = 17;
  update();
  EXPECT_EQ(count("stop c2 17"), 1u);
  EXPECT_EQ(count("stop_pod_sandbox s1"), 1u);
  EXPECT_EQ(status().phase, "Failed");  // it was killed
  EXPECT_TRUE(transport->deleted);
  EXPECT_TRUE(events.has("Killing: Stopping container a"));
  worker->removed();
  for (int i = 0; i < 50 && !ended; ++i) settle();  // log files are removed on another thread
  EXPECT_EQ(count("remove c2"), 1u);
  EXPECT_EQ(count("remove_pod_sandbox s1"), 1u);
  EXPECT_TRUE(ended);
}

TEST_F(PodWorkerTest, AFailedSandboxIsReportedAndTriedLater) {
  runtime.fail["run_pod_sandbox"] = Status::make(500, "Unknown", "no network");
  begin();
  EXPECT_EQ(status().phase, "Pending");
  EXPECT_TRUE(events.has("FailedCreatePodSandBox: Failed to create pod sandbox: rpc error: code = Unknown desc = no network")) << events.events.back();
  runtime.fail.clear();
  worker->wake();
  settle();
  EXPECT_EQ(status().phase, "Running");
}

TEST_F(PodWorkerTest, PullFailuresBackOff) {
  transport->pod.spec.containers[0].image = "missing";
  runtime.fail["pull"] = Status::make(404, "NotFound", "no such image");
  begin();
  EXPECT_EQ(status().container_statuses[0].state.waiting->reason, "ErrImagePull");
  EXPECT_EQ(status().container_statuses[0].state.waiting->message, "rpc error: code = NotFound desc = no such image");
  clock.advance(std::chrono::seconds(5));
  worker->wake();
  settle();
  EXPECT_EQ(status().container_statuses[0].state.waiting->reason, "ImagePullBackOff");
  EXPECT_EQ(count("pull missing:latest"), 1u);
  runtime.fail.clear();
  clock.advance(std::chrono::seconds(6));
  worker->wake();
  settle();
  EXPECT_EQ(status().phase, "Running");
}

TEST_F(PodWorkerTest, NeverPulls) {
  transport->pod.spec.containers[0].image = "missing";
  transport->pod.spec.containers[0].image_pull_policy = "Never";
  begin();
  EXPECT_EQ(status().container_statuses[0].state.waiting->reason, "ErrImageNeverPull");
  EXPECT_TRUE(events.has("ErrImageNeverPull: Container image \"missing\" is not present with pull policy of Never"));
}

TEST_F(PodWorkerTest, DeadlinesEndThePod) {
  transport->pod.spec.active_deadline_seconds = 5;
  begin();
  clock.advance(std::chrono::seconds(6));
  worker->wake();
  settle();
  EXPECT_EQ(status().phase, "Failed");
  EXPECT_EQ(status().reason, "DeadlineExceeded");
  EXPECT_EQ(count("stop c2 30"), 1u);
}

TEST_F(PodWorkerTest, RejectedPodsMakeNothing) {
  admit = [](const core::Pod&) { return StartFailure{"OutOfcpu", "too much"}; };
  begin();
  EXPECT_EQ(status().phase, "Failed");
  EXPECT_EQ(status().reason, "OutOfcpu");
  EXPECT_EQ(status().message, "Pod was rejected: too much");
  EXPECT_TRUE(runtime.calls.empty());
  transport->pod.metadata.deletion_timestamp = schema::Time::from_unix(7200);
  transport->pod.metadata.deletion_grace_period_seconds = 1;
  update();
  EXPECT_TRUE(transport->deleted);
}

TEST_F(PodWorkerTest, HooksRun) {
  core::Lifecycle& hooks = transport->pod.spec.containers[0].lifecycle.ensure();
  hooks.post_start.ensure().exec.ensure().command.push_back("up");
  hooks.pre_stop.ensure().exec.ensure().command.push_back("down");
  begin();
  EXPECT_EQ(count("exec c2 up"), 1u);
  transport->pod.metadata.deletion_timestamp = schema::Time::from_unix(7200);
  transport->pod.metadata.deletion_grace_period_seconds = 10;
  update();
  ASSERT_EQ(count("exec c2 down"), 1u);
  auto hook = std::find(runtime.calls.begin(), runtime.calls.end(), "exec c2 down");
  auto stop = std::find(runtime.calls.begin(), runtime.calls.end(), "stop c2 10");
  EXPECT_LT(hook, stop);
}

TEST_F(PodWorkerTest, NoNetworkNoPod) {
  context->network_error = "container runtime network not ready: x";
  begin();
  EXPECT_TRUE(runtime.calls.empty());
  EXPECT_TRUE(events.has("NetworkNotReady: network is not ready: container runtime network not ready: x"));
  context->network_error.clear();
  worker->wake();
  settle();
  EXPECT_EQ(status().phase, "Running");
}

}  // namespace
}  // namespace knarr::kubelet
