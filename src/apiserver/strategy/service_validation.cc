// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include <set>

#include "apiserver/strategy/service.h"
#include "apiserver/strategy/service_allocator.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kSetOnce = "may not change once set";

void validate_port(const core::ServicePort& port, bool require_name,
                   std::set<std::string_view>& names, const Path& path, FieldErrors& errors) {
  if (require_name && port.name.empty()) {
    errors.required(path / "name");
  } else if (!port.name.empty()) {
    invalid_each(path / "name", port.name, check_dns1123_label(port.name), errors);
    if (!names.insert(port.name.view()).second) errors.duplicate(path / "name", quoted(port.name));
  }
  for (const std::string& message : check_port_number(port.port))
    errors.invalid(path / "port", std::to_string(port.port), message);
  validate_choice(port.protocol, {"SCTP", "TCP", "UDP"}, path / "protocol", errors);
  validate_port_or_name(port.target_port, path / "targetPort", errors);
  if (port.app_protocol)
    invalid_each(path / "appProtocol", *port.app_protocol, check_qualified_name(*port.app_protocol),
                 errors);
}

void validate_ports(const core::Service& service, const Path& path, FieldErrors& errors) {
  const core::ServiceSpec& spec = service.spec;
  std::set<std::string_view> names;
  for (size_t i = 0; i < spec.ports.size(); ++i)
    validate_port(spec.ports[i], spec.ports.size() > 1, names, path.index(i), errors);
}

// Rules between the ports, after those of each.
void validate_port_set(const core::Service& service, const Path& path, FieldErrors& errors) {
  const core::ServiceSpec& spec = service.spec;
  if (spec.type == "ClusterIP")
    for (size_t i = 0; i < spec.ports.size(); ++i)
      if (spec.ports[i].node_port != 0)
        errors.forbidden(path.index(i) / "nodePort", "may not be used when `type` is 'ClusterIP'");
  std::set<std::pair<std::string_view, int32_t>> node_ports, ports;
  for (size_t i = 0; i < spec.ports.size(); ++i) {
    const core::ServicePort& port = spec.ports[i];
    if (port.node_port != 0 && !node_ports.emplace(port.protocol.view(), port.node_port).second)
      errors.duplicate(path.index(i) / "nodePort", std::to_string(port.node_port));
  }
  for (size_t i = 0; i < spec.ports.size(); ++i) {
    const core::ServicePort& port = spec.ports[i];
    if (!ports.emplace(port.protocol.view(), port.port).second)
      errors.duplicate(
          path.index(i),
          "core.ServicePort{Name:\"\", Protocol:" + quoted(port.protocol) +
              ", AppProtocol:(*string)(nil), Port:" + std::to_string(port.port) +
              ", TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:\"\"}, NodePort:0}");
  }
}

void validate_type(const core::Service& service, const Path& path, FieldErrors& errors) {
  const core::ServiceSpec& spec = service.spec;
  bool headless = is_headless(service);
  if (spec.ports.empty() && !headless && !(spec.type == "ExternalName"))
    errors.required(path / "ports");
  if (spec.type == "LoadBalancer") {
    for (size_t i = 0; i < spec.ports.size(); ++i)
      if (spec.ports[i].port == 10250)
        errors.invalid((path / "ports").index(i), "10250",
                       "may not expose port 10250 externally since it is used by kubelet");
  }
  if (headless && (spec.type == "LoadBalancer" || spec.type == "NodePort"))
    errors.invalid((path / "clusterIPs").index(0), "\"None\"",
                   "may not be set to 'None' for " + spec.type.str() + " services");
  if (!(spec.type == "ExternalName")) return;
  constexpr std::string_view kNotExternal = "may not be set for ExternalName services";
  if (!spec.cluster_ips.empty()) errors.forbidden(path / "clusterIPs", kNotExternal);
  if (!spec.ip_families.empty()) errors.forbidden(path / "ipFamilies", kNotExternal);
  if (spec.ip_family_policy) errors.forbidden(path / "ipFamilyPolicy", kNotExternal);
  std::string_view name = spec.external_name;
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty()) {
    errors.required(path / "externalName");
  } else {
    invalid_each(path / "externalName", name, check_dns1123_subdomain(name), errors);
  }
}

