// SPDX-License-Identifier: Apache-2.0
#include "controller/namespace_conditions.h"

namespace knarr::controller {
namespace {

using api::core_v1::NamespaceCondition;
using api::core_v1::NamespaceStatus;

struct Good {
  std::string_view type, reason, message;
};
constexpr Good kDiscovery{"NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"};
constexpr Good kParsing{"NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions",
                        "All legacy kube types successfully parsed"};
constexpr Good kDeletion{"NamespaceDeletionContentFailure", "ContentDeleted",
                         "All content successfully deleted, may be waiting on finalization"};
constexpr Good kRemaining{"NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"};
constexpr Good kFinalizers{"NamespaceFinalizersRemaining", "ContentHasNoFinalizers",
                           "All content-preserving finalizers finished"};

// An empty `problem` is the good state.
bool set_condition(NamespaceStatus& status, const Good& good, std::string_view bad_reason, const std::string& problem,
                   schema::Time now) {
  std::string_view state = problem.empty() ? "False" : "True";
  std::string_view reason = problem.empty() ? good.reason : bad_reason;
  std::string_view message = problem.empty() ? good.message : std::string_view(problem);
  NamespaceCondition* condition = nullptr;
  for (NamespaceCondition& one : status.conditions)
    if (one.type == good.type) condition = &one;
  if (condition == nullptr) {
    condition = &status.conditions.emplace_back();
    condition->type = good.type;
  } else if (condition->status == state && condition->reason == reason && condition->message == message) {
    return false;
  }
  if (condition->status != state) condition->last_transition_time = now;
  condition->status = state;
  condition->reason = reason;
  condition->message = message;
  return true;
}

std::string join(std::string_view prefix, const std::vector<std::string>& parts) {
  if (parts.empty()) return {};
  std::string text(prefix);
  for (size_t i = 0; i < parts.size(); ++i) text += (i == 0 ? "" : ", ") + parts[i];
  return text;
}

}  // namespace

bool update_conditions(NamespaceStatus& status, const NamespaceContent& content, schema::Time now) {
  std::vector<std::string> failures = content.delete_failures, remaining, finalizers;
  std::sort(failures.begin(), failures.end());
  for (const auto& [resource, count] : content.remaining)
    remaining.push_back(resource + " has " + std::to_string(count) + " resource instances");
  for (const auto& [finalizer, count] : content.finalizers)
    finalizers.push_back(finalizer + " in " + std::to_string(count) + " resource instances");

  bool changed = set_condition(status, kDiscovery, "DiscoveryFailed", content.discovery_failure, now);
  changed |= set_condition(status, kParsing, "GroupVersionParsingFailed", "", now);
  std::string prefix = "Failed to delete all resource types, " + std::to_string(failures.size()) + " remaining: ";
  changed |= set_condition(status, kDeletion, "ContentDeletionFailed", join(prefix, failures), now);
  changed |= set_condition(status, kRemaining, "SomeResourcesRemain", join("Some resources are remaining: ", remaining), now);
  changed |= set_condition(status, kFinalizers, "SomeFinalizersRemain",
                           join("Some content in the namespace has finalizers remaining: ", finalizers), now);
  return changed;
}

}  // namespace knarr::controller
