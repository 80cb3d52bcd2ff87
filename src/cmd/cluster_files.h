// SPDX-License-Identifier: Apache-2.0
// The certificates, keys and kubeconfigs of a one-node cluster, under one data directory. Made once, found as they were afterwards; a certificate that has
// less than a tenth of its life left is issued anew from the same CA.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace knarr::cmd {

struct ClusterFilesOptions {
  std::string data_dir;
  std::string node_name, node_ip;
  std::string service_ip;          // of the `kubernetes` Service
  std::string server_url;          // for the administrator's kubeconfig
  std::string kubeconfig;          // where that goes
};

struct ClusterFiles {
  std::string ca_cert, ca_key;
  std::string apiserver_cert, apiserver_key;
  std::string kubelet_client_cert, kubelet_client_key;   // API server to kubelet
  std::string kubelet_cert, kubelet_key;                 // kubelet's server
  std::string front_proxy_ca_cert, front_proxy_cert, front_proxy_key;
  std::string service_account_key, service_account_public_key;
};

Result<ClusterFiles> prepare_cluster_files(const ClusterFilesOptions& options, const Clock& clock);

}  // namespace knarr::cmd
