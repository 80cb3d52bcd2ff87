// SPDX-License-Identifier: Apache-2.0
// Environment variables that tell a container where the services of its namespace are.
#include "kubelet/env/container_env.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace {

constexpr std::string_view kMasterService = "kubernetes";
constexpr std::string_view kMasterNamespace = "default";

bool has_cluster_ip(const core::Service& service) {
  return !service.spec.cluster_ip.empty() && service.spec.cluster_ip != "None";
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

std::string variable_name(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '-' ? '_' : upper(c);
  return out;
}

// Docker's legacy link variables, one group a port.
void add_link_variables(const core::Service& service, EnvVars& env) {
  std::string prefix = variable_name(service.metadata.name);
  std::string address = service.spec.cluster_ip.str();
  std::string host = address.find(':') == std::string::npos ? address : "[" + address + "]";
  bool first = true;
  for (const core::ServicePort& port : service.spec.ports) {
    std::string big = port.protocol.empty() ? "TCP" : port.protocol.str();
    for (char& c : big) c = upper(c);
    std::string small = big;
    for (char& c : small)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    std::string number = std::to_string(port.port);
    std::string url = small + "://" + host + ":" + number;
    if (first) env.emplace_back(prefix + "_PORT", url);
    first = false;
    std::string port_prefix = prefix + "_PORT_" + number + "_" + big;
    env.emplace_back(port_prefix, url);
    env.emplace_back(port_prefix + "_PROTO", small);
    env.emplace_back(port_prefix + "_PORT", number);
    env.emplace_back(port_prefix + "_ADDR", address);
  }
}

}  // namespace

std::vector<std::shared_ptr<const core::Service>> collect_services(
    const client::Informer<core::Service>& services, const core::Pod& pod) {
  // By name: a service of the pod's own namespace hides default/kubernetes when it has the same
  // name.
  std::map<std::string, std::shared_ptr<const core::Service>> chosen;
  if (auto master = services.get(kMasterNamespace, kMasterService);
      master != nullptr && has_cluster_ip(*master))
    chosen[std::string(kMasterService)] = master;
  if (pod.spec.enable_service_links.value_or(true)) {
    services.for_each_in(pod.metadata.namespace_,
                         [&](const std::shared_ptr<const core::Service>& service) {
                           if (has_cluster_ip(*service))
                             chosen[service->metadata.name.str()] = service;
                         });
  }
  std::vector<std::shared_ptr<const core::Service>> list;
  for (auto& [name, service] : chosen) list.push_back(std::move(service));
  return list;
}

EnvVars service_env(const std::vector<std::shared_ptr<const core::Service>>& services) {
  EnvVars env;
  for (const auto& service : services) {
    if (service == nullptr || !has_cluster_ip(*service) || service->spec.ports.empty()) continue;
    std::string name = variable_name(service->metadata.name);
    env.emplace_back(name + "_SERVICE_HOST", service->spec.cluster_ip.str());
    std::string port_name = name + "_SERVICE_PORT";
    env.emplace_back(port_name, std::to_string(service->spec.ports.front().port));
    for (const core::ServicePort& port : service->spec.ports)
      if (!port.name.empty())
        env.emplace_back(port_name + "_" + variable_name(port.name), std::to_string(port.port));
    add_link_variables(*service, env);
  }
  return env;
}

}  // namespace knarr::kubelet
