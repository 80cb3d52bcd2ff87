// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/component_configs.h"

#include <algorithm>

#include "kubeadm/constants.h"
#include "kubeadm/init_system.h"
#include "pki/secrets.h"

namespace knarr::kubeadm {
namespace {

constexpr char kEmptyKubelet[] = R"({
"apiVersion":"kubelet.config.k8s.io/v1beta1","kind":"KubeletConfiguration",
"authentication":{"anonymous":{},"webhook":{"cacheTTL":"0s"},"x509":{}},
"authorization":{"webhook":{"cacheAuthorizedTTL":"0s","cacheUnauthorizedTTL":"0s"}},
"containerRuntimeEndpoint":"","cpuManagerReconcilePeriod":"0s","evictionPressureTransitionPeriod":"0s","fileCheckFrequency":"0s",
"httpCheckFrequency":"0s","imageMinimumGCAge":"0s","logging":{"flushFrequency":0,"options":{"json":{"infoBufferSize":"0"}},"verbosity":0},
"memorySwap":{},"nodeStatusReportFrequency":"0s","nodeStatusUpdateFrequency":"0s","runtimeRequestTimeout":"0s","shutdownGracePeriod":"0s",
"shutdownGracePeriodCriticalPods":"0s","streamingConnectionIdleTimeout":"0s","syncFrequency":"0s","volumeStatsAggPeriod":"0s"})";

constexpr char kEmptyProxy[] = R"({
"apiVersion":"kubeproxy.config.k8s.io/v1alpha1","kind":"KubeProxyConfiguration","bindAddress":"","bindAddressHardFail":false,
"clientConnection":{"acceptContentTypes":"","burst":0,"contentType":"","kubeconfig":"","qps":0},"clusterCIDR":"","configSyncPeriod":"0s",
"conntrack":{"maxPerCore":null,"min":null,"tcpCloseWaitTimeout":null,"tcpEstablishedTimeout":null},
"detectLocal":{"bridgeInterface":"","interfaceNamePrefix":""},"detectLocalMode":"","enableProfiling":false,"healthzBindAddress":"",
"hostnameOverride":"","iptables":{"localhostNodePorts":null,"masqueradeAll":false,"masqueradeBit":null,"minSyncPeriod":"0s","syncPeriod":"0s"},
"ipvs":{"excludeCIDRs":null,"minSyncPeriod":"0s","scheduler":"","strictARP":false,"syncPeriod":"0s","tcpFinTimeout":"0s","tcpTimeout":"0s",
"udpTimeout":"0s"},"logging":{"flushFrequency":0,"options":{"json":{"infoBufferSize":"0"}},"verbosity":0},"metricsBindAddress":"","mode":"",
"nodePortAddresses":null,"oomScoreAdj":null,"portRange":"","showHiddenMetricsForVersion":"",
"winkernel":{"enableDSR":false,"forwardHealthCheckVip":false,"networkName":"","rootHnsEndpointName":"","sourceVip":""}})";

// Depth is bounded by the parser that made both.
void lay_over(json::Value& base, const json::Value& user) {
  for (const auto& [name, value] : user.members()) {
    json::Value* below = base.find(name);
    if (below != nullptr && below->is_object() && value.is_object()) {
      lay_over(*below, value);
    } else if (below != nullptr && below->is_string() && below->as_string() == "0s" && value.is_string()) {
      auto duration = parse_duration(value.as_string());
      *below = duration.ok() ? json::Value(format_duration(*duration)) : value;
    } else {
      base[name] = value;
    }
  }
}

ComponentConfig make(const char* empty, const json::Value* user) {
  ComponentConfig config;
  config.document = *json::parse(empty);
  if (user != nullptr) {
    lay_over(config.document, *user);
    config.user_supplied = true;
  }
  return config;
}

std::string shown(const json::Value& value) {
  if (value.is_string()) return value.as_string();
  if (!value.is_array()) return json::to_string(value);
  std::vector<std::string> items;
  for (const json::Value& item : value.items()) items.push_back(shown(item));
  return bracketed(items);
}

