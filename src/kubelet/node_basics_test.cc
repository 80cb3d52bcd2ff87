// SPDX-License-Identifier: Apache-2.0
// Small pure parts: QoS, back-off, image names, events, admission, cgroup names, logs.
#include <gtest/gtest.h>

#include "kubelet/admission.h"
#include "kubelet/backoff.h"
#include "kubelet/cgroup/cgroup_manager.h"
#include "kubelet/cri/runtime_events.h"
#include "kubelet/image/credentials.h"
#include "kubelet/image/image_name.h"
#include "kubelet/probe/action.h"
#include "kubelet/probe/probe_manager.h"
#include "kubelet/qos.h"
#include "kubelet/runtime/pod_record.h"
#include "kubelet/static_pods.h"

namespace knarr::kubelet {
namespace {

core::Container with_resources(std::map<std::string, std::string> requests, std::map<std::string, std::string> limits) {
  core::Container container;
  container.name = "c";
  for (auto& [name, value] : requests) container.resources.requests[name] = schema::Quantity(value);
  for (auto& [name, value] : limits) container.resources.limits[name] = schema::Quantity(value);
  return container;
}

TEST(Qos, Classes) {
  core::Pod pod;
  pod.spec.containers.push_back(with_resources({}, {}));
  EXPECT_EQ(pod_qos_class(pod), "BestEffort");
  pod.spec.containers[0] = with_resources({{"cpu", "100m"}}, {});
  EXPECT_EQ(pod_qos_class(pod), "Burstable");
  pod.spec.containers[0] = with_resources({{"cpu", "100m"}, {"memory", "1Gi"}}, {{"cpu", "100m"}, {"memory", "1Gi"}});
  EXPECT_EQ(pod_qos_class(pod), "Guaranteed");
  pod.spec.containers.push_back(with_resources({}, {}));
  EXPECT_EQ(pod_qos_class(pod), "Burstable");
}

TEST(Qos, SharesAndQuotas) {
  EXPECT_EQ(milli_cpu_to_shares(0), 2);
  EXPECT_EQ(milli_cpu_to_shares(1), 2);
  EXPECT_EQ(milli_cpu_to_shares(1000), 1024);
  EXPECT_EQ(milli_cpu_to_shares(1000000000), 262144);
  EXPECT_EQ(milli_cpu_to_quota(0), 0);
  EXPECT_EQ(milli_cpu_to_quota(5), 1000);
  EXPECT_EQ(milli_cpu_to_quota(1500), 150000);
}

TEST(Qos, OomScores) {
  core::Pod pod;
  pod.spec.containers.push_back(with_resources({}, {}));
  EXPECT_EQ(oom_score_adj(pod, pod.spec.containers[0], 1 << 30), 1000);
  pod.spec.containers[0] = with_resources({{"memory", "256Mi"}}, {});
  EXPECT_EQ(oom_score_adj(pod, pod.spec.containers[0], 1 << 30), 750);
  pod.spec.containers[0] = with_resources({{"memory", "1Gi"}}, {});
  EXPECT_EQ(oom_score_adj(pod, pod.spec.containers[0], 1 << 30), 3);
  pod.spec.containers[0] = with_resources({{"cpu", "1"}}, {});
  EXPECT_EQ(oom_score_adj(pod, pod.spec.containers[0], 1 << 30), 999);
  pod.spec.priority = 2000001000;
  pod.spec.priority_class_name = "system-node-critical";
  EXPECT_EQ(oom_score_adj(pod, pod.spec.containers[0], 1 << 30), -997);
}

TEST(Backoff, DoublesAndForgets) {
  FakeClock clock(WallTime(std::chrono::hours(1)));
  Backoff backoff(clock, std::chrono::seconds(10), std::chrono::minutes(5));
  EXPECT_EQ(backoff.remaining("k", clock.now()), Duration::zero());
  backoff.next("k", clock.now());
  EXPECT_EQ(backoff.remaining("k", clock.now()), std::chrono::seconds(10));
  clock.advance(std::chrono::seconds(11));
  backoff.next("k", clock.now());
  EXPECT_EQ(backoff.delay("k"), std::chrono::seconds(20));
  for (int i = 0; i < 10; ++i) backoff.next("k", clock.now());
  EXPECT_EQ(backoff.delay("k"), std::chrono::minutes(5));
  clock.advance(std::chrono::minutes(11));
  EXPECT_EQ(backoff.remaining("k", clock.now()), Duration::zero());
  backoff.next("k", clock.now());
  EXPECT_EQ(backoff.delay("k"), std::chrono::seconds(10));
}

TEST(ImageName, DefaultTags) {
  EXPECT_EQ(*with_default_tag("busybox"), "busybox:latest");
  EXPECT_EQ(*with_default_tag("host:5000/a/b"), "host:5000/a/b:latest");
  EXPECT_EQ(*with_default_tag("a:1"), "a:1");
  std::string digest = "a@sha256:" + std::string(64, 'a');
  EXPECT_EQ(*with_default_tag(digest), digest);
  EXPECT_FALSE(with_default_tag("FAILED_IMAGE").ok());
  EXPECT_FALSE(with_default_tag("a b").ok());
  EXPECT_FALSE(with_default_tag("a//b").ok());
  EXPECT_EQ(with_default_tag("a/B:1").status().message(),
            "couldn't parse image name \"a/B:1\": invalid reference format: repository name must be lowercase");
  EXPECT_EQ(parse_image_name("busybox")->repository, "library/busybox");
}

TEST(Credentials, LongestMatchFirst) {
  auto secret = std::make_shared<core::Secret>();
  secret->data[".dockerconfigjson"] =
      R"({"auths":{"reg.io":{"auth":"dTpw"},"https://reg.io/team":{"username":"t","password":"q"},"other.io":{"auth":"eDp5"}}})";
  auto found = credentials_for(*parse_image_name("reg.io/team/app:1"), {secret});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].username, "t");
  EXPECT_EQ(found[1].username, "u");
  EXPECT_EQ(found[1].password, "p");
  secret->data[".dockerconfigjson"] = "{";
  EXPECT_TRUE(credentials_for(*parse_image_name("reg.io/x"), {secret}).empty());
}