void validate_affinity_config(const core::ServiceSpec& spec, const Path& path,
                              FieldErrors& errors) {
  validate_choice(spec.session_affinity, {"ClientIP", "None"}, path / "sessionAffinity", errors);
  Path at = path / "sessionAffinityConfig";
  const core::SessionAffinityConfig* config = spec.session_affinity_config.get();
  if (spec.session_affinity == "None") {
    if (config != nullptr) errors.forbidden(at, "must not be set when session affinity is None");
    return;
  }
  if (!(spec.session_affinity == "ClientIP")) return;
  constexpr std::string_view kWhen = "when session affinity type is ClientIP";
  if (config == nullptr) return errors.required(at, kWhen);
  if (!config->client_ip) return errors.required(at / "clientIP", kWhen);
  Path timeout = at / "clientIP" / "timeoutSeconds";
  if (!config->client_ip->timeout_seconds) return errors.required(timeout, kWhen);
  int32_t seconds = *config->client_ip->timeout_seconds;
  if (seconds <= 0 || seconds > 86400)
    errors.invalid(timeout, std::to_string(seconds), "must be greater than 0 and less than 86400");
}

void validate_source_ranges(const core::Service& service, const Path& path, FieldErrors& errors) {
  constexpr std::string_view kAnnotation = "service.beta.kubernetes.io/load-balancer-source-ranges";
  const Str* annotation = service.metadata.annotations.find(kAnnotation);
  const List<Str>& listed = service.spec.load_balancer_source_ranges;
  if (listed.empty() && annotation == nullptr) return;
  Path at = listed.empty() ? (Path("metadata") / "annotations").key(kAnnotation)
                           : path / "LoadBalancerSourceRanges";
  if (!(service.spec.type == "LoadBalancer"))
    errors.forbidden(at, "may only be used when `type` is 'LoadBalancer'");
  bool good = true;
  std::string shown;
  if (!listed.empty()) {
    for (const Str& range : listed) {
      good &= parse_cidr(trim(range)).has_value();
      shown += (shown.empty() ? "" : " ") + range.str();
    }
    shown = "[" + shown + "]";
  } else {
    shown = annotation->str();
    std::string_view text = trim(*annotation);
    if (!text.empty())
      for (std::string_view range : split(text, ',')) good &= parse_cidr(trim(range)).has_value();
  }
  if (!good)
    errors.invalid(at, quoted(shown),
                   "must be a list of IP ranges. For example, 10.240.0.0/24,10.250.0.0/24 ");
}

void validate_balancer_class(const core::Service& service, const core::Service* old,
                             FieldErrors& errors) {
  Path path = Path("spec") / "loadBalancerClass";
  const auto& name = service.spec.load_balancer_class;
  bool balancer = service.spec.type == "LoadBalancer";
  if (old != nullptr && balancer && old->spec.type == "LoadBalancer" &&
      !(old->spec.load_balancer_class == name))
    errors.invalid(path, go_pointer_text(name), kSetOnce);
  if (!name) return;
  if (balancer) {
    invalid_each(path, *name, check_qualified_name(*name), errors);
  } else {
    errors.forbidden(path, "may only be used when `type` is 'LoadBalancer'");
  }
}

