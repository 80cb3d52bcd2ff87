// SPDX-License-Identifier: Apache-2.0
// Strategies of endpoints and endpointslices.
#include <set>

#include "api/core_v1.h"
#include "api/discovery_v1.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"
#include "apiserver/strategy/validators.h"

namespace knarr::apiserver {

namespace {

namespace core = api::core_v1;
namespace discovery = api::discovery_v1;

const std::vector<std::string_view> kProtocols = {"SCTP", "TCP", "UDP"};

// ---- Endpoints
// --------------------------------------------------------------------------------------------------------------

void default_endpoints(core::Endpoints& object) { apply_table_defaults(object); }

void validate_address(const core::EndpointAddress& address, const Path& path, FieldErrors& errors) {
  invalid_each(path / "ip", address.ip, check_ip(address.ip), errors);
  if (!address.hostname.empty())
    invalid_each(path / "hostname", address.hostname, check_dns1123_label(address.hostname),
                 errors);
  if (address.node_name)
    invalid_each(path / "nodeName", *address.node_name, check_dns1123_subdomain(*address.node_name),
                 errors);
  validate_non_special_ip(address.ip, path / "ip", errors);
}

void validate_port(const core::EndpointPort& port, bool require_name, const Path& path,
                   FieldErrors& errors) {
  if (require_name && port.name.empty()) {
    errors.required(path / "name");
  } else if (!port.name.empty()) {
    invalid_each(path / "name", port.name, check_dns1123_label(port.name), errors);
  }
  for (const std::string& message : check_port_number(port.port))
    errors.invalid(path / "port", std::to_string(port.port), message);
  validate_choice(port.protocol, kProtocols, path / "protocol", errors);
  if (port.app_protocol)
    invalid_each(path / "appProtocol", *port.app_protocol, check_qualified_name(*port.app_protocol),
                 errors);
}

void validate_endpoints(const core::Endpoints& object, FieldErrors& errors) {
  for (size_t i = 0; i < object.subsets.size(); ++i) {
    const core::EndpointSubset& subset = object.subsets[i];
    Path path = Path("subsets").index(i);
    if (subset.addresses.empty() && subset.not_ready_addresses.empty())
      errors.required(path, "must specify `addresses` or `notReadyAddresses`");
    for (size_t j = 0; j < subset.addresses.size(); ++j)
      validate_address(subset.addresses[j], (path / "addresses").index(j), errors);
    for (size_t j = 0; j < subset.not_ready_addresses.size(); ++j)
      validate_address(subset.not_ready_addresses[j], (path / "notReadyAddresses").index(j),
                       errors);
    for (size_t j = 0; j < subset.ports.size(); ++j)
      validate_port(subset.ports[j], subset.ports.size() > 1, (path / "ports").index(j), errors);
  }
}
void validate_endpoints_update(const core::Endpoints& object, const core::Endpoints&,
                               FieldErrors& errors) {
  validate_endpoints(object, errors);
}

// ---- EndpointSlice
// ------------------------------------------------------------------------------------------------------------

void default_slice(discovery::EndpointSlice& slice) { apply_table_defaults(slice); }

// The old topology map is not kept in v1.
void drop_topology(discovery::EndpointSlice& slice, const discovery::EndpointSlice* old) {
  if (old != nullptr && old->endpoints == slice.endpoints) return;
  for (discovery::Endpoint& endpoint : slice.endpoints) endpoint.deprecated_topology.reset();
}
void prepare_slice(WriteContext&, discovery::EndpointSlice& slice) {
  drop_topology(slice, nullptr);
}
void prepare_slice_update(WriteContext&, discovery::EndpointSlice& slice,
                          const discovery::EndpointSlice& old) {
  bool changed = !(slice.endpoints == old.endpoints) || !(slice.ports == old.ports) ||
                 !(slice.address_type == old.address_type) ||
                 !(slice.metadata.labels == old.metadata.labels);
  slice.metadata.generation = old.metadata.generation + (changed ? 1 : 0);
  drop_topology(slice, &old);
}

void validate_fqdn(std::string_view name, const Path& path, FieldErrors& errors) {
  if (name.empty()) return errors.required(path);
  if (name.ends_with('.')) name.remove_suffix(1);
  Messages problems = check_dns1123_subdomain(name);
  if (!problems.empty()) return errors.invalid(path, quoted(name), join(problems, ","));
  if (name.find('.') == name.npos)
    return errors.invalid(path, quoted(name),
                          "should be a domain with at least two segments separated by dots");
  for (std::string_view label : split(name, '.')) {
    problems = check_dns1123_label(label);
    if (!problems.empty()) return errors.invalid(path, quoted(label), join(problems, ","));
  }
}

void validate_endpoint(const discovery::Endpoint& endpoint, std::string_view type, const Path& path,
                       FieldErrors& errors) {
  Path addresses = path / "addresses";
  if (endpoint.addresses.empty()) {
    errors.required(addresses, "must contain at least 1 address");
  } else if (endpoint.addresses.size() > 100) {
    errors.too_many(addresses, static_cast<int>(endpoint.addresses.size()), 100);
  }
  for (size_t i = 0; i < endpoint.addresses.size(); ++i) {
    std::string_view address = endpoint.addresses[i];
    Path at = addresses.index(i);
    std::optional<IpAddress> ip = parse_ip(address);
    if (type == "IPv4") {
      if (!ip || ip->v6) errors.invalid(at, quoted(address), "must be a valid IPv4 address");
      validate_non_special_ip(address, at, errors);
    } else if (type == "IPv6") {
      if (!ip || !ip->v6) errors.invalid(at, quoted(address), "must be a valid IPv6 address");
      validate_non_special_ip(address, at, errors);
    } else if (type == "FQDN") {
      validate_fqdn(address, at, errors);
    }
  }
  if (endpoint.node_name)
    invalid_each(path / "nodeName", *endpoint.node_name,
                 check_dns1123_subdomain(*endpoint.node_name), errors);
  Path topology = path / "deprecatedTopology";
  if (endpoint.deprecated_topology.size() > 16)
    errors.too_many(topology, static_cast<int>(endpoint.deprecated_topology.size()), 16);
  validate_labels(endpoint.deprecated_topology, topology, errors);
  if (endpoint.hostname)
    invalid_each(path / "hostname", *endpoint.hostname, check_dns1123_label(*endpoint.hostname),
                 errors);
  if (!endpoint.hints) return;
  Path zones = path / "hints" / "forZones";
  if (endpoint.hints->for_zones.size() > 8)
    return errors.too_many(zones, static_cast<int>(endpoint.hints->for_zones.size()), 8);
  std::set<std::string_view> seen;
  for (size_t i = 0; i < endpoint.hints->for_zones.size(); ++i) {
    const Str& zone = endpoint.hints->for_zones[i].name;
    Path at = zones.index(i) / "name";
    if (!seen.insert(zone.view()).second) {
      errors.duplicate(at, quoted(zone));
    } else {
      invalid_each(at, zone, check_label_value(zone), errors);
    }
  }
}

void validate_slice_ports(const List<discovery::EndpointPort>& ports, const Path& path,
                          FieldErrors& errors) {
  if (ports.size() > 20000) return errors.too_many(path, static_cast<int>(ports.size()), 20000);
  std::set<std::string_view> names;
  for (size_t i = 0; i < ports.size(); ++i) {
    const discovery::EndpointPort& port = ports[i];
    Path at = path.index(i);
    std::string_view name = port.name.value_or("");
    if (!name.empty()) invalid_each(at / "name", name, check_dns1123_label(name), errors);
    if (!names.insert(name).second) errors.duplicate(at / "name", quoted(name));
    if (!port.protocol) {
      errors.required(at / "protocol");
    } else {
      validate_supported(*port.protocol, kProtocols, at / "protocol", errors);
    }
    if (port.app_protocol)
      invalid_each(at / "appProtocol", *port.app_protocol, check_qualified_name(*port.app_protocol),
                   errors);
  }
}

void validate_slice(const discovery::EndpointSlice& slice, FieldErrors& errors) {
  if (slice.address_type.empty()) {
    errors.required(Path("addressType"));
  } else {
    validate_supported(slice.address_type, {"FQDN", "IPv4", "IPv6"}, Path("addressType"), errors);
  }
  if (slice.endpoints.size() > 1000) {
    errors.too_many(Path("endpoints"), static_cast<int>(slice.endpoints.size()), 1000);
  } else {
    for (size_t i = 0; i < slice.endpoints.size(); ++i)
      validate_endpoint(slice.endpoints[i], slice.address_type, Path("endpoints").index(i), errors);
  }
  validate_slice_ports(slice.ports, Path("ports"), errors);
}
void validate_slice_update(const discovery::EndpointSlice& slice,
                           const discovery::EndpointSlice& old, FieldErrors& errors) {
  validate_slice(slice, errors);
  validate_immutable(slice.address_type, old.address_type, quoted(slice.address_type),
                     Path("addressType"), errors);
}
void warn_slice(WriteContext& context, const discovery::EndpointSlice& slice,
                const discovery::EndpointSlice* old) {
  if (old == nullptr && slice.address_type == "FQDN")
    context.warnings.push_back("spec.addressType: FQDN endpoints are deprecated");
}

constexpr Strategy kStrategies[] = {
    {.group = "",
     .plural = "endpoints",
     .defaults = erase_defaults<&default_endpoints>,
     .validate = erase_validate<&validate_endpoints>,
     .validate_update = erase_validate_update<&validate_endpoints_update>,
     .allow_create_on_update = true},
    {.group = "discovery.k8s.io",
     .plural = "endpointslices",
     .defaults = erase_defaults<&default_slice>,
     .prepare_create = erase_create<&prepare_slice>,
     .prepare_update = erase_update<&prepare_slice_update>,
     .validate = erase_validate<&validate_slice>,
     .validate_update = erase_validate_update<&validate_slice_update>,
     .warnings = erase_warnings<&warn_slice>,
     .has_generation = true},
};

}  // namespace

std::span<const Strategy> endpoints_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
