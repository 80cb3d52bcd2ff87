// SPDX-License-Identifier: Apache-2.0
// How a kubelet comes by its identity: by its kubeconfig, or by a bootstrap kubeconfig (a token) that buys it a client certificate and the
// kubeconfig which names that.
#pragma once

#include <string>

#include "base/task.h"
#include "client/kubeconfig.h"

namespace knarr::kubelet {

struct IdentityOptions {
  std::string kubeconfig, bootstrap_kubeconfig;  // the second may be ""
  std::string cert_dir, node_name;
  bool rotate = false;
};

struct Identity {
  client::ClusterAccess access;
  bool rotate_at_once = false;  // the pair came from the kubeconfig; it is to be replaced by the kubelet's own
};

// Waits for the API server and for the approval as long as it takes. With `rotate` the pair is in the store and `access` names its link.
Task<Result<Identity>> establish_identity(Executor executor, IdentityOptions options);

// Whether a kubeconfig is there and its client certificate is good now.
bool is_kubeconfig_valid(const std::string& file, WallTime now);

}  // namespace knarr::kubelet
