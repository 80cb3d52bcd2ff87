// SPDX-License-Identifier: Apache-2.0
#include "controller/statefulset_util.h"

#include <algorithm>
#include <charconv>

#include "controller/util.h"
#include "schema/codec.h"
#include "schema/json.h"
#include "schema/patch.h"

namespace knarr::controller {

using api::meta_v1::ObjectMeta;
using api::meta_v1::OwnerReference;

// ---- identity --------------------------------------------------------------------------------------------------------------

std::pair<std::string_view, int> parent_and_ordinal(std::string_view pod_name) {
  size_t digits = pod_name.size();
  while (digits > 0 && pod_name[digits - 1] >= '0' && pod_name[digits - 1] <= '9') --digits;
  if (digits == pod_name.size() || digits == 0 || pod_name[digits - 1] != '-') return {"", -1};
  std::string_view number = pod_name.substr(digits);
  int32_t ordinal = 0;
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), ordinal);
  return {pod_name.substr(0, digits - 1), error == std::errc() ? ordinal : -1};
}

int first_ordinal(const StatefulSet& set) { return set.spec.ordinals ? set.spec.ordinals->start : 0; }

bool in_ordinal_range(const Pod& pod, const StatefulSet& set) {
  int64_t ordinal = ordinal_of(pod), first = first_ordinal(set);
  return ordinal >= first && ordinal < first + wanted(set);
}

bool is_member(const StatefulSet& set, const Pod& pod) { return parent_and_ordinal(pod.metadata.name).first == set.metadata.name.view(); }

namespace {
std::string pod_name(const StatefulSet& set, int ordinal) { return set.metadata.name.str() + "-" + std::to_string(ordinal); }
}  // namespace

bool identity_matches(const StatefulSet& set, const Pod& pod) {
  auto [parent, ordinal] = parent_and_ordinal(pod.metadata.name);
  return ordinal >= 0 && parent == set.metadata.name.view() && pod.metadata.name == pod_name(set, ordinal) &&
         pod.metadata.namespace_ == set.metadata.namespace_ &&
         schema::get_or_empty(pod.metadata.labels, kPodNameLabel) == pod.metadata.name.view();
}

void set_identity(const StatefulSet& set, Pod& pod) {
  int ordinal = ordinal_of(pod);
  pod.metadata.name = pod_name(set, ordinal);
  pod.metadata.namespace_ = set.metadata.namespace_;
  pod.metadata.labels[kPodNameLabel] = pod.metadata.name;
  pod.metadata.labels[kPodIndexLabel] = std::to_string(ordinal);
}

std::string_view revision_of(const Pod& pod) { return schema::get_or_empty(pod.metadata.labels, kRevisionHashLabel); }

// ---- storage ---------------------------------------------------------------------------------------------------------------

std::string claim_name(const StatefulSet& set, const PersistentVolumeClaim& claim_template, int ordinal) {
  return fmt::format("{}-{}-{}", claim_template.metadata.name.view(), set.metadata.name.view(), ordinal);
}

std::vector<PersistentVolumeClaim> claims_of(const StatefulSet& set, int ordinal) {
  std::vector<PersistentVolumeClaim> claims;
  for (const PersistentVolumeClaim& claim_template : set.spec.volume_claim_templates) {
    PersistentVolumeClaim& claim = claims.emplace_back(claim_template);
    claim.metadata.name = claim_name(set, claim_template, ordinal);
    claim.metadata.namespace_ = set.metadata.namespace_;
    if (!set.spec.selector) continue;
    for (const auto& [key, value] : set.spec.selector->match_labels) claim.metadata.labels[key] = value;
  }
  return claims;
}

bool storage_matches(const StatefulSet& set, const Pod& pod) {
  int ordinal = ordinal_of(pod);
  if (ordinal < 0) return false;
  for (const PersistentVolumeClaim& claim : set.spec.volume_claim_templates) {
    std::string wanted_name = claim_name(set, claim, ordinal);
    bool found = std::any_of(pod.spec.volumes.begin(), pod.spec.volumes.end(), [&](const api::core_v1::Volume& volume) {
      return volume.name == claim.metadata.name && volume.volume_source.persistent_volume_claim && volume.volume_source.persistent_volume_claim->claim_name == wanted_name;
    });
    if (!found) return false;
  }
  return true;
}

