// SPDX-License-Identifier: Apache-2.0
// What is not said: constants of v1beta3, then what the host tells.
#include "base/version.h"
#include "kubeadm/component_configs.h"
#include "kubeadm/config.h"
#include "kubeadm/constants.h"
#include "pki/secrets.h"

namespace knarr::kubeadm {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

void or_else(std::string& value, const char* fallback) {
  if (value.empty()) value = fallback;
}

void set_token_defaults(BootstrapToken& token) {
  if (!token.ttl) token.ttl = hours(24);
  if (token.usages.empty()) token.usages = {"signing", "authentication"};
  if (token.groups.empty()) token.groups = {kBootstrapGroup};
}

// "1.28.4" and "v1.28.4" are versions; "stable", "latest-1.28", "ci/..." are names of versions.
bool is_version_label(std::string_view text) {
  for (std::string_view prefix : {"stable", "latest"})
    if (text.starts_with(prefix)) return text.size() == prefix.size() || text[prefix.size()] == '-';
  return false;
}

Result<std::string> detect_socket(const Host& host) {
  static constexpr const char* kKnown[] = {kDefaultSocket, "unix:///var/run/crio/crio.sock", "unix:///var/run/cri-dockerd.sock"};
  std::vector<std::string> found;
  for (const char* socket : kKnown)
    if (host.is_socket(std::string(socket).substr(7))) found.emplace_back(socket);
  if (found.empty()) return std::string(kDefaultSocket);
  if (found.size() == 1) return found[0];
  return Status::error(
      "Found multiple CRI endpoints on the host. Please define which one do you wish to use by setting the 'criSocket' field in the kubeadm "
      "configuration file: " + join(found, ", "));
}

Status set_endpoint_defaults(Host& host, ApiEndpoint& endpoint) {
  std::string& address = endpoint.advertise_address;
  if (!address.empty() && !is_ip(address))
    return Status::error("couldn't use \"" + address + "\" as \"apiserver-advertise-address\", must be ipv4 or ipv6 address");
  bool unspecified = address == "0.0.0.0" || address == "::";
  if (!address.empty() && !unspecified) {
    address = canonical_ip(address);
    return {};
  }
  auto found = host.default_address();
  if (found.ok()) {
    address = *found;
    return {};
  }
  host.warn("WARNING: could not obtain a bind address for the API Server: " + std::string(found.status().message()) + "; using: 0.0.0.0");
  address = "0.0.0.0";
  return {};
}

}  // namespace

void set_defaults(InitConfiguration& config) {
  if (config.bootstrap_tokens.empty()) config.bootstrap_tokens.emplace_back();
  for (BootstrapToken& token : config.bootstrap_tokens) set_token_defaults(token);
  if (config.local_endpoint.bind_port == 0) config.local_endpoint.bind_port = kApiPort;
  or_else(config.node.image_pull_policy, "IfNotPresent");
}

void set_defaults(ClusterConfiguration& config) {
  or_else(config.kubernetes_version, "stable-1");
  or_else(config.service_subnet, "10.96.0.0/12");
  or_else(config.dns_domain, "cluster.local");
  or_else(config.certificates_dir, kCertificatesDir);
  or_else(config.image_repository, kDefaultRepository);
  or_else(config.cluster_name, "kubernetes");
  if (!config.local_etcd && !config.external_etcd) config.local_etcd.emplace();
  if (config.local_etcd) or_else(config.local_etcd->data_dir, kEtcdDataDir);
  if (!config.timeout_for_control_plane) config.timeout_for_control_plane = minutes(4);
}

void set_defaults(JoinConfiguration& config) {
  or_else(config.ca_cert_path, "/etc/kubernetes/pki/ca.crt");
  if (config.control_plane && config.control_plane->local_endpoint.bind_port == 0) config.control_plane->local_endpoint.bind_port = kApiPort;
  Discovery& discovery = config.discovery;
  if (discovery.tls_bootstrap_token.empty() && discovery.bootstrap_token) discovery.tls_bootstrap_token = discovery.bootstrap_token->token;
  if (!discovery.timeout) discovery.timeout = minutes(5);
  if (discovery.file && discovery.file->starts_with("file://")) discovery.file = discovery.file->substr(7);
  or_else(config.node.image_pull_policy, "IfNotPresent");
}

Status set_node_defaults(Host& host, NodeRegistration& node, bool control_plane_taint) {
  node.name = to_lower(trim_space(node.name.empty() ? host.host_name() : node.name));
  if (node.name.empty()) return Status::error("empty hostname is invalid");
  if (control_plane_taint && !node.taints) node.taints = {Taint{kControlPlaneLabel, "", "NoSchedule"}};
  if (node.cri_socket.empty()) {
    TRY_ASSIGN(node.cri_socket, detect_socket(host));
  } else if (!node.cri_socket.starts_with("unix")) {
    host.warn("Usage of CRI endpoints without URL scheme is deprecated and can cause kubelet errors in the future. Automatically prepending scheme "
              "\"unix\" to the \"criSocket\" with value " + quote(node.cri_socket) + ". Please update your configuration!");
    node.cri_socket = "unix://" + node.cri_socket;
  }
  return {};
}

