// SPDX-License-Identifier: Apache-2.0
// The kubelet's servers and certificates.
#include <fmt/core.h>

#include <cmath>
#include <limits>

#include "base/files.h"
#include "base/metrics_text.h"
#include "kubelet/kubelet_impl.h"
#include "kubelet/server/healthz.h"
#include "pki/pki.h"

namespace knarr::kubelet {
namespace {

std::string listen_address(const std::string& host, uint16_t port) {
  bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Status ensure_self_signed(const std::string& cert_file, const std::string& key_file, const std::string& node) {
  if (file_exists(cert_file) && file_exists(key_file)) return {};
  TRY_ASSIGN(pki::KeyPair pair, pki::issue_self_signed_serving(node, {}, Clock::real()));
  TRY(make_dirs(dir_name(cert_file), 0755));
  TRY(write_file(cert_file, pair.cert_pem, 0644));
  return write_file(key_file, pair.key_pem, 0600);
}

bool is_address(const std::string& text) { return text.find_first_not_of("0123456789.") == text.npos || text.find(':') != text.npos; }

}  // namespace

// Files that are given; else a pair that a signer of the cluster makes (connections fail until it has); else one of its own making.
Result<std::shared_ptr<net::TlsServerContext>> Kubelet::Impl::serving_tls() {
  net::TlsServerOptions tls;
  tls.cert_file = config.tls_cert_file;
  tls.key_file = config.tls_key_file;
  tls.client_ca_file = config.client_ca_file;
  if (tls.cert_file.empty() && config.server_tls_bootstrap) {
    tls.cert_file = tls.key_file = CertificateStore("kubelet-server", config.cert_dir, clock).current_path();
    tls.may_come_later = true;
  } else if (tls.cert_file.empty()) {
    tls.cert_file = config.cert_dir + "/kubelet.crt";
    tls.key_file = config.cert_dir + "/kubelet.key";
    TRY(ensure_self_signed(tls.cert_file, tls.key_file, config.node_name));
  }
  return net::make_tls_server_context(std::move(tls));
}

void Kubelet::Impl::start_rotations() {
  if (config.rotate_certificates) {
    CertificateRotation::Options options;
    options.signer = "kubernetes.io/kube-apiserver-client-kubelet";
    options.usages = client_usages();
    options.names = [name = config.node_name] { return std::optional(node_names(name)); };
    options.at_once = rotate_client_at_once;
    // Open connections go on under the old name until they are closed.
    options.changed = [api = &client] { api->transport().reconnect(); };
    CertificateStore store("kubelet-client", config.cert_dir, clock);
    client_rotation = std::make_unique<CertificateRotation>(client, executor, clock, std::move(store), std::move(options));
    client_rotation->start();
  }
  if (config.server_tls_bootstrap && config.serve) {
    CertificateRotation::Options options;
    options.signer = "kubernetes.io/kubelet-serving";
    options.usages = serving_usages();
    options.names = [this]() -> std::optional<pki::RequestedNames> {
      pki::RequestedNames names = node_names(config.node_name);
      for (const std::string& ip : context->host_ips) names.ip_addresses.push_back(ip);
      (is_address(config.node_name) ? names.ip_addresses : names.dns_names).push_back(config.node_name);
      return names;
    };
    CertificateStore store("kubelet-server", config.cert_dir, clock);
    serving_rotation = std::make_unique<CertificateRotation>(client, executor, clock, std::move(store), std::move(options));
    serving_rotation->start();
  }
}

Status Kubelet::Impl::serve_health() {
  if (config.healthz_port == 0) return {};
  healthz_server = make_healthz_server(executor);
  return healthz_server->listen(listen_address(config.healthz_address, config.healthz_port)).status();
}

Task<Status> Kubelet::Impl::serve() {
  CO_TRY(serve_health());
  KubeletServerOptions options;
  options.address = listen_address(config.address, config.port);
  options.root_dir = config.root_dir;
  options.node_name = config.node_name;
  auto tls = serving_tls();
  if (!tls.ok()) co_return tls.status().with_context("kubelet server certificate");
  options.tls = *tls;
  if (config.always_allow) {
    auth = make_always_allow_auth();
  } else {
    AuthOptions auth_options;
    auth_options.node_name = config.node_name;
    auth_options.anonymous = config.anonymous_auth;
    auth_options.x509 = !config.client_ca_file.empty();
    auth_options.webhook = config.webhook_auth;
    auth_options.token_ttl = config.token_ttl;
    auth_options.authorized_ttl = config.authorized_ttl;
    auth_options.unauthorized_ttl = config.unauthorized_ttl;
    auth = make_delegating_auth(client, clock, auth_options);
  }
  KubeletServerOptions read_only = options;
  server = make_kubelet_server(*this, *auth, executor, std::move(options));
  Status listening = server->listen().status();
  if (!listening.ok() || config.read_only_port == 0) co_return listening;
  read_only.address = listen_address(config.address, config.read_only_port);
  read_only.tls = nullptr;
  read_only.read_only = true;
  read_only_server = make_kubelet_server(*this, *auth, executor, std::move(read_only));
  co_return read_only_server->listen().status();
}

std::string Kubelet::Impl::metrics_text() {
  std::string out;
  auto ttl = [&out](std::string_view name, std::string_view help, const CertificateRotation* rotation) {
    if (rotation == nullptr) return;
    metrics::write_head(out, name, "gauge", help);
    std::optional<double> left = rotation->seconds_left();
    metrics::write_sample(out, name, "", left ? std::trunc(*left) : std::numeric_limits<double>::infinity());
  };
  auto failures = [&out](std::string_view name, std::string_view help, const CertificateRotation* rotation) {
    if (rotation == nullptr) return;
    metrics::write_head(out, name, "counter", help);
    metrics::write_sample(out, name, "", static_cast<double>(rotation->failures()));
  };
  ttl("kubelet_certificate_manager_client_ttl_seconds", "Seconds until the client certificate is over.", client_rotation.get());
  ttl("kubelet_certificate_manager_server_ttl_seconds", "Seconds until the serving certificate is over.", serving_rotation.get());
  failures("kubelet_certificate_manager_client_expiration_renew_errors", "Failed tries to renew the client certificate.", client_rotation.get());
  failures("kubelet_server_expiration_renew_errors", "Failed tries to renew the serving certificate.", serving_rotation.get());
  return out;
}

void Kubelet::rotate_client_at_once() { impl_->rotate_client_at_once = true; }

}  // namespace knarr::kubelet
