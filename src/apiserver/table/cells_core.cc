// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "apiserver/table/cells.h"
#include "apiserver/table/cells_pod.h"

namespace knarr::apiserver::table {
namespace {

using namespace api::core_v1;

void pod_template_row(const PodTemplate& object, WallTime, Row& row) {
  row.emplace_back(object.metadata.name.view());
  add_containers(object.template_.spec.containers, row);
  row.emplace_back(format_labels(object.template_.metadata.labels));
}

void replication_controller_row(const ReplicationController& object, WallTime now, Row& row) {
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.spec.replicas.value_or(0));
  row.emplace_back(object.status.replicas);
  row.emplace_back(object.status.ready_replicas);
  row.emplace_back(age_of(object.metadata, now));
  if (object.spec.template_) {
    add_containers(object.spec.template_->spec.containers, row);
  } else {
    row.resize(row.size() + 2);
  }
  row.emplace_back(format_labels(object.spec.selector));
}

std::string load_balancer_address(const Service& service) {
  std::set<std::string> addresses;
  for (const auto& ingress : service.status.load_balancer.ingress) addresses.insert(ingress.ip.empty() ? ingress.hostname.str() : ingress.ip.str());
  return join({addresses.begin(), addresses.end()}, ",");
}

std::string external_ip(const Service& service) {
  std::vector<std::string> external;
  for (const auto& ip : service.spec.external_ips) external.push_back(ip.str());
  if (service.spec.type == "ExternalName") return service.spec.external_name.str();
  if (service.spec.type == "LoadBalancer") {
    std::string balancer = load_balancer_address(service);
    if (!balancer.empty()) external.insert(external.begin(), balancer);
    return external.empty() ? "<pending>" : join(external, ",");
  }
  return or_none(join(external, ","));
}

std::string service_ports(const Service& service) {
  std::vector<std::string> parts;
  for (const auto& port : service.spec.ports) {
    std::string text = std::to_string(port.port);
    if (port.node_port > 0) text += ":" + std::to_string(port.node_port);
    parts.push_back(text + "/" + port.protocol.str());
  }
  return or_none(join(parts, ","));
}

void service_row(const Service& object, WallTime now, Row& row) {
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.spec.type.view());
  row.emplace_back(or_none(object.spec.cluster_ips.empty() ? std::string_view() : object.spec.cluster_ips[0].view()));
  row.emplace_back(external_ip(object));
  row.emplace_back(service_ports(object));
  row.emplace_back(age_of(object.metadata, now));
  row.emplace_back(format_labels(object.spec.selector));
}

void endpoints_row(const Endpoints& object, WallTime now, Row& row) {
  std::vector<std::string> all;
  for (const auto& subset : object.subsets) {
    if (subset.ports.empty())
      for (const auto& address : subset.addresses) all.push_back(address.ip.str());
    for (const auto& port : subset.ports) {
      for (const auto& address : subset.addresses) {
        bool v6 = address.ip.view().find(':') != std::string_view::npos;
        all.push_back((v6 ? "[" + address.ip.str() + "]" : address.ip.str()) + ":" + std::to_string(port.port));
      }
    }
  }
  row.emplace_back(object.metadata.name.view());
  // Subsets whose addresses are all unready leave the cell empty.
  row.emplace_back(all.empty() && !object.subsets.empty() ? std::string() : first_three(all));
  row.emplace_back(age_of(object.metadata, now));
}

std::string node_roles(const Node& node) {
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::set<std::string> roles;
  for (const auto& [key, value] : node.metadata.labels) {
    if (key.view().starts_with(kPrefix) && key.size() > kPrefix.size()) roles.emplace(key.view().substr(kPrefix.size()));
    if (key == "kubernetes.io/role" && !value.empty()) roles.insert(value.str());
  }
  return or_none(join({roles.begin(), roles.end()}, ","));
}

std::string node_address(const Node& node, std::string_view type) {
  for (const auto& address : node.status.addresses)
    if (address.type == type) return address.address.str();
  return "<none>";
}

std::string or_unknown(const schema::Str& text) { return text.empty() ? "<unknown>" : text.str(); }

