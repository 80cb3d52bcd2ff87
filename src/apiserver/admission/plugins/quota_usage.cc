// SPDX-License-Identifier: Apache-2.0
#include "apiserver/admission/plugins/quota_usage.h"

#include <set>

#include "apiserver/strategy/pod.h"
#include "schema/time.h"

namespace knarr::apiserver::quota {

namespace {

using schema::QuantityValue;
using Amounts = schema::Map<schema::Quantity>;

constexpr std::string_view kRequests = "requests.", kHugePages = "hugepages-", kByClass = ".storageclass.storage.k8s.io/";
constexpr std::string_view kPodNames[] = {"pods",           "cpu",           "memory",
                                          "ephemeral-storage", "requests.cpu", "requests.memory",
                                          "requests.ephemeral-storage", "limits.cpu", "limits.memory",
                                          "limits.ephemeral-storage"};

bool is_native(std::string_view name) { return name.find('/') == name.npos || name.find("kubernetes.io/") != name.npos; }
bool is_extended(std::string_view name) { return !is_native(name) && !name.starts_with(kRequests); }

// ---- pods -----------------------------------------------------------------------------------------------------------------------
void add(Usage& to, const Usage& more) {
  for (const auto& [name, value] : more) {
    auto [at, fresh] = to.try_emplace(name, value);
    if (!fresh) at->second += value;
  }
}
Usage values_of(const Amounts& amounts) {
  Usage out;
  for (const auto& [name, quantity] : amounts) out.emplace(name.view(), QuantityValue::of(quantity));
  return out;
}
void at_least(Usage& to, const Usage& other) {
  for (const auto& [name, value] : other) {
    auto [at, fresh] = to.try_emplace(name, value);
    if (!fresh && at->second < value) at->second = value;
  }
}

// What all containers need at the same time; init containers run one by one before.
Usage pod_total(const core::PodSpec& spec, Amounts core::ResourceRequirements::*which, bool limits) {
  Usage total, init;
  for (const auto& container : spec.containers) add(total, values_of(container.resources.*which));
  for (const auto& container : spec.init_containers) at_least(init, values_of(container.resources.*which));
  at_least(total, init);
  for (const auto& [name, quantity] : spec.overhead) {
    auto at = total.find(name.view());
    // Overhead does not turn an unlimited pod into a limited one.
    if (at == total.end() && !limits) total.emplace(name.view(), QuantityValue::of(quantity));
    else if (at != total.end() && (!limits || !at->second.is_zero())) at->second += QuantityValue::of(quantity);
  }
  return total;
}

Usage pod_names(const Usage& requests, const Usage& limits) {
  Usage out;
  out["pods"] = QuantityValue::from_int(1);
  for (std::string_view name : {"cpu", "memory", "ephemeral-storage"}) {
    if (auto at = requests.find(name); at != requests.end()) {
      out[std::string(name)] = at->second;
      out["requests." + std::string(name)] = at->second;
    }
    if (auto at = limits.find(name); at != limits.end()) out["limits." + std::string(name)] = at->second;
  }
  for (const auto& [name, value] : requests) {
    if (name.starts_with(kHugePages)) out[name] = value;
    if (name.starts_with(kHugePages) || is_extended(name)) out[std::string(kRequests) + name] = value;
  }
  return out;
}

// Pods that have ended, or should be gone by now, use nothing but their object.
bool is_running(const core::Pod& pod, WallTime now) {
  if (pod.status.phase == "Failed" || pod.status.phase == "Succeeded") return false;
  if (!pod.metadata.deletion_timestamp.has_value() || !pod.metadata.deletion_grace_period_seconds.has_value()) return true;
  return schema::to_time(now).unix_seconds() <= pod.metadata.deletion_timestamp->unix_seconds() + *pod.metadata.deletion_grace_period_seconds;
}

Usage pod_usage(const core::Pod& pod, WallTime now) {
  Usage out;
  if (is_running(pod, now))
    out = pod_names(pod_total(pod.spec, &core::ResourceRequirements::requests, false), pod_total(pod.spec, &core::ResourceRequirements::limits, true));
  out["count/pods"] = QuantityValue::from_int(1);
  return out;
}

// ---- others ---------------------------------------------------------------------------------------------------------------------
Usage service_usage(const core::Service& service) {
  int64_t ports = 0, balancers = 0, all = static_cast<int64_t>(service.spec.ports.size());
  if (service.spec.type == "NodePort") ports = all;
  if (service.spec.type == "LoadBalancer") {
    balancers = 1;
    ports = all;
    if (service.spec.allocate_load_balancer_node_ports.has_value() && !*service.spec.allocate_load_balancer_node_ports) {
      ports = 0;
      for (const auto& port : service.spec.ports) ports += port.node_port != 0;
    }
  }
  return {{"count/services", QuantityValue::from_int(1)},
          {"services", QuantityValue::from_int(1)},
          {"services.loadbalancers", QuantityValue::from_int(balancers)},
          {"services.nodeports", QuantityValue::from_int(ports)}};
}

Usage claim_usage(const core::PersistentVolumeClaim& claim) {
  Usage out;
  const schema::Str* annotated = claim.metadata.annotations.find("volume.beta.kubernetes.io/storage-class");
  std::string storage_class(annotated != nullptr ? annotated->view() : claim.spec.storage_class_name.value_or(""));
  std::string prefix = storage_class.empty() ? "" : storage_class + std::string(kByClass);
  auto put = [&](const char* name, const QuantityValue& value) {
    out[name] = value;
    if (!prefix.empty()) out[prefix + name] = value;
  };
  out["count/persistentvolumeclaims"] = QuantityValue::from_int(1);
  put("persistentvolumeclaims", QuantityValue::from_int(1));
  if (const auto* storage = claim.spec.resources.requests.find("storage")) put("requests.storage", QuantityValue::of(*storage));
  return out;
}

// The short name that some resources have besides count/...
std::string_view alias_of(std::string_view group, std::string_view plural) {
  for (std::string_view name : {"configmaps", "resourcequotas", "replicationcontrollers", "secrets"})
    if (group.empty() && plural == name) return name;
  return {};
}

// ---- scopes ---------------------------------------------------------------------------------------------------------------------
template <class Terms>
bool crosses(const Terms& required, const auto& preferred) {
  auto term = [](const core::PodAffinityTerm& t) { return !t.namespaces.empty() || t.namespace_selector.has_value(); };
  for (const auto& each : required)
    if (term(each)) return true;
  for (const auto& each : preferred)
    if (term(each.pod_affinity_term)) return true;
  return false;
}
bool crosses_namespaces(const core::PodSpec& spec) {
  if (!spec.affinity) return false;
  auto check = [](const auto& affinity) {
    return affinity && crosses(affinity->required_during_scheduling_ignored_during_execution, affinity->preferred_during_scheduling_ignored_during_execution);
  };
  return check(spec.affinity->pod_affinity) || check(spec.affinity->pod_anti_affinity);
}

bool matches_scope(std::string_view scope, std::string_view op, const schema::List<schema::Str>& values, const core::Pod& pod) {
  bool ends = pod.spec.active_deadline_seconds.has_value() && *pod.spec.active_deadline_seconds >= 0;
  if (scope == "Terminating") return ends;
  if (scope == "NotTerminating") return !ends;
  bool best_effort = pod_qos(pod.spec) == "BestEffort";
  if (scope == "BestEffort") return best_effort;
  if (scope == "NotBestEffort") return !best_effort;
  if (scope == "CrossNamespacePodAffinity") return crosses_namespaces(pod.spec);
  if (scope != "PriorityClass") return false;
  const schema::Str& name = pod.spec.priority_class_name;
  bool listed = false;
  for (const schema::Str& value : values) listed |= value == name;
  if (op == "In") return !name.empty() && listed;
  if (op == "NotIn") return name.empty() || !listed;
  if (op == "DoesNotExist") return name.empty();
  return !name.empty();
}

}  // namespace

std::string count_name(std::string_view group, std::string_view plural) {
  return "count/" + std::string(plural) + (group.empty() ? "" : "." + std::string(group));
}

bool counts(std::string_view group, std::string_view plural, std::string_view name) {
  if (name == count_name(group, plural) || (!name.empty() && name == alias_of(group, plural))) return true;
  if (!group.empty()) return false;
  if (plural == "services") return name == "services" || name == "services.nodeports" || name == "services.loadbalancers";
  if (plural == "persistentvolumeclaims") {
    size_t at = name.find(kByClass);
    std::string_view rest = at == name.npos ? name : name.substr(at + kByClass.size());
    return rest == "persistentvolumeclaims" || rest == "requests.storage";
  }
  if (plural != "pods") return false;
  for (std::string_view known : kPodNames)
    if (known == name) return true;
  if (name.starts_with(kHugePages) || name.starts_with("requests.hugepages-")) return true;
  return name.starts_with(kRequests) && !is_native(name);
}

Usage usage_of(std::string_view group, std::string_view plural, const schema::Object& object, WallTime now) {
  if (const auto* pod = object.as<core::Pod>()) return pod_usage(*pod, now);
  if (const auto* service = object.as<core::Service>()) return service_usage(*service);
  if (const auto* claim = object.as<core::PersistentVolumeClaim>()) return claim_usage(*claim);
  Usage out;
  out[count_name(group, plural)] = QuantityValue::from_int(1);
  if (std::string_view alias = alias_of(group, plural); !alias.empty()) out[std::string(alias)] = QuantityValue::from_int(1);
  return out;
}

bool matches_scopes(const core::ResourceQuotaSpec& spec, const core::Pod* pod) {
  static const schema::List<schema::Str> kNone;
  bool none = spec.scopes.empty() && (!spec.scope_selector || spec.scope_selector->match_expressions.empty());
  if (none) return true;
  if (pod == nullptr) return false;
  for (const schema::Str& scope : spec.scopes)
    if (!matches_scope(scope, "Exists", kNone, *pod)) return false;
  if (spec.scope_selector) {
    for (const auto& term : spec.scope_selector->match_expressions)
      if (!matches_scope(term.scope_name, term.operator_, term.values, *pod)) return false;
  }
  return true;
}

std::string missing_resources(const core::Pod& pod, const std::vector<std::string>& names) {
  static const std::set<std::string_view> kAsked = {"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"};
  std::map<std::string, std::set<std::string>> missing;
  auto look = [&](const auto& container) {
    Usage has = pod_names(values_of(container.resources.requests), values_of(container.resources.limits));
    for (const std::string& name : names)
      if (kAsked.contains(name) && !has.contains(name)) missing[name].insert(container.name.str());
  };
  for (const auto& container : pod.spec.containers) look(container);
  for (const auto& container : pod.spec.init_containers) look(container);
  std::string out;
  for (const auto& [name, who] : missing) {
    out += (out.empty() ? "must specify " : "; ") + name + " for: ";
    bool first = true;
    for (const std::string& container : who) {
      if (!first) out += ",";
      first = false;
      out += container;
    }
  }
  return out;
}

}  // namespace knarr::apiserver::quota
