// SPDX-License-Identifier: Apache-2.0
// deployment: one ReplicaSet a template, scaled against each other by the strategy. Internal to deployment*.cc.
//
// A round works on a copy of the Deployment (`d`), which is replaced by the server's answer after each write, so that a later write of the
// same round does not conflict with it.
#pragma once

#include "controller/controller.h"
#include "controller/deployment_util.h"
#include "controller/pod_util.h"
#include "schema/selector.h"

namespace knarr::controller {

class DeploymentController : public std::enable_shared_from_this<DeploymentController> {
 public:
  explicit DeploymentController(ContextPtr context);
  void start();

 private:
  using DeploymentPtr = std::shared_ptr<const Deployment>;
  // The ReplicaSet of the present template (null when there is none yet) and the others.
  struct Family {
    RsPtr new_rs;
    RsList old;
    RsList all() const { return with(old, new_rs); }
  };

  Task<Status> reconcile(std::string key);
  Task<Result<RsList>> claim(DeploymentPtr d);

  // ---- deployment_sync.cc
  Task<Result<Family>> family(Deployment& d, RsList list, bool create);
  Task<Result<RsPtr>> update_new_rs(Deployment& d, RsPtr rs, int64_t revision);
  Task<Result<RsPtr>> create_new_rs(Deployment& d, const RsList& old, int64_t revision);
  Task<Result<RsPtr>> name_taken(Deployment& d, std::string name, Status conflict);
  Task<Status> sync(Deployment& d, RsList list);
  Task<Status> sync_status_only(Deployment& d, RsList list);
  Task<Status> check_paused(Deployment& d);
  Task<Status> scale(Deployment& d, Family family);
  Task<Status> scale_proportionally(Deployment& d, RsList all);
  // Answers the ReplicaSet as it is afterwards.
  Task<Result<RsPtr>> scale_rs(Deployment& d, RsPtr rs, int32_t size, std::string direction);
  Task<Result<RsPtr>> scale_rs_if_needed(Deployment& d, RsPtr rs, int32_t size);
  Task<Status> clean_up(const Deployment& d, RsList old);
  Task<Status> write_status(Deployment& d);

  // ---- deployment_rollout.cc
  Task<Status> rollout_rolling(Deployment& d, RsList list);
  Task<Result<bool>> scale_down_old(Deployment& d, Family family);
  Task<Status> rollout_recreate(Deployment& d, RsList list);
  bool old_pods_running(const Deployment& d, const Family& family) const;
  Task<Status> sync_rollout_status(Deployment& d, Family family);
  void set_progress(const Deployment& d, const RsPtr& new_rs, DeploymentStatus& status) const;
  void requeue_stuck(const Deployment& d, const DeploymentStatus& status);
  Task<Status> rollback(Deployment& d, RsList list, int64_t revision);

  // ---- events
  void rs_changed(const RsPtr& old, const RsPtr& now);
  void pod_gone(const api::core_v1::Pod& pod);
  DeploymentPtr resolve(std::string_view ns, const api::meta_v1::OwnerReference* reference) const;
  void enqueue_matching(const ReplicaSet& rs);
  void tell(const Deployment& d, std::string type, std::string reason, std::string message);
  static std::string key_of(const Deployment& d) { return d.metadata.namespace_.str() + "/" + d.metadata.name.str(); }

  ContextPtr context_;
  client::Informer<Deployment> deployments_;
  client::Informer<ReplicaSet> sets_;
  client::Informer<api::core_v1::Pod> pods_;
  std::shared_ptr<client::WorkQueue> queue_;
  std::shared_ptr<client::EventRecorder> events_;
};

}  // namespace knarr::controller
