// SPDX-License-Identifier: Apache-2.0
#include "scheduler/scheduler.h"

#include "api/core_v1.h"
#include "base/log.h"
#include "client/events.h"
#include "scheduler/metrics.h"
#include "scheduler/queue.h"
#include "schema/codec.h"
#include "schema/json.h"
#include "schema/time.h"
#include "trace/ring.h"

namespace knarr::scheduler {

using api::core_v1::Binding;
using api::core_v1::Node;
using api::core_v1::Pod;

namespace {

bool is_finished(const Pod& pod) { return pod.status.phase == "Succeeded" || pod.status.phase == "Failed"; }

uint32_t node_change(const Node& before, const Node& after) {
  uint32_t events = 0;
  if (!(before.status.allocatable == after.status.allocatable)) events |= kNodeAllocatable;
  if (!(before.metadata.labels == after.metadata.labels)) events |= kNodeLabel;
  if (!(before.spec.taints == after.spec.taints) || before.spec.unschedulable != after.spec.unschedulable) events |= kNodeTaint;
  return events;
}

// {"status":{"conditions":[{"type":"PodScheduled",...}]}} for a strategic merge, which keys conditions by type.
std::string unschedulable_patch(const std::string& reason, const std::string& message, schema::Time now) {
  json::Value condition = json::Value::object();
  condition["type"] = "PodScheduled";
  condition["status"] = "False";
  condition["reason"] = reason;
  condition["message"] = message;
  condition["lastProbeTime"] = nullptr;
  condition["lastTransitionTime"] = schema::format_time(now);
  json::Value patch = json::Value::object();
  patch["status"]["conditions"].push_back(std::move(condition));
  return json::to_string(patch);
}

bool has_condition(const Pod& pod, const std::string& reason, const std::string& message) {
  for (const auto& condition : pod.status.conditions)
    if (condition.type == "PodScheduled") return condition.status == "False" && condition.reason == reason && condition.message == message;
  return false;
}

}  // namespace

struct Scheduler::Impl : std::enable_shared_from_this<Scheduler::Impl> {
  Impl(client::Client& c, client::InformerFactory& informers, const Clock& k, Executor e, Options o)
      : client(c), clock(k), executor(e), options(std::move(o)), trace(options.trace != nullptr ? options.trace : std::make_shared<trace::Ring>()),
        random(options.seed == 0 ? 1 : options.seed), queue(e, k), events(c, e, options.name), counted(options.name), pods(informers.get<Pod>()),
        nodes(informers.get<Node>()) {
    trace->add_part("kube-scheduler");
  }

  client::Client& client;
  const Clock& clock;
  Executor executor;
  Options options;
  std::shared_ptr<trace::Ring> trace;
  uint64_t random;
  size_t start_at = 0;
  Cache cache;
  PodQueue queue;
  client::EventRecorder events;
  SchedulerMetrics counted;
  client::Informer<Pod> pods;
  client::Informer<Node> nodes;
  bool stopped = false;

  bool is_ours(const Pod& pod) const { return pod.spec.scheduler_name == options.name; }

  void on_node(const NodePtr& before, const NodePtr& after) {
    if (after == nullptr) {
      cache.remove_node(before->metadata.name);
      return queue.on_event(kNodeDelete);
    }
    cache.set_node(after);
    uint32_t change = before == nullptr ? kNodeAdd : node_change(*before, *after);
    if (change != 0) queue.on_event(change);
  }

  void on_pod(const PodPtr& before, const PodPtr& after) {
    bool was_placed = before != nullptr && !before->spec.node_name.empty() && !is_finished(*before);
    bool is_placed = after != nullptr && !after->spec.node_name.empty() && !is_finished(*after);
    if (is_placed) {
      queue.remove(after->metadata.uid);
      cache.set_pod(after);
      return queue.on_event(was_placed ? kPodUpdate : kPodAdd);
    }
    if (was_placed) {
      cache.remove_pod(*before);
      return queue.on_event(kPodDelete);
    }
    const Pod& pod = after != nullptr ? *after : *before;
    if (after == nullptr || is_finished(pod) || pod.metadata.deletion_timestamp) {
      cache.forget(pod.metadata.uid);
      return queue.remove(pod.metadata.uid);
    }
    if (!is_ours(pod) || !pod.spec.scheduling_gates.empty() || cache.is_assumed(pod.metadata.uid)) return;
    if (queue.set(after)) trace->add_now(pod.metadata.uid, trace::Step::kQueued, "");
  }

  static Task<void> run(std::shared_ptr<Impl> self) {
    co_await self->nodes.wait_synced();
    co_await self->pods.wait_synced();
    int in_a_row = 0;
    while (!self->stopped) {
      std::shared_ptr<QueuedPod> entry = co_await self->queue.pop();
      if (entry == nullptr) co_return;
      self->try_once(std::move(entry));
      // Answers and events come in between a few pods.
      if (++in_a_row % 16 == 0) co_await yield_now();
    }
  }

