// SPDX-License-Identifier: Apache-2.0
#include "cmd/kube_proxy_configuration.h"

#include "cmd/configuration_reader.h"
#include "proxy/address.h"

namespace knarr::cmd {
namespace {

// Upstream's zero means "the default" for most fields, and "leave it" for those of conntrack.
void read_conntrack(ConfigurationReader& reader, proxy::ProxyConfig& config) {
  const json::Value* conntrack = reader.object("conntrack");
  if (conntrack == nullptr) return;
  ConfigurationReader inner(*conntrack);
  inner.number("maxPerCore", config.conntrack_max_per_core);
  inner.number("min", config.conntrack_min);
  inner.duration_or_zero("tcpEstablishedTimeout", config.tcp_established_timeout);
  inner.duration_or_zero("tcpCloseWaitTimeout", config.tcp_close_wait_timeout);
  if (!inner.status.ok()) reader.status = inner.status.with_context("conntrack");
}

void read_iptables(ConfigurationReader& reader, proxy::ProxyConfig& config) {
  for (const char* name : {"nftables", "iptables"}) {
    const json::Value* iptables = reader.object(name);
    if (iptables == nullptr || (config.mode == "nftables") != (std::string_view(name) == "nftables")) continue;
    ConfigurationReader inner(*iptables);
    inner.flag("masqueradeAll", config.masquerade_all);
    inner.number("masqueradeBit", config.masquerade_bit);
    inner.flag("localhostNodePorts", config.localhost_node_ports);
    inner.duration("syncPeriod", config.sync_period);
    inner.duration("minSyncPeriod", config.min_sync_period);
    if (!inner.status.ok()) reader.status = inner.status.with_context(name);
  }
}

void read_addresses(ConfigurationReader& reader, proxy::ProxyConfig& config) {
  reader.text("bindAddress", config.bind_address);
  if (config.bind_address.empty()) config.bind_address = "0.0.0.0";
  std::string healthz, metrics;
  reader.text("healthzBindAddress", healthz);
  reader.text("metricsBindAddress", metrics);
  bool ipv6 = config.bind_address.find(':') != std::string::npos;
  config.healthz_bind_address = with_port(healthz.empty() ? (ipv6 ? "::" : "0.0.0.0") : healthz, 10256);
  config.metrics_bind_address = with_port(metrics.empty() ? (ipv6 ? "::1" : "127.0.0.1") : metrics, 10249);
  reader.flag("bindAddressHardFail", config.bind_address_hard_fail);
}

}  // namespace

std::string with_port(const std::string& address, int port) {
  if (!proxy::parse_address(address)) return address;  // has one, or is refused where it is listened on
  return proxy::join_host_port(address, port);
}

Result<KubeProxyFile> apply_kube_proxy_configuration(const std::string& file, proxy::ProxyConfig& config) {
  TRY_ASSIGN(json::Value document, read_configuration(file, "KubeProxyConfiguration"));
  ConfigurationReader reader(document);
  KubeProxyFile found;
  if (const json::Value* connection = reader.object("clientConnection")) ConfigurationReader(*connection).text("kubeconfig", found.kubeconfig);
  reader.text("hostnameOverride", found.hostname_override);
  std::string mode;
  reader.text("mode", mode);
  if (!mode.empty()) config.mode = mode;
  read_addresses(reader, config);
  reader.text("clusterCIDR", config.cluster_cidr);
  std::string local_mode;
  reader.text("detectLocalMode", local_mode);
  if (!local_mode.empty()) config.detect_local_mode = local_mode;
  if (const json::Value* local = reader.object("detectLocal")) {
    ConfigurationReader inner(*local);
    inner.text("bridgeInterface", config.bridge_interface);
    inner.text("interfaceNamePrefix", config.interface_name_prefix);
  }
  reader.texts("nodePortAddresses", config.node_port_addresses);
  read_iptables(reader, config);
  read_conntrack(reader, config);
  int oom_score_adj = config.oom_score_adj.value_or(0);
  reader.number("oomScoreAdj", oom_score_adj);
  config.oom_score_adj = oom_score_adj;
  if (!reader.status.ok()) return reader.status.with_context(file);
  return found;
}

}  // namespace knarr::cmd