void validate_traffic(const core::Service& service, const Path& path, FieldErrors& errors) {
  const core::ServiceSpec& spec = service.spec;
  if (!needs_node_port(service)) {
    if (!spec.external_traffic_policy.empty())
      errors.invalid(path / "externalTrafficPolicy", quoted(spec.external_traffic_policy),
                     "may only be set when `type` is 'NodePort' or 'LoadBalancer'");
  } else {
    validate_choice(spec.external_traffic_policy, {"Cluster", "Local"},
                    path / "externalTrafficPolicy", errors);
  }
  int32_t health = spec.health_check_node_port;
  if (!needs_health_port(service)) {
    if (health != 0)
      errors.invalid(
          path / "healthCheckNodePort", std::to_string(health),
          "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
  } else if (health != 0) {
    // Absent, it is allocated on the way to the store.
    for (const std::string& message : check_port_number(health))
      errors.invalid(path / "healthCheckNodePort", std::to_string(health), message);
  }
  if (!spec.internal_traffic_policy) {
    if (needs_node_port(service) || spec.type == "ClusterIP")
      errors.required(path / "internalTrafficPolicy");
  } else {
    validate_supported(*spec.internal_traffic_policy, {"Cluster", "Local"},
                       path / "internalTrafficPolicy", errors);
  }
}

void validate_ip_changes(const core::Service& service, const core::Service& old,
                         FieldErrors& errors) {
  if (!needs_cluster_ip(service) || !needs_cluster_ip(old)) return;
  bool headless = is_headless(service), was_headless = is_headless(old);
  Path ips = Path("spec") / "clusterIPs", policy = Path("spec") / "ipFamilyPolicy";
  const List<Str>&now = service.spec.cluster_ips, &before = old.spec.cluster_ips;
  bool single = service.spec.ip_family_policy && *service.spec.ip_family_policy == "SingleStack";
  if (!(headless && was_headless)) {
    if (now.size() == before.size()) {
      for (size_t i = 0; i < now.size(); ++i)
        if (!(now[i] == before[i])) errors.invalid(ips.index(i), go_list(now), kSetOnce);
    } else {
      if (now.empty())
        errors.invalid(ips.index(0), go_list(now), "primary clusterIP can not be unset");
      if (!now.empty() && !before.empty() && !(now[0] == before[0]))
        errors.invalid(ips.index(0), go_list(now), kSetOnce);
      if (now.size() < before.size() && now.size() == 1 && !single)
        errors.invalid(policy, go_pointer_text(service.spec.ip_family_policy),
                       "must be set to 'SingleStack' when releasing the secondary clusterIP");
    }
  }
  if (headless || was_headless) return;
  Path families = Path("spec") / "ipFamilies";
  const List<Str>&families_now = service.spec.ip_families, &families_before = old.spec.ip_families;
  if (families_now.size() == families_before.size()) {
    for (size_t i = 0; i < families_now.size(); ++i)
      if (!(families_now[i] == families_before[i]))
        errors.invalid(families.index(0), go_list(families_now), kSetOnce);
  } else {
    if (families_now.size() < families_before.size() && now.empty())
      errors.invalid(families.index(0), go_list(families_now), "primary ipFamily can not be unset");
    if (!families_now.empty() && !families_before.empty() &&
        !(families_now[0] == families_before[0]))
      errors.invalid(families.index(0), go_list(now), kSetOnce);
    if (families_now.size() < families_before.size() && families_now.size() == 1 && !single)
      errors.invalid(policy, go_pointer_text(service.spec.ip_family_policy),
                     "must be set to 'SingleStack' when releasing the secondary ipFamily");
  }
}

}  // namespace

