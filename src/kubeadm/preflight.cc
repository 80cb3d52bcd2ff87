// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/preflight.h"

#include "base/version.h"
#include "kubeadm/constants.h"
#include "kubeadm/init_system.h"
#include "kubeadm/runtime.h"

namespace knarr::kubeadm {
namespace {

constexpr int kLeastCpus = 2;
constexpr uint64_t kLeastMegabytes = 1700;
constexpr char kBridgeNf[] = "/proc/sys/net/bridge/bridge-nf-call-iptables", kBridgeNf6[] = "/proc/sys/net/bridge/bridge-nf-call-ip6tables";
constexpr char kForward[] = "/proc/sys/net/ipv4/ip_forward", kForward6[] = "/proc/sys/net/ipv6/conf/default/forwarding";

std::string dashed(const std::string& path) { return replace_all(path, "/", "-"); }
std::string title(std::string word) {
  if (!word.empty()) word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
  return word;
}
std::string bracketed_numbers(const std::vector<int>& numbers) {
  std::vector<std::string> texts;
  for (int number : numbers) texts.push_back(std::to_string(number));
  return bracketed(texts);
}

// The proxy that Go's HTTP client would take for an https URL of this host; "" for none.
std::string proxy_for(const Host& host, const std::string& name) {
  std::string proxy = host.environment("HTTPS_PROXY");
  if (proxy.empty()) proxy = host.environment("https_proxy");
  if (proxy.empty() || name == "localhost" || is_loopback(name)) return "";
  std::string exceptions = host.environment("NO_PROXY");
  if (exceptions.empty()) exceptions = host.environment("no_proxy");
  for (std::string entry : split(exceptions, ',')) {
    entry = trim_space(entry);
    if (entry.empty()) continue;
    if (entry == "*" || entry == name) return "";
    auto range = parse_cidr(entry);
    auto own = parse_cidr(name + "/" + (range.ok() ? std::to_string(range->prefix) : "0"));
    if (range.ok() && own.ok() && range->v6 == own->v6 && *nth_address(*range, 0) == *nth_address(*own, 0)) return "";
    std::string suffix = entry.starts_with(".") ? entry : "." + entry;
    if (name.ends_with(suffix)) return "";
  }
  return proxy.find("://") == std::string::npos ? "http://" + proxy : proxy;
}

void add_common_checks(const Host& host, const std::string& version, const NodeRegistration& node, std::vector<Check>& checks) {
  if (!host.look_path("crictl").empty()) checks.push_back(cri_check(node.cri_socket));
  checks.push_back(swap_check());
  for (const char* program : {"crictl", "conntrack", "ip", "iptables", "mount", "nsenter"}) checks.push_back(in_path_check(program, true));
  for (const char* program : {"ebtables", "ethtool", "socat", "tc", "touch"}) checks.push_back(in_path_check(program, false));
  checks.push_back(system_verification_check());
  checks.push_back(hostname_check(node.name));
  checks.push_back(kubelet_version_check(version));
  checks.push_back(service_check("kubelet"));
  checks.push_back(port_check(kKubeletPort));
}

void add_forwarding_checks(bool v4, bool v6, std::vector<Check>& checks) {
  if (v4) {
    checks.push_back(file_content_check(kBridgeNf, "1"));
    checks.push_back(file_content_check(kForward, "1"));
  }
  if (v6) {
    checks.push_back(file_content_check(kBridgeNf6, "1"));
    checks.push_back(file_content_check(kForward6, "1"));
  }
}

void file_existing(const std::string& path, std::vector<Check>& checks) {
  if (path.empty()) return;
  checks.push_back({"ExternalEtcdClientCertificates", [path](Host& host, Findings& found) {
                      if (!host.exists(path)) found.errors.push_back(path + " doesn't exist");
                    }});
}

Result<Version> kubelet_version(Host& host) {
  if (host.look_path("kubelet").empty()) return Status::error("exec: \"kubelet\": executable file not found in $PATH");
  auto ran = host.run({"kubelet", "--version"});
  if (!ran.ok()) return ran.status().with_context("cannot execute 'kubelet --version'");
  if (ran->code != 0) return Status::error("cannot execute 'kubelet --version': exit status " + std::to_string(ran->code));
  std::vector<std::string> words = split_fields(ran->out);
  auto version = words.size() == 2 ? parse_version(words[1]) : std::nullopt;
  if (!version) return Status::error("unable to parse output from Kubelet: " + quote(trim_space(ran->out)));
  return *version;
}

}  // namespace

Check root_check() {
  return {"IsPrivilegedUser", [](Host& host, Findings& found) {
            if (host.user() != 0) found.errors.emplace_back("user is not running as root");
          }};
}

Check port_check(int port) {
  return {"Port-" + std::to_string(port), [port](Host& host, Findings& found) {
            if (!host.port_is_free(port)) found.errors.push_back("Port " + std::to_string(port) + " is in use");
          }};
}

Check file_available_check(const std::string& path) {
  return {"FileAvailable-" + dashed(path), [path](Host& host, Findings& found) {
            if (host.exists(path)) found.errors.push_back(path + " already exists");
          }};
}

Check dir_available_check(const std::string& path) {
  return {"DirAvailable-" + dashed(path), [path](Host& host, Findings& found) {
            if (!host.exists(path)) return;
            auto names = host.list_dir(path);
            if (!names.ok()) found.errors.push_back("unable to check if " + path + " is empty: " + std::string(names.status().message()));
            else if (!names->empty()) found.errors.push_back(path + " is not empty");
          }};
}

Check file_content_check(const std::string& path, const std::string& content) {
  return {"FileContent-" + dashed(path), [path, content](Host& host, Findings& found) {
            auto text = host.read_file(path);
            if (!text.ok()) found.errors.push_back(path + " does not exist");
            else if (!text->starts_with(content)) found.errors.push_back(path + " contents are not set to " + content);
          }};
}

Check in_path_check(const std::string& program, bool mandatory) {
  return {"FileExisting-" + program, [program, mandatory](Host& host, Findings& found) {
            if (host.look_path(program).empty()) (mandatory ? found.errors : found.warnings).push_back(program + " not found in system path");
          }};
}

Check hostname_check(const std::string& node_name) {
  return {"Hostname", [node_name](Host& host, Findings& found) {
            bool qualified = !node_name.empty() && node_name.size() <= 63 && std::isalnum(static_cast<unsigned char>(node_name.front())) &&
                             std::isalnum(static_cast<unsigned char>(node_name.back()));
            for (char c : node_name) qualified &= std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
            if (!qualified)
              found.warnings.push_back("invalid node name format " + quote(node_name) + ": " +
                                       (node_name.size() > 63 ? "name part must be no more than 63 characters"
                                                              : "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
                                                                "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                                                                "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"));
            if (Status resolved = host.resolve(node_name); !resolved.ok()) {
              found.warnings.push_back("hostname \"" + node_name + "\" could not be reached");
              found.warnings.push_back("hostname \"" + node_name + "\": " + std::string(resolved.message()));
            }
          }};
}

Check kubelet_version_check(const std::string& kubernetes_version) {
  return {"KubeletVersion", [kubernetes_version](Host& host, Findings& found) {
            auto version = kubelet_version(host);
            if (!version.ok()) return found.errors.push_back("couldn't get kubelet version: " + std::string(version.status().message()));
            if (compare(*version, *parse_version(kMinimumControlPlaneVersion)) < 0)
              return found.errors.push_back("Kubelet version " + quote(version->text()) + " is lower than kubeadm can support. Please upgrade kubelet");
            if (kubernetes_version.empty()) return;
            auto plane = parse_version(kubernetes_version);
            if (!plane) return found.errors.push_back("couldn't parse Kubernetes version " + quote(kubernetes_version));
            if (version->major > plane->major || version->minor > plane->minor)
              found.errors.push_back("the kubelet version is higher than the control plane version. This is not a supported version skew and may lead to a "
                                     "malfunctional cluster. Kubelet version: " + quote(version->text()) + " Control plane version: " + quote(plane->text()));
          }};
}

Check service_check(const std::string& service) {
  return {"Service-" + title(service), [service](Host& host, Findings& found) {
            auto services = find_init_system(host);
            if (!services) return found.warnings.emplace_back(kNoInitSystem), void();
            if (!services->exists(service)) return found.warnings.push_back(service + " service does not exist");
            if (!services->is_enabled(service))
              found.warnings.push_back(service + " service is not enabled, please run '" + services->enable_command(service) + "'");
          }};
}

Check firewalld_check(const std::vector<int>& ports) {
  return {"Firewalld", [ports](Host& host, Findings& found) {
            auto services = find_init_system(host);
            if (!services) return found.warnings.emplace_back(kNoInitSystem), void();
            if (services->exists("firewalld") && services->is_active("firewalld"))
              found.warnings.push_back("firewalld is active, please ensure ports " + bracketed_numbers(ports) + " are open or your cluster may not function correctly");
          }};
}

Check swap_check() {
  return {"Swap", [](Host& host, Findings& found) {
            auto text = host.read_file("/proc/swaps");
            if (!text.ok()) return;
            size_t lines = 0;
            for (const std::string& line : split(*text, '\n')) lines += line.empty() ? 0 : 1;
            if (lines > 1)
              found.warnings.emplace_back("swap is enabled; production deployments should disable swap unless testing the NodeSwap feature gate of the kubelet");
          }};
}

Check cri_check(const std::string& socket) {
  return {"CRI", [socket](Host& host, Findings& found) {
            if (Status running = Runtime(host, socket).is_running(); !running.ok()) found.errors.emplace_back(running.message());
          }};
}

Check kubernetes_version_check(const std::string& kubernetes_version) {
  return {"KubernetesVersion", [kubernetes_version](Host&, Findings& found) {
            auto own = parse_version(kKubernetesVersion), wanted = parse_version(kubernetes_version);
            if (!wanted) return found.errors.push_back("couldn't parse Kubernetes version " + quote(kubernetes_version));
            if (wanted->major > own->major || (wanted->major == own->major && wanted->minor > own->minor))
              found.warnings.push_back("Kubernetes version is greater than kubeadm version. Please consider to upgrade kubeadm. Kubernetes version: " + wanted->text() +
                                       ". Kubeadm version: " + std::to_string(own->major) + "." + std::to_string(own->minor) + ".x");
          }};
}

Check http_proxy_check(const std::string& name) {
  return {"HTTPProxy", [name](Host& host, Findings& found) {
            std::string proxy = proxy_for(host, name);
            if (proxy.empty()) return;
            std::string url = "https://" + (is_ipv6(name) ? join_host_port(name, "1234") : name);
            found.warnings.push_back("Connection to " + quote(url) + " uses proxy " + quote(proxy) + ". If that is not intended, adjust your proxy settings");
          }};
}

Check http_proxy_cidr_check(const std::string& cidr) {
  return {"HTTPProxyCIDR", [cidr](Host& host, Findings& found) {
            if (cidr.empty()) return;
            auto parsed = parse_cidr(cidr);
            if (!parsed.ok()) return found.errors.push_back("error parsing CIDR " + quote(cidr) + ": " + std::string(parsed.status().message()));
            auto first = nth_address(*parsed, 1);
            if (!first.ok())
              return found.errors.push_back("unable to get first IP address from the given CIDR (" + cidr + "): " + std::string(first.status().message()));
            if (std::string proxy = proxy_for(host, *first); !proxy.empty())
              found.warnings.push_back("connection to " + quote(cidr) + " uses proxy " + quote(proxy) +
                                       ". This may lead to malfunctional cluster setup. Make sure that Pod and Services IP ranges specified correctly as exceptions in "
                                       "proxy configuration");
          }};
}

Check number_of_cpus_check() {
  return {"NumCPU", [](Host& host, Findings& found) {
            if (host.cpus() < kLeastCpus)
              found.errors.push_back("the number of available CPUs " + std::to_string(host.cpus()) + " is less than the required " + std::to_string(kLeastCpus));
          }};
}

Check memory_check() {
  return {"Mem", [](Host& host, Findings& found) {
            if (host.memory_megabytes() < kLeastMegabytes)
              found.errors.push_back("the system RAM (" + std::to_string(host.memory_megabytes()) + " MB) is less than the minimum " + std::to_string(kLeastMegabytes) + " MB");
          }};
}

std::vector<Check> init_checks(const Host& host, const InitConfiguration& config, bool second_control_plane) {
  const ClusterConfiguration& cluster = config.cluster;
  std::vector<Check> checks = {
      number_of_cpus_check(),
      memory_check(),
      kubernetes_version_check(cluster.kubernetes_version),
      firewalld_check({config.local_endpoint.bind_port, kKubeletPort}),
      port_check(config.local_endpoint.bind_port),
      port_check(kSchedulerPort),
      port_check(kControllerManagerPort),
  };
  for (const char* name : {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"})
    checks.push_back(file_available_check(std::string(kManifestsDir) + "/" + name + ".yaml"));
  checks.push_back(http_proxy_check(config.local_endpoint.advertise_address));
  bool v4 = false, v6 = false;
  for (const std::string& list : {cluster.service_subnet, cluster.pod_subnet}) {
    for (const std::string& cidr : split(list, ',')) {
      checks.push_back(http_proxy_cidr_check(cidr));
      auto parsed = parse_cidr(cidr);
      if (parsed.ok()) (parsed->v6 ? v6 : v4) = true;
    }
  }
  if (!second_control_plane) {
    add_common_checks(host, cluster.kubernetes_version, config.node, checks);
    if (is_ip(config.local_endpoint.advertise_address)) (is_ipv6(config.local_endpoint.advertise_address) ? v6 : v4) = true;
    add_forwarding_checks(v4, v6, checks);
  }
  if (cluster.local_etcd) {
    checks.push_back(port_check(kEtcdClientPort));
    checks.push_back(port_check(kEtcdPeerPort));
    checks.push_back(dir_available_check(cluster.local_etcd->data_dir));
  }
  if (cluster.external_etcd) {
    file_existing(cluster.external_etcd->ca_file, checks);
    file_existing(cluster.external_etcd->cert_file, checks);
    file_existing(cluster.external_etcd->key_file, checks);
  }
  return checks;
}

std::vector<Check> join_checks(const Host& host, const JoinConfiguration& config) {
  std::vector<Check> checks = {file_available_check(kKubeletConf), file_available_check(kBootstrapKubeletConf)};
  add_common_checks(host, "", config.node, checks);
  if (!config.control_plane) checks.push_back(file_available_check(config.ca_cert_path));
  if (config.discovery.bootstrap_token) {
    auto endpoint = parse_host_port(config.discovery.bootstrap_token->api_server_endpoint);
    if (endpoint.ok() && !endpoint->port.empty()) {
      checks.push_back(http_proxy_check(endpoint->host));
      if (is_ip(endpoint->host)) add_forwarding_checks(!is_ipv6(endpoint->host), is_ipv6(endpoint->host), checks);
    }
  }
  return checks;
}

Status pull_image(Host& host, const std::string& socket, const std::string& image, const std::string& policy) {
  Runtime runtime(host, socket);
  if (policy == "Never") return {};
  if (policy == "IfNotPresent" && runtime.has_image(image)) return {};
  if (policy != "IfNotPresent" && policy != "Always") return Status::error("unsupported pull policy " + quote(policy));
  return runtime.pull(image).with_context("failed to pull image " + image);
}

Check image_check(const InitConfiguration& config) {
  std::vector<std::string> images = control_plane_images(config.cluster);
  std::string pause = pause_image(config.cluster), socket = config.node.cri_socket, policy = config.node.image_pull_policy;
  return {"ImagePull", [images, pause, socket, policy](Host& host, Findings& found) {
            // A run of crictl for each image would take longer than all other checks together.
            std::set<std::string> present;
            if (policy == "IfNotPresent") present = Runtime(host, socket).images();
            for (const std::string& image : images) {
              if (image == pause) {
                auto used = Runtime(host, socket).sandbox_image();
                if (used.ok() && *used != pause)
                  host.warn("detected that the sandbox image " + quote(*used) + " of the container runtime is inconsistent with that used by kubeadm. It is recommended "
                            "that using " + quote(pause) + " as the CRI sandbox image.");
              }
              if (present.contains(image)) continue;
              Status pulled = pull_image(host, socket, image, policy);
              if (!pulled.ok()) found.errors.emplace_back(pulled.message());
            }
          }};
}

Status run_checks(Host& host, const std::vector<Check>& checks, const std::vector<std::string>& ignored) {
  std::string errors;
  for (const Check& check : checks) {
    Findings found;
    check.run(host, found);
    if (contains(ignored, "all") || contains(ignored, to_lower(check.name))) {
      found.warnings.insert(found.warnings.end(), found.errors.begin(), found.errors.end());
      found.errors.clear();
    }
    for (const std::string& warning : found.warnings) host.print_error("\t[WARNING " + check.name + "]: " + warning + "\n");
    for (const std::string& error : found.errors) errors += "\t[ERROR " + check.name + "]: " + error + "\n";
  }
  if (errors.empty()) return {};
  return Status::make(500, "Preflight", "[preflight] Some fatal errors occurred:\n" + errors +
                                            "[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`");
}

}  // namespace knarr::kubeadm
