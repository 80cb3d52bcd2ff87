// SPDX-License-Identifier: Apache-2.0
// Bootstrap tokens: secrets bootstrap-token-<id> of kube-system, and the join commands that hold them.
#pragma once

#include <string>
#include <vector>

#include "kubeadm/api.h"
#include "kubeadm/config.h"

namespace knarr::kubeadm {

json::Value token_secret(const BootstrapToken& token, WallTime now);
Result<BootstrapToken> token_of_secret(const json::Value& secret);
Result<std::string> generate_token();
// `must_be_new`: a token that exists is a failure.
Status store_tokens(Host& host, Api& api, const std::vector<BootstrapToken>& tokens, bool must_be_new);
inline std::string token_secret_path(const std::string& id) { return "/api/v1/namespaces/kube-system/secrets/bootstrap-token-" + id; }

struct JoinCommandOptions {
  std::string kubeconfig, token, certificate_key;
  bool control_plane = false, hide_token = false, hide_key = false;
};
Result<std::string> join_command(const JoinCommandOptions& options);

}  // namespace knarr::kubeadm
