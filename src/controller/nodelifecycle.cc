// SPDX-License-Identifier: Apache-2.0
// node-lifecycle: nodes whose kubelet has fallen silent become Unknown, conditions become taints, pods of lost nodes become unready.
//
// Every five seconds the ages of leases and statuses are compared with the grace period; nothing is sent while all is well. NoExecute taints
// (which evict) are rationed a zone, and withheld altogether while every node is unready: then the fault is more likely ours than theirs.
#include <deque>
#include <map>

#include "api/coordination_v1.h"
#include "base/log.h"
#include "controller/controller.h"
#include "controller/node_util.h"
#include "controller/pod_util.h"
#include "controller/taint_eviction.h"
#include "controller/util.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

using api::coordination_v1::Lease;
using api::core_v1::Pod;

constexpr double kEvictionsPerSecond = 0.1, kSecondaryEvictionsPerSecond = 0.01;
constexpr size_t kLargeCluster = 50;
constexpr double kUnhealthyZone = 0.55;
constexpr std::string_view kLeaseNamespace = "kube-node-lease";

// ---- a zone's ration -------------------------------------------------------------------------------------------------------

enum class ZoneState { kInitial, kNormal, kPartial, kFull };

struct Zone {
  ZoneState state = ZoneState::kInitial;
  double per_second = kEvictionsPerSecond, tokens = 1;
  MonoTime refilled{};
  std::deque<std::string> waiting;  // nodes to be tainted

  bool take(MonoTime now) {
    if (refilled != MonoTime{}) tokens = std::min(1.0, tokens + std::chrono::duration<double>(now - refilled).count() * per_second);
    refilled = now;
    if (tokens < 1 || per_second == 0) return false;
    tokens -= 1;
    return true;
  }
  void add(const std::string& node) {
    if (std::find(waiting.begin(), waiting.end(), node) == waiting.end()) waiting.push_back(node);
  }
  void remove(const std::string& node) { std::erase(waiting, node); }
};

ZoneState zone_state(size_t ready, size_t not_ready) {
  if (ready == 0 && not_ready > 0) return ZoneState::kFull;
  if (not_ready > 2 && static_cast<double>(not_ready) / static_cast<double>(ready + not_ready) >= kUnhealthyZone) return ZoneState::kPartial;
  return ZoneState::kNormal;
}

// ---- taints that mirror conditions -----------------------------------------------------------------------------------------

struct ConditionTaint {
  std::string_view condition, status, key;
};
constexpr ConditionTaint kConditionTaints[] = {
    {"Ready", "False", kNotReadyTaint},
    {"Ready", "Unknown", kUnreachableTaint},
    {"MemoryPressure", "True", "node.kubernetes.io/memory-pressure"},
    {"DiskPressure", "True", "node.kubernetes.io/disk-pressure"},
    {"NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"},
    {"PIDPressure", "True", "node.kubernetes.io/pid-pressure"},
};
constexpr std::string_view kUnschedulable = "node.kubernetes.io/unschedulable";

void no_schedule_changes(const Node& node, std::vector<Taint>& add, std::vector<Taint>& remove) {
  for (const ConditionTaint& rule : kConditionTaints) {
    const NodeCondition* condition = node_condition(node.status, rule.condition);
    bool wanted = condition != nullptr && condition->status == rule.status;
    (wanted ? add : remove).push_back(make_taint(rule.key, "NoSchedule"));
  }
  (node.spec.unschedulable ? add : remove).push_back(make_taint(kUnschedulable, "NoSchedule"));
}

// ---- controller ------------------------------------------------------------------------------------------------------------

struct Health {
  WallTime probed;                 // when the node was last heard of
  schema::Time heartbeat;          // of the Ready condition at that time
  bool had_ready = false;
  std::optional<schema::MicroTime> renewed;
  bool pods_to_mark = false;       // pods must still be marked unready
};

