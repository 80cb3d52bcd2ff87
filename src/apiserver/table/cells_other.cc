// SPDX-License-Identifier: Apache-2.0
#include "api/apiregistration_v1.h"
#include "api/autoscaling_v1.h"
#include "api/autoscaling_v2.h"
#include "api/certificates_v1.h"
#include "api/discovery_v1.h"
#include "api/flowcontrol_v1beta2.h"
#include "api/flowcontrol_v1beta3.h"
#include "api/networking_v1.h"
#include "api/rbac_v1.h"
#include "api/storage_v1.h"
#include "apiserver/table/cells.h"
#include "schema/selector.h"

namespace knarr::apiserver::table {
namespace {

void ingress_row(const api::networking_v1::Ingress& object, WallTime now, Row& row) {
  std::vector<std::string> hosts, addresses;
  for (const auto& rule : object.spec.rules)
    if (!rule.host.empty()) hosts.push_back(rule.host.str());
  for (const auto& ingress : object.status.load_balancer.ingress) addresses.push_back(ingress.ip.empty() ? ingress.hostname.str() : ingress.ip.str());
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.spec.ingress_class_name.value_or("<none>"));
  row.emplace_back(hosts.empty() ? std::string("*") : first_three(hosts));
  row.emplace_back(join(addresses, ","));
  row.emplace_back(object.spec.tls.empty() ? "80" : "80, 443");
  row.emplace_back(age_of(object.metadata, now));
}

void ingress_class_row(const api::networking_v1::IngressClass& object, WallTime now, Row& row) {
  std::string parameters = "<none>";
  if (object.spec.parameters) {
    const auto& given = *object.spec.parameters;
    parameters = given.kind.str();
    if (given.api_group) parameters += "." + given.api_group->str();
    parameters += "/" + given.name.str();
  }
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.spec.controller.view());
  row.emplace_back(parameters);
  row.emplace_back(age_of(object.metadata, now));
}

void network_policy_row(const api::networking_v1::NetworkPolicy& object, WallTime now, Row& row) {
  auto selector = schema::LabelSelector::from(&object.spec.pod_selector);
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(selector.ok() ? or_none(selector->to_string()) : std::string("<error>"));
  row.emplace_back(age_of(object.metadata, now));
}

template <class Binding>
void binding_row(const Binding& object, WallTime now, Row& row) {
  std::vector<std::string> users, groups, accounts;
  for (const auto& subject : object.subjects) {
    if (subject.kind == "User") users.push_back(subject.name.str());
    if (subject.kind == "Group") groups.push_back(subject.name.str());
    if (subject.kind == "ServiceAccount") accounts.push_back(subject.namespace_.str() + "/" + subject.name.str());
  }
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.role_ref.kind.str() + "/" + object.role_ref.name.str());
  row.emplace_back(age_of(object.metadata, now));
  row.emplace_back(join(users, ", "));
  row.emplace_back(join(groups, ", "));
  row.emplace_back(join(accounts, ", "));
}
void role_binding_row(const api::rbac_v1::RoleBinding& object, WallTime now, Row& row) { binding_row(object, now, row); }
void cluster_role_binding_row(const api::rbac_v1::ClusterRoleBinding& object, WallTime now, Row& row) { binding_row(object, now, row); }

void csr_row(const api::certificates_v1::CertificateSigningRequest& object, WallTime now, Row& row) {
  bool approved = false, denied = false, failed = false;
  for (const auto& condition : object.status.conditions) {
    approved = approved || condition.type == "Approved";
    denied = denied || condition.type == "Denied";
    failed = failed || condition.type == "Failed";
  }
  std::string status = denied ? "Denied" : approved ? "Approved" : "Pending";
  if (failed) status += ",Failed";
  if (!object.status.certificate.empty()) status += ",Issued";
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(age_of(object.metadata, now));
  row.emplace_back(or_none(object.spec.signer_name));
  row.emplace_back(object.spec.username.view());
  row.emplace_back(object.spec.expiration_seconds ? human_duration(*object.spec.expiration_seconds) : std::string("<none>"));
  row.emplace_back(status);
}

