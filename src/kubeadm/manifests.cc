// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/manifests.h"

#include <algorithm>
#include <cmath>

#include "kubeadm/certs.h"
#include "kubeadm/constants.h"
#include "kubeadm/patches.h"

namespace knarr::kubeadm {
namespace {

constexpr const char* kMoreCaDirs[] = {"/etc/pki", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/ca-certificates"};
constexpr char kCaDir[] = "/etc/ssl/certs";
constexpr char kFlexVolumeDir[] = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec";
constexpr int kNodeCriticalPriority = 2000001000;

struct Mount {
  std::string host_path, path, type;
  bool read_only = false;
};
using Mounts = std::map<std::string, Mount>;  // by volume name

struct Probe {
  std::string host, path, scheme;
  int port = 0, delay = 0, timeout = 15, failures = 0, period = 0;
};

struct PodParts {
  std::string name, image;
  std::vector<std::string> command;
  std::vector<std::pair<std::string, std::string>> environment, requests;
  Probe liveness, startup;
  std::optional<Probe> readiness;
  Mounts mounts;
  // In the container's own order; empty: by name.
  std::vector<std::string> mount_order;
  StringMap annotations;
};

json::Value probe_json(const Probe& probe) {
  json::Value get = json::Value::object();
  if (!probe.host.empty()) get["host"] = probe.host;
  get["path"] = probe.path;
  get["port"] = probe.port;
  get["scheme"] = probe.scheme;
  json::Value object = json::Value::object();
  object["failureThreshold"] = probe.failures;
  object["httpGet"] = std::move(get);
  if (probe.delay != 0) object["initialDelaySeconds"] = probe.delay;
  object["periodSeconds"] = probe.period;
  object["timeoutSeconds"] = probe.timeout;
  return object;
}

json::Value container_json(const PodParts& parts) {
  json::Value container = json::Value::object();
  for (const std::string& word : parts.command) container["command"].push_back(word);
  for (const auto& [name, value] : parts.environment) {
    json::Value one = json::Value::object();
    one["name"] = name;
    one["value"] = value;
    container["env"].push_back(std::move(one));
  }
  container["image"] = parts.image;
  container["imagePullPolicy"] = "IfNotPresent";
  container["livenessProbe"] = probe_json(parts.liveness);
  container["name"] = parts.name;
  if (parts.readiness) container["readinessProbe"] = probe_json(*parts.readiness);
  for (const auto& [name, amount] : parts.requests) container["resources"]["requests"][name] = amount;
  container["startupProbe"] = probe_json(parts.startup);
  std::vector<std::string> order = parts.mount_order;
  if (order.empty())
    for (const auto& [name, mount] : parts.mounts) order.push_back(name);
  for (const std::string& name : order) {
    const Mount& mount = parts.mounts.at(name);
    json::Value one = json::Value::object();
    one["mountPath"] = mount.path;
    one["name"] = name;
    if (mount.read_only) one["readOnly"] = true;
    container["volumeMounts"].push_back(std::move(one));
  }
  return container;
}

json::Value pod_json(const PodParts& parts) {
  json::Value pod = json::Value::object();
  pod["apiVersion"] = "v1";
  pod["kind"] = "Pod";
  json::Value& metadata = pod["metadata"];
  for (const auto& [name, value] : parts.annotations) metadata["annotations"][name] = value;
  metadata["creationTimestamp"] = nullptr;
  metadata["labels"]["component"] = parts.name;
  metadata["labels"]["tier"] = "control-plane";
  metadata["name"] = parts.name;
  metadata["namespace"] = "kube-system";
  json::Value& spec = pod["spec"];
  spec["containers"].push_back(container_json(parts));
  spec["hostNetwork"] = true;
  spec["priority"] = kNodeCriticalPriority;
  spec["priorityClassName"] = "system-node-critical";
  spec["securityContext"]["seccompProfile"]["type"] = "RuntimeDefault";
  for (const auto& [name, mount] : parts.mounts) {
    json::Value one = json::Value::object();
    one["hostPath"]["path"] = mount.host_path;
    if (!mount.type.empty()) one["hostPath"]["type"] = mount.type;
    one["name"] = name;
    spec["volumes"].push_back(std::move(one));
  }
  pod["status"] = json::Value::object();
  return pod;
}

Probe liveness(std::string host, std::string path, int port, std::string scheme) {
  return {std::move(host), std::move(path), std::move(scheme), port, 10, 15, 8, 10};
}
Probe readiness(std::string host, std::string path, int port) { return {std::move(host), std::move(path), "HTTPS", port, 0, 15, 3, 1}; }
// Lasts as long as the control plane may take to come up.
Probe startup(std::string host, std::string path, int port, std::string scheme, const std::optional<Duration>& timeout) {
  double seconds = std::chrono::duration<double>(timeout.value_or(std::chrono::minutes(4))).count();
  return {std::move(host), std::move(path), std::move(scheme), port, 10, 15, static_cast<int>(std::ceil(seconds / 10)), 10};
}

std::string probe_address(const std::string& address) { return address == "0.0.0.0" || address == "::" ? "" : address; }
std::string bind_address(const StringMap& args) {
  auto found = args.find("bind-address");
  return found == args.end() ? "127.0.0.1" : probe_address(found->second);
}

Mount folder(const std::string& path, bool read_only) { return {path, path, "DirectoryOrCreate", read_only}; }
Mount file(const std::string& path) { return {path, path, "FileOrCreate", true}; }

void add_ca_folders(const Host& host, const ClusterConfiguration& config, Mounts& mounts) {
  mounts["k8s-certs"] = folder(config.certificates_dir, true);
  mounts["ca-certs"] = folder(kCaDir, true);
  for (const char* path : kMoreCaDirs)
    if (host.exists(path)) mounts[replace_all(std::string(path).substr(1), "/", "-")] = folder(path, true);
}

void add_extra(const std::vector<HostPathMount>& extra, Mounts& mounts) {
  for (const HostPathMount& mount : extra) mounts[mount.name] = {mount.host_path, mount.mount_path, mount.path_type, mount.read_only};
}

// Folders of an external etcd's certificates that nothing else mounts, the outermost of nested ones.
void add_etcd_folders(const ClusterConfiguration& config, Mounts& mounts) {
  std::vector<std::string> folders;
  for (const std::string& path : {config.external_etcd->ca_file, config.external_etcd->cert_file, config.external_etcd->key_file}) {
    std::string dir = path.substr(0, path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    bool covered = dir.empty() || dir.starts_with(kCaDir) || dir.starts_with(config.certificates_dir);
    for (const char* known : kMoreCaDirs) covered |= dir.starts_with(known);
    if (covered) continue;
    bool inside = false;
    for (const std::string& other : folders) inside |= dir.starts_with(other) && !other.starts_with(dir);
    std::erase_if(folders, [&](const std::string& other) { return other.starts_with(dir); });
    if (!inside) folders.push_back(dir);
  }
  std::sort(folders.begin(), folders.end());
  for (size_t i = 0; i < folders.size(); ++i) mounts["etcd-certs-" + std::to_string(i)] = folder(folders[i], true);
}

std::string localhost_of(const ApiEndpoint& local) { return is_ipv6(local.advertise_address) ? "::1" : "127.0.0.1"; }
std::string etcd_url(const std::string& address, int port) { return "https://" + join_host_port(address, std::to_string(port)); }

struct Endpoint {
  std::string host, scheme = "HTTP";
  int port = kEtcdMetricsPort;
};
// Where etcd answers probes: the first of --listen-metrics-urls.
Endpoint etcd_probe(const ClusterConfiguration& config, const ApiEndpoint& local) {
  Endpoint endpoint{localhost_of(local)};
  auto found = config.local_etcd->extra_args.find("listen-metrics-urls");
  if (found == config.local_etcd->extra_args.end()) return endpoint;
  std::string url = split(found->second, ',')[0];
  if (url.starts_with("https://")) endpoint.scheme = "HTTPS";
  size_t start = url.find("://");
  if (start != std::string::npos) url = url.substr(start + 3);
  auto parsed = parse_host_port(url.substr(0, url.find('/')));
  if (!parsed.ok()) return endpoint;
  endpoint.host = parsed->host;
  if (!parsed->port.empty()) endpoint.port = std::stoi(parsed->port);
  return endpoint;
}

}  // namespace

std::vector<std::string> argument_list(StringMap base, const StringMap& overrides) {
  for (const auto& [name, value] : overrides) base[name] = value;
  std::vector<std::string> list;
  for (const auto& [name, value] : base) list.push_back("--" + name + "=" + value);
  return list;
}

std::string authorization_modes(const StringMap& args) {
  static const std::vector<std::string> kModes = {"Node", "RBAC", "Webhook", "ABAC", "AlwaysAllow", "AlwaysDeny"};
  auto found = args.find("authorization-mode");
  std::vector<std::string> modes;
  if (found != args.end())
    for (const std::string& mode : split(found->second, ','))
      if (contains(kModes, mode)) modes.push_back(mode);
  return modes.empty() ? "Node,RBAC" : join(modes, ",");
}

std::vector<std::string> api_server_command(const ClusterConfiguration& config, const ApiEndpoint& local) {
  const std::string& dir = config.certificates_dir;
  StringMap args = {
      {"advertise-address", local.advertise_address},
      {"allow-privileged", "true"},
      {"client-ca-file", dir + "/ca.crt"},
      {"enable-admission-plugins", "NodeRestriction"},
      {"enable-bootstrap-token-auth", "true"},
      {"kubelet-client-certificate", dir + "/apiserver-kubelet-client.crt"},
      {"kubelet-client-key", dir + "/apiserver-kubelet-client.key"},
      {"kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname"},
      {"proxy-client-cert-file", dir + "/front-proxy-client.crt"},
      {"proxy-client-key-file", dir + "/front-proxy-client.key"},
      {"requestheader-allowed-names", "front-proxy-client"},
      {"requestheader-client-ca-file", dir + "/front-proxy-ca.crt"},
      {"requestheader-extra-headers-prefix", "X-Remote-Extra-"},
      {"requestheader-group-headers", "X-Remote-Group"},
      {"requestheader-username-headers", "X-Remote-User"},
      {"secure-port", std::to_string(local.bind_port)},
      {"service-account-issuer", "https://kubernetes.default.svc." + config.dns_domain},
      {"service-account-key-file", dir + "/sa.pub"},
      {"service-account-signing-key-file", dir + "/sa.key"},
      {"service-cluster-ip-range", config.service_subnet},
      {"tls-cert-file", dir + "/apiserver.crt"},
      {"tls-private-key-file", dir + "/apiserver.key"},
  };
  if (config.external_etcd) {
    args["etcd-servers"] = join(config.external_etcd->endpoints, ",");
    if (!config.external_etcd->ca_file.empty()) args["etcd-cafile"] = config.external_etcd->ca_file;
    if (!config.external_etcd->cert_file.empty() && !config.external_etcd->key_file.empty()) {
      args["etcd-certfile"] = config.external_etcd->cert_file;
      args["etcd-keyfile"] = config.external_etcd->key_file;
    }
  } else {
    args["etcd-servers"] = etcd_url(localhost_of(local), kEtcdClientPort);
    args["etcd-cafile"] = dir + "/etcd/ca.crt";
    args["etcd-certfile"] = dir + "/apiserver-etcd-client.crt";
    args["etcd-keyfile"] = dir + "/apiserver-etcd-client.key";
    if (config.local_etcd) {
      auto urls = config.local_etcd->extra_args.find("advertise-client-urls");
      if (urls != config.local_etcd->extra_args.end()) args["etcd-servers"] = urls->second;
    }
  }
  StringMap overrides = config.api_server.extra_args;
  overrides["authorization-mode"] = authorization_modes(overrides);
  std::vector<std::string> command = {"kube-apiserver"};
  for (std::string& argument : argument_list(std::move(args), overrides)) command.push_back(std::move(argument));
  return command;
}

std::vector<std::string> controller_manager_command(const ClusterConfiguration& config, bool external_ca) {
  const std::string& dir = config.certificates_dir;
  const std::string kubeconfig = std::string(kKubernetesDir) + "/controller-manager.conf";
  StringMap args = {
      {"authentication-kubeconfig", kubeconfig},
      {"authorization-kubeconfig", kubeconfig},
      {"bind-address", "127.0.0.1"},
      {"client-ca-file", dir + "/ca.crt"},
      {"cluster-signing-cert-file", external_ca ? "" : dir + "/ca.crt"},
      {"cluster-signing-key-file", external_ca ? "" : dir + "/ca.key"},
      {"controllers", "*,bootstrapsigner,tokencleaner"},
      {"kubeconfig", kubeconfig},
      {"leader-elect", "true"},
      {"requestheader-client-ca-file", dir + "/front-proxy-ca.crt"},
      {"root-ca-file", dir + "/ca.crt"},
      {"service-account-private-key-file", dir + "/sa.key"},
      {"use-service-account-credentials", "true"},
  };
  if (!config.pod_subnet.empty()) {
    args["allocate-node-cidrs"] = "true";
    args["cluster-cidr"] = config.pod_subnet;
    if (!config.service_subnet.empty()) args["service-cluster-ip-range"] = config.service_subnet;
  }
  if (!config.cluster_name.empty()) args["cluster-name"] = config.cluster_name;
  std::vector<std::string> command = {"kube-controller-manager"};
  for (std::string& argument : argument_list(std::move(args), config.controller_manager.extra_args)) command.push_back(std::move(argument));
  return command;
}

std::vector<std::string> scheduler_command(const ClusterConfiguration& config) {
  const std::string kubeconfig = std::string(kKubernetesDir) + "/scheduler.conf";
  StringMap args = {{"authentication-kubeconfig", kubeconfig}, {"authorization-kubeconfig", kubeconfig}, {"bind-address", "127.0.0.1"},
                    {"kubeconfig", kubeconfig}, {"leader-elect", "true"}};
  std::vector<std::string> command = {"kube-scheduler"};
  for (std::string& argument : argument_list(std::move(args), config.scheduler.extra_args)) command.push_back(std::move(argument));
  return command;
}

std::vector<std::string> etcd_command(const ClusterConfiguration& config, const ApiEndpoint& local, const std::string& node, const EtcdMembers& members) {
  const std::string dir = config.certificates_dir + "/etcd";
  const std::string client = etcd_url(local.advertise_address, kEtcdClientPort), peer = etcd_url(local.advertise_address, kEtcdPeerPort);
  StringMap args = {
      {"advertise-client-urls", client},
      {"cert-file", dir + "/server.crt"},
      {"client-cert-auth", "true"},
      {"data-dir", config.local_etcd->data_dir},
      {"experimental-initial-corrupt-check", "true"},
      {"experimental-watch-progress-notify-interval", "5s"},
      {"initial-advertise-peer-urls", peer},
      {"initial-cluster", node + "=" + peer},
      {"key-file", dir + "/server.key"},
      {"listen-client-urls", etcd_url(localhost_of(local), kEtcdClientPort) + "," + client},
      {"listen-metrics-urls", "http://" + join_host_port(localhost_of(local), std::to_string(kEtcdMetricsPort))},
      {"listen-peer-urls", peer},
      {"name", node},
      {"peer-cert-file", dir + "/peer.crt"},
      {"peer-client-cert-auth", "true"},
      {"peer-key-file", dir + "/peer.key"},
      {"peer-trusted-ca-file", dir + "/ca.crt"},
      {"snapshot-count", "10000"},
      {"trusted-ca-file", dir + "/ca.crt"},
  };
  if (!members.empty()) {
    std::vector<std::string> cluster;
    for (const auto& [name, url] : members) cluster.push_back(name + "=" + url);
    args["initial-cluster"] = join(cluster, ",");
    args["initial-cluster-state"] = "existing";
  }
  std::vector<std::string> command = {"etcd"};
  for (std::string& argument : argument_list(std::move(args), config.local_etcd->extra_args)) command.push_back(std::move(argument));
  return command;
}

std::vector<std::pair<std::string, std::string>> proxy_environment(const Host& host) {
  std::vector<std::pair<std::string, std::string>> found;
  for (const std::string& name : host.environment_names()) {
    std::string lower = to_lower(name);
    if (lower.ends_with("_proxy") && !host.environment(name).empty()) found.emplace_back(name, host.environment(name));
  }
  std::sort(found.begin(), found.end());
  return found;
}

json::Value component_pod(const Host& host, const std::string& component, const ClusterConfiguration& config, const ApiEndpoint& local) {
  PodParts parts;
  parts.name = component;
  parts.image = component_image(config, component);
  parts.environment = proxy_environment(host);
  const auto& timeout = config.timeout_for_control_plane;
  if (component == "kube-apiserver") {
    std::string address = probe_address(local.advertise_address);
    parts.command = api_server_command(config, local);
    parts.liveness = liveness(address, "/livez", local.bind_port, "HTTPS");
    parts.readiness = readiness(address, "/readyz", local.bind_port);
    parts.startup = startup(address, "/livez", local.bind_port, "HTTPS", timeout);
    parts.requests = {{"cpu", "250m"}};
    parts.annotations["kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"] = local.text();
    add_ca_folders(host, config, parts.mounts);
    if (config.external_etcd) add_etcd_folders(config, parts.mounts);
    add_extra(config.api_server.extra_volumes, parts.mounts);
  } else if (component == "kube-controller-manager") {
    std::string address = bind_address(config.controller_manager.extra_args);
    bool external_ca = host.exists(cert_path(config.certificates_dir, "ca")) && !host.exists(key_path(config.certificates_dir, "ca"));
    parts.command = controller_manager_command(config, external_ca);
    parts.liveness = liveness(address, "/healthz", kControllerManagerPort, "HTTPS");
    parts.startup = startup(address, "/healthz", kControllerManagerPort, "HTTPS", timeout);
    parts.requests = {{"cpu", "200m"}};
    add_ca_folders(host, config, parts.mounts);
    parts.mounts["kubeconfig"] = file(std::string(kKubernetesDir) + "/controller-manager.conf");
    auto flex = config.controller_manager.extra_args.find("flex-volume-plugin-dir");
    parts.mounts["flexvolume-dir"] = folder(flex == config.controller_manager.extra_args.end() ? kFlexVolumeDir : flex->second, false);
    add_extra(config.controller_manager.extra_volumes, parts.mounts);
  } else {
    std::string address = bind_address(config.scheduler.extra_args);
    parts.command = scheduler_command(config);
    parts.liveness = liveness(address, "/healthz", kSchedulerPort, "HTTPS");
    parts.startup = startup(address, "/healthz", kSchedulerPort, "HTTPS", timeout);
    parts.requests = {{"cpu", "100m"}};
    parts.mounts["kubeconfig"] = file(std::string(kKubernetesDir) + "/scheduler.conf");
    add_extra(config.scheduler.extra_volumes, parts.mounts);
  }
  return pod_json(parts);
}

json::Value etcd_pod(const ClusterConfiguration& config, const ApiEndpoint& local, const std::string& node, const EtcdMembers& members) {
  PodParts parts;
  parts.name = "etcd";
  parts.image = etcd_image(config);
  parts.command = etcd_command(config, local, node, members);
  Endpoint probed = etcd_probe(config, local);
  parts.liveness = liveness(probed.host, "/health?exclude=NOSPACE&serializable=true", probed.port, probed.scheme);
  parts.startup = startup(probed.host, "/health?serializable=false", probed.port, probed.scheme, config.timeout_for_control_plane);
  parts.requests = {{"cpu", "100m"}, {"memory", "100Mi"}};
  parts.mounts["etcd-certs"] = folder(config.certificates_dir + "/etcd", false);
  parts.mounts["etcd-data"] = folder(config.local_etcd->data_dir, false);
  parts.mount_order = {"etcd-data", "etcd-certs"};
  parts.annotations["kubeadm.kubernetes.io/etcd.advertise-client-urls"] = etcd_url(local.advertise_address, kEtcdClientPort);
  return pod_json(parts);
}

Status write_manifest(Host& host, const std::string& dir, const std::string& component, const json::Value& pod, const std::string& patches_dir) {
  json::Value patched = pod;
  if (!patches_dir.empty())
    TRY(apply_patches(host, patches_dir, component, PatchSchema::kPod, patched).with_context("failed to patch static Pod manifest file for " + quote(component)));
  TRY(host.make_dirs(dir, 0700).with_context("failed to create directory " + quote(dir)));
  std::string path = dir + "/" + component + ".yaml";
  return host.write_file(path, to_yaml(patched), 0600)
      .with_context("failed to write static pod manifest file for " + quote(component) + " (" + quote(path) + ")");
}

}  // namespace knarr::kubeadm
