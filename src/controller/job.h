// SPDX-License-Identifier: Apache-2.0
// job: pods until enough of them succeeded. Internal to job*.cc; what it decides is in job_util.
//
// A pod is counted once, although pods vanish and the controller may die at any moment: its UID enters .status.uncountedTerminatedPods,
// then its finalizer goes, then the counter of the status grows while the UID leaves.
#pragma once

#include <absl/container/flat_hash_map.h>

#include "controller/controller.h"
#include "controller/expectations.h"
#include "controller/job_util.h"

namespace knarr::controller {

class JobController : public std::enable_shared_from_this<JobController> {
 public:
  // `batch_period`: events of pods and status come in bursts; one round after this time serves them all.
  JobController(ContextPtr context, Duration batch_period);
  void start();

 private:
  using JobPtr = std::shared_ptr<const BatchJob>;
  using RoundPtr = std::shared_ptr<JobRound>;
  struct Managed {
    int32_t active = 0;
    Status error;
  };

  // ---- job.cc: events, and pods of no Job
  void job_changed(const JobPtr& old, const JobPtr& now);
  void job_gone(const BatchJob& job);
  void pod_changed(const PodPtr& old, const PodPtr& now);
  void pod_added(const api::core_v1::Pod& pod);
  void pod_updated(const api::core_v1::Pod& old, const api::core_v1::Pod& now);
  void pod_deleted(const api::core_v1::Pod& pod, bool is_gone);
  void enqueue_matching(const api::core_v1::Pod& pod);
  void enqueue_soon(const std::string& key);
  void removal_observed(const std::string& key, const api::core_v1::Pod& pod);
  void forget(const std::string& key);
  JobPtr resolve(std::string_view ns, const api::meta_v1::OwnerReference* reference) const;
  Task<Status> release_orphan(std::string key);

  // ---- job_sync.cc: what a round does
  Task<Status> reconcile(std::string key);
  Task<Status> claim(RoundPtr round);
  Task<Status> may_adopt(RoundPtr round);
  Task<Status> adopt(RoundPtr round, PodPtr pod);
  void find_end(JobRound& round, int32_t failed);
  Task<Managed> end_pods(RoundPtr round, bool settled);
  Task<Managed> manage(RoundPtr round);
  Task<Managed> make_pods(RoundPtr round, int32_t count);
  Task<Managed> remove_pods(RoundPtr round, std::vector<PodPtr> pods);
  bool set_progress(JobRound& round, const Managed& managed, bool was_managed);
  Task<Status> make_one(RoundPtr round, int index);
  Task<Status> remove_one(RoundPtr round, PodPtr pod, bool release);

  // ---- job_track.cc: the counters
  Task<Status> track(RoundPtr round, bool changed);
  Task<Status> write_status(RoundPtr round);
  Task<Status> release_pods(RoundPtr round, TrackingPlan& plan);
  Task<Status> release_one(std::string key, PodPtr pod);
  bool enact_end(JobRound& round);
  void tell_end(const JobRound& round);

  void tell(const BatchJob& job, std::string type, std::string reason, std::string message);
  static std::string key_of(const BatchJob& job) { return job.metadata.namespace_.str() + "/" + job.metadata.name.str(); }
  static std::string key_of(const api::core_v1::Pod& pod) { return pod.metadata.namespace_.str() + "/" + pod.metadata.name.str(); }

  ContextPtr context_;
  const Duration batch_period_;
  client::Informer<BatchJob> jobs_;
  client::Informer<api::core_v1::Pod> pods_;
  std::shared_ptr<client::WorkQueue> queue_;    // of Jobs
  std::shared_ptr<client::WorkQueue> orphans_;  // of pods that nobody counts any more
  std::shared_ptr<client::EventRecorder> events_;
  PodControl control_;
  Expectations expectations_;
  absl::flat_hash_map<std::string, UidSet> expected_removals_;
  absl::flat_hash_map<std::string, BackoffRecord> backoffs_;
};

// Strategic merge patch that takes the tracking finalizer away.
inline constexpr std::string_view kReleasePatch =
    R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["batch.kubernetes.io/job-tracking"]}})";

}  // namespace knarr::controller
