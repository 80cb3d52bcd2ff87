// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/manifests.h"

#include <gtest/gtest.h>

#include "kubeadm/fake_host.h"
#include "kubeadm/node_files.h"
#include "kubeadm/patches.h"

namespace knarr::kubeadm {
namespace {

InitConfiguration sample(FakeHost& host) {
  InitConfiguration config = static_init_configuration(host);
  config.cluster.kubernetes_version = "v1.28.4";
  return config;
}

TEST(Manifests, SchedulerIsUpstreamsFile) {
  FakeHost host;
  InitConfiguration config = sample(host);
  EXPECT_EQ(to_yaml(component_pod(host, "kube-scheduler", config.cluster, config.local_endpoint)), R"(apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: null
  labels:
    component: kube-scheduler
    tier: control-plane
  name: kube-scheduler
  namespace: kube-system
spec:
  containers:
  - command:
    - kube-scheduler
    - --authentication-kubeconfig=/etc/kubernetes/scheduler.conf
    - --authorization-kubeconfig=/etc/kubernetes/scheduler.conf
    - --bind-address=127.0.0.1
    - --kubeconfig=/etc/kubernetes/scheduler.conf
    - --leader-elect=true
    image: registry.k8s.io/kube-scheduler:v1.28.4
    imagePullPolicy: IfNotPresent
    livenessProbe:
      failureThreshold: 8
      httpGet:
        host: 127.0.0.1
        path: /healthz
        port: 10259
        scheme: HTTPS
      initialDelaySeconds: 10
      periodSeconds: 10
      timeoutSeconds: 15
    name: kube-scheduler
    resources:
      requests:
        cpu: 100m
    startupProbe:
      failureThreshold: 24
      httpGet:
        host: 127.0.0.1
        path: /healthz
        port: 10259
        scheme: HTTPS
      initialDelaySeconds: 10
      periodSeconds: 10
      timeoutSeconds: 15
    volumeMounts:
    - mountPath: /etc/kubernetes/scheduler.conf
      name: kubeconfig
      readOnly: true
  hostNetwork: true
  priority: 2000001000
  priorityClassName: system-node-critical
  securityContext:
    seccompProfile:
      type: RuntimeDefault
  volumes:
  - hostPath:
      path: /etc/kubernetes/scheduler.conf
      type: FileOrCreate
    name: kubeconfig
status: {}
)");
}

TEST(Manifests, ExtraArgumentsWin) {
  FakeHost host;
  InitConfiguration config = sample(host);
  config.cluster.api_server.extra_args = {{"v", "4"}, {"authorization-mode", "Node,Magic,RBAC,Webhook"}, {"enable-admission-plugins", "A,B"}};
  std::vector<std::string> command = api_server_command(config.cluster, config.local_endpoint);
  EXPECT_TRUE(contains(command, "--v=4"));
  EXPECT_TRUE(contains(command, "--authorization-mode=Node,RBAC,Webhook"));
  EXPECT_TRUE(contains(command, "--enable-admission-plugins=A,B"));
  EXPECT_TRUE(std::is_sorted(command.begin() + 1, command.end()));
}

TEST(Manifests, ExternalEtcdBringsItsFolders) {
  FakeHost host;
  InitConfiguration config = sample(host);
  config.cluster.local_etcd.reset();
  config.cluster.external_etcd = ExternalEtcd{{"https://a:2379", "https://b:2379"}, "/etc/etcd/ca.crt", "/etc/etcd/pki/c.crt", "/etc/etcd/pki/c.key"};
  json::Value pod = component_pod(host, "kube-apiserver", config.cluster, config.local_endpoint);
  std::string yaml = to_yaml(pod);
  EXPECT_NE(yaml.find("--etcd-servers=https://a:2379,https://b:2379"), std::string::npos);
  EXPECT_NE(yaml.find("name: etcd-certs-0"), std::string::npos);
  EXPECT_EQ(yaml.find("name: etcd-certs-1"), std::string::npos) << "the inner folder is in the outer one";
}

TEST(Manifests, JoiningEtcdMemberKnowsTheOthers) {
  FakeHost host;
  InitConfiguration config = sample(host);
  std::vector<std::string> command = etcd_command(config.cluster, config.local_endpoint, "b", {{"a", "https://1:2380"}, {"b", "https://2:2380"}});
  EXPECT_TRUE(contains(command, "--initial-cluster=a=https://1:2380,b=https://2:2380"));
  EXPECT_TRUE(contains(command, "--initial-cluster-state=existing"));
}

TEST(Manifests, ProxiesGoIntoThePods) {
  FakeHost host;
  host.variables = {{"NO_PROXY", "10.0.0.0/8"}, {"https_proxy", "http://p:3128"}, {"HTTP_PROXY", ""}, {"PATH", "/bin"}};
  auto environment = proxy_environment(host);
  ASSERT_EQ(environment.size(), 2u);
  EXPECT_EQ(environment[0].first, "NO_PROXY");
  EXPECT_EQ(environment[1].second, "http://p:3128");
}

TEST(NodeFiles, FlagsOfTheKubeletService) {
  FakeHost host;
  NodeRegistration node;
  node.cri_socket = "unix:///run/c.sock";
  node.name = "node1";
  node.taints = {Taint{"a", "", "NoSchedule"}, Taint{"k", "v", "NoExecute"}};
  EXPECT_EQ(kubelet_flags(host, node, "r/pause:3.9", false),
            "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/c.sock --pod-infra-container-image=r/pause:3.9\"\n");
  node.name = "other";
  EXPECT_EQ(kubelet_flags(host, node, "", true),
            "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/c.sock --hostname-override=other --register-with-taints=a:NoSchedule,k=v:NoExecute\"\n");
}

TEST(Patches, NamesOfFiles) {
  EXPECT_EQ(parse_patch_name("etcd.json")->type, "strategic");
  EXPECT_EQ(parse_patch_name("kube-apiserver0+merge.yaml")->target, "kube-apiserver");
  EXPECT_EQ(parse_patch_name("kube-apiserver0+merge.yaml")->type, "merge");
  EXPECT_FALSE(parse_patch_name("etcd.txt").ok());
  EXPECT_FALSE(parse_patch_name("coredns.yaml").ok());
  EXPECT_FALSE(parse_patch_name("etcd+.yaml").ok());
}

TEST(Patches, AreLaidOnWhatIsWritten) {
  FakeHost host;
  InitConfiguration config = sample(host);
  host.files["/p/kube-scheduler.yaml"] = "spec:\n  containers:\n  - name: kube-scheduler\n    resources:\n      requests:\n        cpu: 50m\n";
  host.files["/p/kube-scheduler1+json.json"] = R"([{"op":"add","path":"/metadata/labels/x","value":"y"}])";
  ASSERT_TRUE(write_manifest(host, "/m", "kube-scheduler", component_pod(host, "kube-scheduler", config.cluster, config.local_endpoint), "/p").ok());
  const std::string& text = host.files["/m/kube-scheduler.yaml"];
  EXPECT_NE(text.find("cpu: 50m"), std::string::npos);
  EXPECT_NE(text.find("image: registry.k8s.io/kube-scheduler:v1.28.4"), std::string::npos);
  EXPECT_NE(text.find("x: \"y\""), std::string::npos) << text;
  EXPECT_EQ(host.modes["/m/kube-scheduler.yaml"], 0600u);
  EXPECT_NE(host.out.find("[patches] Applied patch of type \"application/strategic-merge-patch+json\" to target \"kube-scheduler\"\n"), std::string::npos);
}

}  // namespace
}  // namespace knarr::kubeadm
