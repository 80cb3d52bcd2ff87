// SPDX-License-Identifier: Apache-2.0
#include "kubelet/pod_actions.h"

#include <gtest/gtest.h>

namespace knarr::kubelet {
namespace {

struct FixedProbes final : ProbeResults {
  ProbeResult live = ProbeResult::kUnknown, start = ProbeResult::kUnknown;
  ProbeResult liveness(std::string_view) const override { return live; }
  ProbeResult startup(std::string_view) const override { return start; }
};

core::Pod make_pod(std::string_view policy, int containers, int init = 0) {
  core::Pod pod;
  pod.metadata.name = "p";
  pod.metadata.namespace_ = "ns";
  pod.metadata.uid = "u";
  pod.spec.restart_policy = policy;
  for (int i = 0; i < containers; ++i) {
    core::Container c;
    c.name = "c" + std::to_string(i);
    pod.spec.containers.push_back(std::move(c));
  }
  for (int i = 0; i < init; ++i) {
    core::Container c;
    c.name = "i" + std::to_string(i);
    pod.spec.init_containers.push_back(std::move(c));
  }
  return pod;
}

PodRecord ready_sandbox() {
  PodRecord record;
  SandboxRecord sandbox;
  sandbox.id = "s";
  sandbox.state = CriSandboxState::kReady;
  sandbox.has_network = true;
  sandbox.ips = {"10.0.0.1"};
  record.sandboxes.push_back(sandbox);
  return record;
}

void add(PodRecord& record, const core::Container& container, CriContainerState state, int code = 0, std::string reason = {}) {
  ContainerRecord item;
  item.id = "id-" + container.name.str();
  item.name = container.name.str();
  item.state = state;
  item.exit_code = code;
  item.reason = std::move(reason);
  item.hash = hash_container(container);
  record.containers.push_back(item);
}

TEST(PodActions, ANewPodGetsASandboxAndAllContainers) {
  core::Pod pod = make_pod("Always", 2);
  PodActions actions = compute_pod_actions(pod, PodRecord{}, FixedProbes{});
  EXPECT_TRUE(actions.create_sandbox);
  EXPECT_EQ(actions.attempt, 0u);
  EXPECT_EQ(actions.containers, (std::vector<int>{0, 1}));
}

TEST(PodActions, InitContainersComeFirstAndInOrder) {
  core::Pod pod = make_pod("Always", 1, 2);
  EXPECT_EQ(compute_pod_actions(pod, PodRecord{}, FixedProbes{}).next_init, 0);
  PodRecord record = ready_sandbox();
  add(record, pod.spec.init_containers[0], CriContainerState::kRunning);
  EXPECT_TRUE(compute_pod_actions(pod, record, FixedProbes{}).nothing());
  record.containers[0].state = CriContainerState::kExited;
  EXPECT_EQ(compute_pod_actions(pod, record, FixedProbes{}).next_init, 1);
  add(record, pod.spec.init_containers[1], CriContainerState::kExited);
  EXPECT_EQ(compute_pod_actions(pod, record, FixedProbes{}).containers, (std::vector<int>{0}));
}

TEST(PodActions, AFailedInitContainerIsRunAgainUnlessNever) {
  core::Pod pod = make_pod("Always", 1, 1);
  PodRecord record = ready_sandbox();
  add(record, pod.spec.init_containers[0], CriContainerState::kExited, 1);
  EXPECT_EQ(compute_pod_actions(pod, record, FixedProbes{}).next_init, 0);
  pod.spec.restart_policy = "Never";
  PodActions actions = compute_pod_actions(pod, record, FixedProbes{});
  EXPECT_TRUE(actions.kill_pod);
  EXPECT_EQ(actions.next_init, -1);
}

TEST(PodActions, AnOutOfMemoryInitContainerHasFailedWhateverItsCode) {
  core::Pod pod = make_pod("Always", 1, 1);
  PodRecord record = ready_sandbox();
  add(record, pod.spec.init_containers[0], CriContainerState::kExited, 0, "OOMKilled");
  EXPECT_EQ(compute_pod_actions(pod, record, FixedProbes{}).next_init, 0);
}

TEST(PodActions, RestartsFollowThePolicy) {
  struct Case {
    std::string_view policy;
    int code;
    bool restarted;
  };
  for (const Case& c : {Case{"Always", 0, true}, Case{"Always", 1, true}, Case{"OnFailure", 0, false}, Case{"OnFailure", 1, true},
                        Case{"Never", 1, false}}) {
    core::Pod pod = make_pod(c.policy, 1);
    PodRecord record = ready_sandbox();
    add(record, pod.spec.containers[0], CriContainerState::kExited, c.code);
    PodActions actions = compute_pod_actions(pod, record, FixedProbes{});
    EXPECT_EQ(!actions.containers.empty(), c.restarted) << c.policy << c.code;
    EXPECT_EQ(actions.kill_pod, !c.restarted);
  }
}

TEST(PodActions, NothingIsRestartedWhileThePodIsDeleted) {
  core::Pod pod = make_pod("Always", 1);
  pod.metadata.deletion_timestamp = schema::Time::from_unix(1);
  PodRecord record = ready_sandbox();
  add(record, pod.spec.containers[0], CriContainerState::kExited, 1);
  EXPECT_TRUE(compute_pod_actions(pod, record, FixedProbes{}).containers.empty());
}

TEST(PodActions, AFailedLivenessProbeKillsAndRestarts) {
  core::Pod pod = make_pod("Always", 1);
  PodRecord record = ready_sandbox();
  add(record, pod.spec.containers[0], CriContainerState::kRunning);
  FixedProbes probes;
  probes.live = ProbeResult::kFailure;
  PodActions actions = compute_pod_actions(pod, record, probes);
  ASSERT_EQ(actions.kill.size(), 1u);
  EXPECT_EQ(actions.kill[0].message, "Container c0 failed liveness probe, will be restarted");
  EXPECT_EQ(actions.containers.size(), 1u);
  pod.spec.restart_policy = "Never";
  actions = compute_pod_actions(pod, record, probes);
  EXPECT_EQ(actions.kill[0].message, "Container c0 failed liveness probe");
  EXPECT_TRUE(actions.kill_pod);
}

TEST(PodActions, AChangedImageRestartsTheContainer) {
  core::Pod pod = make_pod("Never", 1);
  PodRecord record = ready_sandbox();
  add(record, pod.spec.containers[0], CriContainerState::kRunning);
  pod.spec.containers[0].image = "other";
  PodActions actions = compute_pod_actions(pod, record, FixedProbes{});
  ASSERT_EQ(actions.kill.size(), 1u);
  EXPECT_EQ(actions.kill[0].message, "Container c0 definition changed, will be restarted");
}

TEST(PodActions, ALostSandboxIsMadeAnew) {
  core::Pod pod = make_pod("Always", 1);
  PodRecord record = ready_sandbox();
  record.sandboxes[0].state = CriSandboxState::kNotReady;
  record.sandboxes[0].attempt = 3;
  PodActions actions = compute_pod_actions(pod, record, FixedProbes{});
  EXPECT_TRUE(actions.create_sandbox);
  EXPECT_TRUE(actions.kill_pod);
  EXPECT_EQ(actions.attempt, 4u);
  // A pod that ran once and may not run again needs none.
  pod.spec.restart_policy = "Never";
  add(record, pod.spec.containers[0], CriContainerState::kExited, 0);
  EXPECT_FALSE(compute_pod_actions(pod, record, FixedProbes{}).create_sandbox);
}

TEST(PodActions, EphemeralContainersRunOnce) {
  core::Pod pod = make_pod("Always", 1);
  core::EphemeralContainer debug;
  debug.ephemeral_container_common.name = "debug";
  pod.spec.ephemeral_containers.push_back(debug);
  PodRecord record = ready_sandbox();
  add(record, pod.spec.containers[0], CriContainerState::kRunning);
  EXPECT_EQ(compute_pod_actions(pod, record, FixedProbes{}).ephemeral, (std::vector<int>{0}));
  core::Container view = container_of(debug);
  add(record, view, CriContainerState::kExited, 1);
  EXPECT_TRUE(compute_pod_actions(pod, record, FixedProbes{}).ephemeral.empty());
}

TEST(HashContainer, IsUpstreams) {
  core::Container container;
  container.name = "c";
  // FNV-1a over Go's dump of the JSON {"name":"c","resources":{}}.
  EXPECT_NE(hash_container(container), 0u);
  core::Container other = container;
  other.image = "i";
  EXPECT_NE(hash_container(container), hash_container(other));
}

}  // namespace
}  // namespace knarr::kubelet
