// SPDX-License-Identifier: Apache-2.0
#include "cmd/cluster_files.h"

#include "base/files.h"
#include "client/kubeconfig.h"
#include "pki/pki.h"

namespace knarr::cmd {
namespace {

constexpr Duration kYear = std::chrono::hours(24 * 365);
constexpr mode_t kPrivate = 0600, kPublic = 0644;

class Maker {
 public:
  Maker(std::string dir, const Clock& clock) : dir_(std::move(dir)), clock_(clock) {}

  std::string cert_file(const std::string& name) const { return dir_ + "/" + name + ".crt"; }
  std::string key_file(const std::string& name) const { return dir_ + "/" + name + ".key"; }

  Result<pki::KeyPair> load(const std::string& name) const {
    pki::KeyPair pair;
    TRY_ASSIGN(pair.cert_pem, read_file(cert_file(name)));
    TRY_ASSIGN(pair.key_pem, read_file(key_file(name)));
    return pair;
  }

  // The pair as it is when it still serves: alive for a while, and for every name that is wanted now.
  Result<pki::KeyPair> ensure(const std::string& name, const pki::CertificateSpec& spec, const pki::KeyPair* issuer) const {
    if (Result<pki::KeyPair> present = load(name); present.ok() && still_serves(*present, spec)) return present;
    TRY_ASSIGN(pki::KeyPair made, pki::issue(spec, issuer, pki::KeyType::kEcdsaP256, clock_));
    TRY(write_file(key_file(name), made.key_pem, kPrivate));
    TRY(write_file(cert_file(name), made.cert_pem, kPublic));
    return made;
  }

 private:
  bool still_serves(const pki::KeyPair& pair, const pki::CertificateSpec& spec) const {
    Result<pki::CertificateInfo> info = pki::inspect(pair.cert_pem);
    if (!info.ok() || clock_.now() > info->not_after - spec.lifetime / 10) return false;
    auto covers = [](const std::vector<std::string>& have, const std::vector<std::string>& want) {
      for (const std::string& name : want)
        if (std::find(have.begin(), have.end(), name) == have.end()) return false;
      return true;
    };
    return info->common_name == spec.common_name && covers(info->dns_names, spec.dns_names) &&
           covers(info->ip_addresses, spec.ip_addresses) && covers(info->organizations, spec.organizations);
  }

  std::string dir_;
  const Clock& clock_;
};

pki::CertificateSpec ca_spec(const std::string& name) {
  pki::CertificateSpec spec;
  spec.common_name = name;
  spec.is_ca = true;
  spec.lifetime = 10 * kYear;
  return spec;
}

pki::CertificateSpec client_spec(const std::string& name, std::vector<std::string> organizations) {
  pki::CertificateSpec spec;
  spec.common_name = name;
  spec.organizations = std::move(organizations);
  spec.client_auth = true;
  spec.lifetime = kYear;
  return spec;
}

pki::CertificateSpec server_spec(const std::string& name, const ClusterFilesOptions& options) {
  pki::CertificateSpec spec;
  spec.common_name = name;
  spec.server_auth = true;
  spec.lifetime = kYear;
  spec.dns_names = {options.node_name, "localhost"};
  spec.ip_addresses = {"127.0.0.1", options.node_ip};
  return spec;
}

// Service account tokens are signed with RSA, which every OIDC verifier accepts without being told.
Status ensure_service_account_key(const std::string& key_file, const std::string& public_file) {
  if (file_exists(key_file) && file_exists(public_file)) return {};
  TRY_ASSIGN(std::string key, pki::generate_key(pki::KeyType::kRsa2048));
  TRY_ASSIGN(std::string public_key, pki::public_key_of(key));
  TRY(write_file(public_file, public_key, kPublic));
  return write_file(key_file, key, kPrivate);
}

}  // namespace

Result<ClusterFiles> prepare_cluster_files(const ClusterFilesOptions& options, const Clock& clock) {
  std::string dir = options.data_dir + "/pki";
  TRY(make_dirs(dir, 0700));
  Maker maker(dir, clock);
  TRY_ASSIGN(pki::KeyPair ca, maker.ensure("ca", ca_spec("kubernetes"), nullptr));
  TRY_ASSIGN(pki::KeyPair front_ca, maker.ensure("front-proxy-ca", ca_spec("front-proxy-ca"), nullptr));

  pki::CertificateSpec apiserver = server_spec("kube-apiserver", options);
  for (const char* name : {"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"})
    apiserver.dns_names.emplace_back(name);
  apiserver.ip_addresses.push_back(options.service_ip);
  TRY(maker.ensure("apiserver", apiserver, &ca).status());
  TRY(maker.ensure("apiserver-kubelet-client", client_spec("kube-apiserver-kubelet-client", {"system:masters"}), &ca).status());
  TRY(maker.ensure("front-proxy-client", client_spec("front-proxy-client", {}), &front_ca).status());
  pki::CertificateSpec kubelet = server_spec("system:node:" + options.node_name, options);
  kubelet.organizations = {"system:nodes"};
  TRY(maker.ensure("kubelet", kubelet, &ca).status());
  TRY_ASSIGN(pki::KeyPair admin, maker.ensure("admin", client_spec("kubernetes-admin", {"system:masters"}), &ca));

  ClusterFiles files;
  files.service_account_key = dir + "/sa.key";
  files.service_account_public_key = dir + "/sa.pub";
  TRY(ensure_service_account_key(files.service_account_key, files.service_account_public_key));
  files.ca_cert = maker.cert_file("ca");
  files.ca_key = maker.key_file("ca");
  files.apiserver_cert = maker.cert_file("apiserver");
  files.apiserver_key = maker.key_file("apiserver");
  files.kubelet_client_cert = maker.cert_file("apiserver-kubelet-client");
  files.kubelet_client_key = maker.key_file("apiserver-kubelet-client");
  files.kubelet_cert = maker.cert_file("kubelet");
  files.kubelet_key = maker.key_file("kubelet");
  files.front_proxy_ca_cert = maker.cert_file("front-proxy-ca");
  files.front_proxy_cert = maker.cert_file("front-proxy-client");
  files.front_proxy_key = maker.key_file("front-proxy-client");

  client::ClusterAccess access;
  access.server = options.server_url;
  access.ca_pem = ca.cert_pem;
  access.client_cert_pem = admin.cert_pem;
  access.client_key_pem = admin.key_pem;
  TRY(write_file(options.kubeconfig, client::write_kubeconfig(access, "knarr", "kubernetes-admin"), kPrivate));
  return files;
}

}  // namespace knarr::cmd