void validate_cluster_ips(const core::Service& service, FieldErrors& errors) {
  if (!needs_cluster_ip(service)) return;
  const core::ServiceSpec& spec = service.spec;
  Path path = Path("spec") / "clusterIPs", families = Path("spec") / "ipFamilies";
  if (!spec.cluster_ip.empty()) {
    if (spec.cluster_ips.empty()) {
      errors.required(path);
    } else if (!(spec.cluster_ips[0] == spec.cluster_ip)) {
      errors.invalid(path, go_list(spec.cluster_ips), "first value must match `clusterIP`");
    }
  } else if (!spec.cluster_ips.empty()) {
    errors.invalid(path, go_list(spec.cluster_ips),
                   "must be empty when `clusterIP` is not specified");
  }
  std::set<std::string_view> seen;
  for (size_t i = 0; i < spec.ip_families.size(); ++i) {
    validate_supported(spec.ip_families[i], {"IPv4", "IPv6"}, families.index(i), errors);
    if (!seen.insert(spec.ip_families[i].view()).second)
      errors.duplicate(families.index(i), quoted(spec.ip_families[i]));
  }
  if (spec.ip_family_policy)
    validate_supported(*spec.ip_family_policy,
                       {"PreferDualStack", "RequireDualStack", "SingleStack"},
                       Path("spec") / "ipFamilyPolicy", errors);
  bool bad = false;
  std::vector<IpAddress> addresses;
  for (size_t i = 0; i < spec.cluster_ips.size(); ++i) {
    const Str& ip = spec.cluster_ips[i];
    if (i == 0 && ip == "None") {
      if (spec.cluster_ips.size() > 1) {
        bad = true;
        errors.invalid(path, go_list(spec.cluster_ips), "'None' must be the first and only value");
      }
      continue;
    }
    Messages problems = check_ip(ip);
    bad |= !problems.empty();
    invalid_each(path.index(i), ip, problems, errors);
    if (auto address = parse_ip(ip)) addresses.push_back(*address);
  }
  if (spec.cluster_ips.size() > 2)
    errors.invalid(path, go_list(spec.cluster_ips), "may only hold up to 2 values");
  if (bad) return;
  if (spec.cluster_ips.size() > 1 && !is_dual_stack(addresses))
    errors.invalid(path, go_list(spec.cluster_ips),
                   "may specify no more than one IP for each IP family");
  if (is_headless(service)) return;
  for (size_t i = 0; i < addresses.size() && i < spec.ip_families.size(); ++i) {
    bool v6 = spec.ip_families[i] == "IPv6";
    bool known = v6 || spec.ip_families[i] == "IPv4";
    if (known && v6 != addresses[i].v6)
      errors.invalid(path.index(i), quoted(spec.cluster_ips[i]),
                     "expected an " + spec.ip_families[i].str() +
                         " value as indicated by `ipFamilies[" + std::to_string(i) + "]`");
  }
}

