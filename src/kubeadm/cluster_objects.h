// SPDX-License-Identifier: Apache-2.0
// What kubeadm keeps in the cluster: its configuration, the kubelet's, cluster-info, the rules for joining nodes, certificates to copy.
#pragma once

#include <string>

#include "kubeadm/api.h"
#include "kubeadm/config.h"

namespace knarr::kubeadm {

Status upload_cluster_configuration(Host& host, Api& api, const ClusterConfiguration& config);
Status upload_kubelet_configuration(Host& host, Api& api, const ClusterConfiguration& config, const std::string& patches_dir);
Status annotate_cri_socket(Host& host, Api& api, const std::string& node, const std::string& socket);
Status mark_control_plane(Host& host, Api& api, const std::string& node, const std::vector<Taint>& taints);
// Bindings by which nodes with a bootstrap token get their certificates.
Status allow_nodes_to_join(Host& host, Api& api);
Status publish_cluster_info(Host& host, Api& api, const std::string& admin_conf);

// The certificates that further control planes share, sealed with a key (64 hex digits) in Secret kubeadm-certs.
Result<std::string> generate_certificate_key();
Status upload_certificates(Host& host, Api& api, const InitConfiguration& config, const std::string& dir, const std::string& key);
Status download_certificates(Host& host, Api& api, const ClusterConfiguration& config, const std::string& key);

// The configuration that the cluster was made with. `prefix` names the asking command in what is printed.
struct FetchOptions {
  std::string prefix;
  bool new_control_plane = false;    // no node of this host yet
  bool skip_component_configs = false;
  bool quiet = false;
};
Result<InitConfiguration> fetch_configuration(Host& host, Api& api, const FetchOptions& options);
// Of the certificate in kubelet.conf: system:node:<name>.
Result<std::string> node_name_of_kubelet(Host& host);

}  // namespace knarr::kubeadm
