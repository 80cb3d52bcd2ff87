// SPDX-License-Identifier: Apache-2.0
#include "kubelet/certificate/bootstrap.h"

#include <unistd.h>

#include "base/files.h"
#include "base/log.h"
#include "kubelet/certificate/signing.h"
#include "kubelet/certificate/store.h"

namespace knarr::kubelet {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kSigner = "kubernetes.io/kube-apiserver-client-kubelet";
constexpr Duration kPatience = 1h, kFirstRetry = 1s, kLastRetry = 32s;

// The key is kept until it has a certificate, so that a kubelet that is started again asks for the same request.
Result<std::string> load_or_make_key(const CertificateStore& store, const std::string& file) {
  if (auto pair = store.current()) return pair->key_pem;
  if (auto kept = read_file(file); kept.ok() && pki::public_key_of(*kept).ok()) return *kept;
  TRY_ASSIGN(std::string key, pki::generate_ec_key());
  TRY(make_dirs(dir_name(file), 0755));
  TRY(write_file(file, key, 0600));
  return key;
}

Status write_node_kubeconfig(const client::ClusterAccess& bootstrap, const std::string& pair_file, const std::string& file) {
  client::ClusterAccess access = client::anonymous(bootstrap);
  access.client_cert_file = access.client_key_file = pair_file;
  access.namespace_ = "default";
  TRY(make_dirs(dir_name(file), 0755));
  return write_file(file, client::write_kubeconfig(access, "default-cluster", "default-auth", "default-context"), 0600);
}

Task<Status> bootstrap(Executor executor, const IdentityOptions* options) {
  log_info("Using the bootstrap kubeconfig to request a client certificate", {{"file", options->bootstrap_kubeconfig}});
  auto access = client::load_kubeconfig(options->bootstrap_kubeconfig);
  if (!access.ok()) co_return access.status().with_context("unable to load bootstrap kubeconfig");
  auto transport = client::make_https_transport(executor, *access);
  if (!transport.ok()) co_return transport.status();
  client::Client client(std::move(*transport), "kubelet");
  CertificateStore store("kubelet-client", options->cert_dir, Clock::real());
  std::string key_file = options->cert_dir + "/kubelet-client.key.tmp";
  auto key = load_or_make_key(store, key_file);
  if (!key.ok()) co_return key.status();
  WantedCertificate wanted;
  wanted.signer = kSigner;
  wanted.names = node_names(options->node_name);
  wanted.usages = client_usages();
  CO_TRY_ASSIGN(wanted.name, pki::digested_request_name(*key, wanted.names, wanted.usages));
  for (Duration retry = kFirstRetry;; retry = std::min(retry * 2, kLastRetry)) {
    WantedCertificate copy = wanted;
    std::string key_pem = *key;
    Duration patience = kPatience;
    auto certificate = co_await obtain_certificate(&client, executor, std::move(copy), std::move(key_pem), patience);
    if (certificate.ok()) {
      CO_TRY(store.update({*certificate, *key}));
      break;
    }
    // A server that is not there yet is waited for; one that refuses is believed.
    bool unreachable = certificate.status().code() == 503 || certificate.status().code() == 504;
    if (!unreachable) co_return certificate.status().with_context("failed to run Kubelet");
    log_warning("Waiting for the API server", {{"err", certificate.status().message()}});
    co_await sleep_for(retry);
  }
  ::unlink(key_file.c_str());
  co_return write_node_kubeconfig(*access, store.current_path(), options->kubeconfig);
}

// The certificate that a kubeconfig carries or names.
Result<pki::KeyPair> pair_of(const client::ClusterAccess& access) {
  pki::KeyPair pair{access.client_cert_pem, access.client_key_pem};
  if (pair.cert_pem.empty() && !access.client_cert_file.empty()) {
    TRY_ASSIGN(pair.cert_pem, read_file(access.client_cert_file));
  }
  if (pair.key_pem.empty() && !access.client_key_file.empty()) {
    TRY_ASSIGN(pair.key_pem, read_file(access.client_key_file));
  }
  pair.cert_pem = pem_blocks(pair.cert_pem, "CERTIFICATE");
  pair.key_pem = pem_blocks(pair.key_pem, "PRIVATE KEY");
  return pair;
}

bool is_good(const std::string& cert_pem, WallTime now) {
  auto info = pki::inspect(cert_pem);
  return info.ok() && now <= info->not_after;
}

}  // namespace

bool is_kubeconfig_valid(const std::string& file, WallTime now) {
  if (!file_exists(file)) return false;
  auto access = client::load_kubeconfig(file);
  if (!access.ok()) return false;
  auto pair = pair_of(*access);
  return pair.ok() && is_good(pair->cert_pem, now);
}

Task<Result<Identity>> establish_identity(Executor executor, IdentityOptions options) {
  if (!options.bootstrap_kubeconfig.empty() && !is_kubeconfig_valid(options.kubeconfig, Clock::real().now())) {
    Status status = co_await bootstrap(executor, &options);
    if (!status.ok()) co_return status;
  }
  Identity identity;
  auto access = client::load_kubeconfig(options.kubeconfig);
  if (!access.ok()) co_return access.status();
  identity.access = std::move(*access);
  if (!options.rotate) co_return identity;
  CertificateStore store("kubelet-client", options.cert_dir, Clock::real());
  auto current = store.current();
  if (!current || !is_good(current->cert_pem, Clock::real().now())) {
    auto given = pair_of(identity.access);
    if (!given.ok()) co_return given.status();
    if (given->cert_pem.empty()) co_return identity;  // a token or the like: nothing to rotate
    CO_TRY(store.update(*given));
    identity.rotate_at_once = true;
  }
  identity.access.client_cert_pem.clear();
  identity.access.client_key_pem.clear();
  identity.access.client_cert_file = identity.access.client_key_file = store.current_path();
  co_return identity;
}

}  // namespace knarr::kubelet
