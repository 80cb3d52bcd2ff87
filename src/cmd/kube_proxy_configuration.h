// SPDX-License-Identifier: Apache-2.0
// Reading of kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration files.
#pragma once

#include <string>

#include "base/status.h"
#include "proxy/config.h"

namespace knarr::cmd {

struct KubeProxyFile {
  std::string kubeconfig;                // clientConnection.kubeconfig; "" = the service account of a pod
  std::string hostname_override;
};

// Overwrites what the file sets. Fields that knarr has no use for are passed over; a wrong kind or type is an error.
Result<KubeProxyFile> apply_kube_proxy_configuration(const std::string& file, proxy::ProxyConfig& config);

// "0.0.0.0" becomes "0.0.0.0:10256".
std::string with_port(const std::string& address, int port);

}  // namespace knarr::cmd
