// SPDX-License-Identifier: Apache-2.0
// The documents of kubeadm.k8s.io/v1beta3, read and written. What Go's encoder leaves out when empty is left out.
#include "kubeadm/config.h"
#include "kubeadm/constants.h"
#include "schema/codec.h"

namespace knarr::kubeadm {
namespace {

// One object being read: remembers which members it was asked for, and reports the others when it goes.
class Reader {
 public:
  Reader(const json::Value* object, std::string path, std::vector<std::string>* problems)
      : object_(object), path_(std::move(path)), problems_(problems) {
    if (object_ != nullptr && !object_->is_object()) {
      if (!object_->is_null()) report("expected an object");
      object_ = nullptr;
    }
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() {
    if (object_ == nullptr || problems_ == nullptr) return;
    for (const auto& [name, value] : object_->members())
      if (!contains(seen_, name)) problems_->push_back("unknown field " + quote(at(name)));
  }

  bool present() const { return object_ != nullptr; }
  std::string at(std::string_view name) const { return path_.empty() ? std::string(name) : path_ + "." + std::string(name); }
  const json::Value* take(std::string_view name) {
    if (object_ == nullptr) return nullptr;
    seen_.emplace_back(name);
    const json::Value* value = object_->find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  bool has(std::string_view name) { return take(name) != nullptr; }
  void text(std::string_view name, std::string& to) {
    if (const json::Value* value = take(name)) {
      if (value->is_string()) to = value->as_string();
      else wrong(name, "a string");
    }
  }
  void number(std::string_view name, int& to) {
    if (const json::Value* value = take(name)) {
      if (value->is_int()) to = static_cast<int>(value->as_int());
      else wrong(name, "a number");
    }
  }
  void flag(std::string_view name, bool& to) {
    if (const json::Value* value = take(name)) {
      if (value->is_bool()) to = value->as_bool();
      else wrong(name, "a boolean");
    }
  }
  void texts(std::string_view name, std::vector<std::string>& to) {
    const json::Value* value = take(name);
    if (value == nullptr) return;
    if (!value->is_array()) return wrong(name, "a list");
    for (const json::Value& item : value->items()) {
      if (item.is_string()) to.push_back(item.as_string());
      else wrong(name, "a list of strings");
    }
  }
  void map(std::string_view name, StringMap& to) {
    const json::Value* value = take(name);
    if (value == nullptr) return;
    if (!value->is_object()) return wrong(name, "an object");
    for (const auto& [key, item] : value->members()) {
      if (item.is_string()) to[key] = item.as_string();
      else wrong(std::string(name) + "." + key, "a string");
    }
  }
  void duration(std::string_view name, std::optional<Duration>& to) {
    std::string written;
    text(name, written);
    if (written.empty()) return;
    auto parsed = parse_duration(written);
    if (parsed.ok()) to = *parsed;
    else report(std::string(parsed.status().message()));
  }
  void type_meta() {
    take("apiVersion");
    take("kind");
  }
  void report(std::string problem) {
    if (problems_ != nullptr) problems_->push_back(std::move(problem));
  }
  std::vector<std::string>* problems() const { return problems_; }

 private:
  void wrong(std::string_view name, std::string_view wanted) { report(at(name) + ": expected " + std::string(wanted)); }
  const json::Value* object_;
  std::string path_;
  std::vector<std::string>* problems_;
  std::vector<std::string> seen_;
};

// Reads the items of a list of objects.
template <class T>
void read_list(Reader& from, std::string_view name, std::vector<T>& to, void (*read)(Reader&, T&)) {
  const json::Value* list = from.take(name);
  if (list == nullptr) return;
  if (!list->is_array()) return from.report(from.at(name) + ": expected a list");
  for (size_t i = 0; i < list->items().size(); ++i) {
    Reader item(&list->items()[i], from.at(name) + "[" + std::to_string(i) + "]", from.problems());
    read(item, to.emplace_back());
  }
}

void read_taint(Reader& from, Taint& to) {
  from.text("key", to.key);
  from.text("value", to.value);
  from.text("effect", to.effect);
  from.take("timeAdded");
}

void read_token(Reader& from, BootstrapToken& to) {
  from.text("token", to.token);
  from.text("description", to.description);
  from.duration("ttl", to.ttl);
  std::string expires;
  from.text("expires", expires);
  if (!expires.empty()) {
    auto time = parse_rfc3339(expires);
    if (time.ok()) to.expires = *time;
    else from.report(std::string(time.status().message()));
  }
  from.texts("usages", to.usages);
  from.texts("groups", to.groups);
}

void read_mount(Reader& from, HostPathMount& to) {
  from.text("name", to.name);
  from.text("hostPath", to.host_path);
  from.text("mountPath", to.mount_path);
  from.flag("readOnly", to.read_only);
  from.text("pathType", to.path_type);
}

void read_component_fields(Reader& from, ControlPlaneComponent& to) {
  from.map("extraArgs", to.extra_args);
  read_list(from, "extraVolumes", to.extra_volumes, read_mount);
}

void read_component(Reader& parent, std::string_view name, ControlPlaneComponent& to) {
  Reader from(parent.take(name), parent.at(name), parent.problems());
  read_component_fields(from, to);
}

void read_node(Reader& parent, NodeRegistration& to) {
  Reader from(parent.take("nodeRegistration"), parent.at("nodeRegistration"), parent.problems());
  from.text("name", to.name);
  from.text("criSocket", to.cri_socket);
  if (from.has("taints")) {
    to.taints.emplace();
    read_list(from, "taints", *to.taints, read_taint);
  }
  from.map("kubeletExtraArgs", to.kubelet_extra_args);
  from.texts("ignorePreflightErrors", to.ignore_preflight_errors);
  from.text("imagePullPolicy", to.image_pull_policy);
}

void read_endpoint(Reader& parent, ApiEndpoint& to) {
  Reader from(parent.take("localAPIEndpoint"), parent.at("localAPIEndpoint"), parent.problems());
  from.text("advertiseAddress", to.advertise_address);
  from.number("bindPort", to.bind_port);
}

void read_patches(Reader& parent, std::string& directory) {
  Reader from(parent.take("patches"), parent.at("patches"), parent.problems());
  from.text("directory", directory);
}

void read_image(Reader& from, ImageMeta& to) {
  from.text("imageRepository", to.repository);
  from.text("imageTag", to.tag);
}

void read_etcd(Reader& parent, ClusterConfiguration& to) {
  Reader etcd(parent.take("etcd"), parent.at("etcd"), parent.problems());
  if (const json::Value* local = etcd.take("local")) {
    Reader from(local, etcd.at("local"), parent.problems());
    LocalEtcd& made = to.local_etcd.emplace();
    read_image(from, made.image);
    from.text("dataDir", made.data_dir);
    from.map("extraArgs", made.extra_args);
    from.texts("serverCertSANs", made.server_cert_sans);
    from.texts("peerCertSANs", made.peer_cert_sans);
  }
  if (const json::Value* external = etcd.take("external")) {
    Reader from(external, etcd.at("external"), parent.problems());
    ExternalEtcd& made = to.external_etcd.emplace();
    from.texts("endpoints", made.endpoints);
    from.text("caFile", made.ca_file);
    from.text("certFile", made.cert_file);
    from.text("keyFile", made.key_file);
  }
}

// ---- writing -----------------------------------------------------------------------------------------------------------------

void put(json::Value& object, std::string_view name, const std::string& value) {
  if (!value.empty()) object[name] = value;
}
void put(json::Value& object, std::string_view name, const std::vector<std::string>& list) {
  if (list.empty()) return;
  for (const std::string& item : list) object[name].push_back(item);
}
void put(json::Value& object, std::string_view name, const StringMap& map) {
  if (map.empty()) return;
  for (const auto& [key, value] : map) object[name][key] = value;
}
void put(json::Value& object, std::string_view name, const std::optional<Duration>& duration) {
  if (duration) object[name] = format_duration(*duration);
}

json::Value write_node(const NodeRegistration& node) {
  json::Value object = json::Value::object();
  put(object, "criSocket", node.cri_socket);
  put(object, "ignorePreflightErrors", node.ignore_preflight_errors);
  put(object, "imagePullPolicy", node.image_pull_policy);
  put(object, "kubeletExtraArgs", node.kubelet_extra_args);
  put(object, "name", node.name);
  object["taints"] = nullptr;
  if (node.taints) {
    object["taints"] = json::Value::array();
    for (const Taint& taint : *node.taints) {
      json::Value one = json::Value::object();
      one["effect"] = taint.effect;
      one["key"] = taint.key;
      put(one, "value", taint.value);
      object["taints"].push_back(std::move(one));
    }
  }
  return object;
}

json::Value write_endpoint(const ApiEndpoint& endpoint) {
  json::Value object = json::Value::object();
  put(object, "advertiseAddress", endpoint.advertise_address);
  if (endpoint.bind_port != 0) object["bindPort"] = endpoint.bind_port;
  return object;
}

json::Value write_component(const ControlPlaneComponent& component) {
  json::Value object = json::Value::object();
  put(object, "extraArgs", component.extra_args);
  for (const HostPathMount& mount : component.extra_volumes) {
    json::Value one = json::Value::object();
    one["hostPath"] = mount.host_path;
    one["mountPath"] = mount.mount_path;
    one["name"] = mount.name;
    put(one, "pathType", mount.path_type);
    if (mount.read_only) one["readOnly"] = true;
    object["extraVolumes"].push_back(std::move(one));
  }
  return object;
}

json::Value write_etcd(const ClusterConfiguration& config) {
  json::Value object = json::Value::object();
  if (config.local_etcd) {
    json::Value local = json::Value::object();
    local["dataDir"] = config.local_etcd->data_dir;
    put(local, "extraArgs", config.local_etcd->extra_args);
    put(local, "imageRepository", config.local_etcd->image.repository);
    put(local, "imageTag", config.local_etcd->image.tag);
    put(local, "peerCertSANs", config.local_etcd->peer_cert_sans);
    put(local, "serverCertSANs", config.local_etcd->server_cert_sans);
    object["local"] = std::move(local);
  }
  if (config.external_etcd) {
    json::Value external = json::Value::object();
    external["caFile"] = config.external_etcd->ca_file;
    external["certFile"] = config.external_etcd->cert_file;
    external["endpoints"] = json::Value::array();
    put(external, "endpoints", config.external_etcd->endpoints);
    external["keyFile"] = config.external_etcd->key_file;
    object["external"] = std::move(external);
  }
  return object;
}

json::Value document(std::string_view kind) {
  json::Value object = json::Value::object();
  object["apiVersion"] = kApiVersion;
  object["kind"] = kind;
  return object;
}

}  // namespace

void decode(const json::Value& document, InitConfiguration& into, std::vector<std::string>* problems) {
  Reader from(&document, "", problems);
  from.type_meta();
  read_list(from, "bootstrapTokens", into.bootstrap_tokens, read_token);
  read_node(from, into.node);
  read_endpoint(from, into.local_endpoint);
  from.text("certificateKey", into.certificate_key);
  from.texts("skipPhases", into.skip_phases);
  read_patches(from, into.patches_directory);
}

void decode(const json::Value& document, ClusterConfiguration& into, std::vector<std::string>* problems) {
  Reader from(&document, "", problems);
  from.type_meta();
  read_etcd(from, into);
  {
    Reader networking(from.take("networking"), "networking", problems);
    networking.text("serviceSubnet", into.service_subnet);
    networking.text("podSubnet", into.pod_subnet);
    networking.text("dnsDomain", into.dns_domain);
  }
  from.text("kubernetesVersion", into.kubernetes_version);
  from.text("controlPlaneEndpoint", into.control_plane_endpoint);
  {
    Reader api_server(from.take("apiServer"), "apiServer", problems);
    read_component_fields(api_server, into.api_server);
    api_server.texts("certSANs", into.cert_sans);
    api_server.duration("timeoutForControlPlane", into.timeout_for_control_plane);
  }
  read_component(from, "controllerManager", into.controller_manager);
  read_component(from, "scheduler", into.scheduler);
  {
    Reader dns(from.take("dns"), "dns", problems);
    read_image(dns, into.dns);
  }
  from.text("certificatesDir", into.certificates_dir);
  from.text("imageRepository", into.image_repository);
  if (const json::Value* gates = from.take("featureGates"))
    for (const auto& [name, value] : gates->members()) into.feature_gates[name] = value.as_bool();
  from.text("clusterName", into.cluster_name);
}

void decode(const json::Value& document, JoinConfiguration& into, std::vector<std::string>* problems) {
  Reader from(&document, "", problems);
  from.type_meta();
  read_node(from, into.node);
  from.text("caCertPath", into.ca_cert_path);
  {
    Reader discovery(from.take("discovery"), "discovery", problems);
    if (const json::Value* token = discovery.take("bootstrapToken")) {
      Reader reader(token, "discovery.bootstrapToken", problems);
      Discovery::Token& made = into.discovery.bootstrap_token.emplace();
      reader.text("token", made.token);
      reader.text("apiServerEndpoint", made.api_server_endpoint);
      reader.texts("caCertHashes", made.ca_cert_hashes);
      reader.flag("unsafeSkipCAVerification", made.unsafe_skip_ca_verification);
    }
    if (const json::Value* file = discovery.take("file")) {
      Reader reader(file, "discovery.file", problems);
      reader.text("kubeConfigPath", into.discovery.file.emplace());
    }
    discovery.text("tlsBootstrapToken", into.discovery.tls_bootstrap_token);
    discovery.duration("timeout", into.discovery.timeout);
  }
  if (const json::Value* plane = from.take("controlPlane")) {
    Reader reader(plane, "controlPlane", problems);
    JoinControlPlane& made = into.control_plane.emplace();
    read_endpoint(reader, made.local_endpoint);
    reader.text("certificateKey", made.certificate_key);
  }
  from.texts("skipPhases", into.skip_phases);
  read_patches(from, into.patches_directory);
}

json::Value encode(const InitConfiguration& config) {
  json::Value object = document("InitConfiguration");
  for (const BootstrapToken& token : config.bootstrap_tokens) {
    json::Value one = json::Value::object();
    put(one, "description", token.description);
    if (token.expires) one["expires"] = format_rfc3339(*token.expires);
    put(one, "groups", token.groups);
    one["token"] = token.token;
    put(one, "ttl", token.ttl);
    put(one, "usages", token.usages);
    object["bootstrapTokens"].push_back(std::move(one));
  }
  put(object, "certificateKey", config.certificate_key);
  object["localAPIEndpoint"] = write_endpoint(config.local_endpoint);
  object["nodeRegistration"] = write_node(config.node);
  if (!config.patches_directory.empty()) object["patches"]["directory"] = config.patches_directory;
  put(object, "skipPhases", config.skip_phases);
  return object;
}

json::Value encode(const ClusterConfiguration& config) {
  json::Value object = document("ClusterConfiguration");
  object["apiServer"] = write_component(config.api_server);
  put(object["apiServer"], "certSANs", config.cert_sans);
  put(object["apiServer"], "timeoutForControlPlane", config.timeout_for_control_plane);
  put(object, "certificatesDir", config.certificates_dir);
  put(object, "clusterName", config.cluster_name);
  put(object, "controlPlaneEndpoint", config.control_plane_endpoint);
  object["controllerManager"] = write_component(config.controller_manager);
  object["dns"] = json::Value::object();
  put(object["dns"], "imageRepository", config.dns.repository);
  put(object["dns"], "imageTag", config.dns.tag);
  object["etcd"] = write_etcd(config);
  for (const auto& [name, on] : config.feature_gates) object["featureGates"][name] = on;
  put(object, "imageRepository", config.image_repository);
  put(object, "kubernetesVersion", config.kubernetes_version);
  object["networking"] = json::Value::object();
  put(object["networking"], "dnsDomain", config.dns_domain);
  put(object["networking"], "podSubnet", config.pod_subnet);
  put(object["networking"], "serviceSubnet", config.service_subnet);
  object["scheduler"] = write_component(config.scheduler);
  return object;
}

json::Value encode(const JoinConfiguration& config) {
  json::Value object = document("JoinConfiguration");
  put(object, "caCertPath", config.ca_cert_path);
  if (config.control_plane) {
    json::Value plane = json::Value::object();
    put(plane, "certificateKey", config.control_plane->certificate_key);
    plane["localAPIEndpoint"] = write_endpoint(config.control_plane->local_endpoint);
    object["controlPlane"] = std::move(plane);
  }
  json::Value discovery = json::Value::object();
  if (const auto& token = config.discovery.bootstrap_token) {
    json::Value one = json::Value::object();
    put(one, "apiServerEndpoint", token->api_server_endpoint);
    put(one, "caCertHashes", token->ca_cert_hashes);
    one["token"] = token->token;
    if (token->unsafe_skip_ca_verification) one["unsafeSkipCAVerification"] = true;
    discovery["bootstrapToken"] = std::move(one);
  }
  if (config.discovery.file) discovery["file"]["kubeConfigPath"] = *config.discovery.file;
  put(discovery, "timeout", config.discovery.timeout);
  put(discovery, "tlsBootstrapToken", config.discovery.tls_bootstrap_token);
  object["discovery"] = std::move(discovery);
  object["nodeRegistration"] = write_node(config.node);
  if (!config.patches_directory.empty()) object["patches"]["directory"] = config.patches_directory;
  put(object, "skipPhases", config.skip_phases);
  return object;
}

std::string to_yaml(const json::Value& document) {
  std::string text = json::to_string(document);
  auto yaml = schema::json_to_yaml(text);
  return yaml.ok() ? std::move(*yaml) : text;  // JSON is YAML too
}

}  // namespace knarr::kubeadm
