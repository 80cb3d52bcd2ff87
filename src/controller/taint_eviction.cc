// SPDX-License-Identifier: Apache-2.0
#include "controller/taint_eviction.h"

#include "base/log.h"
#include "controller/util.h"
#include "schema/node_selector.h"

namespace knarr::controller {

using api::core_v1::Pod;

namespace {

std::string pod_key(const Pod& pod) { return pod.metadata.namespace_.str() + "/" + pod.metadata.name.str(); }

std::vector<Taint> no_execute_taints(const Node& node) {
  std::vector<Taint> taints;
  for (const Taint& taint : node.spec.taints)
    if (taint.effect == "NoExecute") taints.push_back(taint);
  return taints;
}

}  // namespace

TaintEviction::TaintEviction(ContextPtr context)
    : context_(std::move(context)),
      pods_(context_->informers.get<Pod>()),
      nodes_(context_->informers.get<Node>()),
      queue_(context_->make_queue("noexec_taint_pod")),
      events_(context_->recorder("taint-controller")) {}

void TaintEviction::start() {
  auto self = shared_from_this();
  index_by_node(pods_);
  context_->call_when_synced({pods_.core_ptr(), nodes_.core_ptr()}, [self] {
    self->nodes_.add_handler([self](const NodePtr& old, const NodePtr& now) { self->node_changed(old, now); });
    self->pods_.add_handler([self](const PodPtr& old, const PodPtr& now) { self->pod_changed(old, now); });
    client::run_workers(self->context_->executor, self->queue_, "taint-eviction", 8,
                        [self](std::string key) { return self->reconcile(std::move(key)); });
  });
}

std::optional<int64_t> TaintEviction::tolerated_seconds(const Pod& pod, const std::vector<Taint>& taints) {
  std::optional<int64_t> least;
  for (const Taint& taint : taints) {
    const api::core_v1::Toleration* found = nullptr;
    for (const auto& toleration : pod.spec.tolerations)
      if (found == nullptr && schema::tolerates(toleration, taint)) found = &toleration;
    if (found == nullptr) return 0;
    if (!found->toleration_seconds) continue;
    int64_t seconds = std::max<int64_t>(0, *found->toleration_seconds);
    least = least ? std::min(*least, seconds) : seconds;
  }
  return least;
}

void TaintEviction::tell(std::string_view ns, std::string_view name, const std::string& message) {
  api::core_v1::ObjectReference about;
  about.api_version = "v1";
  about.kind = "Pod";
  about.namespace_ = ns;
  about.name = name;
  events_->event(about, "Normal", "TaintManagerEviction", message);
}

void TaintEviction::schedule(const std::string& key, MonoTime since, MonoTime due) {
  evictions_[key] = {since, due};
  queue_->add_after(key, due - context_->clock.mono());
}

void TaintEviction::cancel(const Pod& pod) {
  std::string key = pod_key(pod);
  if (evictions_.erase(key) > 0) tell(pod.metadata.namespace_, pod.metadata.name, "Cancelling deletion of Pod " + key);
}

void TaintEviction::consider(const Pod& pod, const Node& node) {
  std::vector<Taint> taints = no_execute_taints(node);
  std::string key = pod_key(pod);
  if (taints.empty()) return cancel(pod);
  std::optional<int64_t> seconds = tolerated_seconds(pod, taints);
  if (!seconds) return cancel(pod);
  MonoTime now = context_->clock.mono();
  auto present = evictions_.find(key);
  if (*seconds == 0) return schedule(key, now, now);
  // The time runs from the first taint on: another taint shortens the stay, it does not start it anew.
  MonoTime since = present == evictions_.end() ? now : present->second.since;
  MonoTime due = now + std::chrono::seconds(*seconds);
  if (present != evictions_.end() && since + std::chrono::seconds(*seconds) < due) return;
  schedule(key, since, due);
}

void TaintEviction::node_changed(const NodePtr& old, const NodePtr& now) {
  if (now == nullptr) return;
  if (old != nullptr && old->spec.taints == now->spec.taints) return;
  if (old == nullptr && no_execute_taints(*now).empty()) return;
  for (const PodPtr& pod : pods_on_node(pods_, now->metadata.name)) consider(*pod, *now);
}

void TaintEviction::pod_changed(const PodPtr& old, const PodPtr& now) {
  if (now == nullptr) return cancel(*old);
  if (old != nullptr && old->spec.node_name == now->spec.node_name && old->spec.tolerations == now->spec.tolerations) return;
  if (now->spec.node_name.empty()) return;
  NodePtr node = nodes_.get(now->spec.node_name);
  if (node != nullptr && !no_execute_taints(*node).empty()) consider(*now, *node);
}

Task<Status> TaintEviction::evict(PodPtr pod) {
  std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str();
  std::string key = pod_key(*pod);
  log_info("NoExecuteTaintManager is deleting pod", {{"pod", key}});
  tell(ns, name, "Marking for deletion Pod " + key);
  std::string patch = pod_condition_patch(*pod, "DisruptionTarget", "DeletionByTaintManager",
                                          "Taint manager: deleting due to NoExecute taint", "", context_->now());
  std::string where = ns, who = name, subresource = "status";
  auto patched = co_await context_->client.patch<Pod>(std::move(where), std::move(who), client::PatchType::kStrategic, std::move(patch),
                                                      std::move(subresource));
  if (patched.status().code() == 404) co_return Status();
  if (!patched.ok()) co_return patched.status();
  Status status = co_await context_->client.remove<Pod>(std::move(ns), std::move(name));
  co_return status.code() == 404 ? Status() : status;
}

Task<Status> TaintEviction::reconcile(std::string key) {
  auto at = evictions_.find(key);
  if (at == evictions_.end()) co_return Status();  // cancelled
  MonoTime now = context_->clock.mono();
  if (at->second.due > now) {
    queue_->add_after(key, at->second.due - now);
    co_return Status();
  }
  PodPtr pod = pods_.get(key);
  if (pod != nullptr && !pod->metadata.deletion_timestamp) {
    Status status = co_await evict(pod);
    if (!status.ok()) co_return status;
  }
  evictions_.erase(key);
  co_return Status();
}

}  // namespace knarr::controller
