// SPDX-License-Identifier: Apache-2.0
// pod-garbage-collector: force-deletes pods that nobody else can remove: of nodes that are gone, without a node, on nodes out of service, and
// the oldest terminated ones beyond the threshold. Upstream scans every 20 s; here the events that make such pods start the check.
#include "base/log.h"
#include "controller/controller.h"
#include "controller/node_util.h"
#include "controller/pod_util.h"
#include "controller/util.h"

namespace knarr::controller {
namespace {

using api::core_v1::Pod;

// A node may be registered again in a moment.
constexpr Duration kQuarantine = std::chrono::seconds(40);
constexpr Duration kBatch = std::chrono::seconds(20);
constexpr std::string_view kOutOfService = "node.kubernetes.io/out-of-service";

struct PodGc : std::enable_shared_from_this<PodGc> {
  explicit PodGc(ContextPtr c)
      : context(std::move(c)),
        pods(context->informers.get<Pod>()),
        nodes(context->informers.get<Node>()),
        queue(context->make_queue("pod_gc")) {}
  ContextPtr context;
  client::Informer<Pod> pods;
  client::Informer<Node> nodes;
  std::shared_ptr<client::WorkQueue> queue;
  int64_t terminated = 0;  // in the cache

  // Keys: "terminated", "node/NAME" (perhaps gone), "pod/NS/NAME".
  Task<Status> reconcile(std::string key);
  Task<Status> collect_terminated();
  Task<Status> collect_of_node(std::string node);
  Task<Status> collect_pod(std::string key);
  Task<Status> remove(PodPtr pod, bool orphaned);
  void pod_changed(const PodPtr& old, const PodPtr& now);
  void node_changed(const NodePtr& old, const NodePtr& now);
  bool must_go(const Pod& pod) const;
};

// Being deleted, and no kubelet will confirm it.
bool PodGc::must_go(const Pod& pod) const {
  if (!pod.metadata.deletion_timestamp) return false;
  if (pod.spec.node_name.empty()) return true;
  NodePtr node = nodes.get(pod.spec.node_name);
  if (node == nullptr) return false;
  const NodeCondition* ready = node_condition(node->status, "Ready");
  bool out_of_service = has_taint(*node, kOutOfService, "NoExecute") || has_taint(*node, kOutOfService, "NoSchedule");
  return out_of_service && (ready == nullptr || ready->status != "True");
}

void PodGc::pod_changed(const PodPtr& old, const PodPtr& now) {
  terminated += (now != nullptr && is_pod_terminal(*now)) - (old != nullptr && is_pod_terminal(*old));
  if (context->options.terminated_pod_gc_threshold > 0 && terminated > context->options.terminated_pod_gc_threshold)
    queue->add_after("terminated", kBatch);
  if (now == nullptr) return;
  if (must_go(*now)) queue->add("pod/" + now->metadata.namespace_.str() + "/" + now->metadata.name.str());
  bool assigned = !now->spec.node_name.empty() && (old == nullptr || old->spec.node_name != now->spec.node_name);
  if (assigned && nodes.get(now->spec.node_name) == nullptr) queue->add_after("node/" + now->spec.node_name.str(), kQuarantine);
}

void PodGc::node_changed(const NodePtr& old, const NodePtr& now) {
  if (now == nullptr) return queue->add_after("node/" + old->metadata.name.str(), kQuarantine);
  if (!has_taint(*now, kOutOfService, "NoExecute") && !has_taint(*now, kOutOfService, "NoSchedule")) return;
  for (const PodPtr& pod : pods_on_node(pods, now->metadata.name))
    if (must_go(*pod)) queue->add("pod/" + pod->metadata.namespace_.str() + "/" + pod->metadata.name.str());
}

Task<Status> PodGc::remove(PodPtr pod, bool orphaned) {
  log_info("PodGC is force deleting Pod", {{"pod", pod->metadata.namespace_.str() + "/" + pod->metadata.name.str()}});
  std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str();
  if (!is_pod_terminal(*pod)) {
    std::string patch = orphaned ? pod_condition_patch(*pod, "DisruptionTarget", "DeletionByPodGC", "PodGC: node no longer exists", "Failed",
                                                       context->now())
                                 : pod_condition_patch(*pod, "", "", "", "Failed", context->now());
    std::string where = ns, who = name, subresource = "status";
    auto patched = co_await context->client.patch<Pod>(std::move(where), std::move(who), client::PatchType::kStrategic, std::move(patch),
                                                       std::move(subresource));
    if (patched.status().code() == 404) co_return Status();
    if (!patched.ok()) co_return patched.status();
  }
  client::DeleteOptions options;
  options.grace_period_seconds = 0;
  options.uid = pod->metadata.uid.str();
  Status status = co_await context->client.remove<Pod>(std::move(ns), std::move(name), std::move(options));
  co_return status.code() == 404 || status.code() == 409 ? Status() : status;
}

Task<Status> PodGc::collect_terminated() {
  std::vector<PodPtr> found;
  pods.for_each([&](const PodPtr& pod) {
    if (is_pod_terminal(*pod)) found.push_back(pod);
  });
  int64_t surplus = static_cast<int64_t>(found.size()) - context->options.terminated_pod_gc_threshold;
  if (surplus <= 0) co_return Status();
  auto evicted = [](const Pod& pod) { return pod.status.phase == "Failed" && pod.status.reason == "Evicted"; };
  std::sort(found.begin(), found.end(), [&](const PodPtr& a, const PodPtr& b) {
    if (evicted(*a) != evicted(*b)) return evicted(*a);
    if (a->metadata.creation_timestamp != b->metadata.creation_timestamp)
      return a->metadata.creation_timestamp < b->metadata.creation_timestamp;
    return a->metadata.name < b->metadata.name;
  });
  found.resize(static_cast<size_t>(surplus));
  std::vector<Job> jobs;
  auto self = shared_from_this();
  for (const PodPtr& pod : found) jobs.push_back([self, pod] { return self->remove(pod, false); });
  std::vector<Status> results = co_await run_together(std::move(jobs));
  co_return aggregate(results);
}

Task<Status> PodGc::collect_of_node(std::string node) {
  if (nodes.get(node) != nullptr || pods_on_node(pods, node).empty()) co_return Status();
  std::string none, name = node;
  auto live = co_await context->client.get<Node>(std::move(none), std::move(name));
  if (live.ok()) co_return Status();
  if (live.status().code() != 404) co_return live.status();
  std::vector<Status> failures;
  for (const PodPtr& pod : pods_on_node(pods, node)) {
    Status status = co_await remove(pod, true);
    failures.push_back(std::move(status));
  }
  co_return aggregate(failures);
}

Task<Status> PodGc::collect_pod(std::string key) {
  PodPtr pod = pods.get(key);
  if (pod == nullptr || !must_go(*pod)) co_return Status();
  Status status = co_await remove(pod, false);
  co_return status;
}

Task<Status> PodGc::reconcile(std::string key) {
  if (key == "terminated") return collect_terminated();
  if (key.starts_with("node/")) return collect_of_node(key.substr(5));
  return collect_pod(key.substr(4));
}

}  // namespace

void start_podgc(const ContextPtr& context) {
  auto self = std::make_shared<PodGc>(context);
  index_by_node(self->pods);
  ControllerContext::Cores cores = {self->pods.core_ptr(), self->nodes.core_ptr()};
  // Handlers come after both caches are full: a pod that is listed before its node is no orphan.
  context->call_when_synced(cores, [self] {
    self->pods.add_handler([self](const PodPtr& old, const PodPtr& now) { self->pod_changed(old, now); });
    self->nodes.add_handler([self](const NodePtr& old, const NodePtr& now) { self->node_changed(old, now); });
    client::run_workers(self->context->executor, self->queue, "podgc", 2,
                        [self](std::string key) { return self->reconcile(std::move(key)); });
  });
}

}  // namespace knarr::controller