void set_storage(const StatefulSet& set, Pod& pod) {
  schema::List<api::core_v1::Volume> volumes;
  int ordinal = ordinal_of(pod);
  volumes.reserve(0);
  for (const PersistentVolumeClaim& claim : set.spec.volume_claim_templates) {
    auto& volume = volumes.emplace_back();
    volume.name = claim.metadata.name;
    volume.volume_source.persistent_volume_claim.ensure().claim_name = claim_name(set, claim, ordinal);
  }
  for (api::core_v1::Volume& volume : pod.spec.volumes) {
    const auto& templates = set.spec.volume_claim_templates;
    bool replaced = std::any_of(templates.begin(), templates.end(),
                                [&](const PersistentVolumeClaim& claim) { return claim.metadata.name == volume.name; });
    if (!replaced) volumes.push_back(std::move(volume));
  }
  pod.spec.volumes = std::move(volumes);
}

namespace {

bool owns(const ObjectMeta& owner, const PersistentVolumeClaim& claim) {
  const auto& references = claim.metadata.owner_references;
  return std::any_of(references.begin(), references.end(), [&](const OwnerReference& one) { return one.uid == owner.uid; });
}

struct Owners {
  bool set = false, pod = false;
};

// Deletion with the set is the set's to cause, deletion by scaling the pod's, once it is beyond the replicas.
Owners wanted_owners(const StatefulSet& set, const Pod& pod) {
  const auto& policy = set.spec.persistent_volume_claim_retention_policy;
  bool with_set = policy && policy->when_deleted == "Delete", by_scale = policy && policy->when_scaled == "Delete";
  Owners owners;
  owners.pod = by_scale && !in_ordinal_range(pod, set);
  owners.set = with_set && !owners.pod;
  return owners;
}

template <class Owner>
bool set_owner(PersistentVolumeClaim& claim, const Owner& owner, bool wanted) {
  if (owns(owner.metadata, claim) == wanted) return false;
  if (wanted) {
    auto& reference = claim.metadata.owner_references.emplace_back();
    reference.api_version = Owner::kind_info().api_version;
    reference.kind = Owner::kind_info().kind;
    reference.name = owner.metadata.name;
    reference.uid = owner.metadata.uid;
  } else {
    claim.metadata.owner_references.erase_if([&](const OwnerReference& one) { return one.uid == owner.metadata.uid; });
  }
  return true;
}

}  // namespace

bool retains_on_scale(const StatefulSet& set) {
  const auto& policy = set.spec.persistent_volume_claim_retention_policy;
  return !policy || policy->when_scaled == "Retain";
}

bool owners_match(const PersistentVolumeClaim& claim, const StatefulSet& set, const Pod& pod) {
  Owners owners = wanted_owners(set, pod);
  return owns(set.metadata, claim) == owners.set && owns(pod.metadata, claim) == owners.pod;
}

bool set_owners(PersistentVolumeClaim& claim, const StatefulSet& set, const Pod& pod) {
  Owners owners = wanted_owners(set, pod);
  bool changed = set_owner(claim, set, owners.set);
  return set_owner(claim, pod, owners.pod) || changed;
}

bool has_stale_owner(const PersistentVolumeClaim& claim, const Pod& pod) {
  const auto& references = claim.metadata.owner_references;
  return std::any_of(references.begin(), references.end(),
                     [&](const OwnerReference& one) { return one.name == pod.metadata.name && one.uid != pod.metadata.uid; });
}

// ---- states of pods --------------------------------------------------------------------------------------------------------

bool is_created(const Pod& pod) { return !pod.status.phase.empty(); }
bool is_terminating(const Pod& pod) { return pod.metadata.deletion_timestamp.has_value(); }
bool is_running_and_ready(const Pod& pod) { return pod.status.phase == "Running" && is_pod_ready(pod); }
bool is_healthy(const Pod& pod) { return is_running_and_ready(pod) && !is_terminating(pod); }

// ---- revisions -------------------------------------------------------------------------------------------------------------

Result<StatefulSet> at_revision(const StatefulSet& set, const ControllerRevision& revision) {
  // Mostly it is the present template: nothing to apply.
  if (revision.data.bytes == template_patch(set.spec.template_)) return set;
  auto document = json::parse(schema::to_json(set));
  if (!document.ok()) return document.status();
  auto patch = json::parse(revision.data.bytes);
  if (!patch.ok()) return patch.status();
  auto patched = schema::apply_strategic_patch(std::move(*document), *patch, StatefulSet::table());
  if (!patched.ok()) return patched.status();
  return schema::from_json<StatefulSet>(json::to_string(*patched));
}

ControllerRevision new_revision(const StatefulSet& set, int64_t number, const schema::Opt<int32_t>& collision_count) {
  ControllerRevision revision;
  revision.data.bytes = template_patch(set.spec.template_);
  std::string hash = revision_hash(revision.data.bytes, collision_count);
  revision.metadata.name = revision_name(set.metadata.name, hash);
  revision.metadata.namespace_ = set.metadata.namespace_;
  revision.metadata.labels = set.spec.template_.metadata.labels;
  revision.metadata.labels[kHistoryHashLabel] = hash;
  revision.metadata.annotations = set.metadata.annotations;
  revision.metadata.owner_references.push_back(controller_ref(set));
  revision.revision = number;
  return revision;
}

