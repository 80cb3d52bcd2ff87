// SPDX-License-Identifier: Apache-2.0
#include "quota/quota.h"

#include <set>

#include "quota/pod_resources.h"
#include "schema/selector.h"

namespace knarr::quota {
namespace {

using api::core_v1::PersistentVolumeClaim;
using api::core_v1::ScopedResourceSelectorRequirement;
using api::core_v1::Service;

constexpr std::string_view kStorageClassSuffix = ".storageclass.storage.k8s.io/";
constexpr std::string_view kRequests = "requests.";
constexpr std::string_view kHugePages = "hugepages-";

schema::QuantityValue one() { return schema::QuantityValue::from_int(1); }

bool is_pod_amount(std::string_view name) {
  static const std::set<std::string_view> kNames = {
      "pods", "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage",
      "limits.cpu", "limits.memory", "limits.ephemeral-storage"};
  if (kNames.contains(name) || name.starts_with(kHugePages)) return true;
  if (!name.starts_with(kRequests)) return false;
  // requests.hugepages-2Mi, requests.example.com/gpu
  std::string_view rest = name.substr(kRequests.size());
  return rest.starts_with(kHugePages) || (rest.find('/') != std::string_view::npos && rest.find("kubernetes.io/") == std::string_view::npos);
}

bool is_claim_amount(std::string_view name) {
  for (std::string_view plain : {"persistentvolumeclaims", "requests.storage"})
    if (name == plain || name.ends_with(std::string(kStorageClassSuffix) + std::string(plain))) return true;
  return false;
}

// An extended resource: of a domain of its own, and none of the prefixes that quotas use.
bool is_extended(std::string_view name) {
  return name.find('/') != std::string_view::npos && name.find("kubernetes.io/") == std::string_view::npos && !name.starts_with(kRequests);
}

Amounts service_usage(const Service& service) {
  auto ports = static_cast<int64_t>(service.spec.ports.size());
  int64_t node_ports = 0, balancers = 0;
  if (service.spec.type == "NodePort") node_ports = ports;
  if (service.spec.type == "LoadBalancer") {
    balancers = 1;
    node_ports = ports;
    if (!service.spec.allocate_load_balancer_node_ports.value_or(true)) {
      node_ports = 0;
      for (const auto& port : service.spec.ports) node_ports += port.node_port != 0;
    }
  }
  return {{"count/services", one()},
          {"services", one()},
          {"services.loadbalancers", schema::QuantityValue::from_int(balancers)},
          {"services.nodeports", schema::QuantityValue::from_int(node_ports)}};
}

Amounts claim_usage(const PersistentVolumeClaim& claim) {
  Amounts amounts = {{"count/persistentvolumeclaims", one()}, {"persistentvolumeclaims", one()}};
  const schema::Str* annotated = claim.metadata.annotations.find("volume.beta.kubernetes.io/storage-class");
  std::string storage_class = annotated != nullptr ? annotated->str() : std::string(claim.spec.storage_class_name.value_or(""));
  std::string prefix = storage_class + std::string(kStorageClassSuffix);
  if (!storage_class.empty()) amounts[prefix + "persistentvolumeclaims"] = one();
  if (const schema::Quantity* storage = claim.spec.resources.requests.find("storage")) {
    schema::QuantityValue wanted = schema::QuantityValue::of(*storage);
    amounts["requests.storage"] = wanted;
    if (!storage_class.empty()) amounts[prefix + "requests.storage"] = wanted;
  }
  return amounts;
}

Amounts compute_usage(const Amounts& requests, const Amounts& limits) {
  Amounts result = {{"pods", one()}};
  for (const char* name : {"cpu", "memory", "ephemeral-storage"}) {
    if (auto at = requests.find(name); at != requests.end()) {
      result[name] = at->second;
      result["requests." + std::string(name)] = at->second;
    }
    if (auto at = limits.find(name); at != limits.end()) result["limits." + std::string(name)] = at->second;
  }
  for (const auto& [name, value] : requests) {
    if (name.starts_with(kHugePages)) result[name] = value;
    if (name.starts_with(kHugePages) || is_extended(name)) result[std::string(kRequests) + name] = value;
  }
  return result;
}

template <class Terms>
bool crosses_namespaces(const Terms& terms) {
  for (const auto& term : terms)
    if (!term.namespaces.empty() || term.namespace_selector) return true;
  return false;
}

template <class Affinity>
bool crosses_namespaces_in(const Affinity* affinity) {
  if (affinity == nullptr) return false;
  if (crosses_namespaces(affinity->required_during_scheduling_ignored_during_execution)) return true;
  for (const auto& weighted : affinity->preferred_during_scheduling_ignored_during_execution)
    if (!weighted.pod_affinity_term.namespaces.empty() || weighted.pod_affinity_term.namespace_selector) return true;
  return false;
}

bool priority_matches(const Pod& pod, const ScopedResourceSelectorRequirement& selector) {
  std::string_view name = pod.spec.priority_class_name;
  bool listed = false;
  for (const schema::Str& value : selector.values) listed = listed || value == name;
  if (selector.operator_ == "Exists") return !name.empty();
  if (selector.operator_ == "DoesNotExist") return name.empty();
  if (selector.operator_ == "In") return !name.empty() && listed;
  return selector.operator_ == "NotIn" && (name.empty() || !listed);
}

bool scope_matches(const Pod& pod, const ScopedResourceSelectorRequirement& selector) {
  std::string_view scope = selector.scope_name;
  bool terminating = pod.spec.active_deadline_seconds && *pod.spec.active_deadline_seconds >= 0;
  if (scope == "Terminating") return terminating;
  if (scope == "NotTerminating") return !terminating;
  if (scope == "BestEffort") return is_best_effort(pod);
  if (scope == "NotBestEffort") return !is_best_effort(pod);
  if (scope == "PriorityClass") return priority_matches(pod, selector);
  if (scope != "CrossNamespacePodAffinity") return false;
  const auto* affinity = pod.spec.affinity.get();
  return affinity != nullptr &&
         (crosses_namespaces_in(affinity->pod_affinity.get()) || crosses_namespaces_in(affinity->pod_anti_affinity.get()));
}

std::vector<ScopedResourceSelectorRequirement> scopes_of(const ResourceQuota& quota) {
  std::vector<ScopedResourceSelectorRequirement> scopes;
  for (const schema::Str& scope : quota.spec.scopes) {
    scopes.emplace_back().scope_name = scope;
    scopes.back().operator_ = "Exists";
  }
  if (quota.spec.scope_selector)
    for (const auto& selector : quota.spec.scope_selector->match_expressions) scopes.push_back(selector);
  return scopes;
}

}  // namespace

Amounts from_map(const schema::Map<schema::Quantity>& map) {
  Amounts amounts;
  for (const auto& entry : map) amounts[entry.key.str()] = schema::QuantityValue::of(entry.value);
  return amounts;
}

schema::Map<schema::Quantity> to_map(const Amounts& amounts) {
  schema::Map<schema::Quantity> map;
  map.ensure();
  for (const auto& [name, value] : amounts) map[name] = value.to_quantity();
  return map;
}

void add(Amounts& sum, const Amounts& more) {
  for (const auto& [name, value] : more) {
    auto [at, fresh] = sum.try_emplace(name, value);
    if (!fresh) at->second += value;
  }
}

bool equal(const Amounts& a, const Amounts& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           return x.first == y.first && x.second == y.second;
         });
}

