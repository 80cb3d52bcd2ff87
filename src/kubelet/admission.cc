// SPDX-License-Identifier: Apache-2.0
#include "kubelet/admission.h"

#include <fmt/core.h>

#include <algorithm>

namespace knarr::kubelet {

namespace {

constexpr std::string_view kSafeSysctls[] = {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
                                             "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"};

std::string dotted(std::string_view name) {
  std::string out(name);
  size_t first = out.find_first_of("./");
  if (first == std::string::npos || out[first] == '.') return out;
  for (char& c : out) c = c == '/' ? '.' : c == '.' ? '/' : c;
  return out;
}

// Namespaced sysctls only; by the namespace that a host pod shares they are not.
bool in_own_namespace(std::string_view name, bool host_network, bool host_ipc) {
  if (name.substr(0, 4) == "net.") return !host_network;
  bool ipc = name.substr(0, 10) == "kernel.shm" || name.substr(0, 10) == "kernel.msg" || name == "kernel.sem" || name.substr(0, 10) == "fs.mqueue.";
  return ipc && !host_ipc;
}

std::optional<StartFailure> check_resources(const AdmissionInputs& inputs) {
  ResourceList wanted = pod_requests(*inputs.pod);
  ResourceList used;
  for (const PodPtr& other : inputs.others) {
    for (const auto& entry : pod_requests(*other)) {
      schema::QuantityValue sum = schema::QuantityValue::of(entry.value);
      if (const schema::Quantity* old = used.find(entry.key)) sum += schema::QuantityValue::of(*old);
      used[entry.key] = sum.to_quantity();
    }
  }
  int64_t pods = whole_value(*inputs.allocatable, "pods");
  auto refuse = [](std::string_view name, int64_t requested, int64_t taken, int64_t capacity) {
    return StartFailure{"OutOf" + std::string(name), fmt::format("Node didn't have enough resource: {}, requested: {}, used: {}, capacity: {}", name,
                                                                 requested, taken, capacity)};
  };
  if (static_cast<int64_t>(inputs.others.size()) + 1 > pods) return refuse("pods", 1, static_cast<int64_t>(inputs.others.size()), pods);
  for (const auto& entry : wanted) {
    std::string_view name = entry.key;
    bool milli = name == "cpu";
    auto amount = [&](const ResourceList& list) { return milli ? milli_value(list, name) : whole_value(list, name); };
    int64_t requested = amount(wanted);
    if (requested == 0) continue;
    // What this node does not report is somebody else's business, as upstream removes unknown extended resources.
    if (!inputs.allocatable->contains(name)) continue;
    if (requested > amount(*inputs.allocatable) - amount(used)) return refuse(name, requested, amount(used), amount(*inputs.allocatable));
  }
  return std::nullopt;
}

std::optional<StartFailure> check_selector(const AdmissionInputs& inputs) {
  if (inputs.node == nullptr) return std::nullopt;
  for (const auto& entry : inputs.pod->spec.node_selector) {
    const schema::Str* value = inputs.node->metadata.labels.find(entry.key);
    if (value == nullptr || *value != entry.value) return StartFailure{"NodeAffinity", "Predicate NodeAffinity failed"};
  }
  return std::nullopt;
}

bool term_value_compares(const core::NodeSelectorRequirement& requirement, const schema::Str* value) {
  if (value == nullptr || requirement.values.size() != 1) return false;
  char *end_a = nullptr, *end_b = nullptr;
  long long a = std::strtoll(value->c_str(), &end_a, 10), b = std::strtoll(requirement.values[0].c_str(), &end_b, 10);
  if (end_a == value->c_str() || *end_a != '\0' || end_b == requirement.values[0].c_str() || *end_b != '\0') return false;
  return requirement.operator_ == "Gt" ? a > b : a < b;
}

bool matches(const core::NodeSelectorRequirement& requirement, const schema::Str* value) {
  auto listed = [&] {
    return value != nullptr && std::any_of(requirement.values.begin(), requirement.values.end(), [&](const schema::Str& item) { return item == *value; });
  };
  std::string_view op = requirement.operator_;
  if (op == "In") return listed();
  if (op == "NotIn") return !listed();
  if (op == "Exists") return value != nullptr;
  if (op == "DoesNotExist") return value == nullptr;
  return term_value_compares(requirement, value);
}

std::optional<StartFailure> check_affinity(const AdmissionInputs& inputs) {
  const core::PodSpec& spec = inputs.pod->spec;
  if (inputs.node == nullptr || !spec.affinity || !spec.affinity->node_affinity) return std::nullopt;
  const auto& required = spec.affinity->node_affinity->required_during_scheduling_ignored_during_execution;
  if (!required) return std::nullopt;
  for (const core::NodeSelectorTerm& term : required->node_selector_terms) {
    bool all = !term.match_expressions.empty() || !term.match_fields.empty();  // an empty term matches nothing
    for (const core::NodeSelectorRequirement& item : term.match_expressions) all = all && matches(item, inputs.node->metadata.labels.find(item.key));
    for (const core::NodeSelectorRequirement& item : term.match_fields) all = all && item.key == "metadata.name" && matches(item, &inputs.node->metadata.name);
    if (all) return std::nullopt;
  }
  return StartFailure{"NodeAffinity", "Predicate NodeAffinity failed"};
}

struct HostPort {
  std::string ip, protocol;
  int32_t port = 0;
};

std::vector<HostPort> host_ports(const core::Pod& pod) {
  std::vector<HostPort> found;
  for (const core::Container& container : pod.spec.containers) {
    for (const core::ContainerPort& port : container.ports) {
      if (port.host_port <= 0) continue;
      found.push_back({port.host_ip.empty() ? "0.0.0.0" : port.host_ip.str(), port.protocol.empty() ? "TCP" : port.protocol.str(), port.host_port});
    }
  }
  return found;
}

std::optional<StartFailure> check_ports(const AdmissionInputs& inputs) {
  std::vector<HostPort> wanted = host_ports(*inputs.pod);
  if (wanted.empty()) return std::nullopt;
  for (const PodPtr& other : inputs.others) {
    for (const HostPort& taken : host_ports(*other)) {
      for (const HostPort& port : wanted) {
        bool same_ip = port.ip == taken.ip || port.ip == "0.0.0.0" || taken.ip == "0.0.0.0";
        if (same_ip && port.port == taken.port && port.protocol == taken.protocol) return StartFailure{"NodePorts", "Predicate NodePorts failed"};
      }
    }
  }
  return std::nullopt;
}

std::optional<StartFailure> check_sysctls(const AdmissionInputs& inputs) {
  const core::PodSpec& spec = inputs.pod->spec;
  if (!spec.security_context) return std::nullopt;
  static const std::vector<std::string> kNone;
  const std::vector<std::string>& unsafe = inputs.allowed_unsafe_sysctls != nullptr ? *inputs.allowed_unsafe_sysctls : kNone;
  for (const core::Sysctl& sysctl : spec.security_context->sysctls) {
    if (!sysctl_allowed(sysctl.name, unsafe, spec.host_network, spec.host_ipc)) {
      return StartFailure{"SysctlForbidden", fmt::format("forbidden sysctl: \"{}\" not allowlisted", dotted(sysctl.name))};
    }
  }
  return std::nullopt;
}

}  // namespace

bool sysctl_allowed(std::string_view name, const std::vector<std::string>& unsafe_patterns, bool host_network, bool host_ipc) {
  std::string wanted = dotted(name);
  if (!in_own_namespace(wanted, host_network, host_ipc)) return false;
  for (std::string_view safe : kSafeSysctls)
    if (wanted == safe) return true;
  return std::any_of(unsafe_patterns.begin(), unsafe_patterns.end(), [&](const std::string& pattern) {
    if (!pattern.empty() && pattern.back() == '*') return wanted.compare(0, pattern.size() - 1, pattern, 0, pattern.size() - 1) == 0;
    return wanted == pattern;
  });
}

std::optional<StartFailure> admit_pod(const AdmissionInputs& inputs) {
  if (auto refusal = check_sysctls(inputs)) return refusal;
  // Upstream makes room for critical pods by evicting others; nothing refuses them here.
  if (is_critical_pod(*inputs.pod)) return std::nullopt;
  if (auto refusal = check_resources(inputs)) return refusal;
  if (auto refusal = check_selector(inputs)) return refusal;
  if (auto refusal = check_affinity(inputs)) return refusal;
  return check_ports(inputs);
}

}  // namespace knarr::kubelet
