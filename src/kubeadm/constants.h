// SPDX-License-Identifier: Apache-2.0
// Names, paths and ports that every cluster made by kubeadm v1.28 shares.
#pragma once

#include <string_view>

namespace knarr::kubeadm {

inline constexpr char kKubernetesDir[] = "/etc/kubernetes";
inline constexpr char kManifestsDir[] = "/etc/kubernetes/manifests";
inline constexpr char kCertificatesDir[] = "/etc/kubernetes/pki";
inline constexpr char kAdminConf[] = "/etc/kubernetes/admin.conf";
inline constexpr char kKubeletConf[] = "/etc/kubernetes/kubelet.conf";
inline constexpr char kBootstrapKubeletConf[] = "/etc/kubernetes/bootstrap-kubelet.conf";
inline constexpr char kKubeletDir[] = "/var/lib/kubelet";
inline constexpr char kEtcdDataDir[] = "/var/lib/etcd";

inline constexpr int kApiPort = 6443, kKubeletPort = 10250, kKubeletHealthPort = 10248;
inline constexpr int kControllerManagerPort = 10257, kSchedulerPort = 10259;
inline constexpr int kEtcdClientPort = 2379, kEtcdPeerPort = 2380, kEtcdMetricsPort = 2381;

inline constexpr char kEtcdVersion[] = "3.5.9-0";
inline constexpr char kCoreDnsVersion[] = "v1.10.1";
inline constexpr char kPauseVersion[] = "3.9";
inline constexpr char kMinimumControlPlaneVersion[] = "1.27.0";

inline constexpr char kDefaultRepository[] = "registry.k8s.io";
inline constexpr char kDefaultSocket[] = "unix:///var/run/containerd/containerd.sock";
inline constexpr char kUnknownSocket[] = "unix:///var/run/unknown.sock";

inline constexpr char kControlPlaneLabel[] = "node-role.kubernetes.io/control-plane";
inline constexpr char kExcludeFromBalancersLabel[] = "node.kubernetes.io/exclude-from-external-load-balancers";
inline constexpr char kCriSocketAnnotation[] = "kubeadm.alpha.kubernetes.io/cri-socket";
inline constexpr char kConfigHashAnnotation[] = "kubeadm.kubernetes.io/component-config.hash";
inline constexpr char kNodesGroup[] = "system:nodes";
inline constexpr char kMastersGroup[] = "system:masters";
inline constexpr char kBootstrapGroup[] = "system:bootstrappers:kubeadm:default-node-token";

inline constexpr char kApiVersion[] = "kubeadm.k8s.io/v1beta3";
inline constexpr char kTokenPattern[] = R"(\A([a-z0-9]{6})\.([a-z0-9]{16})\z)";
inline constexpr char kTokenIdPattern[] = R"(\A([a-z0-9]{6})\z)";

}  // namespace knarr::kubeadm
