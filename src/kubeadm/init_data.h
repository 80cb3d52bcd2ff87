// SPDX-License-Identifier: Apache-2.0
// What the phases of `kubeadm init` share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kubeadm/api.h"
#include "kubeadm/config.h"
#include "kubeadm/constants.h"
#include "kubeadm/host.h"
#include "pki/key_maker.h"

namespace knarr::kubeadm {

struct InitData {
  explicit InitData(Host& h) : host(h) {}
  Host& host;
  InitConfiguration config;
  bool dry_run = false, skip_token_print = false, upload_certs = false, skip_certificate_key_print = false, print_manifest = false;
  std::vector<std::string> ignored_checks;
  std::string dry_run_dir;                       // "" unless dry_run
  std::string kubeconfig_dir = kKubernetesDir, kubeconfig_path = kAdminConf;
  bool external_ca = false;
  pki::KeyMaker keys;                            // for certificates and kubeconfigs

  // Where things are written: the dry run's folder, or their place.
  std::string certificates_dir() const { return dry_run ? dry_run_dir : config.cluster.certificates_dir; }
  std::string manifests_dir() const { return dry_run ? dry_run_dir : kManifestsDir; }
  std::string kubelet_dir() const { return dry_run ? dry_run_dir : kKubeletDir; }
  std::string conf_dir() const { return dry_run ? dry_run_dir : kubeconfig_dir; }
  std::string admin_conf() const { return dry_run ? dry_run_dir + "/admin.conf" : kubeconfig_path; }
  // Connected at its first use.
  Result<Api*> api();

 private:
  std::unique_ptr<Api> api_;
};

}  // namespace knarr::kubeadm
