// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/strategies.h"

namespace knarr::apiserver {

namespace {

using Index = absl::flat_hash_map<std::pair<std::string_view, std::string_view>, const Strategy*>;

Index make_index() {
  Index index;
  for (std::span<const Strategy> family :
       {pod_strategies(),         service_strategies(),      namespace_strategies(),
        node_strategies(),        config_strategies(),       endpoints_strategies(),
        event_strategies(),       quota_strategies(),        volume_strategies(),
        storage_strategies(),     workload_strategies(),     set_strategies(),
        batch_strategies(),       networking_strategies(),   rbac_strategies(),
        certificate_strategies(), autoscaling_strategies(),  policy_strategies(),
        small_strategies(),       registration_strategies(), flowcontrol_strategies()})
    for (const Strategy& strategy : family)
      index.emplace(std::pair(strategy.group, strategy.plural), &strategy);
  return index;
}

}  // namespace

const Strategy& find_strategy(std::string_view group, std::string_view plural) {
  static const Index index = make_index();
  static const Strategy none{};
  auto found = index.find(std::pair(group, plural));
  return found == index.end() ? none : *found->second;
}

}  // namespace knarr::apiserver