void storage_class_row(const api::storage_v1::StorageClass& object, WallTime now, Row& row) {
  bool is_default = get_or_empty(object.metadata.annotations, "storageclass.kubernetes.io/is-default-class") == "true" ||
                    get_or_empty(object.metadata.annotations, "storageclass.beta.kubernetes.io/is-default-class") == "true";
  row.emplace_back(object.metadata.name.str() + (is_default ? " (default)" : ""));
  row.emplace_back(object.provisioner.view());
  row.emplace_back(object.reclaim_policy.value_or("Delete"));
  row.emplace_back(object.volume_binding_mode.value_or("Immediate"));
  row.emplace_back(object.allow_volume_expansion.value_or(false));
  row.emplace_back(age_of(object.metadata, now));
}

void csi_driver_row(const api::storage_v1::CSIDriver& object, WallTime now, Row& row) {
  std::vector<std::string> audiences, modes;
  for (const auto& request : object.spec.token_requests) audiences.push_back(request.audience.str());
  for (const auto& mode : object.spec.volume_lifecycle_modes) modes.push_back(mode.str());
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.spec.attach_required.value_or(true));
  row.emplace_back(object.spec.pod_info_on_mount.value_or(false));
  row.emplace_back(object.spec.storage_capacity.value_or(false));
  row.emplace_back(audiences.empty() ? std::string("<unset>") : join(audiences, ","));
  row.emplace_back(object.spec.requires_republish.value_or(false));
  row.emplace_back(or_none(join(modes, ",")));
  row.emplace_back(age_of(object.metadata, now));
}

void endpoint_slice_row(const api::discovery_v1::EndpointSlice& object, WallTime now, Row& row) {
  std::vector<std::string> ports, addresses;
  for (const auto& port : object.ports) ports.push_back(port.port ? std::to_string(*port.port) : port.name ? port.name->str() : std::string("*"));
  for (const auto& endpoint : object.endpoints)
    for (const auto& address : endpoint.addresses) addresses.push_back(address.str());
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.address_type.view());
  row.emplace_back(ports.empty() ? std::string("<unset>") : first_three(ports));
  row.emplace_back(addresses.empty() ? std::string("<unset>") : first_three(addresses));
  row.emplace_back(age_of(object.metadata, now));
}

void autoscaler_row(const api::autoscaling_v1::HorizontalPodAutoscaler& object, WallTime now, Row& row) {
  std::string target = "<none>";
  if (object.spec.target_cpu_utilization_percentage) {
    target = (object.status.current_cpu_utilization_percentage ? std::to_string(*object.status.current_cpu_utilization_percentage) + "%"
                                                               : std::string("<unknown>")) +
             "/" + std::to_string(*object.spec.target_cpu_utilization_percentage) + "%";
  }
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.spec.scale_target_ref.kind.str() + "/" + object.spec.scale_target_ref.name.str());
  row.emplace_back(target);
  row.emplace_back(object.spec.min_replicas ? std::to_string(*object.spec.min_replicas) : std::string("<unset>"));
  row.emplace_back(object.spec.max_replicas);
  row.emplace_back(object.status.current_replicas);
  row.emplace_back(age_of(object.metadata, now));
}

void api_service_row(const api::apiregistration_v1::APIService& object, WallTime now, Row& row) {
  std::string available = "Unknown";
  for (const auto& condition : object.status.conditions) {
    if (!(condition.type == "Available")) continue;
    available = condition.status.str();
    if (!(condition.status == "True")) available += " (" + condition.reason.str() + ")";
  }
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.spec.service ? object.spec.service->namespace_.str() + "/" + object.spec.service->name.str() : std::string("Local"));
  row.emplace_back(available);
  row.emplace_back(age_of(object.metadata, now));
}

