// SPDX-License-Identifier: Apache-2.0
// Strategies of ingresses, ingressclasses and networkpolicies.
#include "api/networking_v1.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"
#include "apiserver/strategy/validators.h"

namespace knarr::apiserver {

namespace {

namespace net_api = api::networking_v1;

// ---- Ingress
// --------------------------------------------------------------------------------------------------------------------

constexpr std::string_view kClassAnnotation = "kubernetes.io/ingress.class";

template <class Reference>
void validate_reference(const Reference& reference, const Path& path, FieldErrors& errors) {
  if (reference.api_group)
    invalid_each(path / "apiGroup", *reference.api_group,
                 check_dns1123_subdomain(*reference.api_group), errors);
  if (reference.kind.empty()) {
    errors.required(path / "kind", "kind is required");
  } else {
    invalid_each(path / "kind", reference.kind, check_path_segment(reference.kind, false), errors);
  }
  if (reference.name.empty()) {
    errors.required(path / "name", "name is required");
  } else {
    invalid_each(path / "name", reference.name, check_path_segment(reference.name, false), errors);
  }
}

void validate_backend(const net_api::IngressBackend& backend, const Path& path,
                      FieldErrors& errors) {
  if (backend.resource && backend.service)
    return errors.invalid(path, "\"\"", "cannot set both resource and service backends");
  if (backend.resource) return validate_reference(*backend.resource, path / "resource", errors);
  if (!backend.service)
    return errors.invalid(path, "\"\"", "resource or service backend is required");
  const net_api::IngressServiceBackend& service = *backend.service;
  Path at = path / "service";
  if (service.name.empty()) {
    errors.required(at / "name");
  } else {
    invalid_each(at / "name", service.name, check_dns1035_label(service.name), errors);
  }
  bool name = !service.port.name.empty(), number = service.port.number != 0;
  if (name && number) {
    errors.invalid(path, "\"\"", "cannot set both port name & port number");
  } else if (name) {
    invalid_each(at / "port" / "name", service.port.name, check_port_name(service.port.name),
                 errors);
  } else if (number) {
    for (const std::string& message : check_port_number(service.port.number))
      errors.invalid(at / "port" / "number", std::to_string(service.port.number), message);
  } else {
    errors.required(path, "port name or number is required");
  }
}

void validate_http_path(const net_api::HTTPIngressPath& rule, const Path& path,
                        FieldErrors& errors) {
  if (!rule.path_type) return errors.required(path / "pathType", "pathType must be specified");
  std::string_view type = *rule.path_type, text = rule.path;
  Path at = path / "path";
  if (type == "Exact" || type == "Prefix") {
    if (!text.starts_with('/')) errors.invalid(at, quoted(text), "must be an absolute path");
    for (std::string_view bad : {"//", "/./", "/../", "%2f", "%2F"})
      if (text.find(bad) != text.npos)
        errors.invalid(at, quoted(text), "must not contain '" + std::string(bad) + "'");
    for (std::string_view bad : {"/..", "/."})
      if (text.ends_with(bad))
        errors.invalid(at, quoted(text), "cannot end with '" + std::string(bad) + "'");
  } else if (type == "ImplementationSpecific") {
    if (!text.empty() && !text.starts_with('/'))
      errors.invalid(at, quoted(text), "must be an absolute path");
  } else {
    errors.not_supported(path / "pathType", quoted(type),
                         {"Exact", "ImplementationSpecific", "Prefix"});
  }
  validate_backend(rule.backend, path / "backend", errors);
}
void validate_http(const net_api::IngressRuleValue& value, const Path& path, FieldErrors& errors) {
  if (!value.http) return;
  Path paths = path / "http" / "paths";
  if (value.http->paths.empty()) errors.required(paths);
  for (size_t i = 0; i < value.http->paths.size(); ++i)
    validate_http_path(value.http->paths[i], paths.index(i), errors);
}

struct IngressOptions {
  bool allow_invalid_secret = false, allow_invalid_wildcard = false;
};

void validate_host(const Str& host, const Path& path, FieldErrors& errors) {
  bool wildcard = host.view().find('*') != std::string_view::npos;
  invalid_each(path, host,
               wildcard ? check_wildcard_dns1123_subdomain(host) : check_dns1123_subdomain(host),
               errors);
}

void validate_ingress_spec(const net_api::IngressSpec& spec, const IngressOptions& options,
                           FieldErrors& errors) {
  Path path("spec");
  if (spec.rules.empty() && !spec.default_backend)
    errors.invalid(path, "[]networking.IngressRule(nil)",
                   "either `defaultBackend` or `rules` must be specified");
  if (spec.default_backend)
    validate_backend(*spec.default_backend, path / "defaultBackend", errors);
  for (size_t i = 0; i < spec.rules.size(); ++i) {
    const net_api::IngressRule& rule = spec.rules[i];
    Path at = (path / "rules").index(i);
    if (!rule.host.empty()) {
      if (parse_ip(rule.host))
        errors.invalid(at / "host", quoted(rule.host), "must be a DNS name, not an IP address");
      validate_host(rule.host, at / "host", errors);
    }
    bool wildcard = rule.host.view().find('*') != std::string_view::npos;
    if (!wildcard || !options.allow_invalid_wildcard)
      validate_http(rule.ingress_rule_value, at, errors);
  }
  for (size_t i = 0; i < spec.tls.size(); ++i) {
    Path at = (path / "tls").index(i);
    for (size_t j = 0; j < spec.tls[i].hosts.size(); ++j)
      validate_host(spec.tls[i].hosts[j], (at / "hosts").index(j), errors);
    const Str& secret = spec.tls[i].secret_name;
    if (!secret.empty() && !options.allow_invalid_secret)
      invalid_each(at / "secretName", secret, check_dns1123_subdomain(secret), errors);
  }
  if (spec.ingress_class_name)
    invalid_each(path / "ingressClassName", *spec.ingress_class_name,
                 check_dns1123_subdomain(*spec.ingress_class_name), errors);
}
void validate_ingress(const net_api::Ingress& ingress, FieldErrors& errors) {
  validate_ingress_spec(ingress.spec, IngressOptions(), errors);
  const Str* annotation = ingress.metadata.annotations.find(kClassAnnotation);
  if (annotation != nullptr && ingress.spec.ingress_class_name &&
      !(*annotation == *ingress.spec.ingress_class_name))
    errors.invalid(Path("annotations") / kClassAnnotation, quoted(*annotation),
                   "must match `ingressClassName` when both are specified");
}
void validate_ingress_update(const net_api::Ingress& ingress, const net_api::Ingress& old,
                             FieldErrors& errors) {
  IngressOptions options;
  for (const net_api::IngressTLS& tls : old.spec.tls)
    if (!tls.secret_name.empty() && !check_dns1123_subdomain(tls.secret_name).empty())
      options.allow_invalid_secret = true;
  for (const net_api::IngressRule& rule : old.spec.rules) {
    FieldErrors before;
    validate_http(rule.ingress_rule_value, Path(), before);
    if (rule.host.view().find('*') != std::string_view::npos && !before.empty())
      options.allow_invalid_wildcard = true;
  }
  validate_ingress_spec(ingress.spec, options, errors);
}
void validate_ingress_status(const net_api::Ingress& ingress, const net_api::Ingress&,
                             FieldErrors& errors) {
  Path path = Path("status") / "loadBalancer" / "ingress";
  for (size_t i = 0; i < ingress.status.load_balancer.ingress.size(); ++i) {
    const auto& point = ingress.status.load_balancer.ingress[i];
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
void warn_ingress(WriteContext& context, const net_api::Ingress& ingress,
                  const net_api::Ingress* old) {
  if (old == nullptr && ingress.metadata.annotations.contains(kClassAnnotation) &&
      !ingress.spec.ingress_class_name)
    context.warnings.push_back(
        "annotation \"kubernetes.io/ingress.class\" is deprecated, please use "
        "'spec.ingressClassName' instead");
}

// ---- IngressClass
// ---------------------------------------------------------------------------------------------------------------

void default_class(net_api::IngressClass& object) { apply_table_defaults(object); }

void validate_controller(std::string_view name, const Path& path, FieldErrors& errors) {
  if (name.size() > 250) errors.too_long(path, quoted(name), 250);
  if (name.empty()) return errors.required(path);
  size_t slash = name.find('/');
  if (slash == name.npos || slash == 0 || slash + 1 == name.size())
    return errors.invalid(path, quoted(name),
                          "must be a domain-prefixed path (such as \"acme.io/foo\")");
  std::string_view host = name.substr(0, slash), rest = name.substr(slash + 1);
  invalid_each(path, host, check_dns1123_subdomain(host), errors);
  for (char c : rest) {
    bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                std::string_view("/-._~%!$&'()*+,;=:").find(c) != std::string_view::npos;
    if (good) continue;
    return errors.invalid(path, quoted(rest),
                          regex_message("Invalid path", "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", {}));
  }
}
void validate_class(const net_api::IngressClass& object, FieldErrors& errors) {
  Path path("spec");
  validate_controller(object.spec.controller, path / "controller", errors);
  if (!object.spec.parameters) return;
  const net_api::IngressClassParametersReference& parameters = *object.spec.parameters;
  Path at = path / "parameters";
  validate_reference(parameters, at, errors);
  if (!parameters.scope) return errors.required(at / "scope");
  validate_supported(*parameters.scope, {"Cluster", "Namespace"}, at / "scope", errors);
  if (*parameters.scope == "Namespace") {
    if (!parameters.namespace_) {
      errors.required(at / "namespace", "`parameters.scope` is set to 'Namespace'");
    } else {
      invalid_each(at / "namespace", *parameters.namespace_,
                   check_dns1123_label(*parameters.namespace_), errors);
    }
  } else if (*parameters.scope == "Cluster" && parameters.namespace_) {
    errors.forbidden(at / "namespace", "`parameters.scope` is set to 'Cluster'");
  }
}
void validate_class_update(const net_api::IngressClass& object, const net_api::IngressClass& old,
                           FieldErrors& errors) {
  validate_immutable(object.spec.controller, old.spec.controller, quoted(object.spec.controller),
                     Path("spec") / "controller", errors);
  validate_class(object, errors);
}

// ---- NetworkPolicy
// --------------------------------------------------------------------------------------------------------------

void default_policy(net_api::NetworkPolicy& policy) {
  apply_table_defaults(policy);
  if (!policy.spec.policy_types.empty()) return;
  policy.spec.policy_types.push_back("Ingress");
  if (!policy.spec.egress.empty()) policy.spec.policy_types.push_back("Egress");
}

void validate_policy_port(const net_api::NetworkPolicyPort& port, const Path& path,
                          FieldErrors& errors) {
  if (port.protocol)
    validate_supported(*port.protocol, {"TCP", "UDP", "SCTP"}, path / "protocol", errors);
  std::string end = std::to_string(port.end_port.value_or(0));
  if (!port.port) {
    if (port.end_port)
      errors.invalid(path / "endPort", end, "may not be specified when `port` is not specified");
  } else if (port.port->is_string) {
    if (port.end_port)
      errors.invalid(path / "endPort", end, "may not be specified when `port` is non-numeric");
    invalid_each(path / "port", port.port->text, check_port_name(port.port->text), errors);
  } else {
    int32_t number = port.port->number;
    for (const std::string& message : check_port_number(number))
      errors.invalid(path / "port", std::to_string(number), message);
    if (!port.end_port) return;
    if (*port.end_port < number)
      errors.invalid(path / "endPort", std::to_string(number),
                     "must be greater than or equal to `port`");
    for (const std::string& message : check_port_number(*port.end_port))
      errors.invalid(path / "endPort", end, message);
  }
}

bool in_block(const IpAddress& address, const Cidr& block) {
  if (address.v6 != block.address.v6) return false;
  for (int bit = 0; bit < block.prefix; ++bit) {
    auto of = [bit](const IpAddress& ip) {
      return ip.bytes[static_cast<size_t>(bit / 8)] >> (7 - bit % 8) & 1;
    };
    if (of(address) != of(block.address)) return false;
  }
  return true;
}
void validate_ip_block(const net_api::IPBlock& block, const Path& path, FieldErrors& errors) {
  if (block.cidr.empty()) return errors.required(path / "cidr");
  std::optional<Cidr> whole = parse_cidr(block.cidr);
  if (!whole) return errors.invalid(path / "cidr", quoted(block.cidr), "not a valid CIDR");
  for (size_t i = 0; i < block.except.size(); ++i) {
    Path at = (path / "except").index(i);
    std::optional<Cidr> part = parse_cidr(block.except[i]);
    if (!part) return errors.invalid(at, quoted(block.except[i]), "not a valid CIDR");
    if (!in_block(part->address, *whole) || whole->prefix >= part->prefix)
      errors.invalid(at, quoted(block.except[i]), "must be a strict subset of `cidr`");
  }
}
void validate_peer(const net_api::NetworkPolicyPeer& peer, bool allow_invalid, const Path& path,
                   FieldErrors& errors) {
  validate_label_selector(peer.pod_selector.get(), path / "podSelector", errors, allow_invalid);
  validate_label_selector(peer.namespace_selector.get(), path / "namespaceSelector", errors,
                          allow_invalid);
  if (peer.ip_block) validate_ip_block(*peer.ip_block, path / "ipBlock", errors);
  bool selector = peer.pod_selector.has_value() || peer.namespace_selector.has_value();
  if (!selector && !peer.ip_block) {
    errors.required(path, "must specify a peer");
  } else if (selector && peer.ip_block) {
    errors.forbidden(path, "may not specify both ipBlock and another peer");
  }
}
void validate_policy_spec(const net_api::NetworkPolicySpec& spec, bool allow_invalid,
                          FieldErrors& errors) {
  Path path("spec");
  validate_label_selector(&spec.pod_selector, path / "podSelector", errors, allow_invalid);
  auto rule = [&](const auto& ports, const auto& peers, std::string_view peers_name,
                  const Path& at) {
    for (size_t i = 0; i < ports.size(); ++i)
      validate_policy_port(ports[i], (at / "ports").index(i), errors);
    for (size_t i = 0; i < peers.size(); ++i)
      validate_peer(peers[i], allow_invalid, (at / peers_name).index(i), errors);
  };
  for (size_t i = 0; i < spec.ingress.size(); ++i)
    rule(spec.ingress[i].ports, spec.ingress[i].from, "from", (path / "ingress").index(i));
  for (size_t i = 0; i < spec.egress.size(); ++i)
    rule(spec.egress[i].ports, spec.egress[i].to, "to", (path / "egress").index(i));
  if (spec.policy_types.size() > 2)
    return errors.invalid(path / "policyTypes", go_list(spec.policy_types),
                          "may not specify more than two policyTypes");
  for (size_t i = 0; i < spec.policy_types.size(); ++i)
    validate_supported(spec.policy_types[i], {"Ingress", "Egress"}, (path / "policyTypes").index(i),
                       errors);
}
void validate_policy(const net_api::NetworkPolicy& policy, FieldErrors& errors) {
  validate_policy_spec(policy.spec, false, errors);
}
void validate_policy_update(const net_api::NetworkPolicy& policy, const net_api::NetworkPolicy& old,
                            FieldErrors& errors) {
  FieldErrors before;
  validate_label_selector(&old.spec.pod_selector, Path(), before);
  validate_policy_spec(policy.spec, !before.empty(), errors);
}

constexpr Strategy kStrategies[] = {
    {.group = "networking.k8s.io",
     .plural = "ingresses",
     .validate = erase_validate<&validate_ingress>,
     .validate_update = erase_validate_update<&validate_ingress_update>,
     .warnings = erase_warnings<&warn_ingress>,
     .validate_status = erase_validate_update<&validate_ingress_status>,
     .has_generation = true,
     .has_status = true},
    {.group = "networking.k8s.io",
     .plural = "ingressclasses",
     .defaults = erase_defaults<&default_class>,
     .validate = erase_validate<&validate_class>,
     .validate_update = erase_validate_update<&validate_class_update>,
     .has_generation = true},
    {.group = "networking.k8s.io",
     .plural = "networkpolicies",
     .defaults = erase_defaults<&default_policy>,
     .validate = erase_validate<&validate_policy>,
     .validate_update = erase_validate_update<&validate_policy_update>,
     .has_generation = true},
};

}  // namespace

std::span<const Strategy> networking_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
