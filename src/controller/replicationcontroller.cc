// SPDX-License-Identifier: Apache-2.0
// replicationcontroller: see replica_engine.h.
#include "api/core_v1.h"
#include "controller/replica_engine_impl.h"

namespace knarr::controller {
namespace {

struct ReplicationControllerTraits {
  using Owner = api::core_v1::ReplicationController;
  static std::string_view name() { return "replicationcontroller"; }
  static std::string_view component() { return "replication-controller"; }
  static schema::LabelSelector selector(const Owner& owner) {
    // Validation demands a selector; without one an object must not swallow its namespace.
    if (owner.spec.selector.empty()) return schema::LabelSelector::nothing();
    return schema::LabelSelector::from_set(owner.spec.selector);
  }
  static const api::core_v1::PodTemplateSpec* pod_template(const Owner& owner) { return owner.spec.template_.get(); }
};

}  // namespace

void start_replicationcontroller(const ContextPtr& context) {
  std::make_shared<ReplicaEngine<ReplicationControllerTraits>>(context)->start();
}

}  // namespace knarr::controller
