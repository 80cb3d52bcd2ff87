// SPDX-License-Identifier: Apache-2.0
// The one engine behind ReplicaSets and ReplicationControllers: as many active pods as asked for, adopted by label, made in growing batches,
// removed by rank. `Traits` says where the two kinds differ:
//   using Owner, Condition; static name(), component();
//   static schema::LabelSelector selector(const Owner&); static const PodTemplateSpec* pod_template(const Owner&);
#pragma once

#include "controller/controller.h"
#include "controller/expectations.h"
#include "controller/pod_util.h"
#include "controller/util.h"
#include "schema/selector.h"

namespace knarr::controller {

template <class Traits>
class ReplicaEngine : public std::enable_shared_from_this<ReplicaEngine<Traits>> {
 public:
  using Owner = typename Traits::Owner;
  using OwnerPtr = std::shared_ptr<const Owner>;
  using Pod = api::core_v1::Pod;

  explicit ReplicaEngine(ContextPtr context);
  void start();

 private:
  static constexpr int kBurst = 500;
  static constexpr int kStatusRetries = 1;

  Task<Status> reconcile(std::string key);
  Task<Status> claim(OwnerPtr owner, schema::LabelSelector selector, std::vector<PodPtr>& claimed);
  Task<Status> manage(OwnerPtr owner, std::vector<PodPtr> pods);
  Task<Status> make_pods(OwnerPtr owner, int count);
  Task<Status> remove_pods(OwnerPtr owner, std::vector<PodPtr> pods, size_t count);
  Task<Status> make_one(OwnerPtr owner, PodPtr pod);
  Task<Status> remove_one(OwnerPtr owner, PodPtr pod);
  void compute_status(Owner& owner, const std::vector<PodPtr>& pods, const Status& managed) const;
  Task<Status> write_status(OwnerPtr cached, Owner changed, bool& available_later);
  std::vector<PodPtr> related_pods(const Owner& owner) const;

  void pod_changed(const PodPtr& old, const PodPtr& now);
  void pod_added(const Pod& pod);
  void pod_updated(const Pod& old, const Pod& now);
  void pod_deleted(const Pod& pod);
  void owner_changed(const OwnerPtr& old, const OwnerPtr& now);
  OwnerPtr resolve(std::string_view ns, const api::meta_v1::OwnerReference* reference) const;
  void enqueue_matching(const Pod& pod);
  static std::string key_of(const Owner& owner) { return owner.metadata.namespace_.str() + "/" + owner.metadata.name.str(); }
  static std::string key_of(const Pod& pod) { return pod.metadata.namespace_.str() + "/" + pod.metadata.name.str(); }

  ContextPtr context_;
  client::Informer<Owner> owners_;
  client::Informer<Pod> pods_;
  std::shared_ptr<client::WorkQueue> queue_;
  Expectations expectations_;
  PodControl control_;
};

}  // namespace knarr::controller