struct NodeLifecycle : std::enable_shared_from_this<NodeLifecycle> {
  explicit NodeLifecycle(ContextPtr c)
      : context(std::move(c)),
        nodes(context->informers.get<Node>()),
        pods(context->informers.get<Pod>()),
        leases(context->informers.core(Lease::resource(), lease_options())),
        node_queue(context->make_queue("node_lifecycle_controller")),
        pod_queue(context->make_queue("node_lifecycle_controller_pods")),
        events(context->recorder("node-controller")) {}
  static client::InformerCore::Options lease_options() {
    client::InformerCore::Options options;
    options.namespace_ = kLeaseNamespace;
    return options;
  }

  ContextPtr context;
  client::Informer<Node> nodes;
  client::Informer<Pod> pods;
  client::Informer<Lease> leases;
  std::shared_ptr<client::WorkQueue> node_queue, pod_queue;
  std::shared_ptr<client::EventRecorder> events;
  std::map<std::string, std::string> known;  // node -> UID
  std::map<std::string, Health> health;
  std::map<std::string, Zone> zones;

  void start();
  Task<void> monitor();
  void note_arrivals_and_departures(const std::vector<NodePtr>& all);
  Task<Status> check_health(NodePtr node, std::string& ready);
  bool fell_silent(const Node& node, Health& state) const;
  bool make_unknown(Node& node) const;
  void plan_eviction(const Node& node, std::string_view ready_before);
  Task<void> handle_disruption(std::vector<NodePtr> all, std::map<std::string, std::pair<size_t, size_t>> counts);
  Task<void> taint_waiting();
  Task<Status> mark_reachable(NodePtr node);
  void set_ration(Zone& zone, size_t size, ZoneState state) const;

  Task<Status> reconcile_node(std::string name);
  Task<Status> reconcile_labels(NodePtr node);
  Task<Status> reconcile_pod(std::string key);
  Task<Status> mark_pods_not_ready(std::string node);
  Task<Status> mark_pod_not_ready(PodPtr pod);
};

// True when nothing was heard of the node for the grace period. Times are our own: what a node writes as its time is only compared with what it
// wrote before.
bool NodeLifecycle::fell_silent(const Node& node, Health& state) const {
  const NodeCondition* ready = node_condition(node.status, "Ready");
  WallTime now = context->clock.now();
  if (ready != nullptr && (!state.had_ready || state.heartbeat != ready->last_heartbeat_time)) {
    state.heartbeat = ready->last_heartbeat_time;
    state.probed = now;
  }
  state.had_ready = ready != nullptr;
  auto lease = leases.get(kLeaseNamespace, node.metadata.name);
  if (lease != nullptr && lease->spec.renew_time && (!state.renewed || *state.renewed < *lease->spec.renew_time)) {
    state.renewed = *lease->spec.renew_time;
    state.probed = now;
  }
  Duration grace = ready == nullptr ? context->options.node_startup_grace_period : context->options.node_monitor_grace_period;
  return now > state.probed + grace;
}

bool NodeLifecycle::make_unknown(Node& node) const {
  bool changed = false;
  for (std::string_view type : {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}) {
    NodeCondition* condition = node_condition(node.status, type);
    if (condition == nullptr) {
      condition = &node.status.conditions.emplace_back();
      condition->type = type;
      condition->reason = "NodeStatusNeverUpdated";
      condition->message = "Kubelet never posted node status.";
      condition->last_heartbeat_time = node.metadata.creation_timestamp;
    } else if (condition->status == "Unknown") {
      continue;
    } else {
      condition->reason = "NodeStatusUnknown";
      condition->message = "Kubelet stopped posting node status.";
    }
    condition->status = "Unknown";
    condition->last_transition_time = context->now();
    changed = true;
  }
  return changed;
}

