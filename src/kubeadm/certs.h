// SPDX-License-Identifier: Apache-2.0
// The certificates and keys under /etc/kubernetes/pki: which there are, for whom, and how they come to be.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kubeadm/config.h"
#include "kubeadm/host.h"
#include "pki/key_maker.h"
#include "pki/pki.h"

namespace knarr::kubeadm {

enum class NamesFor { kNone, kApiServer, kEtcdServer, kEtcdPeer };

struct CertRecord {
  const char* name;          // of the phase: "etcd-server"
  const char* base_name;     // of the files: "etcd/server"
  const char* ca;            // name of the CA's record; "" for a CA
  const char* common_name;   // "" = the node's name
  const char* organization;  // or ""
  bool server, client;       // extended usages
  NamesFor names;
  const char* long_name;     // for help and `certs renew`
  bool is_ca() const { return *ca == '\0'; }
};
// CAs before what they sign.
std::span<const CertRecord> cert_records();
const CertRecord* find_cert(std::string_view name);

struct AlternativeNames {
  std::vector<std::string> dns, ips;   // without repetition; names sorted
};
Result<AlternativeNames> alternative_names(Host& host, NamesFor which, const InitConfiguration& config);
// Subject, names, usages and lifetime of a record for this configuration.
Result<pki::CertificateSpec> cert_spec(Host& host, const CertRecord& record, const InitConfiguration& config);
pki::KeyType key_type(const ClusterConfiguration& config);

// Certificate and key of `base_name`, both PEM. key_pem is empty when there is no key file.
struct LoadedCert {
  pki::KeyPair pair;
  pki::CertificateInfo info;
};
std::string cert_path(const std::string& dir, std::string_view base_name);
std::string key_path(const std::string& dir, std::string_view base_name);
Result<LoadedCert> load_cert(const Host& host, const std::string& dir, std::string_view base_name);
Status write_cert(Host& host, const std::string& dir, std::string_view base_name, const pki::KeyPair& pair);

// A leaf signed by this CA with kubeadm's lifetime (one year, beginning when the CA's does); its key in Go's form.
// RSA keys come from `keys` where there is one.
Result<pki::KeyPair> issue_leaf(Host& host, const pki::CertificateSpec& spec, const pki::KeyPair& ca, pki::KeyType type, pki::KeyMaker* keys = nullptr);

// The phases: existing files are checked and kept. `dir` is where files are written; `existing_dir` where they are looked for (they differ in a dry run).
Status ensure_cert(Host& host, const CertRecord& record, const InitConfiguration& config, const std::string& dir, const std::string& existing_dir,
                   pki::KeyMaker* keys = nullptr);
Status ensure_service_account_keys(Host& host, const ClusterConfiguration& config, const std::string& dir, pki::KeyMaker* keys = nullptr);

// Whether the CA's certificate is there and its key is not; then every certificate that kubeadm could not make must be there, or a failure.
struct ExternalCa {
  bool external = false;
  Status complete;
};
ExternalCa using_external_ca(Host& host, const std::string& dir);
ExternalCa using_external_front_proxy_ca(Host& host, const std::string& dir);

}  // namespace knarr::kubeadm
