// SPDX-License-Identifier: Apache-2.0
// What a cluster has from its first moment: system namespaces, priority classes, RBAC policy, flow
// control, APIServices, the `kubernetes` Service.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/rbac_v1.h"
#include "apiserver/server.h"

namespace knarr::apiserver {

// Writes whatever of it is missing, through the API, as system:apiserver. Objects that are there
// stay as they are, except that RBAC objects get the rules and subjects they lack (unless annotated
// otherwise) and the `kubernetes` endpoints follow the advertised address.
Task<Status> bootstrap_cluster(ApiServer& server);
// What a server does from then on when others share its store: keeps the endpoints of the `kubernetes` Service those of the living servers, and
// the ranges of IPs and ports in agreement with the Services. Until the server stops.
Task<void> keep_shared_state(ApiServer* server);
// This server's address is no endpoint any more.
Task<void> leave_shared_state(ApiServer& server);

namespace bootstrap {

// An object that has to exist.
struct Wanted {
  const schema::Resource* resource;
  client::ObjectRef ref;
  schema::Object object;
  // Brings an existing object up to date; false when it is. Null: it may be as it likes.
  bool (*reconcile)(void* existing, const void* wanted) = nullptr;
};
template <class T>
Wanted want(T value) {
  client::ObjectRef ref{value.metadata.namespace_.str(), value.metadata.name.str()};
  return {&T::resource(), std::move(ref), schema::Object::of(std::move(value)), nullptr};
}

void add_rbac_policy(std::vector<Wanted>& wanted);
// The rules of a ClusterRole of the policy; empty when it has none of that name.
schema::List<api::rbac_v1::PolicyRule> cluster_role_rules(std::string_view name);
void add_flow_control(std::vector<Wanted>& wanted);
void add_api_services(std::vector<Wanted>& wanted);
Status add_authentication_config(const Options& options, std::vector<Wanted>& wanted);
Task<Status> report_api_services(ApiServer& server);  // their condition Available
Task<Status> report_flow_schemas(ApiServer& server);  // their condition Dangling
void add_token_tracking(const Clock& clock, std::vector<Wanted>& wanted);
Task<Status> reconcile_kubernetes_service(ApiServer& server);
// Where other servers share the store: says that this one lives (a lease of 15 s) and gives the addresses of all that do. Without: its own.
Task<Result<std::vector<std::string>>> living_servers(ApiServer& server);

extern const char kRbacPolicy[];  // rbac_policy_data.cc

}  // namespace bootstrap
}  // namespace knarr::apiserver
