// SPDX-License-Identifier: Apache-2.0
// kubeconfig files, and the HTTPS transport they describe.
#pragma once

#include <memory>
#include <string>

#include "client/client.h"

namespace knarr::client {

struct ClusterAccess {
  std::string server;                        // https://host:port[/prefix]
  std::string ca_pem, ca_file, tls_server_name;
  bool insecure_skip_tls_verify = false;
  std::string client_cert_pem, client_key_pem, client_cert_file, client_key_file;
  std::string token, token_file;             // a token file is read again each minute
  std::string username, password;
  std::string namespace_;                    // of the context
};

// The same server, without anybody's credentials.
ClusterAccess anonymous(const ClusterAccess& access);
Result<ClusterAccess> load_kubeconfig(const std::string& file, const std::string& context = {});
// The service account files of a pod.
Result<ClusterAccess> in_cluster_access();
// A kubeconfig of one cluster, one user and one context, in kubeadm's form.
std::string write_kubeconfig(const ClusterAccess& access, const std::string& cluster_name, const std::string& user_name);
std::string write_kubeconfig(const ClusterAccess& access, const std::string& cluster_name, const std::string& user_name, const std::string& context_name);
Result<std::shared_ptr<Transport>> make_https_transport(Executor executor, const ClusterAccess& access);

}  // namespace knarr::client