// ---- a round ---------------------------------------------------------------------------------------------------------------

namespace {

// Below the partition pods stay at the current revision, also when they are made anew.
bool is_held_back(const StatefulSet& current, int ordinal) {
  const auto& strategy = current.spec.update_strategy;
  int64_t first = first_ordinal(current);
  if (!strategy.rolling_update) return strategy.type == "RollingUpdate" && ordinal < first + current.status.current_replicas;
  return ordinal < first + strategy.rolling_update->partition.value_or(0);
}

}  // namespace

PodPtr StatefulRound::make_pod(int ordinal) const {
  bool held_back = is_held_back(current, ordinal);
  const StatefulSet& model = held_back ? current : update;
  Pod pod = pod_of_template(model.spec.template_, model.metadata.name, controller_ref(model));
  pod.metadata.name = pod_name(model, ordinal);
  set_identity(model, pod);
  pod.spec.hostname = pod.metadata.name;
  pod.spec.subdomain = model.spec.service_name;
  set_storage(model, pod);
  pod.metadata.labels[kRevisionHashLabel] = held_back ? current_revision : update_revision;
  return std::make_shared<const Pod>(std::move(pod));
}

void StatefulRound::sort_pods(const std::vector<PodPtr>& pods) {
  int first = first_ordinal(*set);
  replicas.assign(static_cast<size_t>(std::max(wanted(*set), 0)), nullptr);
  for (const PodPtr& pod : pods) {
    if (in_ordinal_range(*pod, *set)) {
      replicas[static_cast<size_t>(ordinal_of(*pod) - first)] = pod;
    } else if (ordinal_of(*pod) >= 0) {
      condemned.push_back(pod);
    }
  }
  for (size_t i = 0; i < replicas.size(); ++i)
    if (replicas[i] == nullptr) replicas[i] = make_pod(first + static_cast<int>(i));
  std::sort(condemned.begin(), condemned.end(), [](const PodPtr& a, const PodPtr& b) { return ordinal_of(*a) > ordinal_of(*b); });
  for (const PodPtr& pod : replicas)
    if (first_unhealthy == nullptr && !is_healthy(*pod)) first_unhealthy = pod;
  for (size_t i = condemned.size(); i-- > 0;)
    if (first_unhealthy == nullptr && !is_healthy(*condemned[i])) first_unhealthy = condemned[i];
}

void StatefulRound::count(const std::vector<std::vector<PodPtr>>& lists, schema::Time now) {
  status.replicas = status.ready_replicas = status.available_replicas = status.current_replicas = status.updated_replicas = 0;
  for (const auto& list : lists) {
    for (const PodPtr& pod : list) {
      if (is_running_and_ready(*pod)) {
        ++status.ready_replicas;
        if (is_pod_available(*pod, set->spec.min_ready_seconds, now)) ++status.available_replicas;
      }
      if (!is_created(*pod)) continue;
      ++status.replicas;
      if (is_terminating(*pod)) continue;
      if (revision_of(*pod) == current_revision) ++status.current_replicas;
      if (revision_of(*pod) == update_revision) ++status.updated_replicas;
    }
  }
}

PodPtr next_to_update(const StatefulRound& round) {
  const auto& strategy = round.set->spec.update_strategy;
  if (strategy.type == "OnDelete") return nullptr;
  int64_t least = strategy.rolling_update ? strategy.rolling_update->partition.value_or(0) : 0;
  for (auto i = static_cast<int64_t>(round.replicas.size()); i-- > least;) {
    const PodPtr& pod = round.replicas[static_cast<size_t>(i)];
    if (revision_of(*pod) != round.update_revision && !is_terminating(*pod)) return pod;
    if (!is_healthy(*pod)) return nullptr;
  }
  return nullptr;
}

void complete_rollout(const StatefulSet& set, StatefulSetStatus& status) {
  if (!(set.spec.update_strategy.type == "RollingUpdate")) return;
  int32_t all = wanted(set);
  if (status.updated_replicas != all || status.ready_replicas != all || status.replicas != all) return;
  status.current_replicas = status.updated_replicas;
  status.current_revision = status.update_revision;
}

bool status_differs(const StatefulSetStatus& before, const StatefulSetStatus& now) {
  return now.observed_generation > before.observed_generation || now.replicas != before.replicas ||
         now.current_replicas != before.current_replicas || now.ready_replicas != before.ready_replicas ||
         now.updated_replicas != before.updated_replicas || now.current_revision != before.current_revision ||
         now.available_replicas != before.available_replicas || now.update_revision != before.update_revision;
}

}  // namespace knarr::controller
