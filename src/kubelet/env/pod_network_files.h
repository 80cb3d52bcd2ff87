// SPDX-License-Identifier: Apache-2.0
// What a pod knows of names: its hostname and domain, /etc/hosts, and the resolver settings that go
// to the runtime. Pure functions but for reading the node's own files; no threads.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "api/cri_v1.h"
#include "base/status.h"

namespace knarr::kubelet {

struct PodHostname {
  std::string hostname;     // at most 63 characters
  std::string domain;       // SUBDOMAIN.NS.svc.CLUSTER_DOMAIN, or ""
  std::string kernel_name;  // what the sandbox gets: hostname, or the FQDN with setHostnameAsFQDN
};
Result<PodHostname> pod_hostname(const api::core_v1::Pod& pod, std::string_view cluster_domain);

// Content of the managed hosts file. `node_hosts` is the node's /etc/hosts, used (and needed) with
// hostNetwork.
std::string hosts_file(const api::core_v1::Pod& pod, const std::vector<std::string>& pod_ips,
                       std::string_view hostname, std::string_view domain,
                       std::string_view node_hosts);

struct ResolvConf {
  std::vector<std::string> servers, searches, options;
};
// Lenient as upstream's parser: unknown lines are passed over, `nameserver` without address is an
// error.
Result<ResolvConf> parse_resolv_conf(std::string_view text);

struct DnsSettings {
  std::vector<std::string> cluster_dns;  // addresses
  std::string cluster_domain = "cluster.local";
  std::string resolv_conf;  // file; "" = none
  std::vector<std::string> node_addresses;
};
// `event` gets (type, reason, message) warnings: MissingClusterDNS, DNSConfigForming. May be null.
using DnsEvent = std::function<void(const std::string& type, const std::string& reason,
                                    const std::string& message)>;
Result<api::cri_v1::DNSConfig> pod_dns_config(const api::core_v1::Pod& pod,
                                              const DnsSettings& settings, const DnsEvent& event);

}  // namespace knarr::kubelet