TEST(RuntimeEvents, ParsesEnvelopes) {
  auto field = [](int number, std::string_view value) {
    std::string out;
    out += static_cast<char>(number << 3 | 2);
    out += static_cast<char>(value.size());
    return out.append(value);
  };
  std::string exit = field(1, "abc") + field(2, "abc");
  std::string envelope = field(1, "") + field(2, "k8s.io") + field(3, "/tasks/exit") + field(4, field(1, "url") + field(2, exit));
  auto event = parse_event(envelope);
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(event->topic, "/tasks/exit");
  EXPECT_EQ(event->container_id, "abc");
  EXPECT_EQ(event->exec_id, "abc");
  for (size_t i = 0; i < envelope.size(); ++i) (void)parse_event(std::string_view(envelope).substr(0, i)).ok();
  EXPECT_FALSE(parse_event("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").ok());
}

TEST(Admission, Sysctls) {
  EXPECT_TRUE(sysctl_allowed("kernel.shm_rmid_forced", {}, false, false));
  EXPECT_TRUE(sysctl_allowed("kernel/shm_rmid_forced", {}, false, false));
  EXPECT_FALSE(sysctl_allowed("kernel.shm_rmid_forced", {}, false, true));
  EXPECT_FALSE(sysctl_allowed("kernel.msgmax", {}, false, false));
  EXPECT_TRUE(sysctl_allowed("kernel.msgmax", {"kernel.msg*"}, false, false));
  EXPECT_FALSE(sysctl_allowed("vm.swappiness", {"vm.*"}, false, false));
}

TEST(Admission, Resources) {
  core::Pod pod;
  pod.spec.containers.push_back(with_resources({{"cpu", "1500m"}}, {}));
  ResourceList allocatable;
  allocatable["cpu"] = schema::Quantity("2");
  allocatable["pods"] = schema::Quantity("2");
  AdmissionInputs inputs;
  inputs.pod = &pod;
  inputs.allocatable = &allocatable;
  EXPECT_FALSE(admit_pod(inputs).has_value());
  inputs.others.push_back(std::make_shared<core::Pod>(pod));
  auto refusal = admit_pod(inputs);
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->reason, "OutOfcpu");
  EXPECT_EQ(refusal->message, "Node didn't have enough resource: cpu, requested: 1500, used: 1500, capacity: 2000");
}

TEST(Admission, HostPorts) {
  core::Pod pod;
  pod.spec.containers.push_back(with_resources({}, {}));
  core::ContainerPort port;
  port.host_port = 80;
  port.protocol = "TCP";
  pod.spec.containers[0].ports.push_back(port);
  ResourceList allocatable;
  allocatable["pods"] = schema::Quantity("110");
  AdmissionInputs inputs;
  inputs.pod = &pod;
  inputs.allocatable = &allocatable;
  EXPECT_FALSE(admit_pod(inputs).has_value());
  inputs.others.push_back(std::make_shared<core::Pod>(pod));
  EXPECT_EQ(admit_pod(inputs)->reason, "NodePorts");
  pod.spec.containers[0].ports[0].protocol = "UDP";
  EXPECT_FALSE(admit_pod(inputs).has_value());
}