using api::autoscaling_v2::MetricSpec;
using api::autoscaling_v2::MetricStatus;
using api::autoscaling_v2::MetricTarget;
using api::autoscaling_v2::MetricValueStatus;

// Go's word for a quantity that is not there.
std::string quantity_or_nil(const schema::Opt<schema::Quantity>& quantity) {
  if (!quantity) return "<nil>";
  return quantity->text.empty() ? "0" : quantity->text.str();
}

// Resources: a share of the request, or an amount.
std::string resource_target(const MetricTarget& target, const MetricValueStatus* now) {
  if (target.average_value) return (now == nullptr ? "<unknown>" : quantity_or_nil(now->average_value)) + "/" + quantity_or_nil(target.average_value);
  auto percent = [](const schema::Opt<int32_t>& share, const char* otherwise) { return share ? std::to_string(*share) + "%" : std::string(otherwise); };
  return (now == nullptr ? "<unknown>" : percent(now->average_utilization, "<unknown>")) + "/" + percent(target.average_utilization, "<auto>");
}

// Metrics of objects and of the outside: a value, or one divided by the pods.
std::string value_target(const MetricTarget& target, const MetricValueStatus* now) {
  if (target.average_value)
    return (now == nullptr || !now->average_value ? "<unknown>" : quantity_or_nil(now->average_value)) + "/" + quantity_or_nil(target.average_value) + " (avg)";
  return (now == nullptr ? "<unknown>" : quantity_or_nil(now->value)) + "/" + quantity_or_nil(target.value);
}

// The status of the same kind, where there is one.
template <class Status>
const MetricValueStatus* current_of(const MetricStatus* status, schema::Box<Status> MetricStatus::*member) {
  return status != nullptr && (status->*member) ? &(status->*member)->current : nullptr;
}

// "current/target" of one metric.
std::string metric_text(const MetricSpec& spec, const MetricStatus* status) {
  if (spec.external) return value_target(spec.external->target, current_of(status, &MetricStatus::external));
  if (spec.object) return value_target(spec.object->target, current_of(status, &MetricStatus::object));
  if (spec.resource) return resource_target(spec.resource->target, current_of(status, &MetricStatus::resource));
  if (spec.container_resource) return resource_target(spec.container_resource->target, current_of(status, &MetricStatus::container_resource));
  if (!spec.pods) return "<unknown type>";
  const MetricValueStatus* now = current_of(status, &MetricStatus::pods);
  return (now == nullptr ? "<unknown>" : quantity_or_nil(now->average_value)) + "/" + quantity_or_nil(spec.pods->target.average_value);
}

// The first two metrics, and how many more there are.
std::string metric_target(const api::autoscaling_v2::HorizontalPodAutoscaler& object) {
  if (object.spec.metrics.empty()) return "<none>";
  std::vector<std::string> parts;
  for (size_t i = 0; i < object.spec.metrics.size(); ++i) {
    const MetricStatus* status = i < object.status.current_metrics.size() ? &object.status.current_metrics[i] : nullptr;
    parts.push_back(metric_text(object.spec.metrics[i], status));
  }
  constexpr size_t kMax = 2;
  size_t hidden = parts.size() > kMax ? parts.size() - kMax : 0;
  parts.resize(parts.size() - hidden);
  return join(parts, ", ") + (hidden == 0 ? "" : " + " + std::to_string(hidden) + " more...");
}

void autoscaler_v2_row(const api::autoscaling_v2::HorizontalPodAutoscaler& object, WallTime now, Row& row) {
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.spec.scale_target_ref.kind.str() + "/" + object.spec.scale_target_ref.name.str());
  row.emplace_back(metric_target(object));
  row.emplace_back(object.spec.min_replicas ? std::to_string(*object.spec.min_replicas) : std::string("<unset>"));
  row.emplace_back(object.spec.max_replicas);
  row.emplace_back(object.status.current_replicas);
  row.emplace_back(age_of(object.metadata, now));
}

