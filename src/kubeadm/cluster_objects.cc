// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/cluster_objects.h"

#include "base/files.h"
#include "client/text.h"
#include "kubeadm/component_configs.h"
#include "kubeadm/constants.h"
#include "kubeadm/kubeconfigs.h"
#include "kubeadm/rbac.h"
#include "kubeadm/tokens.h"
#include "pki/formats.h"
#include "pki/pki.h"
#include "pki/secrets.h"
#include "schema/codec.h"

namespace knarr::kubeadm {
namespace {

constexpr char kSystem[] = "kube-system", kPublic[] = "kube-public", kCertsSecret[] = "kubeadm-certs";

// A ConfigMap's reader role and its binding to nodes, joined and joining. The order of the two groups is upstream's, which differs by place.
Status allow_reading(Host& host, Api& api, const std::string& name, const std::string& config_map, bool nodes_first) {
  TRY(create_or_update_patiently(host, api, make_role(kSystem, name, {"get"}, {"configmaps"}, {config_map}), "RBAC role"));
  Subject nodes{"Group", kNodesGroup, ""}, joining{"Group", kBootstrapGroup, ""};
  std::vector<Subject> subjects = nodes_first ? std::vector<Subject>{nodes, joining} : std::vector<Subject>{joining, nodes};
  return create_or_update_patiently(host, api, make_binding(kSystem, name, name, subjects), "RBAC rolebinding");
}

json::Value make_socket_patch(const json::Value&, const void* context) {
  json::Value patch = json::Value::object();
  patch["metadata"]["annotations"][kCriSocketAnnotation] = *static_cast<const std::string*>(context);
  return patch;
}

// Taints have no merge key in kubectl's eyes, but key and effect are theirs on the server: what the node has stays beside ours.
json::Value make_mark_patch(const json::Value& node, const void* context) {
  const auto& wanted = *static_cast<const std::vector<Taint>*>(context);
  json::Value patch = json::Value::object();
  patch["metadata"]["labels"][kControlPlaneLabel] = "";
  patch["metadata"]["labels"][kExcludeFromBalancersLabel] = "";
  json::Value taints = json::Value::array();
  for (const Taint& taint : wanted) {
    json::Value one = json::Value::object();
    one["effect"] = taint.effect;
    one["key"] = taint.key;
    if (!taint.value.empty()) one["value"] = taint.value;
    taints.push_back(std::move(one));
  }
  for (const json::Value& taint : node.at({"spec", "taints"}).items()) {
    bool known = false;
    for (const Taint& ours : wanted)
      known |= taint.at({"key"}).as_string() == ours.key && taint.at({"effect"}).as_string() == ours.effect && taint.at({"value"}).as_string() == ours.value;
    if (!known) taints.push_back(taint);
  }
  if (!taints.items().empty()) patch["spec"]["taints"] = std::move(taints);
  return patch;
}

// Name in the secret -> file.
std::vector<std::pair<std::string, std::string>> shared_files(const ClusterConfiguration& config, const std::string& dir) {
  std::vector<std::pair<std::string, std::string>> files = {
      {"ca.crt", dir + "/ca.crt"},   {"ca.key", dir + "/ca.key"}, {"front-proxy-ca.crt", dir + "/front-proxy-ca.crt"}, {"front-proxy-ca.key", dir + "/front-proxy-ca.key"},
      {"sa.pub", dir + "/sa.pub"}, {"sa.key", dir + "/sa.key"}};
  if (config.external_etcd) {
    files.emplace_back("external-etcd-ca.crt", config.external_etcd->ca_file);
    files.emplace_back("external-etcd.crt", config.external_etcd->cert_file);
    files.emplace_back("external-etcd.key", config.external_etcd->key_file);
  } else {
    files.emplace_back("etcd-ca.crt", dir + "/etcd/ca.crt");
    files.emplace_back("etcd-ca.key", dir + "/etcd/ca.key");
  }
  return files;
}

Status read_component_configs(Api& api, ClusterConfiguration& config) {
  struct Source {
    const char* map;
    const char* key;
    ComponentConfig* into;
    ComponentConfig (*make)(const json::Value*);
    bool required;
  };
  const Source sources[] = {{"kube-proxy", "config.conf", &config.proxy, proxy_config_from, false},
                            {"kubelet-config", "kubelet", &config.kubelet, kubelet_config_from, true}};
  for (const Source& source : sources) {
    auto map = api.get(std::string("/api/v1/namespaces/kube-system/configmaps/") + source.map);
    if (!map.ok()) {
      if (!source.required && (map.status().is("NotFound") || map.status().is("Forbidden"))) continue;
      return map.status().with_context(source.required ? "could not download the kubelet configuration from ConfigMap \"kubelet-config\"" : "failed to get component configs");
    }
    TRY_ASSIGN(std::string text, schema::yaml_to_json(map->at({"data", source.key}).as_string()));
    TRY_ASSIGN(json::Value document, json::parse(text));
    *source.into = source.make(&document);
    source.into->user_supplied = map->at({"metadata", "annotations", kConfigHashAnnotation}).as_string() != config_map_checksum(*map);
  }
  return {};
}

Status read_node_registration(Host& host, Api& api, InitConfiguration& config) {
  auto name = node_name_of_kubelet(host);
  if (!name.ok()) return name.status().with_context("failed to get node name from kubelet config");
  auto node = api.get("/api/v1/nodes/" + *name);
  if (!node.ok()) return node.status().with_context("failed to get corresponding node");
  const std::string& socket = node->at({"metadata", "annotations", kCriSocketAnnotation}).as_string();
  if (socket.empty()) return Status::error("node " + *name + " doesn't have " + kCriSocketAnnotation + " annotation");
  config.node.name = *name;
  config.node.cri_socket = socket;
  config.node.taints.emplace();
  for (const json::Value& taint : node->at({"spec", "taints"}).items())
    config.node.taints->push_back({taint.at({"key"}).as_string(), taint.at({"value"}).as_string(), taint.at({"effect"}).as_string()});
  return {};
}

Status read_local_endpoint(Host& host, Api& api, InitConfiguration& config) {
  const std::string path = "/api/v1/namespaces/kube-system/pods?fieldSelector=spec.nodeName%3D" + config.node.name + "&labelSelector=component%3Dkube-apiserver%2Ctier%3Dcontrol-plane";
  constexpr char kAnnotation[] = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";
  std::string text;
  // A pod that was just made is mirrored a moment later.
  Status found = retry(host, std::chrono::milliseconds(500), std::chrono::seconds(30), [&]() -> Status {
    auto pods = api.get(path);
    if (!pods.ok()) return pods.status().with_context("could not retrieve list of pods to determine api server endpoints");
    const auto& items = pods->at({"items"}).items();
    if (items.size() != 1)
      return Status::error("API server pod for node name " + quote(config.node.name) + " has " + std::to_string(items.size()) + " entries, only one was expected");
    text = items[0].at({"metadata", "annotations", kAnnotation}).as_string();
    return text.empty() ? Status::error("API server pod for node name " + quote(config.node.name) + " hasn't got a " + quote(kAnnotation) +
                                        " annotation, cannot retrieve API endpoint")
                        : Status();
  });
  TRY(found.with_context("failed to getAPIEndpoint: could not retrieve API endpoints for node " + quote(config.node.name) + " using pod annotations"));
  TRY_ASSIGN(HostPort endpoint, parse_host_port(text));
  config.local_endpoint.advertise_address = endpoint.host;
  if (!endpoint.port.empty()) config.local_endpoint.bind_port = std::stoi(endpoint.port);
  return {};
}

}  // namespace

Status upload_cluster_configuration(Host& host, Api& api, const ClusterConfiguration& config) {
  host.print("[upload-config] Storing the configuration used in ConfigMap \"kubeadm-config\" in the \"kube-system\" Namespace\n");
  json::Value map = make_object("v1", "ConfigMap", kSystem, "kubeadm-config");
  map["data"]["ClusterConfiguration"] = to_yaml(encode(config));
  TRY(create_or_update_patiently(host, api, map, "ConfigMap"));
  return allow_reading(host, api, "kubeadm:nodes-kubeadm-config", "kubeadm-config", false);
}

Status upload_kubelet_configuration(Host& host, Api& api, const ClusterConfiguration& config, const std::string&) {
  host.print("[kubelet] Creating a ConfigMap \"kubelet-config\" in namespace kube-system with the configuration for the kubelets in the cluster\n");
  json::Value map = make_object("v1", "ConfigMap", kSystem, "kubelet-config");
  map["data"]["kubelet"] = to_yaml(config.kubelet.document);
  if (!config.kubelet.user_supplied) map["metadata"]["annotations"][kConfigHashAnnotation] = config_map_checksum(map);
  TRY(create_or_update(api, map, "ConfigMap"));
  return allow_reading(host, api, "kubeadm:kubelet-config", "kubelet-config", true).with_context("error creating kubelet configuration configmap RBAC rules");
}

Status annotate_cri_socket(Host& host, Api& api, const std::string& node, const std::string& socket) {
  return patch_node(host, api, node, make_socket_patch, &socket);
}

Status mark_control_plane(Host& host, Api& api, const std::string& node, const std::vector<Taint>& taints) {
  host.print("[mark-control-plane] Marking the node " + node + " as control-plane by adding the labels: [" + kControlPlaneLabel + " " + kExcludeFromBalancersLabel + "]\n");
  std::vector<std::string> texts;
  for (const Taint& taint : taints) texts.push_back(taint.text());
  if (!texts.empty()) host.print("[mark-control-plane] Marking the node " + node + " as control-plane by adding the taints " + bracketed(texts) + "\n");
  return patch_node(host, api, node, make_mark_patch, &taints);
}

Status allow_nodes_to_join(Host& host, Api& api) {
  const std::vector<Subject> joining = {{"Group", kBootstrapGroup, ""}}, nodes = {{"Group", kNodesGroup, ""}};
  auto bind = [&](const char* name, const char* role, const std::vector<Subject>& subjects) {
    return create_or_update(api, make_binding("", name, role, subjects), "RBAC clusterrolebinding");
  };
  host.print("[bootstrap-token] Configured RBAC rules to allow Node Bootstrap tokens to get nodes\n");
  TRY(create_or_update(api, make_role("", "kubeadm:get-nodes", {"get"}, {"nodes"}, {}), "RBAC clusterrole")
          .with_context("error allowing bootstrap tokens to get Nodes"));
  TRY(bind("kubeadm:get-nodes", "kubeadm:get-nodes", joining).with_context("error allowing bootstrap tokens to get Nodes"));
  host.print("[bootstrap-token] Configured RBAC rules to allow Node Bootstrap tokens to post CSRs in order for nodes to get long term certificate credentials\n");
  TRY(bind("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", joining).with_context("error allowing bootstrap tokens to post CSRs"));
  host.print("[bootstrap-token] Configured RBAC rules to allow the csrapprover controller automatically approve CSRs from a Node Bootstrap Token\n");
  TRY(bind("kubeadm:node-autoapprove-bootstrap", "system:certificates.k8s.io:certificatesigningrequests:nodeclient", joining)
          .with_context("error auto-approving node bootstrap tokens"));
  host.print("[bootstrap-token] Configured RBAC rules to allow certificate rotation for all node client certificates in the cluster\n");
  return bind("kubeadm:node-autoapprove-certificate-rotation", "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", nodes);
}

Status publish_cluster_info(Host& host, Api& api, const std::string& admin_conf) {
  host.print("[bootstrap-token] Creating the \"cluster-info\" ConfigMap in the \"kube-public\" namespace\n");
  auto access = client::load_kubeconfig(admin_conf);
  if (!access.ok()) return access.status().with_context("failed to load admin kubeconfig");
  TRY_ASSIGN(std::string ca, cluster_ca(*access));
  json::Value config = json::Value::object(), cluster = json::Value::object();
  cluster["cluster"]["certificate-authority-data"] = client::base64_encode(ca);
  cluster["cluster"]["server"] = access->server;
  cluster["name"] = "";
  config["apiVersion"] = "v1";
  config["clusters"].push_back(std::move(cluster));
  config["contexts"] = nullptr;
  config["current-context"] = "";
  config["kind"] = "Config";
  config["preferences"] = json::Value::object();
  config["users"] = nullptr;
  json::Value map = make_object("v1", "ConfigMap", kPublic, "cluster-info");
  map["data"]["kubeconfig"] = to_yaml(config);
  TRY(create_or_update(api, map, "ConfigMap").with_context("error creating bootstrap ConfigMap"));
  constexpr char kRole[] = "kubeadm:bootstrap-signer-clusterinfo";
  TRY(create_or_update_patiently(host, api, make_role(kPublic, kRole, {"get"}, {"configmaps"}, {"cluster-info"}), "RBAC role")
          .with_context("error creating clusterinfo RBAC rules"));
  return create_or_update_patiently(host, api, make_binding(kPublic, kRole, kRole, {{"User", "system:anonymous", ""}}), "RBAC rolebinding")
      .with_context("error creating clusterinfo RBAC rules");
}

Result<std::string> generate_certificate_key() {
  TRY_ASSIGN(std::string bytes, pki::random_bytes(32));
  return pki::to_hex(bytes);
}

Status upload_certificates(Host& host, Api& api, const InitConfiguration& config, const std::string& dir, const std::string& key) {
  host.print("[upload-certs] Storing the certificates in Secret \"kubeadm-certs\" in the \"kube-system\" Namespace\n");
  auto bytes = pki::from_hex(key);
  if (!bytes.ok()) return bytes.status().with_context("error decoding certificate key");
  // A token of two hours owns the secret, so that it goes when the token does.
  BootstrapToken token;
  TRY_ASSIGN(token.token, generate_token());
  token.description = "Proxy for managing TTL for the kubeadm-certs secret";
  token.ttl = std::chrono::hours(2);
  TRY(store_tokens(host, api, {token}, true).with_context("error creating token"));
  auto owner = api.get(token_secret_path(token.id()));
  if (!owner.ok()) return owner.status().with_context("error to get token reference");
  json::Value secret = make_object("v1", "Secret", kSystem, kCertsSecret), reference = json::Value::object();
  reference["apiVersion"] = "v1";
  reference["blockOwnerDeletion"] = true;
  reference["controller"] = true;
  reference["kind"] = "Secret";
  reference["name"] = owner->at({"metadata", "name"}).as_string();
  reference["uid"] = owner->at({"metadata", "uid"}).as_string();
  secret["metadata"]["ownerReferences"].push_back(std::move(reference));
  for (const auto& [name, path] : shared_files(config.cluster, dir)) {
    secret["data"][name] = "";
    if (!host.exists(path)) continue;
    TRY_ASSIGN(std::string content, host.read_file(path));
    TRY_ASSIGN(std::string sealed, pki::seal(*bytes, content));
    secret["data"][name] = client::base64_encode(sealed);
  }
  TRY(create_or_update(api, secret, "secret"));
  constexpr char kRole[] = "kubeadm:kubeadm-certs";
  TRY(create_or_update_patiently(host, api, make_role(kSystem, kRole, {"get"}, {"secrets"}, {kCertsSecret}), "RBAC role"));
  return create_or_update_patiently(host, api, make_binding(kSystem, kRole, kRole, {{"Group", kBootstrapGroup, ""}}), "RBAC rolebinding");
}

Status download_certificates(Host& host, Api& api, const ClusterConfiguration& config, const std::string& key) {
  host.print("[download-certs] Downloading the certificates in Secret \"kubeadm-certs\" in the \"kube-system\" Namespace\n");
  auto bytes = pki::from_hex(key);
  if (!bytes.ok()) return bytes.status().with_context("error decoding certificate key");
  auto secret = api.get(std::string("/api/v1/namespaces/kube-system/secrets/") + kCertsSecret);
  if (!secret.ok()) {
    if (!secret.status().is("NotFound")) return secret.status().with_context("error downloading the secret");
    return Status::error("error downloading the secret: Secret \"kubeadm-certs\" was not found in the \"kube-system\" Namespace. This Secret might have expired. "
                         "Please, run `kubeadm init phase upload-certs --upload-certs` on a control plane to generate a new one");
  }
  host.print("[download-certs] Saving the certificates to the folder: " + quote(config.certificates_dir) + "\n");
  for (const auto& [name, path] : shared_files(config, config.certificates_dir)) {
    const json::Value* entry = secret->at({"data"}).find(name);
    if (entry == nullptr) return Status::error("the Secret does not include the required certificate or key - name: " + name + ", path: " + path);
    if (entry->as_string().empty()) continue;
    TRY_ASSIGN(std::string sealed, client::base64_decode(entry->as_string()));
    auto content = pki::open_sealed(*bytes, sealed);
    if (!content.ok()) return content.status().with_context("error decoding secret data with provided key");
    TRY(host.make_dirs(dir_name(path), 0755));
    TRY(host.write_file(path, *content, path.ends_with(".key") ? 0600 : 0644));
  }
  return {};
}

Result<std::string> node_name_of_kubelet(Host& host) {
  auto access = client::load_kubeconfig(kKubeletConf);
  if (!access.ok()) return access.status();
  std::string pem = access->client_cert_pem;
  if (pem.empty() && !access->client_cert_file.empty()) {
    TRY_ASSIGN(pem, host.read_file(access->client_cert_file));
  }
  if (pem.empty()) return Status::error(std::string("invalid kubeconfig file ") + kKubeletConf + ". x509 certificate expected");
  TRY_ASSIGN(pki::CertificateInfo info, pki::inspect(pem));
  constexpr std::string_view kPrefix = "system:node:";
  return info.common_name.starts_with(kPrefix) ? info.common_name.substr(kPrefix.size()) : info.common_name;
}

Result<InitConfiguration> fetch_configuration(Host& host, Api& api, const FetchOptions& options) {
  if (!options.quiet) {
    host.print("[" + options.prefix + "] Reading configuration from the cluster...\n");
    host.print("[" + options.prefix + "] FYI: You can look at this config file with 'kubectl -n kube-system get cm kubeadm-config -o yaml'\n");
  }
  auto map = api.get("/api/v1/namespaces/kube-system/configmaps/kubeadm-config");
  if (!map.ok()) return map.status().with_context("failed to get config map");
  InitConfiguration config;
  const json::Value* text = map->at({"data"}).find("ClusterConfiguration");
  if (text == nullptr) return Status::error("unexpected error when reading kubeadm-config ConfigMap: ClusterConfiguration key value pair missing");
  auto parsed = schema::yaml_to_json(text->as_string());
  if (!parsed.ok()) return parsed.status().with_context("failed to decode cluster configuration data");
  TRY_ASSIGN(json::Value document, json::parse(*parsed));
  std::vector<std::string> problems;
  decode(document, config.cluster, &problems);
  if (!problems.empty()) host.warn("strict decoding error: " + join(problems, ", "));
  set_defaults(config);
  set_defaults(config.cluster);
  if (!options.skip_component_configs) TRY(read_component_configs(api, config.cluster).with_context("failed to get component configs"));
  if (options.new_control_plane) {
    config.node.cri_socket = kUnknownSocket;
  } else {
    TRY(read_node_registration(host, api, config).with_context("failed to get node registration"));
    TRY(read_local_endpoint(host, api, config));
  }
  TRY(set_dynamic_defaults(host, config));
  return config;
}

}  // namespace knarr::kubeadm