// `ready` becomes the status of the Ready condition as it is now, "" when there is none.
Task<Status> NodeLifecycle::check_health(NodePtr node, std::string& ready) {
  std::string name = node->metadata.name.str();
  const NodeCondition* before = node_condition(node->status, "Ready");
  std::string ready_before = before == nullptr ? "Unknown" : before->status.str();
  ready = before == nullptr ? "" : ready_before;
  auto [at, fresh] = health.try_emplace(name);
  if (fresh) {
    // A node without any status counts from its creation, one that was seen running from now.
    at->second.probed = before == nullptr ? schema::to_wall(node->metadata.creation_timestamp) : context->clock.now();
    at->second.had_ready = before != nullptr;
    if (before != nullptr) at->second.heartbeat = before->last_heartbeat_time;
  }
  if (fell_silent(*node, at->second)) {
    Node copy = *node;
    if (make_unknown(copy)) {
      auto updated = co_await context->client.update_status(std::move(copy));
      if (!updated.ok()) co_return updated.status();
    }
    ready = "Unknown";
  }
  if (ready.empty()) co_return Status();
  plan_eviction(*node, ready);
  Health& state = health[name];
  if (ready != "True" && ready_before == "True") {
    events->event(node_reference(name, node->metadata.uid), "Normal", "NodeNotReady", "Node " + name + " status is now: NodeNotReady");
    state.pods_to_mark = true;
  }
  if (ready == "True") state.pods_to_mark = false;
  if (!state.pods_to_mark) co_return Status();
  std::string argument = name;
  Status status = co_await mark_pods_not_ready(std::move(argument));
  health[name].pods_to_mark = !status.ok();
  co_return status;
}

void NodeLifecycle::plan_eviction(const Node& node, std::string_view ready) {
  Zone& zone = zones[zone_of(node)];
  std::string name = node.metadata.name.str();
  if (ready == "True") {
    zone.remove(name);
    if (has_taint(node, kNotReadyTaint, "NoExecute") || has_taint(node, kUnreachableTaint, "NoExecute")) node_queue->add(name);
    return;
  }
  std::string_view key = ready == "False" ? kNotReadyTaint : kUnreachableTaint;
  if (!has_taint(node, key, "NoExecute")) zone.add(name);
}

void NodeLifecycle::note_arrivals_and_departures(const std::vector<NodePtr>& all) {
  std::map<std::string, std::string> now;
  for (const NodePtr& node : all) now[node->metadata.name.str()] = node->metadata.uid.str();
  auto tell = [this](const std::string& name, const std::string& uid, const char* reason, const std::string& what) {
    events->event(node_reference(name, uid), "Normal", reason, "Node " + name + " event: " + what);
  };
  for (const auto& [name, uid] : now)
    if (!known.contains(name)) tell(name, uid, "RegisteredNode", "Registered Node " + name + " in Controller");
  for (const auto& [name, uid] : known) {
    if (now.contains(name)) continue;
    tell(name, uid, "RemovingNode", "Removing Node " + name + " from Controller");
    health.erase(name);
    for (auto& [key, zone] : zones) zone.remove(name);
  }
  known = std::move(now);
}

Task<void> NodeLifecycle::monitor() {
  std::vector<NodePtr> all;
  nodes.for_each([&](const NodePtr& node) { all.push_back(node); });
  note_arrivals_and_departures(all);
  std::map<std::string, std::pair<size_t, size_t>> counts;  // zone -> ready, not ready
  for (const NodePtr& node : all) {
    std::string ready;
    Status status = co_await check_health(node, ready);
    if (!status.ok() && status.code() != 404 && status.code() != 409)
      log_error("Updating the health of a node failed", {{"node", node->metadata.name.view()}, {"err", status.message()}});
    if (node->metadata.labels.contains("node.kubernetes.io/exclude-disruption")) continue;
    auto& count = counts[zone_of(*node)];
    ++(ready == "True" ? count.first : count.second);
  }
  co_await handle_disruption(std::move(all), std::move(counts));
  co_await taint_waiting();
}