void validate_service(const core::Service& service, FieldErrors& errors) {
  // Addresses are settled before anything else is looked at, as upstream's storage does.
  size_t before = errors.causes().size();
  validate_cluster_ips(service, errors);
  if (errors.causes().size() != before) return;
  const core::ServiceSpec& spec = service.spec;
  Path path("spec");
  const Str* hints =
      service.metadata.annotations.find("service.kubernetes.io/topology-aware-hints");
  const Str* mode = service.metadata.annotations.find("service.kubernetes.io/topology-mode");
  if (hints != nullptr && mode != nullptr && !(*hints == *mode))
    errors.invalid((Path("metadata") / "annotations").key("service.kubernetes.io/topology-mode"),
                   quoted(*mode),
                   "must match annotations[service.kubernetes.io/topology-aware-hints] when both "
                   "are specified");
  validate_type(service, path, errors);
  validate_ports(service, path / "ports", errors);
  validate_labels(spec.selector, path / "selector", errors);
  validate_affinity_config(spec, path, errors);
  for (size_t i = 0; i < spec.external_ips.size(); ++i) {
    Path at = (path / "externalIPs").index(i);
    Messages problems = check_ip(spec.external_ips[i]);
    invalid_each(at, spec.external_ips[i], problems, errors);
    if (problems.empty()) validate_non_special_ip(spec.external_ips[i], at, errors);
  }
  validate_choice(spec.type, {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"},
                  path / "type", errors);
  validate_port_set(service, path / "ports", errors);
  validate_source_ranges(service, path, errors);
  if (spec.allocate_load_balancer_node_ports && !(spec.type == "LoadBalancer"))
    errors.forbidden(path / "allocateLoadBalancerNodePorts",
                     "may only be used when `type` is 'LoadBalancer'");
  if (spec.type == "LoadBalancer" && !spec.allocate_load_balancer_node_ports)
    errors.required(Path("allocateLoadBalancerNodePorts"));
  validate_balancer_class(service, nullptr, errors);
  validate_traffic(service, path, errors);
}

// IPv4 with leading zeros, and IPv6 in other than the canonical spelling.
void warn_of_ip(std::string_view text, std::string_view whole, const Path& path,
                std::string_view what, std::vector<std::string>& out) {
  auto address = parse_ip(text);
  if (!address) return;
  if (!address->v6) {
    bool leading = false;
    for (size_t i = 0; i + 1 < text.size(); ++i)
      leading |= text[i] == '0' && (i == 0 || text[i - 1] == '.') && text[i + 1] >= '0' &&
                 text[i + 1] <= '9';
    if (!leading) return;
    std::string problem = "ParseAddr(" + quoted(text) + "): IPv4 field has octet with leading zero";
    if (whole != text) problem = "netip.ParsePrefix(" + quoted(whole) + "): " + problem;
    out.push_back(path.text() + ": IP " + std::string(what) +
                  " was accepted, but will be invalid in a future Kubernetes release: " + problem);
    return;
  }
  char printed[INET6_ADDRSTRLEN];
  if (inet_ntop(AF_INET6, address->bytes.data(), printed, sizeof printed) == nullptr ||
      text == printed)
    return;
  std::string canonical = std::string(printed) + std::string(whole.substr(text.size()));
  out.push_back(path.text() + ": IPv6 " + std::string(what) + " " + quoted(whole) +
                " is not in RFC 5952 canonical format (" + quoted(canonical) +
                "), which may cause controller apply-loops");
}

void warn_service(WriteContext& context, const core::Service& service, const core::Service*) {
  const core::ServiceSpec& spec = service.spec;
  std::vector<std::string>& out = context.warnings;
  Path path("spec");
  if (service.metadata.annotations.contains("service.kubernetes.io/topology-aware-hints"))
    out.push_back(
        "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use "
        "service.kubernetes.io/topology-mode instead");
  auto each = [&](const List<Str>& list, std::string_view field) {
    for (size_t i = 0; i < list.size(); ++i)
      warn_of_ip(list[i].view().substr(0, list[i].view().find('/')), list[i],
                 (path / field).index(i),
                 field == "loadBalancerSourceRanges" ? "prefix" : "address", out);
  };
  each(spec.cluster_ips, "clusterIPs");
  each(spec.external_ips, "externalIPs");
  if (!spec.load_balancer_ip.empty())
    warn_of_ip(spec.load_balancer_ip, spec.load_balancer_ip, path / "loadBalancerIP", "address",
               out);
  each(spec.load_balancer_source_ranges, "loadBalancerSourceRanges");
  bool external = spec.type == "ExternalName";
  if (external && !spec.external_ips.empty())
    out.push_back("spec.externalIPs is ignored when spec.type is \"ExternalName\"");
  if (!external && !spec.external_name.empty())
    out.push_back("spec.externalName is ignored when spec.type is not \"ExternalName\"");
}

void validate_service_update(const core::Service& service, const core::Service& old,
                             FieldErrors& errors) {
  validate_ip_changes(service, old, errors);
  validate_balancer_class(service, &old, errors);
  if (needs_health_port(old) && needs_health_port(service) &&
      service.spec.health_check_node_port != old.spec.health_check_node_port)
    errors.forbidden(Path("spec") / "healthCheckNodePort", "field is immutable");
  validate_service(service, errors);
}

void validate_service_status(const core::Service& service, const core::Service&,
                             FieldErrors& errors) {
  Path path = Path("status") / "loadBalancer" / "ingress";
  for (size_t i = 0; i < service.status.load_balancer.ingress.size(); ++i) {
    const core::LoadBalancerIngress& point = service.status.load_balancer.ingress[i];
    if (!point.ip.empty() && !parse_ip(point.ip))
      errors.invalid(path.index(i) / "ip", quoted(point.ip), "must be a valid IP address");
    if (point.hostname.empty()) continue;
    invalid_each(path.index(i) / "hostname", point.hostname,
                 check_dns1123_subdomain(point.hostname), errors);
    if (parse_ip(point.hostname))
      errors.invalid(path.index(i) / "hostname", quoted(point.hostname),
                     "must be a DNS name, not an IP address");
  }
}

}  // namespace knarr::apiserver