// Sets a field, or warns when the user has set it to something else.
class Defaulter {
 public:
  Defaulter(Host& host, const char* kind, json::Value& document) : host_(host), kind_(kind), document_(document) {}
  void set(std::initializer_list<std::string_view> path, json::Value value) {
    json::Value* at = &document_;
    std::string name;
    for (std::string_view part : path) {
      at = &(*at)[part];
      name += (name.empty() ? "" : ".") + std::string(part);
    }
    bool empty = at->is_null() || (at->is_string() && at->as_string().empty());
    if (empty) *at = std::move(value);
    else if (!(*at == value))
      host_.warn("The recommended value for " + quote(name) + " in " + quote(kind_) + " is: " + shown(value) + "; the provided value is: " + shown(*at));
  }

 private:
  Host& host_;
  std::string kind_;
  json::Value& document_;
};

void default_kubelet(Host& host, ClusterConfiguration& cluster) {
  json::Value& document = cluster.kubelet.document;
  Defaulter fields(host, "KubeletConfiguration", document);
  fields.set({"staticPodPath"}, kManifestsDir);
  auto dns = dns_service_ip(cluster.service_subnet);
  json::Value servers = json::Value::array();
  servers.push_back(dns.ok() ? *dns : std::string("10.96.0.10"));
  fields.set({"clusterDNS"}, std::move(servers));
  fields.set({"clusterDomain"}, cluster.dns_domain);
  fields.set({"authentication", "x509", "clientCAFile"}, cluster.certificates_dir + "/ca.crt");
  fields.set({"authentication", "anonymous", "enabled"}, false);
  fields.set({"authorization", "mode"}, "Webhook");
  fields.set({"authentication", "webhook", "enabled"}, true);
  fields.set({"healthzBindAddress"}, "127.0.0.1");
  fields.set({"healthzPort"}, kKubeletHealthPort);
  document["rotateCertificates"] = true;
  json::Value& driver = document["cgroupDriver"];
  if (driver.as_string().empty()) driver = "systemd";
  auto init_system = find_init_system(host);
  if (init_system && init_system->is_active("systemd-resolved")) fields.set({"resolvConf"}, "/run/systemd/resolve/resolv.conf");
}

void default_proxy(Host& host, ClusterConfiguration& cluster, const ApiEndpoint& local) {
  Defaulter fields(host, "KubeProxyConfiguration", cluster.proxy.document);
  fields.set({"bindAddress"}, is_ipv6(local.advertise_address) ? "::" : "0.0.0.0");
  if (!cluster.pod_subnet.empty()) fields.set({"clusterCIDR"}, cluster.pod_subnet);
  fields.set({"clientConnection", "kubeconfig"}, "/var/lib/kube-proxy/kubeconfig.conf");
}

}  // namespace

ComponentConfig kubelet_config_from(const json::Value* user) { return make(kEmptyKubelet, user); }
ComponentConfig proxy_config_from(const json::Value* user) { return make(kEmptyProxy, user); }

void set_component_defaults(Host& host, ClusterConfiguration& cluster, const ApiEndpoint& local) {
  if (cluster.kubelet.document.is_null()) cluster.kubelet = kubelet_config_from(nullptr);
  if (cluster.proxy.document.is_null()) cluster.proxy = proxy_config_from(nullptr);
  default_kubelet(host, cluster);
  default_proxy(host, cluster, local);
}

std::string config_map_checksum(const json::Value& config_map) {
  std::vector<std::pair<std::string, std::string>> values;
  for (const auto& [key, value] : config_map.at({"data"}).members()) values.emplace_back(key, value.as_string());
  std::sort(values.begin(), values.end());
  std::string all;
  for (const auto& [key, value] : values) all += value;
  return "sha256:" + pki::to_hex(pki::sha256(all));
}

}  // namespace knarr::kubeadm