void NodeLifecycle::set_ration(Zone& zone, size_t size, ZoneState state) const {
  zone.state = state;
  zone.per_second = kEvictionsPerSecond;
  if (state == ZoneState::kPartial) zone.per_second = size > kLargeCluster ? kSecondaryEvictionsPerSecond : 0;
}

Task<void> NodeLifecycle::handle_disruption(std::vector<NodePtr> all, std::map<std::string, std::pair<size_t, size_t>> counts) {
  bool all_full = true, all_were_full = true;
  std::erase_if(zones, [&](const auto& entry) { return !counts.contains(entry.first); });
  for (const auto& [name, count] : counts) {
    all_full = all_full && zone_state(count.first, count.second) == ZoneState::kFull;
    all_were_full = all_were_full && zones[name].state == ZoneState::kFull;
  }
  if (counts.empty() || (all_full && all_were_full)) co_return;
  if (all_full) {
    log_info("Controller detected that all Nodes are not-Ready. Entering master disruption mode");
    for (const NodePtr& node : all) {
      Status status = co_await mark_reachable(node);
      if (!status.ok()) node_queue->add(node->metadata.name.str());
    }
    for (auto& [name, zone] : zones) {
      zone.state = ZoneState::kFull;
      zone.per_second = 0;
      zone.waiting.clear();
    }
    co_return;
  }
  if (all_were_full) {
    // We were blind: nobody's silence counts from before.
    log_info("Controller detected that some Nodes are Ready. Exiting master disruption mode");
    for (auto& [name, state] : health) state.probed = context->clock.now();
  }
  for (const auto& [name, count] : counts)
    set_ration(zones[name], count.first + count.second, zone_state(count.first, count.second));
}

Task<void> NodeLifecycle::taint_waiting() {
  MonoTime now = context->clock.mono();
  for (auto& entry : zones) {
    Zone& zone = entry.second;
    while (!zone.waiting.empty() && zone.take(now)) {
      std::string name = zone.waiting.front();
      zone.waiting.pop_front();
      NodePtr node = nodes.get(name);
      const NodeCondition* ready = node == nullptr ? nullptr : node_condition(node->status, "Ready");
      if (ready == nullptr || ready->status == "True") continue;
      bool lost = ready->status == "Unknown";
      std::vector<Taint> add = {make_taint(lost ? kUnreachableTaint : kNotReadyTaint, "NoExecute")};
      std::vector<Taint> remove = {make_taint(lost ? kNotReadyTaint : kUnreachableTaint, "NoExecute")};
      Status status = co_await swap_taints(context->client, node, std::move(add), std::move(remove), context->now());
      if (status.ok() || status.code() == 404) continue;
      auto again = zones.find(entry.first);
      if (again != zones.end()) again->second.add(name);
      break;
    }
  }
}

Task<Status> NodeLifecycle::mark_reachable(NodePtr node) {
  std::vector<Taint> none;
  std::vector<Taint> remove = {make_taint(kUnreachableTaint, "NoExecute"), make_taint(kNotReadyTaint, "NoExecute")};
  Status status = co_await swap_taints(context->client, node, std::move(none), std::move(remove), context->now());
  co_return status.code() == 404 ? Status() : status;
}

// ---- by event --------------------------------------------------------------------------------------------------------------

Task<Status> NodeLifecycle::reconcile_node(std::string name) {
  NodePtr node = nodes.get(name);
  if (node == nullptr) co_return Status();
  std::vector<Taint> add, remove;
  no_schedule_changes(*node, add, remove);
  const NodeCondition* ready = node_condition(node->status, "Ready");
  if (ready != nullptr && ready->status == "True") {
    remove.push_back(make_taint(kUnreachableTaint, "NoExecute"));
    remove.push_back(make_taint(kNotReadyTaint, "NoExecute"));
  }
  Status status = co_await swap_taints(context->client, node, std::move(add), std::move(remove), context->now());
  if (!status.ok()) co_return status.code() == 404 ? Status() : status;
  status = co_await reconcile_labels(node);
  co_return status.code() == 404 ? Status() : status;
}

