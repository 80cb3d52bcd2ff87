// SPDX-License-Identifier: Apache-2.0
// The documents KubeletConfiguration and KubeProxyConfiguration: what kubeadm sets in them, warns about, and stores in the cluster.
#pragma once

#include <string>

#include "kubeadm/config.h"

namespace knarr::kubeadm {

inline constexpr char kKubeletGroup[] = "kubelet.config.k8s.io", kProxyGroup[] = "kubeproxy.config.k8s.io";

// A document with every field that Go's encoder writes even when it is zero, the user's laid over it. Durations get Go's spelling.
ComponentConfig kubelet_config_from(const json::Value* user);
ComponentConfig proxy_config_from(const json::Value* user);
void set_component_defaults(Host& host, ClusterConfiguration& cluster, const ApiEndpoint& local);
// "sha256:<hex>" over the ConfigMap's values in the order of their keys: kubeadm's mark on documents that it generated.
std::string config_map_checksum(const json::Value& config_map);

}  // namespace knarr::kubeadm
