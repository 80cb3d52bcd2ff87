// SPDX-License-Identifier: Apache-2.0
// Service default/kubernetes, its endpoints, and the trust that extension API servers need
// (kube-system/extension-apiserver-authentication).
#include "api/core_v1.h"
#include "api/discovery_v1.h"
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/errors.h"
#include "apiserver/strategy/validators.h"
#include "base/files.h"
#include "schema/time.h"

namespace knarr::apiserver::bootstrap {

namespace {

namespace core = api::core_v1;
namespace discovery = api::discovery_v1;

constexpr std::string_view kNamespace = "default", kName = "kubernetes", kPort = "https";

// The first address of the services' range.
Result<std::string> service_address(const Options& options) {
  auto cidr = parse_cidr(options.service_cidr);
  if (!cidr.has_value() || cidr->address.v6 || cidr->prefix > 30)
    return internal_error("the service range " + options.service_cidr + " is not an IPv4 range");
  std::array<uint8_t, 16> bytes = cidr->address.bytes;
  uint32_t address = 0;
  for (int i = 0; i < 4; ++i) address = address << 8 | bytes[static_cast<size_t>(i)];
  address &= ~uint32_t{0} << (32 - cidr->prefix);
  ++address;
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8)
    out += (out.empty() ? "" : ".") + std::to_string(address >> shift & 255);
  return out;
}

Task<Status> ensure_service(ApiServer& server) {
  if (server.cached<core::Service>(kNamespace, kName) != nullptr) co_return Status();
  core::Service service;
  service.metadata.namespace_ = kNamespace;
  service.metadata.name = kName;
  service.metadata.labels["component"] = "apiserver";
  service.metadata.labels["provider"] = "kubernetes";
  auto& port = service.spec.ports.emplace_back();
  port.name = kPort;
  port.protocol = "TCP";
  port.port = 443;
  port.target_port = schema::IntOrString(static_cast<int32_t>(server.options().secure_port));
  CO_TRY_ASSIGN(std::string address, service_address(server.options()));
  service.spec.cluster_ip = address;
  service.spec.ip_family_policy = "SingleStack";
  service.spec.session_affinity = "None";
  service.spec.type = "ClusterIP";
  auto made = co_await server.loopback().create(std::move(service));
  if (made.ok() || made.status().reason() == "AlreadyExists") co_return Status();
  co_return made.status();
}

using Addresses = std::vector<std::string>;

void fill_subset(core::EndpointSubset& subset, const Options& options, const Addresses& addresses) {
  subset.addresses.clear();
  for (const std::string& address : addresses) subset.addresses.emplace_back().ip = address;
  subset.ports.clear();
  auto& port = subset.ports.emplace_back();
  port.name = kPort;
  port.port = options.secure_port;
  port.protocol = "TCP";
}

Task<Status> reconcile_endpoints(ApiServer& server, const Addresses& addresses) {
  core::Endpoints wanted;
  auto existing = server.cached<core::Endpoints>(kNamespace, kName);
  if (existing != nullptr) wanted = *existing;
  wanted.metadata.namespace_ = kNamespace;
  wanted.metadata.name = kName;
  // The mirroring controller keeps out: the slice below is written here.
  wanted.metadata.labels["endpointslice.kubernetes.io/skip-mirror"] = "true";
  wanted.subsets.clear();
  if (!addresses.empty()) fill_subset(wanted.subsets.emplace_back(), server.options(), addresses);
  if (existing == nullptr) {
    auto made = co_await server.loopback().create(std::move(wanted));
    co_return made.status();
  }
  if (wanted == *existing) co_return Status();
  auto updated = co_await server.loopback().update(std::move(wanted));
  co_return updated.status();
}

Task<Status> reconcile_slice(ApiServer& server, const Addresses& addresses) {
  const Options& options = server.options();
  discovery::EndpointSlice wanted;
  auto existing = server.cached<discovery::EndpointSlice>(kNamespace, kName);
  if (existing != nullptr) wanted = *existing;
  wanted.metadata.namespace_ = kNamespace;
  wanted.metadata.name = kName;
  wanted.metadata.labels["kubernetes.io/service-name"] = kName;
  wanted.address_type = options.advertise_address.find(':') == std::string::npos ? "IPv4" : "IPv6";
  wanted.endpoints.clear();
  for (const std::string& address : addresses) {
    auto& endpoint = wanted.endpoints.emplace_back();
    endpoint.addresses.emplace_back() = address;
    endpoint.conditions.ready = true;
  }
  wanted.ports.clear();
  auto& port = wanted.ports.emplace_back();
  port.name = kPort;
  port.port = static_cast<int32_t>(options.secure_port);
  port.protocol = "TCP";
  if (existing != nullptr && existing->address_type != wanted.address_type) {
    // The address type of a slice cannot change.
    client::ObjectRef ref{std::string(kNamespace), std::string(kName)};
    Status status = co_await server.loopback().delete_object(discovery::EndpointSlice::resource(),
                                                             std::move(ref));
    if (!status.ok() && status.reason() != "NotFound") co_return status;
    wanted.metadata.uid = "";
    wanted.metadata.resource_version = "";
    existing = nullptr;
  }
  if (existing == nullptr) {
    auto made = co_await server.loopback().create(std::move(wanted));
    co_return made.status();
  }
  if (wanted == *existing) co_return Status();
  auto updated = co_await server.loopback().update(std::move(wanted));
  co_return updated.status();
}

std::string json_list(const std::vector<std::string>& values) {
  std::string out = "[";
  for (const std::string& value : values)
    out += (out.size() > 1 ? "," : "") + ("\"" + value + "\"");
  return out + "]";
}

bool reconcile_config(void* existing, const void* wanted) {
  auto& config = *static_cast<core::ConfigMap*>(existing);
  const auto& target = *static_cast<const core::ConfigMap*>(wanted);
  bool changed = false;
  for (const auto& [key, value] : target.data) {
    const auto* have = config.data.find(key);
    if (have != nullptr && *have == value) continue;
    config.data[key] = value;
    changed = true;
  }
  return changed;
}

}  // namespace

