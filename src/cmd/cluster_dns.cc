// SPDX-License-Identifier: Apache-2.0
#include "cmd/cluster_dns.h"

#include <fmt/core.h>

#include "api/core_v1.h"
#include "api/discovery_v1.h"
#include "base/files.h"
#include "base/log.h"

namespace knarr::cmd {
namespace {

using api::core_v1::Endpoints;
using api::core_v1::Service;
using api::discovery_v1::EndpointSlice;

constexpr const char* kNamespace = "kube-system";
constexpr const char* kName = "kube-dns";
constexpr uint16_t kPreferredPort = 10053;
struct DnsPort {
  const char* name;
  const char* protocol;
};
constexpr DnsPort kPorts[] = {{"dns", "UDP"}, {"dns-tcp", "TCP"}};

// What kubeadm's Corefile says, but for the endpoints on ports that belong to the host.
std::string corefile(const ClusterDnsOptions& options, uint16_t port) {
  std::string forward = file_exists(options.resolv_conf) ? fmt::format("forward . {} {{\n max_concurrent 1000\n }}", options.resolv_conf) : "";
  return fmt::format(R"(.:{} {{
  bind {}
  kubernetes {} in-addr.arpa ip6.arpa {{
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 30
  }}
  {}
  cache 30
  loop
  loadbalance
}}
)",
                     port, options.node_ip, options.domain, forward);
}

void set_labels(api::meta_v1::ObjectMeta& metadata) {
  metadata.name = kName;
  metadata.namespace_ = kNamespace;
  metadata.labels["k8s-app"] = "kube-dns";
  metadata.labels["kubernetes.io/cluster-service"] = "true";
  metadata.labels["kubernetes.io/name"] = "CoreDNS";
}

// Makes `wanted`, or brings what is there to its contents; `take` copies those.
template <class T, class Take>
Task<Status> put(client::Client* client, T wanted, Take take) {
  std::string ns = kNamespace, name = kName;
  auto present = co_await client->get<T>(std::move(ns), std::move(name));
  if (!present.ok() && !present.status().is("NotFound")) co_return present.status();
  if (!present.ok()) {
    auto created = co_await client->create<T>(std::move(wanted));
    co_return created.status();
  }
  T updated = *present;
  take(&updated, wanted);
  if (updated == *present) co_return Status();
  auto done = co_await client->update<T>(std::move(updated));
  co_return done.status();
}

}  // namespace

ClusterDns::ClusterDns(client::Client& client, client::InformerFactory& informers, const Clock& clock, Executor executor, ClusterDnsOptions options)
    : client_(client), options_(std::move(options)), source_(dns::make_service_source(informers, clock)), service_(executor, clock, source_.get()) {}

Status ClusterDns::listen() {
  TRY_ASSIGN(dns::CorefileConfig config, dns::read_corefile(corefile(options_, kPreferredPort)));
  if (service_.start(config).ok()) return {};
  config.zones.front().port = 0;
  return service_.start(std::move(config));
}

Task<Status> ClusterDns::start() {
  CO_TRY(listen());
  Status service = co_await put_service();
  CO_TRY(service);
  if (foreign_) co_return Status();
  Status endpoints = co_await put_endpoints();
  CO_TRY(endpoints);
  Status slice = co_await put_slice();
  co_return slice;
}

Task<void> ClusterDns::stop() { return service_.stop(); }

Task<Status> ClusterDns::put_service() {
  Service wanted;
  set_labels(wanted.metadata);
  wanted.spec.cluster_ip = options_.service_ip;
  for (const DnsPort& port : kPorts) {
    auto& made = wanted.spec.ports.emplace_back();
    made.name = port.name;
    made.protocol = port.protocol;
    made.port = 53;
    made.target_port = int32_t{service_.port()};
  }
  bool* foreign = &foreign_;
  auto take = [foreign](Service* present, const Service& wanted) {
    *foreign = !present->spec.selector.empty();
    if (*foreign) return;
    for (auto& port : present->spec.ports)
      for (const auto& want : wanted.spec.ports)
        if (port.name == want.name.view()) port.target_port = want.target_port;
  };
  Status status = co_await put(&client_, std::move(wanted), take);
  co_return status;
}

Task<Status> ClusterDns::put_endpoints() {
  Endpoints wanted;
  set_labels(wanted.metadata);
  // The slice is made here, too.
  wanted.metadata.labels["endpointslice.kubernetes.io/skip-mirror"] = "true";
  auto& subset = wanted.subsets.emplace_back();
  subset.addresses.emplace_back().ip = options_.node_ip;
  for (const DnsPort& port : kPorts) {
    auto& made = subset.ports.emplace_back();
    made.name = port.name;
    made.protocol = port.protocol;
    made.port = service_.port();
  }
  auto take = [](Endpoints* present, const Endpoints& wanted) {
    present->metadata.labels = wanted.metadata.labels;
    present->subsets = wanted.subsets;
  };
  Status status = co_await put(&client_, std::move(wanted), take);
  co_return status;
}

Task<Status> ClusterDns::put_slice() {
  EndpointSlice wanted;
  set_labels(wanted.metadata);
  wanted.metadata.labels["kubernetes.io/service-name"] = kName;
  wanted.metadata.labels["endpointslice.kubernetes.io/managed-by"] = "knarr";
  wanted.address_type = options_.node_ip.find(':') == std::string::npos ? "IPv4" : "IPv6";
  auto& endpoint = wanted.endpoints.emplace_back();
  endpoint.addresses.push_back(options_.node_ip);
  endpoint.conditions.ready = true;
  for (const DnsPort& port : kPorts) {
    auto& made = wanted.ports.emplace_back();
    made.name = port.name;
    made.protocol = port.protocol;
    made.port = int32_t{service_.port()};
  }
  auto take = [](EndpointSlice* present, const EndpointSlice& wanted) {
    present->metadata.labels = wanted.metadata.labels;
    present->endpoints = wanted.endpoints;
    present->ports = wanted.ports;
  };
  Status status = co_await put(&client_, std::move(wanted), take);
  co_return status;
}

}  // namespace knarr::cmd
