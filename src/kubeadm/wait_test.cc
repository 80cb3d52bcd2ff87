// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/wait.h"

#include <gtest/gtest.h>

#include "kubeadm/cluster_objects.h"
#include "kubeadm/constants.h"
#include "kubeadm/fake_host.h"

namespace knarr::kubeadm {
namespace {

using namespace std::chrono_literals;

TEST(Wait, SaysNothingWhenAllComesUpSoon) {
  FakeHost host;
  MonoTime start = host.time.mono();
  EXPECT_TRUE(wait_beside_kubelet(host, 4min, [&] { return host.time.mono() - start > 5s; }).ok());
  EXPECT_EQ(host.out, "");
}

TEST(Wait, TellsOfAKubeletThatIsNotThereAndGivesUp) {
  FakeHost host;
  MonoTime start = host.time.mono();
  Status waited = wait_beside_kubelet(host, 10min, [] { return false; });
  EXPECT_EQ(waited.message(), "timed out waiting for the condition");
  // Forty seconds of silence, then looks after 5, 10, 20 and 40 more.
  EXPECT_EQ(std::chrono::round<std::chrono::seconds>(host.time.mono() - start), 115s);
  EXPECT_TRUE(host.out.starts_with("[kubelet-check] Initial timeout of 40s passed.\n[kubelet-check] It seems like the kubelet isn't running or healthy.\n"
                                   "[kubelet-check] The HTTP call equal to 'curl -sSL http://localhost:10248/healthz' failed with error: Get "
                                   "\"http://localhost:10248/healthz\": dial tcp 127.0.0.1:10248: connect: connection refused.\n")) << host.out;
}

TEST(Wait, AHealthyKubeletLeavesTheWholeTime) {
  FakeHost host;
  host.health = {200};
  MonoTime start = host.time.mono();
  EXPECT_FALSE(wait_beside_kubelet(host, 4min, [] { return false; }).ok());
  EXPECT_GE(host.time.mono() - start, Duration(4min));
  EXPECT_EQ(host.out, "[kubelet-check] Initial timeout of 40s passed.\n");
}

// Remembers calls; objects exist once they are created.
class RecordingApi final : public Api {
 public:
  std::vector<std::string> calls;
  std::map<std::string, json::Value> objects;
  Result<json::Value> call(const std::string& method, const std::string& path, const json::Value& body, const std::string&) override {
    calls.push_back(method + " " + path);
    if (method == "POST") {
      std::string own = object_path(body);
      if (objects.count(own) > 0) return Status::make(409, "AlreadyExists", "already exists");
      objects[own] = body;
      return body;
    }
    auto found = objects.find(path);
    if (found == objects.end()) return Status::make(404, "NotFound", "not found");
    if (method == "PUT") found->second = body;
    if (method == "PATCH") last_patch = body;
    return found->second;
  }
  json::Value last_patch;
};

TEST(ClusterObjects, AreMadeAndThenReplaced) {
  FakeHost host;
  RecordingApi api;
  InitConfiguration config = static_init_configuration(host);
  ASSERT_TRUE(upload_kubelet_configuration(host, api, config.cluster, "").ok());
  const json::Value& map = api.objects.at("/api/v1/namespaces/kube-system/configmaps/kubelet-config");
  EXPECT_TRUE(map.at({"metadata", "annotations", kConfigHashAnnotation}).as_string().starts_with("sha256:"));
  EXPECT_EQ(api.objects.count("/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings/kubeadm:kubelet-config"), 1u);
  ASSERT_TRUE(upload_kubelet_configuration(host, api, config.cluster, "").ok());
  EXPECT_EQ(std::count(api.calls.begin(), api.calls.end(), "PUT /api/v1/namespaces/kube-system/configmaps/kubelet-config"), 1);
}

TEST(ClusterObjects, AMarkedNodeKeepsItsOtherTaints) {
  FakeHost host;
  RecordingApi api;
  json::Value& node = api.objects["/api/v1/nodes/n"];
  node["metadata"]["labels"]["kubernetes.io/hostname"] = "n";
  json::Value taint = json::Value::object();
  taint["key"] = "node.kubernetes.io/not-ready";
  taint["effect"] = "NoSchedule";
  node["spec"]["taints"].push_back(taint);
  ASSERT_TRUE(mark_control_plane(host, api, "n", {Taint{kControlPlaneLabel, "", "NoSchedule"}}).ok());
  EXPECT_EQ(json::to_string(api.last_patch),
            R"({"metadata":{"labels":{"node-role.kubernetes.io/control-plane":"","node.kubernetes.io/exclude-from-external-load-balancers":""}},)"
            R"("spec":{"taints":[{"effect":"NoSchedule","key":"node-role.kubernetes.io/control-plane"},{"key":"node.kubernetes.io/not-ready","effect":"NoSchedule"}]}})");
}

TEST(ClusterObjects, ANodeThatNeverComes) {
  FakeHost host;
  RecordingApi api;
  EXPECT_EQ(annotate_cri_socket(host, api, "n", "unix:///s").message(), "not found");
}

}  // namespace
}  // namespace knarr::kubeadm
