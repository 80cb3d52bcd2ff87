// SPDX-License-Identifier: Apache-2.0
#include "controller/node_util.h"

#include "controller/pod_util.h"
#include "controller/util.h"
#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::controller {

using api::core_v1::Pod;

const NodeCondition* node_condition(const api::core_v1::NodeStatus& status, std::string_view type) {
  for (const NodeCondition& condition : status.conditions)
    if (condition.type == type) return &condition;
  return nullptr;
}
NodeCondition* node_condition(api::core_v1::NodeStatus& status, std::string_view type) {
  return const_cast<NodeCondition*>(node_condition(std::as_const(status), type));
}

bool has_taint(const Node& node, std::string_view key, std::string_view effect) {
  for (const Taint& taint : node.spec.taints)
    if (taint.key == key && taint.effect == effect) return true;
  return false;
}

std::string zone_of(const Node& node) {
  std::string_view region = schema::get_or_empty(node.metadata.labels, "topology.kubernetes.io/region");
  std::string_view zone = schema::get_or_empty(node.metadata.labels, "topology.kubernetes.io/zone");
  if (region.empty() && zone.empty()) return {};
  return std::string(region) + std::string(":\0:", 3) + std::string(zone);
}

Taint make_taint(std::string_view key, std::string_view effect) {
  Taint taint;
  taint.key = key;
  taint.effect = effect;
  return taint;
}

Task<Status> swap_taints(client::Client& client, NodePtr node, std::vector<Taint> add, std::vector<Taint> remove, schema::Time now) {
  auto same = [](const Taint& a, const Taint& b) { return a.key == b.key && a.effect == b.effect; };
  std::vector<Taint> result;
  bool changed = false;
  for (const Taint& present : node->spec.taints) {
    bool goes = std::any_of(remove.begin(), remove.end(), [&](const Taint& t) { return same(t, present); });
    changed = changed || goes;
    if (!goes) result.push_back(present);
  }
  for (Taint& taint : add) {
    if (std::any_of(result.begin(), result.end(), [&](const Taint& t) { return same(t, taint); })) continue;
    taint.time_added = now;
    result.push_back(std::move(taint));
    changed = true;
  }
  if (!changed) co_return Status();
  std::string list;
  for (const Taint& taint : result) list += (list.empty() ? "" : ",") + schema::to_json(taint);
  std::string patch = "{\"metadata\":{\"resourceVersion\":" + quote(node->metadata.resource_version) + "},\"spec\":{\"taints\":" +
                      (list.empty() ? "null" : "[" + list + "]") + "}}";
  std::string none, name = node->metadata.name.str();
  auto patched = co_await client.patch<Node>(std::move(none), std::move(name), client::PatchType::kStrategic, std::move(patch));
  co_return patched.status();
}

api::core_v1::ObjectReference node_reference(std::string_view name, std::string_view uid) {
  api::core_v1::ObjectReference reference;
  reference.api_version = "v1";
  reference.kind = "Node";
  reference.name = name;
  reference.uid = uid;
  return reference;
}

void index_by_node(const client::Informer<Pod>& pods) {
  pods.add_index("node", [](const Pod& pod, std::vector<std::string>& values) {
    if (!pod.spec.node_name.empty()) values.push_back(pod.spec.node_name.str());
  });
}

std::vector<std::shared_ptr<const Pod>> pods_on_node(const client::Informer<Pod>& pods, std::string_view node) {
  std::vector<std::shared_ptr<const Pod>> found;
  pods.for_each_indexed("node", node, [&](const auto& pod) { found.push_back(pod); });
  return found;
}

std::string pod_condition_patch(const Pod& pod, std::string_view type, std::string_view reason, std::string_view message,
                                std::string_view phase, schema::Time now) {
  std::string patch = "{\"metadata\":{\"uid\":" + quote(pod.metadata.uid) + "},\"status\":{";
  if (!phase.empty()) patch += "\"phase\":" + quote(phase) + (type.empty() ? "" : ",");
  if (!type.empty()) {
    const auto* present = pod_condition(pod, type);
    schema::Time since = present != nullptr && present->status == "True" ? present->last_transition_time : now;
    patch += "\"conditions\":[{\"type\":" + quote(type) + ",\"status\":\"True\",\"reason\":" + quote(reason) +
             ",\"message\":" + quote(message) + ",\"lastTransitionTime\":" + quote(schema::format_time(since)) + "}]";
  }
  return patch + "}}";
}

}  // namespace knarr::controller
