// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/certs.h"

#include <algorithm>

#include "base/files.h"
#include "kubeadm/constants.h"
#include "pki/formats.h"

namespace knarr::kubeadm {
namespace {

constexpr auto kYear = std::chrono::hours(24 * 365);
constexpr auto kBackdate = std::chrono::minutes(5);

constexpr CertRecord kRecords[] = {
    {"ca", "ca", "", "kubernetes", "", false, false, NamesFor::kNone,
     "self-signed Kubernetes CA to provision identities for other Kubernetes components"},
    {"apiserver", "apiserver", "ca", "kube-apiserver", "", true, false, NamesFor::kApiServer, "certificate for serving the Kubernetes API"},
    {"apiserver-kubelet-client", "apiserver-kubelet-client", "ca", "kube-apiserver-kubelet-client", kMastersGroup, false, true, NamesFor::kNone,
     "certificate for the API server to connect to kubelet"},
    {"front-proxy-ca", "front-proxy-ca", "", "front-proxy-ca", "", false, false, NamesFor::kNone,
     "self-signed CA to provision identities for front proxy"},
    {"front-proxy-client", "front-proxy-client", "front-proxy-ca", "front-proxy-client", "", false, true, NamesFor::kNone,
     "certificate for the front proxy client"},
    {"etcd-ca", "etcd/ca", "", "etcd-ca", "", false, false, NamesFor::kNone, "self-signed CA to provision identities for etcd"},
    {"etcd-server", "etcd/server", "etcd-ca", "", "", true, true, NamesFor::kEtcdServer, "certificate for serving etcd"},
    {"etcd-peer", "etcd/peer", "etcd-ca", "", "", true, true, NamesFor::kEtcdPeer, "certificate for etcd nodes to communicate with each other"},
    {"etcd-healthcheck-client", "etcd/healthcheck-client", "etcd-ca", "kube-etcd-healthcheck-client", kMastersGroup, false, true, NamesFor::kNone,
     "certificate for liveness probes to healthcheck etcd"},
    {"apiserver-etcd-client", "apiserver-etcd-client", "etcd-ca", "kube-apiserver-etcd-client", kMastersGroup, false, true, NamesFor::kNone,
     "certificate the apiserver uses to access etcd"},
};

void add_names(Host& host, AlternativeNames& to, const std::vector<std::string>& more, const char* certificate) {
  for (const std::string& name : more) {
    if (is_ip(name)) to.ips.push_back(canonical_ip(name));
    else if (is_dns_subdomain(name) || is_wildcard_dns(name)) to.dns.push_back(name);
    else
      host.warn("[certificates] WARNING: '" + name + "' was not added to the '" + certificate +
                "' SAN, because it is not a valid IP or RFC-1123 compliant DNS entry");
  }
}

// Warns of a certificate outside its lifetime; upstream goes on with it all the same.
void check_period(Host& host, std::string_view base_name, const pki::CertificateInfo& info) {
  WallTime now = host.clock().now();
  std::string period = "NotBefore: " + format_rfc3339(info.not_before) + ", NotAfter: " + format_rfc3339(info.not_after);
  std::string why;
  if (now < info.not_before) why = "the certificate is not valid yet: " + period;
  if (now > info.not_after) why = "the certificate has expired: " + period;
  if (!why.empty()) host.warn("WARNING: could not validate bounds for certificate " + std::string(base_name) + ": " + why);
}

Status keep_existing_ca(Host& host, const CertRecord& record, const std::string& dir, const std::string& existing_dir, const LoadedCert& existing) {
  check_period(host, record.base_name, existing.info);
  bool has_key = !existing.pair.key_pem.empty();
  if (dir != existing_dir) {
    TRY(host.make_dirs(dir_name(cert_path(dir, record.base_name)), 0755));
    TRY(host.write_file(cert_path(dir, record.base_name), existing.pair.cert_pem, 0644));
    if (has_key) TRY(host.write_file(key_path(dir, record.base_name), existing.pair.key_pem, 0600));
  }
  host.print(std::string("[certs] Using existing ") + record.base_name + (has_key ? "" : " keyless") + " certificate authority\n");
  return {};
}

Result<std::string> private_key(pki::KeyType type, pki::KeyMaker* keys) {
  return keys != nullptr && type == pki::KeyType::kRsa2048 ? keys->take() : pki::generate_key(type);
}

Status make_ca(Host& host, const CertRecord& record, const InitConfiguration& config, const std::string& dir, pki::KeyMaker* keys) {
  pki::CertificateSpec spec;
  spec.common_name = record.common_name;
  spec.dns_names = {record.common_name};
  spec.is_ca = true;
  TRY_ASSIGN(spec.key_pem, private_key(key_type(config.cluster), keys));
  WallTime now = host.clock().now();
  TRY_ASSIGN(pki::KeyPair made, pki::issue_starting(spec, nullptr, key_type(config.cluster), now - kBackdate, now + kYear * 10));
  TRY_ASSIGN(made.key_pem, pki::traditional_key_pem(made.key_pem));
  host.print("[certs] Generating " + quote(record.base_name) + " certificate and key\n");
  return write_cert(host, dir, record.base_name, made).with_context("failure while saving " + std::string(record.base_name) + " certificate and key");
}

Status make_leaf(Host& host, const CertRecord& record, const InitConfiguration& config, const std::string& dir, pki::KeyMaker* keys) {
  const CertRecord& authority = *find_cert(record.ca);
  if (!host.exists(cert_path(dir, authority.base_name)) && !host.exists(key_path(dir, authority.base_name)))
    return Status::error("couldn't load CA certificate " + std::string(authority.name) + ": couldn't load " + authority.base_name +
                         " certificate authority from " + dir);
  auto ca = load_cert(host, dir, authority.base_name);
  if (!ca.ok()) return ca.status().with_context("couldn't load CA certificate " + std::string(authority.name));
  if (ca->pair.key_pem.empty())
    return Status::error("couldn't load CA certificate " + std::string(authority.name) + ": failure loading " + authority.base_name +
                         " certificate authority: failed to load key: couldn't load the private key file " + key_path(dir, authority.base_name));
  TRY_ASSIGN(pki::CertificateSpec spec, cert_spec(host, record, config));
  TRY_ASSIGN(pki::KeyPair made, issue_leaf(host, spec, ca->pair, key_type(config.cluster), keys));
  host.print("[certs] Generating " + quote(record.base_name) + " certificate and key\n");
  TRY(write_cert(host, dir, record.base_name, made).with_context("failed to write or validate certificate " + quote(record.name)));
  if (record.server)
    host.print(std::string("[certs] ") + record.base_name + " serving cert is signed for DNS names " + bracketed(spec.dns_names) + " and IPs " +
               bracketed(spec.ip_addresses) + "\n");
  return {};
}

Status check_signed(Host& host, const std::string& dir, const LoadedCert& ca, std::string_view base_name, const std::string& shown) {
  if (!host.exists(key_path(dir, base_name)))
    return Status::error("failure loading key for " + std::string(base_name) + ": couldn't load the private key file " + key_path(dir, base_name));
  auto leaf = load_cert(host, dir, base_name);
  if (!leaf.ok()) return leaf.status().with_context("failure loading certificate for " + shown);
  return pki::verify_signed_by(leaf->pair.cert_pem, ca.pair.cert_pem).with_context("certificate " + shown + " is not signed by corresponding CA");
}

ExternalCa external(Host& host, const std::string& dir, const char* ca_name, std::initializer_list<std::pair<const char*, const char*>> leaves) {
  ExternalCa result;
  auto ca = load_cert(host, dir, ca_name);
  if (!ca.ok() || !ca->info.is_ca || host.exists(key_path(dir, ca_name))) return result;
  result.external = true;
  for (const auto& [base_name, shown] : leaves) {
    result.complete = check_signed(host, dir, *ca, base_name, shown);
    if (!result.complete.ok()) break;
  }
  return result;
}

}  // namespace

std::span<const CertRecord> cert_records() { return kRecords; }

const CertRecord* find_cert(std::string_view name) {
  for (const CertRecord& record : kRecords)
    if (record.name == name) return &record;
  return nullptr;
}

pki::KeyType key_type(const ClusterConfiguration& config) {
  auto gate = config.feature_gates.find("PublicKeysECDSA");
  return gate != config.feature_gates.end() && gate->second ? pki::KeyType::kEcdsaP256 : pki::KeyType::kRsa2048;
}

Result<AlternativeNames> alternative_names(Host& host, NamesFor which, const InitConfiguration& config) {
  AlternativeNames names;
  const ClusterConfiguration& cluster = config.cluster;
  const std::string& address = config.local_endpoint.advertise_address;
  if (which != NamesFor::kNone && !is_ip(address))
    return Status::error("error parsing LocalAPIEndpoint AdvertiseAddress " + address + ": is not a valid textual representation of an IP address");
  if (which == NamesFor::kApiServer) {
    auto service = kubernetes_service_ip(cluster.service_subnet);
    if (!service.ok()) return service.status().with_context("unable to get first IP address from the given CIDR: " + cluster.service_subnet);
    names.dns = {config.node.name, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + cluster.dns_domain};
    names.ips = {*service, address};
    if (!cluster.control_plane_endpoint.empty()) {
      auto endpoint = parse_host_port(cluster.control_plane_endpoint);
      if (!endpoint.ok()) return endpoint.status().with_context("error parsing cluster controlPlaneEndpoint " + quote(cluster.control_plane_endpoint));
      (is_ip(endpoint->host) ? names.ips : names.dns).push_back(endpoint->host);
    }
    add_names(host, names, cluster.cert_sans, "apiserver.crt");
  } else if (which != NamesFor::kNone) {
    names.dns = {config.node.name, "localhost"};
    names.ips = {address, "127.0.0.1", "::1"};
    bool server = which == NamesFor::kEtcdServer;
    if (cluster.local_etcd)
      add_names(host, names, server ? cluster.local_etcd->server_cert_sans : cluster.local_etcd->peer_cert_sans, server ? "etcd/server.crt" : "etcd/peer.crt");
  }
  std::sort(names.dns.begin(), names.dns.end());
  names.dns.erase(std::unique(names.dns.begin(), names.dns.end()), names.dns.end());
  std::vector<std::string> distinct;
  for (const std::string& ip : names.ips)
    if (!contains(distinct, canonical_ip(ip))) distinct.push_back(canonical_ip(ip));
  names.ips = std::move(distinct);
  return names;
}

Result<pki::CertificateSpec> cert_spec(Host& host, const CertRecord& record, const InitConfiguration& config) {
  pki::CertificateSpec spec;
  spec.common_name = *record.common_name == '\0' ? config.node.name : record.common_name;
  if (*record.organization != '\0') spec.organizations = {record.organization};
  spec.server_auth = record.server;
  spec.client_auth = record.client;
  TRY_ASSIGN(AlternativeNames names, alternative_names(host, record.names, config));
  spec.dns_names = std::move(names.dns);
  spec.ip_addresses = std::move(names.ips);
  return spec;
}

std::string cert_path(const std::string& dir, std::string_view base_name) { return dir + "/" + std::string(base_name) + ".crt"; }
std::string key_path(const std::string& dir, std::string_view base_name) { return dir + "/" + std::string(base_name) + ".key"; }

Result<LoadedCert> load_cert(const Host& host, const std::string& dir, std::string_view base_name) {
  std::string path = cert_path(dir, base_name);
  auto pem = host.read_file(path);
  if (!pem.ok()) return pem.status().with_context("couldn't load the certificate file " + path);
  LoadedCert loaded;
  auto info = pki::inspect(*pem);
  if (!info.ok())
    return Status::error("couldn't load the certificate file " + path + ": error reading " + path + ": data does not contain any valid RSA or ECDSA certificates");
  loaded.info = *info;
  loaded.pair.cert_pem = *pem;
  if (auto key = host.read_file(key_path(dir, base_name)); key.ok()) loaded.pair.key_pem = *key;
  return loaded;
}

Status write_cert(Host& host, const std::string& dir, std::string_view base_name, const pki::KeyPair& pair) {
  TRY(host.make_dirs(dir_name(key_path(dir, base_name)), 0755));
  TRY(host.write_file(key_path(dir, base_name), pair.key_pem, 0600).with_context("couldn't write key"));
  return host.write_file(cert_path(dir, base_name), pair.cert_pem, 0644);
}

Result<pki::KeyPair> issue_leaf(Host& host, const pki::CertificateSpec& spec, const pki::KeyPair& ca, pki::KeyType type, pki::KeyMaker* keys) {
  TRY_ASSIGN(pki::CertificateInfo authority, pki::inspect(ca.cert_pem));
  pki::CertificateSpec with_key = spec;
  TRY_ASSIGN(with_key.key_pem, private_key(type, keys));
  TRY_ASSIGN(pki::KeyPair made, pki::issue_starting(with_key, &ca, type, authority.not_before, host.clock().now() + kYear));
  TRY_ASSIGN(made.key_pem, pki::traditional_key_pem(made.key_pem));
  return made;
}

Status ensure_cert(Host& host, const CertRecord& record, const InitConfiguration& config, const std::string& dir, const std::string& existing_dir,
                   pki::KeyMaker* keys) {
  bool of_etcd = std::string_view(record.name) == "etcd-ca" || std::string_view(record.ca) == "etcd-ca";
  if (config.cluster.external_etcd && of_etcd) {
    host.print(std::string("[certs] External etcd mode: Skipping ") + record.base_name + (record.is_ca() ? " certificate authority" : " certificate") + " generation\n");
    return {};
  }
  auto existing = load_cert(host, existing_dir, record.base_name);
  if (!existing.ok()) return record.is_ca() ? make_ca(host, record, config, dir, keys) : make_leaf(host, record, config, dir, keys);
  if (record.is_ca()) return keep_existing_ca(host, record, dir, existing_dir, *existing);
  check_period(host, record.base_name, existing->info);
  const CertRecord& authority = *find_cert(record.ca);
  auto ca = load_cert(host, existing_dir, authority.base_name);
  if (!ca.ok()) return ca.status().with_context("couldn't load CA certificate " + std::string(authority.name));
  check_period(host, authority.base_name, ca->info);
  TRY(pki::verify_signed_by(existing->pair.cert_pem, ca->pair.cert_pem)
          .with_context("[certs] certificate " + std::string(record.base_name) + " not signed by CA certificate " + authority.base_name));
  host.print(std::string("[certs] Using existing ") + record.base_name + " certificate and key on disk\n");
  return {};
}

Status ensure_service_account_keys(Host& host, const ClusterConfiguration& config, const std::string& dir, pki::KeyMaker* keys) {
  if (host.exists(dir + "/sa.key")) {
    TRY_ASSIGN(std::string existing, host.read_file(dir + "/sa.key"));
    TRY(pki::public_key_of(existing).status().with_context("file sa.key existed but it could not be loaded properly"));
    host.print("[certs] Using the existing \"sa\" key\n");
    return {};
  }
  TRY_ASSIGN(std::string key, private_key(key_type(config), keys));
  TRY_ASSIGN(std::string public_key, pki::public_key_of(key));
  TRY_ASSIGN(std::string written, pki::traditional_key_pem(key));
  host.print("[certs] Generating \"sa\" key and public key\n");
  TRY(host.make_dirs(dir, 0755));
  TRY(host.write_file(dir + "/sa.key", written, 0600));
  return host.write_file(dir + "/sa.pub", public_key, 0600);
}

ExternalCa using_external_ca(Host& host, const std::string& dir) {
  return external(host, dir, "ca", {{"apiserver", "API server"}, {"apiserver-kubelet-client", "API server kubelet client"}});
}
ExternalCa using_external_front_proxy_ca(Host& host, const std::string& dir) {
  return external(host, dir, "front-proxy-ca", {{"front-proxy-client", "front-proxy client"}});
}

}  // namespace knarr::kubeadm