void node_row(const Node& object, WallTime now, Row& row) {
  std::string status = "Unknown";
  for (const auto& condition : object.status.conditions)
    if (condition.type == "Ready") status = condition.status == "True" ? "Ready" : "NotReady";
  if (object.spec.unschedulable) status += ",SchedulingDisabled";
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(status);
  row.emplace_back(node_roles(object));
  row.emplace_back(age_of(object.metadata, now));
  const NodeSystemInfo& info = object.status.node_info;
  row.emplace_back(info.kubelet_version.view());
  row.emplace_back(node_address(object, "InternalIP"));
  row.emplace_back(node_address(object, "ExternalIP"));
  row.emplace_back(or_unknown(info.os_image));
  row.emplace_back(or_unknown(info.kernel_version));
  row.emplace_back(or_unknown(info.container_runtime_version));
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string trimmed(std::string_view text) {
  auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return std::string(text);
}

void event_row(const Event& object, WallTime now, Row& row) {
  std::string first = object.first_timestamp.is_zero() ? age(object.event_time, now) : age(object.first_timestamp, now);
  std::string last = object.last_timestamp.is_zero() ? first : age(object.last_timestamp, now);
  int64_t count = object.count == 0 ? 1 : object.count;
  if (object.series) {
    last = age(object.series->last_observed_time, now);
    count = object.series->count;
  }
  std::string target = lower(object.involved_object.kind);
  if (!object.involved_object.name.empty()) target += "/" + object.involved_object.name.str();
  std::string source = object.source.component.empty() ? object.reporting_component.str() : object.source.component.str();
  const schema::Str& host = object.source.host.empty() ? object.reporting_instance : object.source.host;
  if (!host.empty()) source += ", " + host.str();
  row.emplace_back(last);
  row.emplace_back(object.type.view());
  row.emplace_back(object.reason.view());
  row.emplace_back(target);
  row.emplace_back(object.involved_object.field_path.view());
  row.emplace_back(source);
  row.emplace_back(trimmed(object.message));
  row.emplace_back(first);
  row.emplace_back(count);
  row.emplace_back(object.metadata.name.view());
}

void config_map_row(const ConfigMap& object, WallTime now, Row& row) {
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(static_cast<int64_t>(object.data.size() + object.binary_data.size()));
  row.emplace_back(age_of(object.metadata, now));
}

void volume_row(const PersistentVolume& object, WallTime now, Row& row) {
  const PersistentVolumeSpec& spec = object.spec;
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(quantity_text(spec.capacity, "storage"));
  row.emplace_back(access_modes(spec.access_modes));
  row.emplace_back(spec.persistent_volume_reclaim_policy.view());
  row.emplace_back(object.metadata.deletion_timestamp ? std::string_view("Terminating") : object.status.phase.view());
  row.emplace_back(spec.claim_ref ? spec.claim_ref->namespace_.str() + "/" + spec.claim_ref->name.str() : std::string());
  std::string_view beta = get_or_empty(object.metadata.annotations, "volume.beta.kubernetes.io/storage-class");
  row.emplace_back(beta.empty() ? spec.storage_class_name.view() : beta);
  row.emplace_back(object.status.reason.view());
  row.emplace_back(age_of(object.metadata, now));
  row.emplace_back(spec.volume_mode.value_or("<unset>"));
}

void claim_row(const PersistentVolumeClaim& object, WallTime now, Row& row) {
  bool bound = !object.spec.volume_name.empty();
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.metadata.deletion_timestamp ? std::string_view("Terminating") : object.status.phase.view());
  row.emplace_back(object.spec.volume_name.view());
  row.emplace_back(bound ? quantity_text(object.status.capacity, "storage") : std::string());
  row.emplace_back(bound ? access_modes(object.status.access_modes) : std::string());
  std::string_view beta = get_or_empty(object.metadata.annotations, "volume.beta.kubernetes.io/storage-class");
  row.emplace_back(beta.empty() ? object.spec.storage_class_name.value_or("") : beta);
  row.emplace_back(age_of(object.metadata, now));
  row.emplace_back(object.spec.volume_mode.value_or("<unset>"));
}

void component_status_row(const ComponentStatus& object, WallTime, Row& row) {
  std::string status = "Unknown", message, error;
  for (const auto& condition : object.conditions) {
    if (!(condition.type == "Healthy")) continue;
    status = condition.status == "True" ? "Healthy" : "Unhealthy";
    message = condition.message.str();
    error = condition.error.str();
  }
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(status);
  row.emplace_back(message);
  row.emplace_back(error);
}

void quota_row(const ResourceQuota& object, WallTime now, Row& row) {
  std::vector<std::string> requests, limits;
  for (const auto& [name, hard] : object.status.hard) {
    std::string text = name.str() + ": " + quantity_text(object.status.used, name) + "/" + quantity_text(object.status.hard, name);
    (name.view().starts_with("limits.") ? limits : requests).push_back(text);
  }
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(age_of(object.metadata, now));
  row.emplace_back(join(requests, ", "));
  row.emplace_back(join(limits, ", "));
}

}  // namespace

std::span<const CellsEntry> core_cells() {
  static const CellsEntry cells[] = {
      entry<PodTemplate, pod_template_row>(),
      entry<Pod, pod_row>(),
      entry<ReplicationController, replication_controller_row>(),
      entry<Service, service_row>(),
      entry<Endpoints, endpoints_row>(),
      entry<Node, node_row>(),
      entry<Event, event_row>(),
      entry<ConfigMap, config_map_row>(),
      entry<PersistentVolume, volume_row>(),
      entry<PersistentVolumeClaim, claim_row>(),
      entry<ComponentStatus, component_status_row>(),
      entry<ResourceQuota, quota_row>(),
  };
  return cells;
}

}  // namespace knarr::apiserver::table