template <class FlowSchema>
void flow_schema_row(const FlowSchema& object, WallTime now, Row& row) {
  std::string dangling = "?";
  for (const auto& condition : object.status.conditions)
    if (condition.type == "Dangling") dangling = condition.status.str();
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.spec.priority_level_configuration.name.view());
  row.emplace_back(object.spec.matching_precedence);
  row.emplace_back(object.spec.distinguisher_method ? object.spec.distinguisher_method->type.str() : std::string("<none>"));
  row.emplace_back(age_of(object.metadata, now));
  row.emplace_back(dangling);
}
void flow_schema_beta2_row(const api::flowcontrol_v1beta2::FlowSchema& object, WallTime now, Row& row) { flow_schema_row(object, now, row); }
void flow_schema_beta3_row(const api::flowcontrol_v1beta3::FlowSchema& object, WallTime now, Row& row) { flow_schema_row(object, now, row); }

template <class Level>
void priority_level_row(const Level& object, int64_t shares, WallTime now, Row& row) {
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.spec.type.view());
  if (object.spec.limited) {
    row.emplace_back(shares);
  } else {
    row.emplace_back("<none>");
  }
  if (object.spec.limited && object.spec.limited->limit_response.queuing) {
    const auto& queuing = *object.spec.limited->limit_response.queuing;
    for (int64_t number : {queuing.queues, queuing.hand_size, queuing.queue_length_limit}) row.emplace_back(number);
  } else {
    for (int i = 0; i < 3; ++i) row.emplace_back("<none>");
  }
  row.emplace_back(age_of(object.metadata, now));
}
void priority_level_beta2_row(const api::flowcontrol_v1beta2::PriorityLevelConfiguration& object, WallTime now, Row& row) {
  priority_level_row(object, object.spec.limited ? object.spec.limited->assured_concurrency_shares : 0, now, row);
}
void priority_level_beta3_row(const api::flowcontrol_v1beta3::PriorityLevelConfiguration& object, WallTime now, Row& row) {
  priority_level_row(object, object.spec.limited ? object.spec.limited->nominal_concurrency_shares : 0, now, row);
}

}  // namespace

std::span<const CellsEntry> other_cells() {
  static const CellsEntry cells[] = {
      entry<api::networking_v1::Ingress, ingress_row>(),
      entry<api::networking_v1::IngressClass, ingress_class_row>(),
      entry<api::networking_v1::NetworkPolicy, network_policy_row>(),
      entry<api::rbac_v1::RoleBinding, role_binding_row>(),
      entry<api::rbac_v1::ClusterRoleBinding, cluster_role_binding_row>(),
      entry<api::certificates_v1::CertificateSigningRequest, csr_row>(),
      entry<api::storage_v1::StorageClass, storage_class_row>(),
      entry<api::storage_v1::CSIDriver, csi_driver_row>(),
      entry<api::discovery_v1::EndpointSlice, endpoint_slice_row>(),
      entry<api::autoscaling_v1::HorizontalPodAutoscaler, autoscaler_row>(),
      entry<api::autoscaling_v2::HorizontalPodAutoscaler, autoscaler_v2_row>(),
      entry<api::flowcontrol_v1beta2::FlowSchema, flow_schema_beta2_row>(),
      entry<api::flowcontrol_v1beta3::FlowSchema, flow_schema_beta3_row>(),
      entry<api::flowcontrol_v1beta2::PriorityLevelConfiguration, priority_level_beta2_row>(),
      entry<api::flowcontrol_v1beta3::PriorityLevelConfiguration, priority_level_beta3_row>(),
      entry<api::apiregistration_v1::APIService, api_service_row>(),
  };
  return cells;
}

}  // namespace knarr::apiserver::table