  void try_once(std::shared_ptr<QueuedPod> entry) {
    PodPtr pod = entry->pod;
    Handle handle{cache};
    PodInfo info(pod);
    MonoTime began = clock.mono();
    WallTime looked = trace->now();
    Decision decision = decide(handle, info, options.percentage_of_nodes_to_score, &start_at, &random);
    MonoTime decided = clock.mono();
    counted.algorithm(decided - began);
    trace->add_since(pod->metadata.uid, trace::Step::kTried, looked, outcome(decision));
    if (decision.node == nullptr) {
      counted.attempt(SchedulerMetrics::kUnschedulable, decided - began);
      return fail(std::move(entry), std::move(decision.message), decision.wake_events, "Unschedulable");
    }
    std::string node(decision.node->name());
    cache.assume(pod, node);
    spawn(executor, bind(shared_from_this(), std::move(entry), std::move(pod), std::move(node), began));
  }

  static std::string outcome(const Decision& decision) {
    if (decision.node == nullptr) return decision.message;
    return std::string(decision.node->name()) + ", of " + std::to_string(decision.feasible) + " that fit of " + std::to_string(decision.evaluated) + " looked at";
  }

  void fail(std::shared_ptr<QueuedPod> entry, std::string message, uint32_t wake_events, std::string reason) {
    PodPtr pod = entry->pod;
    events.event(client::reference_to(*pod), "Warning", "FailedScheduling", message);
    if (!has_condition(*pod, reason, message))
      spawn(executor, write_condition(shared_from_this(), pod, reason, std::move(message)));
    queue.put_back(std::move(entry), wake_events, reason == "SchedulerError");
  }

  static Task<void> write_condition(std::shared_ptr<Impl> self, PodPtr pod, std::string reason, std::string message) {
    std::string patch = unschedulable_patch(reason, message, schema::to_time(self->clock.now()));
    std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str(), subresource = "status";
    auto result = co_await self->client.patch<Pod>(std::move(ns), std::move(name), client::PatchType::kStrategic, std::move(patch), std::move(subresource));
    if (!result.ok() && !result.status().is("NotFound"))
      log_error("Could not write the condition of an unschedulable pod", {{"pod", pod->metadata.name.str()}, {"error", result.status().message()}});
  }

  static Task<void> bind(std::shared_ptr<Impl> self, std::shared_ptr<QueuedPod> entry, PodPtr pod, std::string node, MonoTime began) {
    Binding binding;
    binding.metadata.namespace_ = pod->metadata.namespace_;
    binding.metadata.name = pod->metadata.name;
    binding.metadata.uid = pod->metadata.uid;
    binding.target.kind = "Node";
    binding.target.name = node;
    std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str(), subresource = "binding";
    schema::Object object = schema::Object::of(std::move(binding));
    WallTime asked = self->trace->now();
    auto result = co_await self->client.create_object(Pod::resource(), std::move(ns), std::move(object), std::move(subresource), std::move(name));
    MonoTime ended = self->clock.mono();
    self->trace->add_since(pod->metadata.uid, trace::Step::kBind, asked, result.ok() ? "to " + node : std::string(result.status().message()));
    self->counted.attempt(result.ok() ? SchedulerMetrics::kScheduled : SchedulerMetrics::kError, ended - began);
    if (result.ok()) {
      self->counted.bound(entry->attempts, ended - entry->since);
      std::string message = "Successfully assigned " + pod->metadata.namespace_.str() + "/" + pod->metadata.name.str() + " to " + node;
      self->events.event(client::reference_to(*pod), "Normal", "Scheduled", std::move(message));
      co_return;
    }
    // The place is free again, for this pod or another.
    self->cache.forget(pod->metadata.uid);
    self->queue.on_event(kPodDelete);
    if (result.status().is("NotFound") || self->stopped) co_return;
    self->fail(std::move(entry), "binding rejected: " + std::string(result.status().message()), kAnyEvent, "SchedulerError");
  }
};

Scheduler::Scheduler(client::Client& client, client::InformerFactory& informers, const Clock& clock, Executor executor, Options options)
    : impl_(std::make_shared<Impl>(client, informers, clock, std::move(executor), std::move(options))) {}

Scheduler::~Scheduler() { stop(); }

void Scheduler::start() {
  std::weak_ptr<Impl> weak = impl_;
  impl_->nodes.add_handler([weak](const NodePtr& before, const NodePtr& after) {
    if (auto self = weak.lock()) self->on_node(before, after);
  });
  impl_->pods.add_handler([weak](const PodPtr& before, const PodPtr& after) {
    if (auto self = weak.lock()) self->on_pod(before, after);
  });
  spawn(impl_->executor, Impl::run(impl_));
}

void Scheduler::stop() {
  impl_->stopped = true;
  impl_->queue.close();
}

const trace::Ring& Scheduler::trace() const { return *impl_->trace; }

std::string Scheduler::metrics() const {
  const PodQueue& queue = impl_->queue;
  SchedulerMetrics::Pending pending{queue.ready(), queue.backing_off(), queue.waiting(), 0};
  size_t pods = 0;
  impl_->pods.for_each([&](const PodPtr& pod) {
    if (!pod->spec.node_name.empty() && !is_finished(*pod)) ++pods;
    if (pod->spec.node_name.empty() && !pod->spec.scheduling_gates.empty()) ++pending.gated;
  });
  return impl_->counted.text(pending, impl_->nodes.size(), pods);
}

}  // namespace knarr::scheduler