Status normalize_version(Host& host, ClusterConfiguration& config) {
  std::string& version = config.kubernetes_version;
  if (parse_version(version)) {
    if (!version.starts_with("v")) version = "v" + version;
  } else if (is_version_label(version)) {
    host.info("no Kubernetes version is looked up on the internet; using the version of this program: " + std::string(kKubernetesVersion));
    version = kKubernetesVersion;
  } else {
    return Status::error("version " + quote(version) + " doesn't match patterns for neither semantic version nor labels (stable, latest, ...)");
  }
  if (compare(*parse_version(version), *parse_version(kMinimumControlPlaneVersion)) < 0)
    return Status::error(std::string("this version of kubeadm only supports deploying clusters with the control plane version >= ") +
                         kMinimumControlPlaneVersion + ". Current version: " + version);
  return {};
}

Status set_dynamic_defaults(Host& host, InitConfiguration& config) {
  for (BootstrapToken& token : config.bootstrap_tokens) {
    if (!token.token.empty()) continue;
    TRY_ASSIGN(std::string id, pki::random_token(6));
    TRY_ASSIGN(std::string secret, pki::random_token(16));
    token.token = id + "." + secret;
  }
  TRY(set_node_defaults(host, config.node, true));
  TRY(set_endpoint_defaults(host, config.local_endpoint));
  ClusterConfiguration& cluster = config.cluster;
  set_component_defaults(host, cluster, config.local_endpoint);
  TRY(normalize_version(host, cluster));
  if (!cluster.control_plane_endpoint.empty()) {
    TRY_ASSIGN(HostPort endpoint, parse_host_port(cluster.control_plane_endpoint));
    if (endpoint.port.empty()) cluster.control_plane_endpoint = join_host_port(endpoint.host, std::to_string(config.local_endpoint.bind_port));
  }
  for (std::string& name : cluster.cert_sans) name = to_lower(name);
  return {};
}

Status set_dynamic_defaults(Host& host, JoinConfiguration& config) {
  TRY(set_node_defaults(host, config.node, config.control_plane.has_value()));
  if (config.control_plane) TRY(set_endpoint_defaults(host, config.control_plane->local_endpoint));
  return {};
}

InitConfiguration static_init_configuration(Host& host) {
  InitConfiguration config;
  config.local_endpoint.advertise_address = "1.2.3.4";
  config.bootstrap_tokens.emplace_back().token = "abcdef.0123456789abcdef";
  config.node.cri_socket = kDefaultSocket;
  config.node.name = "node";
  config.cluster.kubernetes_version = "1.28.0";
  set_defaults(config);
  set_defaults(config.cluster);
  set_component_defaults(host, config.cluster, config.local_endpoint);
  return config;
}

// ---- derived -----------------------------------------------------------------------------------------------------------------

namespace {

// Of a dual-stack pair the first range counts.
Result<std::string> address_of(const std::string& service_subnet, uint64_t index) {
  TRY_ASSIGN(Cidr cidr, parse_cidr(split(service_subnet, ',')[0]));
  return nth_address(cidr, index);
}

std::string image(const std::string& repository, std::string_view name, std::string_view tag) {
  std::string clean(tag);
  for (char& c : clean)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_' && c != '.') c = '_';
  return repository + "/" + std::string(name) + ":" + clean;
}

}  // namespace

Result<std::string> dns_service_ip(const std::string& service_subnet) { return address_of(service_subnet, 10); }
Result<std::string> kubernetes_service_ip(const std::string& service_subnet) { return address_of(service_subnet, 1); }

std::string control_plane_url(const std::string& control_plane_endpoint, const ApiEndpoint& local) {
  if (control_plane_endpoint.empty()) return local_url(local);
  auto endpoint = parse_host_port(control_plane_endpoint);
  if (!endpoint.ok()) return "https://" + control_plane_endpoint;
  return "https://" + join_host_port(endpoint->host, endpoint->port.empty() ? std::to_string(local.bind_port) : endpoint->port);
}

std::string component_image(const ClusterConfiguration& config, std::string_view name) {
  return image(config.image_repository, name, config.kubernetes_version);
}
std::string etcd_image(const ClusterConfiguration& config) {
  const ImageMeta own = config.local_etcd ? config.local_etcd->image : ImageMeta();
  return image(own.repository.empty() ? config.image_repository : own.repository, "etcd", own.tag.empty() ? kEtcdVersion : own.tag);
}
std::string dns_image(const ClusterConfiguration& config) {
  std::string repository = config.dns.repository.empty() ? config.image_repository : config.dns.repository;
  if (repository == kDefaultRepository) repository += "/coredns";
  return image(repository, "coredns", config.dns.tag.empty() ? kCoreDnsVersion : config.dns.tag);
}
std::string pause_image(const ClusterConfiguration& config) { return image(config.image_repository, "pause", kPauseVersion); }

std::vector<std::string> control_plane_images(const ClusterConfiguration& config) {
  std::vector<std::string> images;
  for (const char* name : {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}) images.push_back(component_image(config, name));
  images.push_back(pause_image(config));
  if (config.local_etcd) images.push_back(etcd_image(config));
  images.push_back(dns_image(config));
  return images;
}

}  // namespace knarr::kubeadm
