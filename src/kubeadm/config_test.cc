// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/config.h"

#include <gtest/gtest.h>

#include "kubeadm/component_configs.h"
#include "kubeadm/fake_host.h"

namespace knarr::kubeadm {
namespace {

constexpr char kHead[] = "apiVersion: kubeadm.k8s.io/v1beta3\n";

TEST(Config, DefaultsFillWhatIsNotSaid) {
  FakeHost host;
  auto config = load_init_configuration(host, std::string(kHead) + "kind: ClusterConfiguration\nkubernetesVersion: 1.28.4\n", true);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->cluster.kubernetes_version, "v1.28.4");
  EXPECT_EQ(config->cluster.service_subnet, "10.96.0.0/12");
  EXPECT_EQ(config->local_endpoint.text(), "192.0.2.10:6443");
  EXPECT_EQ(config->node.name, "node1");
  EXPECT_EQ(config->node.cri_socket, "unix:///var/run/containerd/containerd.sock");
  ASSERT_TRUE(config->node.taints);
  EXPECT_EQ(config->node.taints->at(0).text(), "node-role.kubernetes.io/control-plane:NoSchedule");
  EXPECT_TRUE(is_bootstrap_token(config->bootstrap_tokens.at(0).token));
  EXPECT_EQ(config->cluster.kubelet.document.at({"clusterDNS"}).items().at(0).as_string(), "10.96.0.10");
  EXPECT_EQ(config->cluster.kubelet.document.at({"cgroupDriver"}).as_string(), "systemd");
}

TEST(Config, EveryFieldGoesInAndOut) {
  const std::string text = R"(apiServer:
  certSANs:
  - api.example
  extraArgs:
    v: "4"
  extraVolumes:
  - hostPath: /a
    mountPath: /b
    name: c
    readOnly: true
  timeoutForControlPlane: 5m0s
apiVersion: kubeadm.k8s.io/v1beta3
certificatesDir: /etc/kubernetes/pki
clusterName: lab
controlPlaneEndpoint: lb.example:6443
controllerManager:
  extraArgs:
    node-cidr-mask-size-ipv4: "25"
dns:
  imageTag: v1.11.0
etcd:
  local:
    dataDir: /data/etcd
    extraArgs:
      quota-backend-bytes: "1"
    serverCertSANs:
    - etcd.example
featureGates:
  PublicKeysECDSA: true
imageRepository: registry.example/k8s
kind: ClusterConfiguration
kubernetesVersion: v1.28.4
networking:
  dnsDomain: lab.local
  podSubnet: 10.244.0.0/16
  serviceSubnet: 10.0.0.0/16
scheduler: {}
)";
  FakeHost host;
  auto config = load_init_configuration(host, text, true);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(to_yaml(encode(config->cluster)), text);
  EXPECT_EQ(etcd_image(config->cluster), "registry.example/k8s/etcd:3.5.9-0");
  EXPECT_EQ(dns_image(config->cluster), "registry.example/k8s/coredns:v1.11.0");
  EXPECT_EQ(control_plane_url(config->cluster.control_plane_endpoint, config->local_endpoint), "https://lb.example:6443");
}

TEST(Config, UnknownFieldsWarnOrFailByStrictness) {
  const std::string text = std::string(kHead) + "kind: ClusterConfiguration\nnetworking:\n  podCIDR: x\n";
  FakeHost host;
  EXPECT_TRUE(load_init_configuration(host, text, false).ok());
  EXPECT_NE(host.err.find("strict decoding error: unknown field \"networking.podCIDR\""), std::string::npos) << host.err;
  auto strict = load_init_configuration(host, text, true);
  EXPECT_EQ(strict.status().message(),
            "error unmarshaling configuration schema.GroupVersionKind{Group:\"kubeadm.k8s.io\", Version:\"v1beta3\", Kind:\"ClusterConfiguration\"}: "
            "strict decoding error: unknown field \"networking.podCIDR\"");
}

TEST(Config, DocumentsThatCannotBe) {
  FakeHost host;
  auto message = [&](const std::string& text) { return std::string(load_init_configuration(host, text, false).status().message()); };
  EXPECT_EQ(message("apiVersion: v1\nkind: ConfigMap\n"), "no InitConfiguration or ClusterConfiguration kind was found in the YAML file");
  EXPECT_NE(message("apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\n").find("uses an old API spec"), std::string::npos);
  EXPECT_NE(message("kind: ClusterConfiguration\n").find("kind and apiVersion is mandatory"), std::string::npos);
  std::string twice = std::string(kHead) + "kind: ClusterConfiguration\n";
  EXPECT_NE(message(twice + "---\n" + twice).find("is specified twice"), std::string::npos);
}

