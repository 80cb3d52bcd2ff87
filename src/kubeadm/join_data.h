// SPDX-License-Identifier: Apache-2.0
// What the phases of `kubeadm join` share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/kubeconfig.h"
#include "kubeadm/api.h"
#include "kubeadm/config.h"
#include "kubeadm/constants.h"
#include "kubeadm/phases.h"

namespace knarr::kubeadm {

struct JoinData {
  explicit JoinData(Host& h) : host(h) {}
  Host& host;
  JoinConfiguration config;
  std::vector<std::string> ignored_checks;
  bool dry_run = false;
  std::string dry_run_dir;

  std::string conf_dir() const { return dry_run ? dry_run_dir : kKubernetesDir; }
  std::string kubelet_dir() const { return dry_run ? dry_run_dir : kKubeletDir; }
  std::string manifests_dir() const { return dry_run ? dry_run_dir : kManifestsDir; }
  std::string certificate_key() const { return config.control_plane ? config.control_plane->certificate_key : ""; }

  // Found out at their first use; the second needs the first.
  Result<client::ClusterAccess*> bootstrap_access();
  Result<InitConfiguration*> cluster();

 private:
  std::optional<client::ClusterAccess> access_;
  std::optional<InitConfiguration> cluster_;
};

// The phases that only a further control plane has (control_plane_join.cc); they do nothing for a worker.
Status check_new_control_plane(JoinData& data);
Phase<JoinData> control_plane_prepare_phase();
Phase<JoinData> check_etcd_phase();
Phase<JoinData> control_plane_join_phase();

}  // namespace knarr::kubeadm
