// SPDX-License-Identifier: Apache-2.0
// The decisions of the StatefulSet controller, as pure functions: identity and storage of pods, owners of claims, what a round finds, status.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/apps_v1.h"
#include "controller/controller_history.h"
#include "controller/pod_util.h"

namespace knarr::controller {

using api::apps_v1::StatefulSet;
using api::apps_v1::StatefulSetStatus;
using api::core_v1::PersistentVolumeClaim;
using api::core_v1::Pod;
using StatefulSetPtr = std::shared_ptr<const StatefulSet>;

inline constexpr std::string_view kPodNameLabel = "statefulset.kubernetes.io/pod-name";
inline constexpr std::string_view kPodIndexLabel = "apps.kubernetes.io/pod-index";

// ---- identity
// "web-3" -> {"web", 3}; {"", -1} for a name without an ordinal, {"web", -1} for one too large.
std::pair<std::string_view, int> parent_and_ordinal(std::string_view pod_name);
inline int ordinal_of(const Pod& pod) { return parent_and_ordinal(pod.metadata.name).second; }
int first_ordinal(const StatefulSet& set);
inline int32_t wanted(const StatefulSet& set) { return set.spec.replicas.value_or(1); }
bool in_ordinal_range(const Pod& pod, const StatefulSet& set);
bool is_member(const StatefulSet& set, const Pod& pod);  // by name
bool identity_matches(const StatefulSet& set, const Pod& pod);
void set_identity(const StatefulSet& set, Pod& pod);
std::string_view revision_of(const Pod& pod);

// ---- storage
std::string claim_name(const StatefulSet& set, const PersistentVolumeClaim& claim_template, int ordinal);
// The claims of a pod, in the order of the templates.
std::vector<PersistentVolumeClaim> claims_of(const StatefulSet& set, int ordinal);
bool storage_matches(const StatefulSet& set, const Pod& pod);
void set_storage(const StatefulSet& set, Pod& pod);
bool retains_on_scale(const StatefulSet& set);
// Whether set and pod own the claim as persistentVolumeClaimRetentionPolicy wants: who goes takes along what is to be deleted with it.
bool owners_match(const PersistentVolumeClaim& claim, const StatefulSet& set, const Pod& pod);
bool set_owners(PersistentVolumeClaim& claim, const StatefulSet& set, const Pod& pod);  // true when changed
// Owned by an earlier pod of this name: about to be collected.
bool has_stale_owner(const PersistentVolumeClaim& claim, const Pod& pod);

// ---- states of pods
bool is_created(const Pod& pod);
bool is_terminating(const Pod& pod);
bool is_running_and_ready(const Pod& pod);
bool is_healthy(const Pod& pod);

// ---- revisions
// The set as it was at a revision.
Result<StatefulSet> at_revision(const StatefulSet& set, const ControllerRevision& revision);
ControllerRevision new_revision(const StatefulSet& set, int64_t number, const schema::Opt<int32_t>& collision_count);

// ---- a round
struct StatefulRound {
  StatefulSetPtr set;
  StatefulSet current, update;  // the set at the two revisions
  std::string current_revision, update_revision;
  std::vector<PodPtr> replicas;   // by ordinal; those that do not exist as they would be made
  std::vector<PodPtr> condemned;  // beyond the replicas, highest ordinal first
  PodPtr first_unhealthy;
  StatefulSetStatus status;
  bool ordered = true;            // podManagementPolicy OrderedReady

  PodPtr make_pod(int ordinal) const;
  // Lays out the pods of the set by ordinal.
  void sort_pods(const std::vector<PodPtr>& pods);
  void count(const std::vector<std::vector<PodPtr>>& lists, schema::Time now);
};

// The pod that a rolling update deletes next, from the highest ordinal down; null while one is not healthy yet, or when nothing is left.
PodPtr next_to_update(const StatefulRound& round);
// A finished rollout makes the update revision the current one.
void complete_rollout(const StatefulSet& set, StatefulSetStatus& status);
bool status_differs(const StatefulSetStatus& before, const StatefulSetStatus& now);

}  // namespace knarr::controller
