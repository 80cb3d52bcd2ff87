// SPDX-License-Identifier: Apache-2.0
// Strategy of services. Validation: service_validation.cc; addresses and ports:
// service_allocator.cc.
#include "apiserver/strategy/service.h"

#include "apiserver/errors.h"
#include "apiserver/server.h"
#include "apiserver/strategy/service_allocator.h"
#include "apiserver/strategy/shared_ranges.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"

namespace knarr::apiserver {

namespace {

// ---- defaults
// -------------------------------------------------------------------------------------------------------------------

void defaults(core::Service& service) {
  apply_table_defaults(service);
  core::ServiceSpec& spec = service.spec;
  if (spec.session_affinity == "None") spec.session_affinity_config.reset();
  if (spec.session_affinity == "ClientIP") {
    core::SessionAffinityConfig& config = spec.session_affinity_config.ensure();
    core::ClientIPConfig& client = config.client_ip.ensure();
    if (!client.timeout_seconds) client.timeout_seconds = 10800;
  }
  for (core::ServicePort& port : spec.ports)
    if (port.target_port.is_string ? port.target_port.text.empty() : port.target_port.number == 0)
      port.target_port = schema::IntOrString(port.port);
  bool outside = needs_node_port(service);
  if (outside && spec.external_traffic_policy.empty()) spec.external_traffic_policy = "Cluster";
  if (!spec.internal_traffic_policy && (outside || spec.type == "ClusterIP"))
    spec.internal_traffic_policy = "Cluster";
  if (spec.type == "LoadBalancer" && !spec.allocate_load_balancer_node_ports)
    spec.allocate_load_balancer_node_ports = true;
}

// ---- linked fields
// ----------------------------------------------------------------------------------------------------------------

// clusterIP is the first of clusterIPs. A client that knows the singular only is followed.
void normalize_ips(core::Service& service, const core::Service* old) {
  core::ServiceSpec& spec = service.spec;
  auto only_first = [&] {
    spec.cluster_ips.reset();
    spec.cluster_ips.push_back(spec.cluster_ip);
  };
  if (old == nullptr) {
    if (!spec.cluster_ip.empty() && spec.cluster_ips.empty()) only_first();
    return;
  }
  if (!old->spec.cluster_ips.empty() && spec.cluster_ips.empty() &&
      old->spec.cluster_ip == spec.cluster_ip)
    spec.cluster_ips = old->spec.cluster_ips;
  if (old->spec.cluster_ip == spec.cluster_ip || !(old->spec.cluster_ips == spec.cluster_ips))
    return;
  if (!old->spec.cluster_ip.empty() && spec.cluster_ip.empty()) {
    spec.cluster_ips.reset();
  } else {
    only_first();
  }
}

// A client may resubmit what it created with: what the server gave it then stays.
void keep_allocated(core::Service& service, const core::Service& old) {
  core::ServiceSpec& spec = service.spec;
  if (needs_cluster_ip(old) && needs_cluster_ip(service)) {
    if (spec.cluster_ip.empty()) spec.cluster_ip = old.spec.cluster_ip;
    if (spec.cluster_ips.empty()) spec.cluster_ips = old.spec.cluster_ips;
  }
  if (needs_node_port(old) && needs_node_port(service)) {
    auto uses = [](const core::Service& s, int32_t port) {
      for (const core::ServicePort& p : s.spec.ports)
        if (p.node_port == port) return true;
      return false;
    };
    std::map<std::string_view, int32_t> by_name;
    for (const core::ServicePort& port : old.spec.ports) by_name[port.name] = port.node_port;
    // Ports that the new object names itself are not given to another one.
    core::Service asked = service;
    for (core::ServicePort& port : spec.ports) {
      if (port.node_port != 0) continue;
      auto before = by_name.find(port.name);
      if (before != by_name.end() && before->second != 0 && !uses(asked, before->second))
        port.node_port = before->second;
    }
  }
  if (needs_health_port(old) && needs_health_port(service) && spec.health_check_node_port == 0)
    spec.health_check_node_port = old.spec.health_check_node_port;
}

// Fields that a new type has no use for, when the client has left them alone.
void drop_unused(core::Service& service, const core::Service& old) {
  core::ServiceSpec& spec = service.spec;
  if (needs_cluster_ip(old) && !needs_cluster_ip(service)) {
    if (old.spec.cluster_ip == spec.cluster_ip && old.spec.cluster_ips == spec.cluster_ips) {
      spec.cluster_ip.reset();
      spec.cluster_ips.reset();
    }
    if (old.spec.ip_families == spec.ip_families) spec.ip_families.reset();
    if (old.spec.ip_family_policy == spec.ip_family_policy) spec.ip_family_policy.reset();
  }
  if (needs_node_port(old) && !needs_node_port(service)) {
    bool fresh = false;
    for (const core::ServicePort& port : spec.ports) {
      bool known = port.node_port == 0;
      for (const core::ServicePort& before : old.spec.ports)
        known |= before.node_port == port.node_port;
      fresh |= !known;
    }
    if (!fresh)
      for (core::ServicePort& port : spec.ports) port.node_port = 0;
  }
  if (needs_health_port(old) && !needs_health_port(service) &&
      old.spec.health_check_node_port == spec.health_check_node_port)
    spec.health_check_node_port = 0;
  bool was_balancer = old.spec.type == "LoadBalancer", is_balancer = spec.type == "LoadBalancer";
  if (was_balancer && !is_balancer) {
    if (old.spec.allocate_load_balancer_node_ports == spec.allocate_load_balancer_node_ports)
      spec.allocate_load_balancer_node_ports.reset();
    if (old.spec.load_balancer_class == spec.load_balancer_class) spec.load_balancer_class.reset();
  }
  if (needs_node_port(old) && !needs_node_port(service) &&
      old.spec.external_traffic_policy == spec.external_traffic_policy)
    spec.external_traffic_policy.reset();
  if (!is_balancer) service.status.load_balancer = core::LoadBalancerStatus();
}

// ---- IP families
// ----------------------------------------------------------------------------------------------------------------

// Both prefer two families and nothing of it changes: a cluster's own change of families does not
// reach them.
bool same_preference(const core::Service& service, const core::Service* old) {
  constexpr std::string_view kPrefer = "PreferDualStack";
  return old != nullptr && service.spec.ip_family_policy && old->spec.type == service.spec.type &&
         needs_cluster_ip(service) && *service.spec.ip_family_policy == kPrefer &&
         old->spec.ip_family_policy.value_or(kPrefer) == kPrefer &&
         old->spec.cluster_ips == service.spec.cluster_ips &&
         old->spec.ip_families == service.spec.ip_families;
}

void add_other_family(List<Str>& families) {
  families.push_back(families[0] == "IPv4" ? "IPv6" : "IPv4");
}

// What an update says about the second family.
void settle_second_family(core::Service& service, const core::Service& old, const Path& policy,
                          FieldErrors& errors) {
  core::ServiceSpec& spec = service.spec;
  if (*spec.ip_family_policy == "SingleStack") {
    // The policy is clear intent: drop what belongs to the second family.
    if (old.spec.cluster_ips == spec.cluster_ips)
      while (spec.cluster_ips.size() > 1) spec.cluster_ips.erase_at(spec.cluster_ips.size() - 1);
    if (old.spec.ip_families == spec.ip_families)
      while (spec.ip_families.size() > 1) spec.ip_families.erase_at(spec.ip_families.size() - 1);
    return;
  }
  if (!spec.cluster_ips.empty() && spec.cluster_ips.size() < old.spec.cluster_ips.size())
    errors.invalid(policy, quoted(*spec.ip_family_policy),
                   "must be 'SingleStack' to release the secondary cluster IP");
  if (!spec.ip_families.empty() && spec.ip_families.size() < old.spec.ip_families.size())
    errors.invalid(policy, quoted(*spec.ip_family_policy),
                   "must be 'SingleStack' to release the secondary IP family");
}

void check_policy(const core::Service& service, const ServiceAllocator& allocator,
                  const Path& spec_path, FieldErrors& errors) {
  const core::ServiceSpec& spec = service.spec;
  if (*spec.ip_family_policy == "RequireDualStack" && allocator.families() < 2)
    errors.invalid(spec_path / "ipFamilyPolicy", quoted(*spec.ip_family_policy),
                   "this cluster is not configured for dual-stack services");
  for (size_t i = 0; i < spec.ip_families.size(); ++i)
    if (!allocator.has_family(spec.ip_families[i]))
      errors.invalid((spec_path / "ipFamilies").index(i), quoted(spec.ip_families[i]),
                     "not configured on this cluster");
}

// Fills ipFamilyPolicy and ipFamilies, and says what cannot be. Doing it twice changes nothing.
void fill_families(core::Service& service, const core::Service* old,
                   const ServiceAllocator& allocator, FieldErrors& errors) {
  core::ServiceSpec& spec = service.spec;
  if (!needs_cluster_ip(service) || same_preference(service, old)) return;
  bool selectorless_headless = spec.cluster_ip == "None" && spec.selector.empty();
  if (!spec.ip_family_policy) {
    if (old != nullptr && old->spec.ip_family_policy) {
      spec.ip_family_policy = old->spec.ip_family_policy;
    } else {
      spec.ip_family_policy = selectorless_headless ? "RequireDualStack" : "SingleStack";
    }
  }
  validate_cluster_ips(service, errors);
  if (!errors.empty()) return;
  Path path("spec"), policy = path / "ipFamilyPolicy";
  if (old != nullptr) settle_second_family(service, *old, policy, errors);
  if (*spec.ip_family_policy == "SingleStack") {
    if (spec.cluster_ips.size() == 2)
      errors.invalid(policy, "\"SingleStack\"",
                     "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs "
                     "are specified");
    if (spec.ip_families.size() == 2)
      errors.invalid(policy, "\"SingleStack\"",
                     "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families "
                     "are specified");
  }
  for (size_t i = 0; i < spec.cluster_ips.size() && !(spec.cluster_ips[i] == "None"); ++i) {
    if (i < spec.ip_families.size()) continue;
    auto address = parse_ip(spec.cluster_ips[i]);
    if (!address) continue;
    std::string_view family = address->v6 ? "IPv6" : "IPv4";
    if (allocator.has_family(family)) {
      spec.ip_families.push_back(family);
    } else {
      errors.invalid((path / "clusterIPs").index(i), go_list(spec.cluster_ips),
                     std::string(family) + " is not configured on this cluster");
    }
  }
  if (!errors.empty()) return;
  if (selectorless_headless) {
    // Nobody knows what its endpoints will be: any combination is allowed.
    if (spec.ip_families.empty()) spec.ip_families.push_back(allocator.default_family());
    if (spec.ip_families.size() < 2 && !(*spec.ip_family_policy == "SingleStack"))
      add_other_family(spec.ip_families);
    return;
  }
  check_policy(service, allocator, path, errors);
  if (!errors.empty()) return;
  if (spec.ip_families.empty()) spec.ip_families.push_back(allocator.default_family());
  if (!(*spec.ip_family_policy == "SingleStack") && spec.ip_families.size() == 1 &&
      allocator.families() == 2)
    add_other_family(spec.ip_families);
}

// ---- hooks
// ----------------------------------------------------------------------------------------------------------------------

// Upstream hides the policy of those that have no endpoints when they are read.
void drop_needless(core::Service& service) {
  if (service.spec.type == "ExternalName") service.spec.internal_traffic_policy.reset();
}

void prepare_create(WriteContext& context, core::Service& service) {
  service.status = core::ServiceStatus();
  drop_needless(service);
  normalize_ips(service, nullptr);
  FieldErrors later;  // said by before_write, when validation has nothing else to say
  fill_families(service, nullptr, ServiceAllocator::of(context.server), later);
}
void prepare_update(WriteContext& context, core::Service& service, const core::Service& old) {
  service.status = old.status;
  drop_needless(service);
  keep_allocated(service, old);
  normalize_ips(service, &old);
  FieldErrors later;
  fill_families(service, &old, ServiceAllocator::of(context.server), later);
  drop_unused(service, old);
}
void prepare_status(WriteContext&, core::Service& service, const core::Service& old) {
  service.spec = old.spec;
}

Task<Status> before_write(WriteContext& context, core::Service& service, const core::Service* old) {
  ServiceAllocator& allocator = ServiceAllocator::of(context.server);
  FieldErrors errors;
  fill_families(service, old, allocator, errors);
  if (!errors.empty()) co_return invalid_status("", "Service", service.metadata.name, errors);
  if (!allocates_shared(context.server)) co_return allocator.allocate(context.server, service, old);
  Status status = co_await allocate_shared(context.server, service, old, context.dry_run);
  co_return status;
}
void after_failure(WriteContext& context, core::Service& service, const core::Service* old) {
  ServiceAllocator::of(context.server).revert(service, old);
  if (!context.dry_run) release_shared(context.server, service, old);
}

// A new service of the same name must not find the endpoints of this one.
Task<void> delete_endpoints(ApiServer* server, std::string ns, std::string name) {
  client::ObjectRef ref{std::move(ns), std::move(name)};
  client::DeleteOptions options;
  Status ignored = co_await server->loopback().delete_object(core::Endpoints::resource(),
                                                             std::move(ref), std::move(options));
  static_cast<void>(ignored);
}
void after_delete(WriteContext& context, const core::Service& service) {
  ServiceAllocator::of(context.server).release(service);
  release_shared(context.server, service, nullptr);
  spawn(context.server.executor(),
        delete_endpoints(&context.server, service.metadata.namespace_.str(),
                         service.metadata.name.str()));
}

constexpr Strategy kStrategies[] = {
    {.group = "",
     .plural = "services",
     .defaults = erase_defaults<&defaults>,
     .prepare_create = erase_create<&prepare_create>,
     .prepare_update = erase_update<&prepare_update>,
     .validate = erase_validate<&validate_service>,
     .validate_update = erase_validate_update<&validate_service_update>,
     .warnings = erase_warnings<&warn_service>,
     .prepare_status = erase_update<&prepare_status>,
     .validate_status = erase_validate_update<&validate_service_status>,
     .before_write = erase_before_write<&before_write>,
     .after_failure = erase_failure<&after_failure>,
     .after_delete = erase_after_delete<&after_delete>,
     .name_problems = &name_is_dns1035_label,
     .has_status = true,
     .allow_create_on_update = true,
     .returns_deleted_object = true},
};

}  // namespace

std::span<const Strategy> service_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
