// SPDX-License-Identifier: Apache-2.0
// How a joining node comes to trust the cluster: cluster-info read by anyone, signed by the token, its CA pinned by hash; or a kubeconfig file.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/kubeconfig.h"
#include "kubeadm/api.h"
#include "kubeadm/config.h"

namespace knarr::kubeadm {

using Connector = std::function<Result<std::unique_ptr<Api>>(const client::ClusterAccess&)>;

// Address and CA of the cluster, with the credentials of the TLS bootstrap token (or those of the file). Waits up to the discovery timeout for an API
// server that does not answer yet and for the signature of the token.
Result<client::ClusterAccess> discover(Host& host, const Discovery& discovery, const Connector& connect);

// The kubeconfig text of a cluster-info ConfigMap whose signature by this token is right. NotFound when it is not signed by the token (yet).
Result<std::string> signed_kubeconfig(const json::Value& cluster_info, const std::string& token);
// Whether a certificate among `ca_pem` has one of these "sha256:<hex>" hashes.
Status check_pins(const std::string& ca_pem, const std::vector<std::string>& hashes);
Status check_hash_form(const std::vector<std::string>& hashes);

}  // namespace knarr::kubeadm
