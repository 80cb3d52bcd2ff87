// SPDX-License-Identifier: Apache-2.0
#include "controller/job.h"

#include "base/log.h"
#include "controller/util.h"
#include "schema/selector.h"
#include "schema/time.h"

namespace knarr::controller {

using api::core_v1::Pod;

namespace {

constexpr Duration kBatchPeriod = std::chrono::milliseconds(20);
constexpr Duration kFirstRetry = std::chrono::seconds(1), kMostRetry = std::chrono::minutes(1);
constexpr int kWorkers = 5;

schema::LabelSelector selector_of(const BatchJob& job) {
  auto selector = schema::LabelSelector::from(job.spec.selector.get());
  return selector.ok() ? std::move(*selector) : schema::LabelSelector::nothing();
}

}  // namespace

JobController::JobController(ContextPtr context, Duration batch_period)
    : context_(std::move(context)),
      batch_period_(batch_period),
      jobs_(context_->informers.get<BatchJob>()),
      pods_(context_->informers.get<Pod>()),
      queue_(context_->make_queue("job", kFirstRetry, kMostRetry)),
      orphans_(context_->make_queue("job_orphan_pod", kFirstRetry, kMostRetry)),
      events_(context_->recorder("job-controller")),
      control_(context_->client, events_),
      expectations_(context_->clock) {}

void JobController::start() {
  auto self = shared_from_this();
  index_by_controller(pods_);
  jobs_.add_handler([self](const JobPtr& old, const JobPtr& now) { self->job_changed(old, now); });
  pods_.add_handler([self](const PodPtr& old, const PodPtr& now) { self->pod_changed(old, now); });
  context_->run_when_synced({jobs_.core_ptr(), pods_.core_ptr()}, queue_, "job", kWorkers,
                            [self](std::string key) { return self->reconcile(std::move(key)); });
  context_->run_when_synced({jobs_.core_ptr(), pods_.core_ptr()}, orphans_, "job_orphan_pod", 1,
                            [self](std::string key) { return self->release_orphan(std::move(key)); });
}

void JobController::tell(const BatchJob& job, std::string type, std::string reason, std::string message) {
  events_->event(client::reference_to(job), std::move(type), std::move(reason), std::move(message));
}

void JobController::enqueue_soon(const std::string& key) { queue_->add_after(key, batch_period_); }

void JobController::forget(const std::string& key) {
  expectations_.forget(key);
  expected_removals_.erase(key);
  backoffs_.erase(key);
}

void JobController::removal_observed(const std::string& key, const Pod& pod) {
  auto at = expected_removals_.find(key);
  if (at != expected_removals_.end()) at->second.erase(pod.metadata.uid.str());
}

// ---- Jobs ------------------------------------------------------------------------------------------------------------------

void JobController::job_changed(const JobPtr& old, const JobPtr& now) {
  bool replaced = old != nullptr && now != nullptr && old->metadata.uid != now->metadata.uid;
  if (old != nullptr && (now == nullptr || replaced)) job_gone(*old);
  if (now == nullptr) return;
  std::string key = key_of(*now);
  bool is_same_spec = old != nullptr && !replaced && old->metadata.generation == now->metadata.generation;
  if (is_same_spec) {
    enqueue_soon(key);
  } else {
    queue_->add(key);
  }
  // A round that is under way may have armed the old deadline.
  const auto& deadline = now->spec.active_deadline_seconds;
  if (old == nullptr || !now->status.start_time || !deadline || deadline == old->spec.active_deadline_seconds) return;
  Duration passed = context_->clock.now() - schema::to_wall(*now->status.start_time);
  queue_->add_after(key, std::chrono::seconds(*deadline) - passed);
}

void JobController::job_gone(const BatchJob& job) {
  forget(key_of(job));
  queue_->add(key_of(job));
  for (const PodPtr& pod : pods_of_controller(pods_, job.metadata.uid))
    if (has_tracking_finalizer(*pod)) orphans_->add(key_of(*pod));
}

JobController::JobPtr JobController::resolve(std::string_view ns, const api::meta_v1::OwnerReference* reference) const {
  if (reference == nullptr || reference->kind != "Job") return nullptr;
  JobPtr job = jobs_.get(ns, reference->name);
  return job != nullptr && job->metadata.uid == reference->uid ? job : nullptr;
}

void JobController::enqueue_matching(const Pod& pod) {
  if (pod.metadata.labels.empty()) return;
  jobs_.for_each_in(pod.metadata.namespace_, [&](const JobPtr& job) {
    if (selector_of(*job).matches(pod.metadata.labels)) enqueue_soon(key_of(*job));
  });
}

// ---- pods ------------------------------------------------------------------------------------------------------------------

void JobController::pod_changed(const PodPtr& old, const PodPtr& now) {
  if (old != nullptr && now != nullptr && old->metadata.uid == now->metadata.uid) return pod_updated(*old, *now);
  if (old != nullptr) pod_deleted(*old, true);
  if (now != nullptr) pod_added(*now);
}

void JobController::pod_added(const Pod& pod) {
  if (pod.metadata.deletion_timestamp) return pod_deleted(pod, false);
  if (const auto* reference = controller_of(pod.metadata)) {
    JobPtr job = resolve(pod.metadata.namespace_, reference);
    if (job == nullptr) return;
    expectations_.creation_observed(key_of(*job));
    enqueue_soon(key_of(*job));
    return;
  }
  if (has_tracking_finalizer(pod)) orphans_->add(key_of(pod));
  enqueue_matching(pod);
}

void JobController::pod_updated(const Pod& old, const Pod& now) {
  // Graceful deletion shows as a timestamp long before the pod goes: a replacement should come at once.
  if (now.metadata.deletion_timestamp) return pod_deleted(now, false);
  const auto* old_reference = controller_of(old.metadata);
  const auto* reference = controller_of(now.metadata);
  bool is_same = old_reference == nullptr ? reference == nullptr : reference != nullptr && *old_reference == *reference;
  // The old state does not matter: while a pod changes hands its finalizer may have come back and gone within one event.
  bool is_released = !has_tracking_finalizer(now);
  auto wake = [&](const api::meta_v1::OwnerReference* owner) {
    JobPtr job = resolve(now.metadata.namespace_, owner);
    if (job == nullptr) return;
    if (is_released) removal_observed(key_of(*job), now);
    enqueue_soon(key_of(*job));
  };
  if (!is_same && old_reference != nullptr) wake(old_reference);
  if (reference != nullptr) return wake(reference);
  if (!is_released) orphans_->add(key_of(now));
  if (!is_same || !(old.metadata.labels == now.metadata.labels)) enqueue_matching(now);
}

void JobController::pod_deleted(const Pod& pod, bool is_gone) {
  bool is_held = has_tracking_finalizer(pod);
  JobPtr job = resolve(pod.metadata.namespace_, controller_of(pod.metadata));
  // A Job that has ended looks at its pods no more, and the collector of garbage may have taken the reference away.
  if (job == nullptr || is_job_finished(*job)) {
    if (is_held) orphans_->add(key_of(pod));
    return;
  }
  std::string key = key_of(*job);
  expectations_.deletion_observed(key, key_of(pod));
  if (is_gone || !is_held) removal_observed(key, pod);
  enqueue_soon(key);
}

Task<Status> JobController::release_orphan(std::string key) {
  PodPtr pod = pods_.get(key);
  if (pod == nullptr || !has_tracking_finalizer(*pod)) co_return Status();
  JobPtr job = resolve(pod->metadata.namespace_, controller_of(pod->metadata));
  if (job != nullptr && !is_job_finished(*job)) co_return Status();  // adopted meanwhile
  std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str(), patch(kReleasePatch);
  Status status = co_await control_.patch(std::move(ns), std::move(name), std::move(patch));
  co_return status.code() == 404 ? Status() : status;
}

void start_job(const ContextPtr& context) { std::make_shared<JobController>(context, kBatchPeriod)->start(); }

}  // namespace knarr::controller
