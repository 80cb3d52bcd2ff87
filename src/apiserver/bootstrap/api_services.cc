// SPDX-License-Identifier: Apache-2.0
// One APIService for each group version that this server answers itself.
#include <set>

#include "api/apiregistration_v1.h"
#include "apiserver/bootstrap/bootstrap.h"
#include "schema/time.h"

namespace knarr::apiserver::bootstrap {

namespace {

namespace registration = api::apiregistration_v1;

// Upstream's priorities (cmd/kube-apiserver/app/aggregator.go). Of versions only those that 1.28
// has.
struct Priority {
  std::string_view group, version;
  int of_group, of_version;
};
constexpr Priority kPriorities[] = {
    {"", "v1", 18000, 1},
    {"apps", "v1", 17800, 15},
    {"events.k8s.io", "v1", 17750, 15},
    {"authentication.k8s.io", "v1", 17700, 15},
    {"authentication.k8s.io", "v1beta1", 17700, 9},
    {"authentication.k8s.io", "v1alpha1", 17700, 1},
    {"authorization.k8s.io", "v1", 17600, 15},
    {"autoscaling", "v1", 17500, 15},
    {"autoscaling", "v2", 17500, 30},
    {"batch", "v1", 17400, 15},
    {"certificates.k8s.io", "v1", 17300, 15},
    {"certificates.k8s.io", "v1alpha1", 17300, 1},
    {"networking.k8s.io", "v1", 17200, 15},
    {"networking.k8s.io", "v1alpha1", 17200, 1},
    {"policy", "v1", 17100, 15},
    {"rbac.authorization.k8s.io", "v1", 17000, 15},
    {"storage.k8s.io", "v1", 16800, 15},
    {"storage.k8s.io", "v1beta1", 16800, 9},
    {"storage.k8s.io", "v1alpha1", 16800, 1},
    {"apiextensions.k8s.io", "v1", 16700, 15},
    {"admissionregistration.k8s.io", "v1", 16700, 15},
    {"admissionregistration.k8s.io", "v1beta1", 16700, 12},
    {"admissionregistration.k8s.io", "v1alpha1", 16700, 9},
    {"scheduling.k8s.io", "v1", 16600, 15},
    {"coordination.k8s.io", "v1", 16500, 15},
    {"node.k8s.io", "v1", 16300, 15},
    {"discovery.k8s.io", "v1", 16200, 15},
    {"flowcontrol.apiserver.k8s.io", "v1beta3", 16100, 18},
    {"flowcontrol.apiserver.k8s.io", "v1beta2", 16100, 15},
    {"internal.apiserver.k8s.io", "v1alpha1", 16000, 9},
    {"resource.k8s.io", "v1alpha2", 15900, 9},
};
constexpr std::string_view kManaged = "kube-aggregator.kubernetes.io/automanaged";

bool is_served(const Priority& priority) {
  for (const schema::Resource& resource : schema::builtin_resources())
    if (resource.served && resource.group == priority.group && resource.version == priority.version)
      return true;
  return false;
}

}  // namespace

void add_api_services(std::vector<Wanted>& wanted) {
  for (const Priority& priority : kPriorities) {
    if (!is_served(priority)) continue;
    registration::APIService made;
    made.metadata.name = std::string(priority.version) + "." + std::string(priority.group);
    made.metadata.labels[kManaged] = "onstart";
    made.spec.group = priority.group;
    made.spec.version = priority.version;
    made.spec.group_priority_minimum = priority.of_group;
    made.spec.version_priority = priority.of_version;
    wanted.push_back(want(std::move(made)));
  }
}

Task<Status> report_api_services(ApiServer& server) {
  std::vector<registration::APIService> silent;
  server.for_each_cached(
      "apiregistration.k8s.io", "apiservices", "", [&](const schema::Object& object) {
        const auto* service = object.as<registration::APIService>();
        if (service != nullptr && !service->spec.service && service->status.conditions.empty())
          silent.push_back(*service);
      });
  for (registration::APIService& service : silent) {
    auto& condition = service.status.conditions.emplace_back();
    condition.type = "Available";
    condition.status = "True";
    condition.last_transition_time = schema::to_time(server.clock().now());
    condition.reason = "Local";
    condition.message = "Local APIServices are always available";
    std::string subresource = "status";
    registration::APIService value = std::move(service);
    auto updated = co_await server.loopback().update(std::move(value), std::move(subresource));
    if (!updated.ok() && updated.status().reason() != "Conflict") co_return updated.status();
  }
  co_return Status();
}

}  // namespace knarr::apiserver::bootstrap
