// SPDX-License-Identifier: Apache-2.0
// clusterrole-aggregation: a ClusterRole with an aggregationRule has the rules of those that its selectors choose.
#include "controller/clusterrole_aggregation.h"

#include <algorithm>

#include "controller/controller.h"
#include "schema/codec.h"
#include "schema/json.h"
#include "schema/selector.h"

namespace knarr::controller {
namespace {

using api::rbac_v1::ClusterRole;
using Role = std::shared_ptr<const ClusterRole>;

std::string apply_text(const std::string& name, const schema::List<api::rbac_v1::PolicyRule>& rules) {
  json::Value body = json::Value::object();
  body["apiVersion"] = "rbac.authorization.k8s.io/v1";
  body["kind"] = "ClusterRole";
  body["metadata"]["name"] = name;
  json::Value& list = body["rules"] = json::Value::array();
  for (const auto& rule : rules) {
    auto parsed = json::parse(schema::to_json(rule));
    if (parsed.ok()) list.push_back(std::move(*parsed));
  }
  return json::to_string(body);
}

struct Aggregation : std::enable_shared_from_this<Aggregation> {
  explicit Aggregation(ContextPtr c)
      : context(std::move(c)), roles(context->informers.get<ClusterRole>()), queue(context->make_queue("ClusterRoleAggregator")) {}
  ContextPtr context;
  client::Informer<ClusterRole> roles;
  std::shared_ptr<client::WorkQueue> queue;

  // Which roles a change concerns is for the selectors to say; there are few that aggregate.
  void enqueue() {
    roles.for_each([this](const Role& role) {
      if (role->aggregation_rule) queue->add(role->metadata.name.str());
    });
  }

  Task<Status> reconcile(std::string name) {
    Role role = roles.get(name);
    if (role == nullptr || !role->aggregation_rule) co_return Status();
    std::vector<Role> all;
    roles.for_each([&](const Role& each) { all.push_back(each); });
    CO_TRY_ASSIGN(auto rules, aggregate_rules(*role, std::move(all)));
    if (rules == role->rules) co_return Status();
    std::string body = apply_text(name, rules), manager = "clusterrole-aggregation-controller";
    client::ObjectRef ref{"", name};
    auto applied = co_await context->client.apply_object(ClusterRole::resource(), std::move(ref), std::move(body), std::move(manager));
    if (applied.status().code() != 415) co_return applied.status();
    // A server without server-side apply.
    ClusterRole changed = *role;
    changed.rules = std::move(rules);
    auto updated = co_await context->client.update(std::move(changed));
    co_return updated.status();
  }
};

}  // namespace

Result<schema::List<api::rbac_v1::PolicyRule>> aggregate_rules(const ClusterRole& role, std::vector<Role> all) {
  std::sort(all.begin(), all.end(), [](const Role& a, const Role& b) { return a->metadata.name.view() < b->metadata.name.view(); });
  schema::List<api::rbac_v1::PolicyRule> rules;
  for (const auto& selector : role.aggregation_rule->cluster_role_selectors) {
    TRY_ASSIGN(auto parsed, schema::LabelSelector::from(&selector));
    for (const Role& each : all) {
      if (each->metadata.name == role.metadata.name || !parsed.matches(each->metadata.labels)) continue;
      for (const auto& rule : each->rules)
        if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(rule);
    }
  }
  return rules;
}

void start_clusterrole_aggregation(const ContextPtr& context) {
  auto self = std::make_shared<Aggregation>(context);
  self->roles.add_handler([self](const auto&, const auto&) { self->enqueue(); });
  context->run_when_synced({self->roles.core_ptr()}, self->queue, "clusterrole-aggregation", 5,
                           [self](std::string key) { return self->reconcile(std::move(key)); });
}

}  // namespace knarr::controller
