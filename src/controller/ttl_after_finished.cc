// SPDX-License-Identifier: Apache-2.0
// ttl-after-finished: deletes Jobs .spec.ttlSecondsAfterFinished after their end.
#include "base/log.h"
#include "controller/controller.h"
#include "controller/job_util.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

using JobPtr = std::shared_ptr<const BatchJob>;

std::string key_of(const BatchJob& job) { return job.metadata.namespace_.str() + "/" + job.metadata.name.str(); }

class TtlAfterFinished : public std::enable_shared_from_this<TtlAfterFinished> {
 public:
  explicit TtlAfterFinished(ContextPtr context)
      : context_(std::move(context)), jobs_(context_->informers.get<BatchJob>()), queue_(context_->make_queue("ttl_jobs_to_delete")) {}

  void start() {
    auto self = shared_from_this();
    jobs_.add_handler([self](const JobPtr&, const JobPtr& now) {
      if (now != nullptr && expires(*now)) self->queue_->add(key_of(*now));
    });
    context_->run_when_synced({jobs_.core_ptr()}, queue_, "ttl-after-finished", 5,
                              [self](std::string key) { return self->reconcile(std::move(key)); });
  }

 private:
  static bool expires(const BatchJob& job) {
    return !job.metadata.deletion_timestamp && job.spec.ttl_seconds_after_finished && is_job_finished(job);
  }

  // True when the time is over; else comes back then.
  Result<bool> is_over(const BatchJob& job) {
    if (!expires(job)) return false;
    schema::Time ended = finished_condition(job)->last_transition_time;
    if (ended.is_zero()) return Status::error("unable to find the time when the Job " + key_of(job) + " finished");
    WallTime now = context_->clock.now(), over = schema::to_wall(ended) + std::chrono::seconds(*job.spec.ttl_seconds_after_finished);
    if (schema::to_wall(ended) > now) log_warning("Job ended in the future; do clocks differ?", {{"job", key_of(job)}});
    if (over <= now) return true;
    queue_->add_after(key_of(job), over - now);
    return false;
  }

  Task<Status> reconcile(std::string key) {
    JobPtr job = jobs_.get(key);
    if (job == nullptr) co_return Status();
    Result<bool> over = is_over(*job);
    if (!over.ok()) co_return over.status();
    if (!*over) co_return Status();
    // The cache may be behind a change of the time to live.
    std::string ns = job->metadata.namespace_.str(), name = job->metadata.name.str();
    auto fresh = co_await context_->client.get<BatchJob>(ns, name);
    if (fresh.status().code() == 404) co_return Status();
    if (!fresh.ok()) co_return fresh.status();
    over = is_over(*fresh);
    if (!over.ok()) co_return over.status();
    if (!*over) co_return Status();
    client::DeleteOptions options;
    options.propagation_policy = "Foreground";
    options.uid = fresh->metadata.uid.str();
    Status status = co_await context_->client.remove<BatchJob>(std::move(ns), std::move(name), std::move(options));
    co_return status;
  }

  ContextPtr context_;
  client::Informer<BatchJob> jobs_;
  std::shared_ptr<client::WorkQueue> queue_;
};

}  // namespace

void start_ttl_after_finished(const ContextPtr& context) { std::make_shared<TtlAfterFinished>(context)->start(); }

}  // namespace knarr::controller