Task<Status> reconcile_kubernetes_service(ApiServer& server) {
  Status status = co_await ensure_service(server);
  // Without an address to tell nobody can be sent here.
  if (!status.ok() || server.options().advertise_address.empty()) co_return status;
  auto addresses = co_await living_servers(server);
  if (!addresses.ok()) co_return addresses.status();
  status = co_await reconcile_endpoints(server, *addresses);
  if (!status.ok()) co_return status;
  status = co_await reconcile_slice(server, *addresses);
  co_return status;
}

// Since when the use of legacy tokens is noted: "2023-11-24".
void add_token_tracking(const Clock& clock, std::vector<Wanted>& wanted) {
  core::ConfigMap config;
  config.metadata.namespace_ = "kube-system";
  config.metadata.name = "kube-apiserver-legacy-service-account-token-tracking";
  config.data["since"] = schema::format_time(schema::to_time(clock.now())).substr(0, 10);
  wanted.push_back(want(std::move(config)));
}

Status add_authentication_config(const Options& options, std::vector<Wanted>& wanted) {
  core::ConfigMap config;
  config.metadata.namespace_ = "kube-system";
  config.metadata.name = "extension-apiserver-authentication";
  if (!options.client_ca_file.empty()) {
    TRY_ASSIGN(std::string ca, read_file(options.client_ca_file));
    config.data["client-ca-file"] = ca;
  }
  if (!options.requestheader_client_ca_file.empty()) {
    TRY_ASSIGN(std::string ca, read_file(options.requestheader_client_ca_file));
    config.data["requestheader-client-ca-file"] = ca;
    config.data["requestheader-username-headers"] = json_list(options.requestheader.username_headers);
    config.data["requestheader-group-headers"] = json_list(options.requestheader.group_headers);
    config.data["requestheader-extra-headers-prefix"] = json_list(options.requestheader.extra_headers_prefix);
    config.data["requestheader-allowed-names"] = json_list(options.requestheader.allowed_names);
  }
  if (config.data.empty()) return {};
  wanted.push_back(want(std::move(config)));
  wanted.back().reconcile = &reconcile_config;
  return {};
}

}  // namespace knarr::apiserver::bootstrap
