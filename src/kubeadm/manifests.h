// SPDX-License-Identifier: Apache-2.0
// The static pods of a control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kubeadm/config.h"
#include "kubeadm/host.h"

namespace knarr::kubeadm {

// "--key=value" lines sorted by key, the second map winning over the first.
std::vector<std::string> argument_list(StringMap base, const StringMap& overrides);

// The authorizers of --authorization-mode: the user's, as far as they exist, else Node and RBAC.
std::string authorization_modes(const StringMap& api_server_args);
std::vector<std::string> api_server_command(const ClusterConfiguration& config, const ApiEndpoint& local);
std::vector<std::string> controller_manager_command(const ClusterConfiguration& config, bool external_ca);
std::vector<std::string> scheduler_command(const ClusterConfiguration& config);
// `members` are name and peer URL of the etcd members that there are; empty for the first one.
using EtcdMembers = std::vector<std::pair<std::string, std::string>>;
std::vector<std::string> etcd_command(const ClusterConfiguration& config, const ApiEndpoint& local, const std::string& node, const EtcdMembers& members);

// A v1 Pod as JSON. `component` is one of kube-apiserver, kube-controller-manager, kube-scheduler.
json::Value component_pod(const Host& host, const std::string& component, const ClusterConfiguration& config, const ApiEndpoint& local);
json::Value etcd_pod(const ClusterConfiguration& config, const ApiEndpoint& local, const std::string& node, const EtcdMembers& members);

// Patched by the files of `patches_dir` ("" = none) and written, mode 0600.
Status write_manifest(Host& host, const std::string& dir, const std::string& component, const json::Value& pod, const std::string& patches_dir);

// HTTP proxies of this process' environment, which the pods get too: (name, value), sorted.
std::vector<std::pair<std::string, std::string>> proxy_environment(const Host& host);

}  // namespace knarr::kubeadm
