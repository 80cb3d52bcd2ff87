// SPDX-License-Identifier: Apache-2.0
// statefulset: pods with names and claims of their own, in order. Internal to statefulset*.cc; the decisions are in statefulset_util.h.
#pragma once

#include "controller/claim.h"
#include "controller/controller.h"
#include "controller/statefulset_util.h"

namespace knarr::controller {

class StatefulSetController : public std::enable_shared_from_this<StatefulSetController> {
 public:
  explicit StatefulSetController(ContextPtr context);
  void start();

 private:
  using RoundPtr = std::shared_ptr<StatefulRound>;
  // One step of a round for pod `i`; true when an ordered round ends here.
  using Step = std::function<Task<Result<bool>>(size_t i)>;
  struct Revisions {
    RevisionPtr current, update;
    int32_t collision_count = 0;
  };

  Task<Status> reconcile(std::string key);
  Task<Status> sync(StatefulSetPtr set, std::vector<PodPtr> pods);
  Task<Status> adopt_revisions(StatefulSetPtr set);
  Task<Result<std::vector<PodPtr>>> claim_pods(StatefulSetPtr set);
  RevisionList revisions_of(const StatefulSet& set) const;  // and orphans that match; oldest first
  Task<Result<Revisions>> find_revisions(StatefulSetPtr set, RevisionList list);
  Task<Result<RevisionPtr>> create_revision(StatefulSetPtr set, ControllerRevision revision, int32_t& collision_count);
  Task<Status> clean_up(StatefulSetPtr set, std::vector<PodPtr> pods, RevisionList list, Revisions kept);
  Task<Status> write_status(StatefulSetPtr set, StatefulSetStatus status);

  // ---- statefulset_sync.cc
  Task<Status> run_round(RoundPtr round, std::vector<PodPtr> pods);
  Task<Status> run_steps(RoundPtr round);
  // Over `count` pods: one after the other when ordered, else in growing batches. True when the round ends.
  Task<Result<bool>> run_for_all(RoundPtr round, size_t count, Step step);
  Task<Result<bool>> process_replica(RoundPtr round, size_t i);
  Task<Result<bool>> process_claims_of_condemned(RoundPtr round, size_t i);
  Task<Result<bool>> process_condemned(RoundPtr round, size_t i);
  Task<Status> update_next(RoundPtr round);

  // ---- statefulset_pods.cc
  Task<Status> create_pod(StatefulSetPtr set, PodPtr pod);
  Task<Status> update_pod(StatefulSetPtr set, PodPtr pod);
  Task<Status> remove_pod(StatefulSetPtr set, PodPtr pod);
  Task<Status> create_claims(StatefulSetPtr set, PodPtr pod);
  Task<Status> create_missing_claims(StatefulSetPtr set, PodPtr pod);
  Task<Status> update_claim_owners(StatefulSetPtr set, PodPtr pod);
  bool claims_match(const StatefulSet& set, const Pod& pod) const;
  bool has_stale_claim(const StatefulSet& set, const Pod& pod) const;
  void tell_pod(const StatefulSet& set, std::string_view verb, const Pod& pod, const Status& status);
  void tell_claim(const StatefulSet& set, const PersistentVolumeClaim& claim, const Pod& pod, const Status& status);

  // ---- events
  void pod_changed(const PodPtr& old, const PodPtr& now);
  StatefulSetPtr resolve(std::string_view ns, const api::meta_v1::OwnerReference* reference) const;
  void enqueue_matching(const Pod& pod);
  static std::string key_of(const StatefulSet& set) { return set.metadata.namespace_.str() + "/" + set.metadata.name.str(); }

  ContextPtr context_;
  client::Informer<StatefulSet> sets_;
  client::Informer<ControllerRevision> revisions_;
  client::Informer<Pod> pods_;
  client::Informer<PersistentVolumeClaim> claims_;
  std::shared_ptr<client::WorkQueue> queue_;
  std::shared_ptr<client::EventRecorder> events_;
};

}  // namespace knarr::controller
