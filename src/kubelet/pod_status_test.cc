// SPDX-License-Identifier: Apache-2.0
#include "kubelet/pod_status.h"

#include <gtest/gtest.h>

#include "kubelet/pod_actions.h"
#include "kubelet/status_manager.h"

namespace knarr::kubelet {
namespace {

class PodStatusTest : public ::testing::Test {
 protected:
  PodStatusTest() {
    pod.metadata.name = "p";
    pod.metadata.namespace_ = "ns";
    pod.metadata.uid = "u";
    pod.spec.restart_policy = "Always";
    SandboxRecord sandbox;
    sandbox.id = "s";
    sandbox.state = CriSandboxState::kReady;
    sandbox.ips = {"10.0.0.1"};
    record.sandboxes.push_back(sandbox);
  }
  void container(std::string_view name) {
    core::Container c;
    c.name = name;
    c.image = "image";
    pod.spec.containers.push_back(std::move(c));
  }
  void init(std::string_view name) {
    core::Container c;
    c.name = name;
    pod.spec.init_containers.push_back(std::move(c));
  }
  void has(std::string_view name, CriContainerState state, int code = 0, int restarts = 0) {
    ContainerRecord item;
    item.id = std::string(name) + "-id" + std::to_string(restarts);
    item.name = name;
    item.state = state;
    item.exit_code = code;
    item.reason = state == CriContainerState::kExited ? (code == 0 ? "Completed" : "Error") : "";
    item.restart_count = restarts;
    item.created_at = 1000 + restarts;
    record.containers.insert(record.containers.begin(), item);
  }
  core::PodStatus status(bool terminal = false) {
    StatusInputs inputs;
    inputs.pod = &pod;
    inputs.record = &record;
    inputs.old_status = &old;
    inputs.failures = &failures;
    inputs.host_ip = "1.2.3.4";
    inputs.terminal = terminal;
    inputs.probe_state = [](core::PodStatus& s) {
      for (auto& item : s.container_statuses) item.ready = static_cast<bool>(item.state.running);
      for (auto& item : s.init_container_statuses) item.ready = item.state.terminated && item.state.terminated->exit_code == 0;
    };
    return generate_pod_status(inputs);
  }
  core::Pod pod;
  PodRecord record;
  core::PodStatus old;
  StartFailures failures;
};

TEST_F(PodStatusTest, BeforeAnythingRuns) {
  container("a");
  core::PodStatus s = status();
  EXPECT_EQ(s.phase, "Pending");
  EXPECT_EQ(s.container_statuses[0].state.waiting->reason, "ContainerCreating");
  EXPECT_EQ(find_condition(s, "Ready")->reason, "ContainersNotReady");
  EXPECT_EQ(find_condition(s, "Ready")->message, "containers with unready status: [a]");
  EXPECT_EQ(find_condition(s, "Initialized")->status, "True");
  EXPECT_EQ(s.conditions[0].type, "Initialized");
  EXPECT_EQ(s.conditions[3].type, "PodScheduled");
}

TEST_F(PodStatusTest, Running) {
  container("b");
  container("a");
  has("a", CriContainerState::kRunning);
  has("b", CriContainerState::kRunning);
  core::PodStatus s = status();
  EXPECT_EQ(s.phase, "Running");
  EXPECT_EQ(s.container_statuses[0].name, "a");  // sorted
  EXPECT_EQ(s.container_statuses[0].container_id, "containerd://a-id0");
  EXPECT_EQ(s.pod_ip, "10.0.0.1");
  EXPECT_EQ(find_condition(s, "Ready")->status, "True");
}

TEST_F(PodStatusTest, InitializingShowsInEveryContainer) {
  container("a");
  init("i");
  has("i", CriContainerState::kRunning);
  core::PodStatus s = status();
  EXPECT_EQ(s.phase, "Pending");
  EXPECT_EQ(s.container_statuses[0].state.waiting->reason, "PodInitializing");
  EXPECT_EQ(find_condition(s, "Initialized")->reason, "ContainersNotInitialized");
  EXPECT_EQ(find_condition(s, "Initialized")->message, "containers with incomplete status: [i]");
}

TEST_F(PodStatusTest, PhasesOfEndedPods) {
  container("a");
  has("a", CriContainerState::kExited, 0);
  EXPECT_EQ(status().phase, "Running");  // about to be restarted
  pod.spec.restart_policy = "OnFailure";
  EXPECT_EQ(status().phase, "Succeeded");
  EXPECT_EQ(find_condition(status(), "Ready")->reason, "PodCompleted");
  record.containers[0].exit_code = 2;
  EXPECT_EQ(status().phase, "Running");
  pod.spec.restart_policy = "Never";
  EXPECT_EQ(status().phase, "Failed");
  EXPECT_EQ(find_condition(status(), "ContainersReady")->reason, "PodFailed");
}

TEST_F(PodStatusTest, AFailedInitContainerFailsThePod) {
  container("a");
  init("i");
  pod.spec.restart_policy = "Never";
  has("i", CriContainerState::kExited, 1);
  EXPECT_EQ(status().phase, "Failed");
}

TEST_F(PodStatusTest, CrashLoopsShowTheLastEnd) {
  container("a");
  has("a", CriContainerState::kExited, 1, 0);
  has("a", CriContainerState::kExited, 2, 1);
  failures["a"] = {"CrashLoopBackOff", "back-off 10s restarting failed container=a pod=p_ns(u)"};
  core::PodStatus s = status();
  const core::ContainerStatus& a = s.container_statuses[0];
  EXPECT_EQ(a.state.waiting->reason, "CrashLoopBackOff");
  EXPECT_EQ(a.last_state.terminated->exit_code, 2);
  EXPECT_EQ(a.restart_count, 1);
  EXPECT_EQ(s.phase, "Running");
}

TEST_F(PodStatusTest, ARunningContainerRemembersTheOneBefore) {
  container("a");
  has("a", CriContainerState::kExited, 7, 0);
  has("a", CriContainerState::kRunning, 0, 1);
  core::PodStatus s = status();
  EXPECT_TRUE(s.container_statuses[0].state.running);
  EXPECT_EQ(s.container_statuses[0].last_state.terminated->exit_code, 7);
}

TEST_F(PodStatusTest, ALostContainerCountsAsRestarted) {
  container("a");
  core::ContainerStatus before;
  before.name = "a";
  before.state.running.ensure();
  old.container_statuses.push_back(before);
  core::PodStatus s = status();
  EXPECT_EQ(s.container_statuses[0].last_state.terminated->reason, "ContainerStatusUnknown");
  EXPECT_EQ(s.container_statuses[0].restart_count, 1);
  EXPECT_EQ(s.phase, "Running");
}

TEST_F(PodStatusTest, ATerminalPhaseIsNeverLeft) {
  container("a");
  has("a", CriContainerState::kRunning);
  old.phase = "Failed";
  old.reason = "Evicted";
  core::PodStatus s = status();
  EXPECT_EQ(s.phase, "Failed");
  EXPECT_EQ(s.reason, "Evicted");
}

TEST_F(PodStatusTest, ReadinessGates) {
  container("a");
  has("a", CriContainerState::kRunning);
  core::PodReadinessGate gate;
  gate.condition_type = "x/y";
  pod.spec.readiness_gates.push_back(gate);
  EXPECT_EQ(find_condition(status(), "Ready")->message, "corresponding condition of pod readiness gate \"x/y\" does not exist.");
  core::PodCondition open;
  open.type = "x/y";
  open.status = "True";
  pod.status.conditions.push_back(open);
  core::PodStatus s = status();
  EXPECT_EQ(find_condition(s, "Ready")->status, "True");
  EXPECT_NE(find_condition(s, "x/y"), nullptr);  // not the kubelet's, kept
}

TEST_F(PodStatusTest, HostNetworkPodsHaveTheNodesAddress) {
  container("a");
  pod.spec.host_network = true;
  record.sandboxes[0].ips.clear();
  EXPECT_EQ(status().pod_ip, "1.2.3.4");
}

TEST_F(PodStatusTest, AddressesOutliveTheSandbox) {
  container("a");
  old.pod_ip = "10.0.0.9";
  core::PodIP ip;
  ip.ip = "10.0.0.9";
  old.pod_ips.push_back(ip);
  record.sandboxes[0].state = CriSandboxState::kNotReady;
  EXPECT_EQ(status().pod_ip, "10.0.0.9");
}

TEST_F(PodStatusTest, TerminationMarksWhatIsUnknown) {
  container("a");
  core::PodStatus s = status();
  mark_terminated(pod, s);
  EXPECT_EQ(s.phase, "Failed");
  EXPECT_EQ(s.container_statuses[0].state.terminated->exit_code, 137);
}

TEST_F(PodStatusTest, MergeDelaysATerminalPhase) {
  container("a");
  pod.spec.restart_policy = "Never";
  has("a", CriContainerState::kExited, 1);
  core::PodStatus api;
  api.phase = "Running";
  core::PodCondition foreign;
  foreign.type = "foreign";
  foreign.status = "True";
  api.conditions.push_back(foreign);
  core::PodStatus merged = merge_pod_status(api, status(), true);
  EXPECT_EQ(merged.phase, "Running");
  EXPECT_EQ(merged.conditions[0].type, "foreign");
  EXPECT_EQ(merge_pod_status(api, status(), false).phase, "Failed");
}

TEST_F(PodStatusTest, PatchesNameWhatGoes) {
  container("a");
  pod.status.reason = "Old";
  core::PodIP ip;
  ip.ip = "10.9.9.9";
  pod.status.pod_ips.push_back(ip);
  core::PodStatus now;
  now.phase = "Running";
  ip.ip = "10.0.0.1";
  now.pod_ips.push_back(ip);
  std::string patch = status_patch(pod, now);
  EXPECT_NE(patch.find("\"reason\":null"), std::string::npos) << patch;
  EXPECT_NE(patch.find("\"$patch\":\"delete\""), std::string::npos) << patch;
  EXPECT_NE(patch.find("\"uid\":\"u\""), std::string::npos) << patch;
  pod.status = now;
  EXPECT_EQ(status_patch(pod, now), "");
}

}  // namespace
}  // namespace knarr::kubelet
