// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/kubeconfigs.h"

#include "base/files.h"
#include "kubeadm/certs.h"
#include "kubeadm/constants.h"
#include "pki/formats.h"

namespace knarr::kubeadm {
namespace {

constexpr KubeconfigRecord kRecords[] = {
    {"admin", "admin.conf", "kubernetes-admin", kMastersGroup, false, "Generate a kubeconfig file for the admin to use and for kubeadm itself",
     "Generate the kubeconfig file for the admin and for kubeadm itself, and save it to admin.conf file.", "certificate embedded in the kubeconfig file for the admin to use and for kubeadm itself"},
    {"kubelet", "kubelet.conf", "", kNodesGroup, false, "Generate a kubeconfig file for the kubelet to use *only* for cluster bootstrapping purposes",
     "Generate the kubeconfig file for the kubelet to use and save it to kubelet.conf file.\n\nPlease note that this should *only* be used for cluster "
     "bootstrapping purposes. After your control plane is up,\nyou should request all kubelet credentials from the CSR API.", ""},
    {"controller-manager", "controller-manager.conf", "system:kube-controller-manager", "", true,
     "Generate a kubeconfig file for the controller manager to use",
     "Generate the kubeconfig file for the controller manager to use and save it to controller-manager.conf file", "certificate embedded in the kubeconfig file for the controller manager to use"},
    {"scheduler", "scheduler.conf", "system:kube-scheduler", "", true, "Generate a kubeconfig file for the scheduler to use",
     "Generate the kubeconfig file for the scheduler to use and save it to scheduler.conf file.", "certificate embedded in the kubeconfig file for the scheduler manager to use"},
};

// What is there may stay when it trusts the same CA.
Status check_existing(Host& host, const std::string& path, const std::string& ca_pem, const std::string& server) {
  auto access = client::load_kubeconfig(path);
  if (!access.ok()) return access.status().with_context("failed to load kubeconfig file " + path + " that already exists on disk");
  auto ca = cluster_ca(*access);
  if (!ca.ok() || trim_space(*ca) != trim_space(ca_pem)) return Status::error("a kubeconfig file " + quote(path) + " exists already but has got the wrong CA cert");
  if (access->server != server)
    host.warn("a kubeconfig file " + quote(path) + " exists already but has an unexpected API Server URL: expected: " + server + ", got: " + access->server);
  return {};
}

}  // namespace

std::span<const KubeconfigRecord> kubeconfig_records() { return kRecords; }

Result<std::string> cluster_ca(const client::ClusterAccess& access) {
  if (!access.ca_pem.empty() || access.ca_file.empty()) return access.ca_pem;
  return knarr::read_file(access.ca_file);
}

std::string default_server(const KubeconfigRecord& record, const InitConfiguration& config) {
  return record.local_server ? local_url(config.local_endpoint) : control_plane_url(config.cluster.control_plane_endpoint, config.local_endpoint);
}

Result<std::string> make_kubeconfig(Host&, const pki::KeyPair& ca, const std::string& server, const std::string& cluster_name,
                                    const std::string& user, const std::vector<std::string>& organizations, WallTime not_after, pki::KeyMaker* keys) {
  pki::CertificateSpec spec;
  spec.common_name = user;
  spec.organizations = organizations;
  spec.client_auth = true;
  if (keys != nullptr) {
    TRY_ASSIGN(spec.key_pem, keys->take());
  }
  TRY_ASSIGN(pki::CertificateInfo authority, pki::inspect(ca.cert_pem));
  TRY_ASSIGN(pki::KeyPair made, pki::issue_starting(spec, &ca, pki::KeyType::kRsa2048, authority.not_before, not_after));
  client::ClusterAccess access;
  access.server = server;
  access.ca_pem = ca.cert_pem;
  access.client_cert_pem = made.cert_pem;
  TRY_ASSIGN(access.client_key_pem, pki::traditional_key_pem(made.key_pem));
  return client::write_kubeconfig(access, cluster_name, user);
}

Status ensure_kubeconfig(Host& host, const KubeconfigRecord& record, const InitConfiguration& config, const std::string& certificates_dir,
                         const std::string& out_dir, pki::KeyMaker* keys) {
  if (!host.exists(cert_path(certificates_dir, "ca")) || !host.exists(key_path(certificates_dir, "ca")))
    return Status::error("the CA files do not exist, please run `kubeadm init phase certs ca` to generate it: failed to load " +
                         std::string(host.exists(cert_path(certificates_dir, "ca")) ? "key" : "certificate"));
  auto ca = load_cert(host, certificates_dir, "ca");
  if (!ca.ok()) return ca.status().with_context("couldn't create a kubeconfig; the CA files couldn't be loaded");
  std::string path = out_dir + "/" + record.file, server = default_server(record, config);
  if (host.exists(path)) {
    TRY(check_existing(host, path, ca->pair.cert_pem, server));
    host.print("[kubeconfig] Using existing kubeconfig file: " + quote(path) + "\n");
    return {};
  }
  std::string user = *record.user == '\0' ? "system:node:" + config.node.name : record.user;
  std::vector<std::string> organizations;
  if (*record.organization != '\0') organizations.emplace_back(record.organization);
  TRY_ASSIGN(std::string text, make_kubeconfig(host, ca->pair, server, config.cluster.cluster_name, user, organizations,
                                               host.clock().now() + std::chrono::hours(24 * 365), keys));
  host.print("[kubeconfig] Writing " + quote(record.file) + " kubeconfig file\n");
  TRY(host.make_dirs(out_dir, 0755));
  return host.write_file(path, text, 0600).with_context("failed to save kubeconfig file " + quote(path) + " on disk");
}

}  // namespace knarr::kubeadm
