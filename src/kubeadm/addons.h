// SPDX-License-Identifier: Apache-2.0
// The two addons that a cluster needs to be whole: DNS and kube-proxy.
#pragma once

#include <string>
#include <vector>

#include "kubeadm/api.h"
#include "kubeadm/config.h"

namespace knarr::kubeadm {

// Objects in the order in which they are made.
Result<std::vector<json::Value>> dns_objects(const ClusterConfiguration& config, int replicas);
std::vector<json::Value> proxy_objects(const Host& host, const ClusterConfiguration& config, const ApiEndpoint& local);
// Made or brought up to date. A Corefile that the user has changed stays.
Status apply_dns(Host& host, Api& api, const ClusterConfiguration& config);
Status apply_proxy(Host& host, Api& api, const ClusterConfiguration& config, const ApiEndpoint& local);

}  // namespace knarr::kubeadm
