// SPDX-License-Identifier: Apache-2.0
#include "controller/clusterrole_aggregation.h"

#include <gtest/gtest.h>

namespace knarr::controller {
namespace {

using api::rbac_v1::ClusterRole;

std::shared_ptr<const ClusterRole> role(std::string_view name, std::string_view label, std::initializer_list<std::string_view> verbs) {
  auto made = std::make_shared<ClusterRole>();
  made->metadata.name = name;
  if (!label.empty()) made->metadata.labels[label] = "true";
  for (std::string_view verb : verbs) made->rules.emplace_back().verbs.push_back(verb);
  return made;
}
std::string verbs_of(const ClusterRole& role, std::vector<std::shared_ptr<const ClusterRole>> all) {
  auto rules = aggregate_rules(role, std::move(all));
  if (!rules.ok()) return "error";
  std::string text;
  for (const auto& rule : *rules) text += (text.empty() ? "" : " ") + rule.verbs[0].str();
  return text;
}

TEST(AggregateRules, JoinsWhatSelectorsChooseInOrderAndOnce) {
  ClusterRole target = *role("all", "b", {"own"});
  auto& rule = target.aggregation_rule.ensure();
  rule.cluster_role_selectors.emplace_back().match_labels["b"] = "true";
  rule.cluster_role_selectors.emplace_back().match_labels["a"] = "true";
  auto self = std::make_shared<ClusterRole>(target);
  // Itself is left out, though its label is asked for.
  EXPECT_EQ(verbs_of(target, {role("z", "a", {"get", "list"}), role("x", "b", {"watch"}), role("c", "b", {"list"}), role("n", "", {"no"}), self}),
            "list watch get");
  EXPECT_EQ(verbs_of(target, {}), "");
}

}  // namespace
}  // namespace knarr::controller