TEST(Config, ValidationSpeaksAsUpstream) {
  FakeHost host;
  auto messages = [&](const std::string& rest) {
    return std::string(load_init_configuration(host, std::string(kHead) + "kind: ClusterConfiguration\nkubernetesVersion: v1.28.4\n" + rest, false).status().message());
  };
  EXPECT_EQ(messages("networking: {podSubnet: 10.0.0.0/30}\n"),
            "[networking.podSubnet: Invalid value: \"10.0.0.0/30\": subnet with 4 address(es) is too small, the minimum is 14, networking.podSubnet: Invalid value: "
            "\"10.0.0.0/30\": the size of pod subnet with mask 30 is smaller than the size of node subnet with mask 24]");
  EXPECT_EQ(messages("networking: {podSubnet: 10.0.0.0/4}\n"),
            "networking.podSubnet: Invalid value: \"0.0.0.0/4\": pod subnet mask (4) and node-mask (24) difference is greater than 16");
  EXPECT_EQ(messages("networking: {serviceSubnet: 10.0.0.0/8}\n"),
            "networking.serviceSubnet: Invalid value: \"10.0.0.0/8\": specified service subnet is too large; for 32-bit addresses, the mask must be >= 12");
  EXPECT_EQ(messages("certificatesDir: pki\n"), "certificatesDir: Invalid value: \"pki\": path is not absolute");
  EXPECT_EQ(messages("etcd: {local: {dataDir: /d}, external: {endpoints: [], caFile: '', certFile: '', keyFile: ''}}\n"),
            "etcd: Invalid value: \"\": .Etcd.Local and .Etcd.External are mutually exclusive");
}

TEST(Config, OldVersionsAreRefused) {
  FakeHost host;
  ClusterConfiguration cluster;
  cluster.kubernetes_version = "v1.26.9";
  EXPECT_EQ(normalize_version(host, cluster).message(),
            "this version of kubeadm only supports deploying clusters with the control plane version >= 1.27.0. Current version: v1.26.9");
  cluster.kubernetes_version = "next";
  EXPECT_EQ(normalize_version(host, cluster).message(), "version \"next\" doesn't match patterns for neither semantic version nor labels (stable, latest, ...)");
  cluster.kubernetes_version = "stable-1";
  EXPECT_TRUE(normalize_version(host, cluster).ok());
  EXPECT_EQ(cluster.kubernetes_version, "v1.28.4");
}

TEST(Config, JoinNeedsAWayToTrust) {
  FakeHost host;
  JoinConfiguration config;
  config.node.name = "w";
  config.node.cri_socket = "unix:///run/c.sock";
  config.ca_cert_path = "/etc/kubernetes/pki/ca.crt";
  EXPECT_EQ(aggregate(validate(config, host)).message(), "discovery: Invalid value: \"\": bootstrapToken or file must be set");
  Discovery::Token& token = config.discovery.bootstrap_token.emplace();
  token.token = config.discovery.tls_bootstrap_token = "abcdef.0123456789abcdef";
  token.api_server_endpoint = "192.0.2.1:6443";
  Status refused = aggregate(validate(config, host));
  EXPECT_TRUE(refused.is("Invalid"));
  EXPECT_NE(refused.message().find("using token-based discovery without caCertHashes can be unsafe"), std::string_view::npos);
  token.ca_cert_hashes = {"sha256:0"};
  EXPECT_TRUE(aggregate(validate(config, host)).ok());
}

TEST(Config, UsersKubeletDocumentKeepsItsValues) {
  FakeHost host;
  const std::string text = std::string(kHead) +
                           "kind: InitConfiguration\n---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: cgroupfs\n"
                           "syncFrequency: 90s\nclusterDomain: other.local\n";
  auto config = load_init_configuration(host, text, false);
  ASSERT_TRUE(config.ok()) << config.status().message();
  const json::Value& kubelet = config->cluster.kubelet.document;
  EXPECT_TRUE(config->cluster.kubelet.user_supplied);
  EXPECT_EQ(kubelet.at({"cgroupDriver"}).as_string(), "cgroupfs");
  EXPECT_EQ(kubelet.at({"syncFrequency"}).as_string(), "1m30s");
  EXPECT_NE(host.err.find("The recommended value for \"clusterDomain\" in \"KubeletConfiguration\" is: cluster.local; the provided value is: other.local"), std::string::npos);
}

TEST(Config, IgnoredChecks) {
  EXPECT_EQ(*ignored_checks({"Swap"}, {"Mem"}), (std::vector<std::string>{"mem", "swap"}));
  EXPECT_FALSE(ignored_checks({"all", "Swap"}, {}).ok());
}

}  // namespace
}  // namespace knarr::kubeadm
