// SPDX-License-Identifier: Apache-2.0
// kubeconfig files with a client certificate of their own: admin.conf, kubelet.conf, controller-manager.conf, scheduler.conf.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kubeadm/config.h"
#include "kubeadm/host.h"
#include "pki/key_maker.h"
#include "pki/pki.h"
#include "client/kubeconfig.h"

namespace knarr::kubeadm {

struct KubeconfigRecord {
  const char* name;          // of the phase: "admin"
  const char* file;          // "admin.conf"
  const char* user;          // common name; "" = system:node:<node>
  const char* organization;  // or ""
  bool local_server;         // speaks to the API server of its own host, whatever the shared endpoint
  const char* short_help;
  const char* long_help;
  const char* renew_name;    // for `certs renew`, "" when not renewed there (the kubelet renews its own)
};
std::span<const KubeconfigRecord> kubeconfig_records();

// Text of such a kubeconfig, its certificate valid until `not_after` (default: a year).
Result<std::string> make_kubeconfig(Host& host, const pki::KeyPair& ca, const std::string& server, const std::string& cluster_name,
                                    const std::string& user, const std::vector<std::string>& organizations, WallTime not_after, pki::KeyMaker* keys = nullptr);
// The phase: keeps a file that fits the CA, refuses one that does not.
Status ensure_kubeconfig(Host& host, const KubeconfigRecord& record, const InitConfiguration& config, const std::string& certificates_dir,
                         const std::string& out_dir, pki::KeyMaker* keys = nullptr);
std::string default_server(const KubeconfigRecord& record, const InitConfiguration& config);
// The CA of a kubeconfig's current cluster, from its data or its file.
Result<std::string> cluster_ca(const client::ClusterAccess& access);

}  // namespace knarr::kubeadm