std::string count_name(std::string_view group, std::string_view plural) {
  std::string name = "count/" + std::string(plural);
  return group.empty() ? name : name + "." + std::string(group);
}

std::optional<GroupResource> counted_resource(std::string_view name) {
  if (name.starts_with("count/")) {
    std::string_view rest = name.substr(6);
    size_t dot = rest.find('.');
    if (dot == std::string_view::npos) return GroupResource{"", std::string(rest)};
    return GroupResource{std::string(rest.substr(dot + 1)), std::string(rest.substr(0, dot))};
  }
  if (is_claim_amount(name)) return GroupResource{"", "persistentvolumeclaims"};
  if (is_pod_amount(name)) return GroupResource{"", "pods"};
  if (name == "services" || name == "services.nodeports" || name == "services.loadbalancers") return GroupResource{"", "services"};
  for (std::string_view plain : {"configmaps", "resourcequotas", "replicationcontrollers", "secrets"})
    if (name == plain) return GroupResource{"", std::string(plain)};
  return std::nullopt;
}

bool pod_counts(const Pod& pod, schema::Time now) {
  if (pod.status.phase == "Failed" || pod.status.phase == "Succeeded") return false;
  if (!pod.metadata.deletion_timestamp || !pod.metadata.deletion_grace_period_seconds) return true;
  return now.unix_seconds() <= pod.metadata.deletion_timestamp->unix_seconds() + *pod.metadata.deletion_grace_period_seconds;
}

Amounts pod_usage(const Pod& pod, schema::Time now) {
  Amounts amounts = {{"count/pods", one()}};
  if (pod_counts(pod, now)) add(amounts, compute_usage(pod_requests(pod), pod_limits(pod)));
  return amounts;
}

Amounts usage_of(const GroupResource& resource, const schema::Object& object, schema::Time now) {
  if (const auto* pod = object.as<Pod>()) return pod_usage(*pod, now);
  if (const auto* service = object.as<Service>()) return service_usage(*service);
  if (const auto* claim = object.as<PersistentVolumeClaim>()) return claim_usage(*claim);
  Amounts amounts = {{count_name(resource.group, resource.plural), one()}};
  if (resource.group.empty() && counted_resource(resource.plural)) amounts[resource.plural] = one();
  return amounts;
}

bool pod_matches_scopes(const ResourceQuota& quota, const Pod& pod) {
  for (const auto& scope : scopes_of(quota))
    if (!scope_matches(pod, scope)) return false;
  return true;
}

bool matches_scopes(const ResourceQuota& quota, const GroupResource&, const schema::Object& object) {
  if (const auto* pod = object.as<Pod>()) return pod_matches_scopes(quota, *pod);
  return scopes_of(quota).empty();
}

Status check_pod_constraints(const std::vector<std::string>& limited, const Pod& pod) {
  static const std::set<std::string> kChecked = {"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"};
  std::map<std::string, std::set<std::string>> missing;
  auto check = [&](const api::core_v1::Container& container) {
    Amounts usage = compute_usage(from_map(container.resources.requests), from_map(container.resources.limits));
    for (const std::string& name : limited)
      if (kChecked.contains(name) && !usage.contains(name)) missing[name].insert(container.name.str());
  };
  for (const auto& container : pod.spec.containers) check(container);
  for (const auto& container : pod.spec.init_containers) check(container);
  if (missing.empty()) return {};
  std::string text = "must specify ";
  for (const auto& [name, containers] : missing) {
    if (name != missing.begin()->first) text += "; ";
    text += name + " for: ";
    for (const std::string& container : containers) text += (container == *containers.begin() ? "" : ",") + container;
  }
  return Status::make(403, "Forbidden", text);
}

}  // namespace knarr::quota