// The beta labels follow the stable ones.
Task<Status> NodeLifecycle::reconcile_labels(NodePtr node) {
  std::string changes;
  for (std::string_view what : {"os", "arch"}) {
    std::string stable = "kubernetes.io/" + std::string(what), beta = "beta." + stable;
    const schema::Str* value = node->metadata.labels.find(stable);
    if (value == nullptr || schema::get_or_empty(node->metadata.labels, beta) == value->view()) continue;
    changes += (changes.empty() ? "" : ",") + quote(beta) + ":" + quote(*value);
  }
  if (changes.empty()) co_return Status();
  std::string none, name = node->metadata.name.str(), patch = "{\"metadata\":{\"labels\":{" + changes + "}}}";
  auto patched = co_await context->client.patch<Node>(std::move(none), std::move(name), client::PatchType::kStrategic, std::move(patch));
  co_return patched.status();
}

Task<Status> NodeLifecycle::mark_pod_not_ready(PodPtr pod) {
  if (!is_pod_ready(*pod)) co_return Status();
  Pod copy = *pod;
  for (auto& condition : copy.status.conditions) {
    if (condition.type != "Ready") continue;
    condition.status = "False";
    condition.last_transition_time = context->now();
  }
  auto updated = co_await context->client.update_status(std::move(copy));
  if (updated.status().code() == 404) co_return Status();
  events->event(client::reference_to(*pod), "Warning", "NodeNotReady", "Node is not ready");
  co_return updated.status();
}

Task<Status> NodeLifecycle::mark_pods_not_ready(std::string node) {
  std::vector<Status> results;
  for (const PodPtr& pod : pods_on_node(pods, node)) {
    Status status = co_await mark_pod_not_ready(pod);
    results.push_back(std::move(status));
  }
  co_return aggregate(results);
}

// A pod that was bound to a node which is not ready.
Task<Status> NodeLifecycle::reconcile_pod(std::string key) {
  PodPtr pod = pods.get(key);
  NodePtr node = pod == nullptr ? nullptr : nodes.get(pod->spec.node_name);
  if (node == nullptr || !health.contains(node->metadata.name.str())) co_return Status();
  const NodeCondition* ready = node_condition(node->status, "Ready");
  if (ready == nullptr || ready->status == "True") co_return Status();
  Status status = co_await mark_pod_not_ready(pod);
  co_return status;
}

void NodeLifecycle::start() {
  auto self = shared_from_this();
  index_by_node(pods);
  nodes.add_handler([self](const NodePtr&, const NodePtr& now) {
    if (now != nullptr) self->node_queue->add(now->metadata.name.str());
  });
  pods.add_handler([self](const PodPtr& old, const PodPtr& now) {
    if (now == nullptr || now->spec.node_name.empty()) return;
    if (old == nullptr || old->spec.node_name != now->spec.node_name)
      self->pod_queue->add(now->metadata.namespace_.str() + "/" + now->metadata.name.str());
  });
  ControllerContext::Cores cores = {nodes.core_ptr(), pods.core_ptr(), leases.core_ptr()};
  context->run_when_synced(cores, node_queue, "node-lifecycle", 4, [self](std::string name) { return self->reconcile_node(std::move(name)); });
  context->run_when_synced(cores, pod_queue, "node-lifecycle", 4, [self](std::string key) { return self->reconcile_pod(std::move(key)); });
  context->call_when_synced(cores, [self] {
    self->context->run_periodically(self->context->options.node_monitor_period, [self] { return self->monitor(); });
  });
  std::make_shared<TaintEviction>(context)->start();
}

}  // namespace

void start_nodelifecycle(const ContextPtr& context) { std::make_shared<NodeLifecycle>(context)->start(); }

}  // namespace knarr::controller
