// SPDX-License-Identifier: Apache-2.0
// replicaset: see replica_engine.h.
#include "api/apps_v1.h"
#include "controller/replica_engine_impl.h"

namespace knarr::controller {
namespace {

struct ReplicaSetTraits {
  using Owner = api::apps_v1::ReplicaSet;
  static std::string_view name() { return "replicaset"; }
  static std::string_view component() { return "replicaset-controller"; }
  static schema::LabelSelector selector(const Owner& owner) {
    auto selector = schema::LabelSelector::from(owner.spec.selector.get());
    return selector.ok() ? std::move(*selector) : schema::LabelSelector::nothing();
  }
  static const api::core_v1::PodTemplateSpec* pod_template(const Owner& owner) { return &owner.spec.template_; }
};

}  // namespace

void start_replicaset(const ContextPtr& context) { std::make_shared<ReplicaEngine<ReplicaSetTraits>>(context)->start(); }

}  // namespace knarr::controller
