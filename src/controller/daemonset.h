// SPDX-License-Identifier: Apache-2.0
// daemonset: one pod on each node that fits. Internal to daemonset*.cc; the decisions are in daemonset_util.h.
#pragma once

#include "controller/claim.h"
#include "controller/controller.h"
#include "controller/controller_history.h"
#include "controller/daemonset_util.h"
#include "controller/expectations.h"

namespace knarr::controller {

class DaemonSetController : public std::enable_shared_from_this<DaemonSetController> {
 public:
  explicit DaemonSetController(ContextPtr context);
  void start();

 private:
  static constexpr size_t kBurst = 250;
  static constexpr int kStatusRetries = 1;
  using Pod = api::core_v1::Pod;
  // The revision of the present template, and the others.
  struct History {
    RevisionPtr current;
    RevisionList old;
    std::string hash() const { return std::string(schema::get_or_empty(current->metadata.labels, kRevisionHashLabel)); }
  };

  Task<Status> reconcile(std::string key);
  Task<Status> update_set(DaemonSetPtr set, std::string hash, RevisionList old);
  Task<Status> manage(DaemonSetPtr set, std::string hash);
  Task<Status> roll(DaemonSetPtr set, std::string hash);
  // Makes and removes pods; both are expected to be seen before the next round counts.
  Task<Status> apply(DaemonSetPtr set, PodChanges changes, std::string hash);
  Task<Status> make_pods(DaemonSetPtr set, std::vector<std::string> nodes, std::string hash);
  Task<Status> make_one(DaemonSetPtr set, PodPtr pod);
  Task<Status> remove_one(DaemonSetPtr set, PodPtr pod);
  Task<Status> write_status(DaemonSetPtr set, std::string hash, bool observed);
  // Without those that have ended and are being deleted, unless `all`.
  Task<Result<PodsByNode>> pods_by_node(DaemonSetPtr set, bool all);
  Task<Result<std::vector<PodPtr>>> claim_pods(DaemonSetPtr set);
  std::vector<NodePtr> nodes() const;

  // ---- daemonset_history.cc
  Task<Result<History>> history(DaemonSetPtr set);
  Task<Result<RevisionPtr>> label_revision(RevisionPtr revision);
  Task<Result<RevisionPtr>> make_revision(DaemonSetPtr set, std::string data, int64_t number);
  Task<Result<RevisionPtr>> name_taken(DaemonSetPtr set, std::string name, std::string data, Status conflict);
  Task<Result<RevisionPtr>> merge_duplicates(DaemonSetPtr set, RevisionList current);
  Task<Status> clean_up(DaemonSetPtr set, RevisionList old);

  // ---- events
  void pod_changed(const PodPtr& old, const PodPtr& now);
  void pod_updated(const Pod& old, const Pod& now);
  void pod_deleted(const Pod& pod);
  void revision_changed(const RevisionPtr& old, const RevisionPtr& now);
  void node_changed(const NodePtr& old, const NodePtr& now);
  DaemonSetPtr resolve(std::string_view ns, const api::meta_v1::OwnerReference* reference) const;
  void enqueue_matching(const api::meta_v1::ObjectMeta& object);
  void tell(const DaemonSet& set, std::string type, std::string reason, std::string message);
  static std::string key_of(const DaemonSet& set) { return set.metadata.namespace_.str() + "/" + set.metadata.name.str(); }
  static std::string key_of(const Pod& pod) { return pod.metadata.namespace_.str() + "/" + pod.metadata.name.str(); }

  ContextPtr context_;
  client::Informer<DaemonSet> sets_;
  client::Informer<ControllerRevision> revisions_;
  client::Informer<Pod> pods_;
  client::Informer<Node> nodes_;
  std::shared_ptr<client::WorkQueue> queue_;
  std::shared_ptr<client::EventRecorder> events_;
  Expectations expectations_;
  FailedPodBackoff backoff_;
  PodControl control_;
};

}  // namespace knarr::controller
