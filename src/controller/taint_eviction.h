// SPDX-License-Identifier: Apache-2.0
// The taint manager: deletes pods that do not tolerate a NoExecute taint of their node, at once or when their toleration runs out.
// One executor.
#pragma once

#include <absl/container/flat_hash_map.h>

#include "controller/controller.h"
#include "controller/node_util.h"
#include "controller/pod_util.h"

namespace knarr::controller {

class TaintEviction : public std::enable_shared_from_this<TaintEviction> {
 public:
  explicit TaintEviction(ContextPtr context);
  void start();

  // How long the pod may stay under these taints: nullopt for ever, 0 not at all.
  static std::optional<int64_t> tolerated_seconds(const api::core_v1::Pod& pod, const std::vector<Taint>& taints);

 private:
  struct Eviction {
    MonoTime since, due;
  };
  Task<Status> reconcile(std::string key);
  Task<Status> evict(PodPtr pod);
  void node_changed(const NodePtr& old, const NodePtr& now);
  void pod_changed(const PodPtr& old, const PodPtr& now);
  void consider(const api::core_v1::Pod& pod, const Node& node);
  void cancel(const api::core_v1::Pod& pod);
  void schedule(const std::string& key, MonoTime since, MonoTime due);
  void tell(std::string_view ns, std::string_view name, const std::string& message);

  ContextPtr context_;
  client::Informer<api::core_v1::Pod> pods_;
  client::Informer<Node> nodes_;
  std::shared_ptr<client::WorkQueue> queue_;
  std::shared_ptr<client::EventRecorder> events_;
  absl::flat_hash_map<std::string, Eviction> evictions_;  // by pod key
};

}  // namespace knarr::controller
