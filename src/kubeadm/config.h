// SPDX-License-Identifier: Apache-2.0
// The configuration API kubeadm.k8s.io/v1beta3, as plain structs, and its way in: YAML documents, defaults, what is found out from the host,
// validation. Beside it travel the kubelet's and kube-proxy's own documents (component_configs.h), which stay JSON: kubeadm fills in a few fields.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kubeadm/host.h"
#include "kubeadm/text.h"
#include "schema/json.h"

namespace knarr::kubeadm {

using StringMap = std::map<std::string, std::string>;

struct Taint {
  std::string key, value, effect;
  std::string text() const { return key + (value.empty() ? "" : "=" + value) + ":" + effect; }
  bool operator==(const Taint&) const = default;
};

struct BootstrapToken {
  std::string token;                         // "abcdef.0123456789abcdef"
  std::string description;
  std::optional<Duration> ttl;               // 0: forever
  std::optional<WallTime> expires;
  std::vector<std::string> usages, groups;
  std::string id() const { return token.substr(0, token.find('.')); }
  std::string secret() const { return token.substr(token.find('.') + 1); }
};

struct NodeRegistration {
  std::string name, cri_socket;
  std::optional<std::vector<Taint>> taints;  // unset: the default; an empty list: none
  StringMap kubelet_extra_args;
  std::vector<std::string> ignore_preflight_errors;
  std::string image_pull_policy;
};

struct ApiEndpoint {
  std::string advertise_address;
  int bind_port = 0;
  std::string text() const { return join_host_port(advertise_address, std::to_string(bind_port)); }
};

struct HostPathMount {
  std::string name, host_path, mount_path, path_type;
  bool read_only = false;
};

struct ControlPlaneComponent {
  StringMap extra_args;
  std::vector<HostPathMount> extra_volumes;
};

struct ImageMeta {
  std::string repository, tag;
};

struct LocalEtcd {
  ImageMeta image;
  std::string data_dir;
  StringMap extra_args;
  std::vector<std::string> server_cert_sans, peer_cert_sans;
};

struct ExternalEtcd {
  std::vector<std::string> endpoints;
  std::string ca_file, cert_file, key_file;
};

// A document of another component, in its versioned JSON form with kind and apiVersion.
struct ComponentConfig {
  json::Value document;
  bool user_supplied = false;
};

struct ClusterConfiguration {
  std::optional<LocalEtcd> local_etcd;
  std::optional<ExternalEtcd> external_etcd;
  std::string service_subnet, pod_subnet, dns_domain;
  std::string kubernetes_version, control_plane_endpoint;
  ControlPlaneComponent api_server, controller_manager, scheduler;
  std::vector<std::string> cert_sans;
  std::optional<Duration> timeout_for_control_plane;
  ImageMeta dns;
  std::string certificates_dir, image_repository, cluster_name;
  std::map<std::string, bool> feature_gates;
  // Not part of the document:
  ComponentConfig kubelet, proxy;
};

struct InitConfiguration {
  std::vector<BootstrapToken> bootstrap_tokens;
  NodeRegistration node;
  ApiEndpoint local_endpoint;
  std::string certificate_key, patches_directory;
  std::vector<std::string> skip_phases;
  ClusterConfiguration cluster;
};

struct Discovery {
  struct Token {
    std::string token, api_server_endpoint;
    std::vector<std::string> ca_cert_hashes;
    bool unsafe_skip_ca_verification = false;
  };
  std::optional<Token> bootstrap_token;
  std::optional<std::string> file;           // a path or an https URL of a kubeconfig
  std::string tls_bootstrap_token;
  std::optional<Duration> timeout;
};

struct JoinControlPlane {
  ApiEndpoint local_endpoint;
  std::string certificate_key;
};

struct JoinConfiguration {
  NodeRegistration node;
  std::string ca_cert_path;
  Discovery discovery;
  std::optional<JoinControlPlane> control_plane;
  std::vector<std::string> skip_phases;
  std::string patches_directory;
};

// ---- documents (config_codec.cc)
// Values of unknown fields and of wrong types are reported by path into *problems; what can be read is read.
void decode(const json::Value& document, InitConfiguration& into, std::vector<std::string>* problems);
void decode(const json::Value& document, ClusterConfiguration& into, std::vector<std::string>* problems);
void decode(const json::Value& document, JoinConfiguration& into, std::vector<std::string>* problems);
json::Value encode(const InitConfiguration& config);     // without the cluster's part
json::Value encode(const ClusterConfiguration& config);
json::Value encode(const JoinConfiguration& config);
std::string to_yaml(const json::Value& document);        // keys sorted, as sigs.k8s.io/yaml

// ---- defaults (config_defaults.cc)
void set_defaults(InitConfiguration& config);            // without the cluster's part
void set_defaults(ClusterConfiguration& config);
void set_defaults(JoinConfiguration& config);
// What depends on the host: a random token, the node's name, the runtime's socket, the address, the component documents.
Status set_dynamic_defaults(Host& host, InitConfiguration& config);
Status set_dynamic_defaults(Host& host, JoinConfiguration& config);
Status set_node_defaults(Host& host, NodeRegistration& node, bool control_plane_taint);
// "stable-1" and the like become a version; there is no look-up on the internet that may fail: the program's own version stands in, as upstream's
// does where the internet is out of reach.
Status normalize_version(Host& host, ClusterConfiguration& config);
// The configuration that `config print` shows and help texts speak of.
InitConfiguration static_init_configuration(Host& host);

// ---- loading (config_load.cc)
Result<InitConfiguration> load_init_configuration(Host& host, std::string_view text, bool strict);
Result<JoinConfiguration> load_join_configuration(Host& host, std::string_view text, bool strict);
struct Document {
  std::string group, version, kind;
  json::Value value;
  std::vector<std::string> problems;         // duplicate keys
};
Result<std::vector<Document>> split_documents(std::string_view text);
// `kubeadm config validate` and `migrate`: every document must be known and strict.
Status validate_documents(Host& host, std::string_view text);
Result<std::string> migrate_documents(Host& host, std::string_view text);
std::string init_configuration_yaml(const InitConfiguration& config);

// ---- validation (config_validation.cc): empty when all is well, else messages like `networking.podSubnet: Invalid value: "x": couldn't parse subnet`
std::vector<std::string> validate(const InitConfiguration& config);
std::vector<std::string> validate(const ClusterConfiguration& config);
std::vector<std::string> validate(const JoinConfiguration& config, const Host& host);
// Upstream's aggregate: one message as it is, several as [a, b]. Reason "Invalid", which ends the program with code 3.
Status aggregate(const std::vector<std::string>& messages);
bool is_bootstrap_token(std::string_view text);
bool is_bootstrap_token_id(std::string_view text);
// `--ignore-preflight-errors` and its field, in lower case.
Result<std::vector<std::string>> ignored_checks(const std::vector<std::string>& flags, const std::vector<std::string>& fields);

// ---- derived
Result<std::string> dns_service_ip(const std::string& service_subnet);       // the tenth address
Result<std::string> kubernetes_service_ip(const std::string& service_subnet);  // the first
std::string control_plane_url(const std::string& control_plane_endpoint, const ApiEndpoint& local);
inline std::string local_url(const ApiEndpoint& local) { return "https://" + local.text(); }
std::string component_image(const ClusterConfiguration& config, std::string_view name);
std::string etcd_image(const ClusterConfiguration& config);
std::string dns_image(const ClusterConfiguration& config);
std::string pause_image(const ClusterConfiguration& config);
std::vector<std::string> control_plane_images(const ClusterConfiguration& config);

}  // namespace knarr::kubeadm
