// SPDX-License-Identifier: Apache-2.0
// Priority levels and flow schemas that every cluster has (upstream:
// apiserver/pkg/apis/flowcontrol/bootstrap).
#include "api/flowcontrol_v1beta3.h"
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/field_errors.h"
#include "schema/time.h"

namespace knarr::apiserver::bootstrap {

namespace {

namespace flow = api::flowcontrol_v1beta3;
constexpr std::string_view kAutoUpdate = "apf.kubernetes.io/autoupdate-spec";
using Texts = std::initializer_list<std::string_view>;

schema::List<schema::Str> list_of(Texts texts) {
  schema::List<schema::Str> out;
  for (std::string_view text : texts) out.emplace_back() = text;
  return out;
}

// Queues 0: requests beyond the limit are rejected.
void add_level(std::vector<Wanted>& wanted, std::string_view name, int shares, int lendable,
               int queues, int hand_size) {
  flow::PriorityLevelConfiguration level;
  level.metadata.name = name;
  level.metadata.annotations[kAutoUpdate] = "true";
  level.spec.type = "Limited";
  flow::LimitedPriorityLevelConfiguration limited;
  limited.nominal_concurrency_shares = shares;
  limited.lendable_percent = lendable;
  limited.limit_response.type = queues == 0 ? "Reject" : "Queue";
  if (queues != 0) {
    flow::QueuingConfiguration queuing;
    queuing.queues = queues;
    queuing.hand_size = hand_size;
    queuing.queue_length_limit = 50;
    limited.limit_response.queuing = std::move(queuing);
  }
  level.spec.limited = std::move(limited);
  wanted.push_back(want(std::move(level)));
}

void add_levels(std::vector<Wanted>& wanted) {
  flow::PriorityLevelConfiguration exempt;
  exempt.metadata.name = "exempt";
  exempt.metadata.annotations[kAutoUpdate] = "true";
  exempt.spec.type = "Exempt";
  flow::ExemptPriorityLevelConfiguration none;
  none.nominal_concurrency_shares = 0;
  none.lendable_percent = 0;
  exempt.spec.exempt = std::move(none);
  wanted.push_back(want(std::move(exempt)));
  add_level(wanted, "catch-all", 5, 0, 0, 0);
  add_level(wanted, "system", 30, 33, 64, 6);
  add_level(wanted, "node-high", 40, 25, 64, 6);
  add_level(wanted, "leader-election", 10, 0, 16, 4);
  add_level(wanted, "workload-high", 40, 50, 128, 6);
  add_level(wanted, "workload-low", 100, 90, 128, 6);
  add_level(wanted, "global-default", 20, 50, 128, 6);
}

flow::Subject group(std::string_view name) {
  flow::Subject subject;
  subject.kind = "Group";
  subject.group.ensure().name = name;
  return subject;
}
flow::Subject user(std::string_view name) {
  flow::Subject subject;
  subject.kind = "User";
  subject.user.ensure().name = name;
  return subject;
}
flow::Subject kube_system_account(std::string_view name) {
  flow::Subject subject;
  subject.kind = "ServiceAccount";
  subject.service_account.ensure().namespace_ = "kube-system";
  subject.service_account.ensure().name = name;
  return subject;
}
flow::ResourcePolicyRule rule(Texts verbs, std::string_view api_group, Texts resources,
                              bool cluster_scope) {
  flow::ResourcePolicyRule out;
  out.verbs = list_of(verbs);
  out.api_groups = list_of({api_group});
  out.resources = list_of(resources);
  out.namespaces = list_of({"*"});
  out.cluster_scope = cluster_scope;
  return out;
}
flow::NonResourcePolicyRule urls(Texts verbs, Texts paths) {
  flow::NonResourcePolicyRule out;
  out.verbs = list_of(verbs);
  out.non_resource_urls = list_of(paths);
  return out;
}

using Subjects = std::initializer_list<flow::Subject>;
using Rules = std::initializer_list<flow::ResourcePolicyRule>;
using Urls = std::initializer_list<flow::NonResourcePolicyRule>;

void add_schema(std::vector<Wanted>& wanted, std::string_view name, std::string_view level,
                int precedence, std::string_view distinguisher, Subjects subjects, Rules rules,
                Urls paths) {
  flow::FlowSchema made;
  made.metadata.name = name;
  made.metadata.annotations[kAutoUpdate] = "true";
  made.spec.priority_level_configuration.name = level;
  made.spec.matching_precedence = precedence;
  if (!distinguisher.empty()) made.spec.distinguisher_method.ensure().type = distinguisher;
  auto& rule_set = made.spec.rules.emplace_back();
  for (const auto& each : subjects) rule_set.subjects.push_back(each);
  for (const auto& each : rules) rule_set.resource_rules.push_back(each);
  for (const auto& each : paths) rule_set.non_resource_rules.push_back(each);
  wanted.push_back(want(std::move(made)));
}

void add_schemas(std::vector<Wanted>& wanted) {
  const flow::ResourcePolicyRule all = rule({"*"}, "*", {"*"}, true);
  const flow::NonResourcePolicyRule all_urls = urls({"*"}, {"*"});
  const flow::Subject everyone[] = {group("system:unauthenticated"), group("system:authenticated")};
  const flow::Subject manager = user("system:kube-controller-manager"),
                      scheduler = user("system:kube-scheduler");
  const flow::Subject kube_system = kube_system_account("*"), nodes = group("system:nodes");
  constexpr std::string_view kLeases = "coordination.k8s.io";
  const Texts write = {"get", "create", "update"};

  add_schema(wanted, "exempt", "exempt", 1, "", {group("system:masters")}, {all}, {all_urls});
  add_schema(wanted, "catch-all", "catch-all", 10000, "ByUser", {everyone[0], everyone[1]}, {all},
             {all_urls});
  add_schema(wanted, "system-nodes", "system", 500, "ByUser", {nodes}, {all}, {all_urls});
  add_schema(
      wanted, "system-node-high", "node-high", 400, "ByUser", {nodes},
      {rule({"*"}, "", {"nodes", "nodes/status"}, true), rule({"*"}, kLeases, {"leases"}, false)},
      {});
  add_schema(wanted, "probes", "exempt", 2, "", {everyone[0], everyone[1]}, {},
             {urls({"get"}, {"/healthz", "/readyz", "/livez"})});
  add_schema(wanted, "system-leader-election", "leader-election", 100, "ByUser",
             {manager, scheduler, kube_system}, {rule(write, kLeases, {"leases"}, false)}, {});
  add_schema(wanted, "workload-leader-election", "leader-election", 200, "ByUser", {kube_system},
             {rule(write, "", {"endpoints", "configmaps"}, false),
              rule(write, kLeases, {"leases"}, false)},
             {});
  add_schema(wanted, "endpoint-controller", "workload-high", 150, "ByUser",
             {manager, kube_system_account("endpoint-controller"),
              kube_system_account("endpointslicemirroring-controller")},
             {rule(write, "", {"endpoints"}, false)}, {});
  add_schema(wanted, "kube-controller-manager", "workload-high", 800, "ByNamespace", {manager},
             {all}, {all_urls});
  add_schema(wanted, "kube-scheduler", "workload-high", 800, "ByNamespace", {scheduler}, {all},
             {all_urls});
  add_schema(wanted, "kube-system-service-accounts", "workload-high", 900, "ByNamespace",
             {kube_system}, {all}, {all_urls});
  add_schema(wanted, "service-accounts", "workload-low", 9000, "ByUser",
             {group("system:serviceaccounts")}, {all}, {all_urls});
  add_schema(wanted, "global-default", "global-default", 9900, "ByUser", {everyone[0], everyone[1]},
             {all}, {all_urls});
}

}  // namespace

Task<Status> report_flow_schemas(ApiServer& server) {
  std::vector<flow::FlowSchema> silent;
  server.for_each_cached("flowcontrol.apiserver.k8s.io", "flowschemas", "",
                         [&](const schema::Object& object) {
                           const auto* found = object.as<flow::FlowSchema>();
                           if (found != nullptr && found->status.conditions.empty())
                             silent.push_back(*found);
                         });
  for (flow::FlowSchema& each : silent) {
    std::string level = each.spec.priority_level_configuration.name.str();
    bool there = server.cached<flow::PriorityLevelConfiguration>("", level) != nullptr;
    auto& condition = each.status.conditions.emplace_back();
    condition.type = "Dangling";
    condition.status = there ? "False" : "True";
    condition.last_transition_time = schema::to_time(server.clock().now());
    condition.reason = there ? "Found" : "NotFound";
    condition.message = "This FlowSchema references the PriorityLevelConfiguration object named " +
                        quoted(level) + (there ? " and it exists" : " but there is no such object");
    std::string subresource = "status";
    flow::FlowSchema value = std::move(each);
    auto updated = co_await server.loopback().update(std::move(value), std::move(subresource));
    if (!updated.ok() && updated.status().reason() != "Conflict") co_return updated.status();
  }
  co_return Status();
}

void add_flow_control(std::vector<Wanted>& wanted) {
  add_levels(wanted);
  add_schemas(wanted);
}

}  // namespace knarr::apiserver::bootstrap