TEST(Admission, NodeAffinity) {
  core::Pod pod;
  core::Node node;
  node.metadata.labels["zone"] = "a";
  core::NodeSelectorTerm& term =
      pod.spec.affinity.ensure().node_affinity.ensure().required_during_scheduling_ignored_during_execution.ensure().node_selector_terms.emplace_back();
  core::NodeSelectorRequirement& wanted = term.match_expressions.emplace_back();
  wanted.key = "zone";
  wanted.operator_ = "In";
  wanted.values.push_back("b");
  ResourceList allocatable;
  allocatable["pods"] = schema::Quantity("110");
  AdmissionInputs inputs;
  inputs.pod = &pod;
  inputs.node = &node;
  inputs.allocatable = &allocatable;
  EXPECT_EQ(admit_pod(inputs)->reason, "NodeAffinity");
  wanted.values.push_back("a");
  EXPECT_FALSE(admit_pod(inputs).has_value());
}

TEST(Cgroups, NamesOfPods) {
  core::Pod pod;
  pod.metadata.uid = "a-b";
  pod.spec.containers.push_back(with_resources({}, {}));
  CgroupManager::Options options;
  options.mount = "/nonexistent";
  options.root = "/lab";
  EXPECT_EQ(CgroupManager(options).pod_parent(pod), "/lab/kubepods/besteffort/poda-b");
  options.systemd = true;
  EXPECT_EQ(CgroupManager(options).pod_parent(pod), "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-poda_b.slice");
}

TEST(CriLog, Tail) {
  std::string log;
  for (int i = 0; i < 100; ++i) log += "2026-01-01T00:00:00.000000000Z stdout F line" + std::to_string(i) + "\n";
  EXPECT_EQ(tail_of_cri_log(log, 2, 2048), "line98\nline99\n");
  EXPECT_EQ(tail_of_cri_log("t stdout P ab\nt stdout F cd\n", 80, 2048), "abcd\n");
  EXPECT_EQ(tail_of_cri_log(log, 80, 5), "ne99\n");
  EXPECT_EQ(tail_of_cri_log("garbage", 80, 2048), "");
}

TEST(Probe, Thresholds) {
  core::Probe probe;
  probe.success_threshold = 2;
  probe.failure_threshold = 3;
  ProbeCounter counter;
  EXPECT_FALSE(counter.add(ProbeResult::kFailure, probe));
  EXPECT_FALSE(counter.add(ProbeResult::kFailure, probe));
  EXPECT_TRUE(counter.add(ProbeResult::kFailure, probe));
  EXPECT_FALSE(counter.add(ProbeResult::kSuccess, probe));
  EXPECT_TRUE(counter.add(ProbeResult::kSuccess, probe));
}

TEST(Probe, Ports) {
  core::Container container;
  core::ContainerPort port;
  port.name = "http";
  port.container_port = 8080;
  container.ports.push_back(port);
  EXPECT_EQ(*resolve_port(schema::IntOrString("http"), container), 8080);
  EXPECT_EQ(*resolve_port(schema::IntOrString("81"), container), 81);
  EXPECT_EQ(*resolve_port(schema::IntOrString(82), container), 82);
  EXPECT_FALSE(resolve_port(schema::IntOrString("nope"), container).ok());
  EXPECT_FALSE(resolve_port(schema::IntOrString(0), container).ok());
}

TEST(StaticPods, NamesAndDefaults) {
  auto pod = parse_static_pod("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers: [{name: c, image: nginx}]\n", "/m/web.yaml", "Node1");
  ASSERT_TRUE(pod.ok()) << pod.status().message();
  EXPECT_EQ(pod->metadata.name, "web-node1");
  EXPECT_EQ(pod->metadata.namespace_, "default");
  EXPECT_EQ(pod->spec.containers[0].image_pull_policy, "Always");
  EXPECT_EQ(pod->spec.restart_policy, "Always");
  EXPECT_TRUE(is_static_pod(*pod));
  EXPECT_FALSE(parse_static_pod("kind: Secret\napiVersion: v1\n", "f", "n").ok());
}

}  // namespace
}  // namespace knarr::kubelet
