// SPDX-License-Identifier: Apache-2.0
#include "controller/pod_util.h"

#include <charconv>
#include <cmath>

#include "controller/claim.h"
#include "controller/util.h"
#include "schema/codec.h"

namespace knarr::controller {

using api::core_v1::Pod;
using api::core_v1::PodCondition;

bool is_pod_terminal(const Pod& pod) { return pod.status.phase == "Succeeded" || pod.status.phase == "Failed"; }
bool is_pod_active(const Pod& pod) { return !is_pod_terminal(pod) && !pod.metadata.deletion_timestamp; }

const PodCondition* pod_condition(const Pod& pod, std::string_view type) {
  for (const PodCondition& condition : pod.status.conditions)
    if (condition.type == type) return &condition;
  return nullptr;
}

bool is_pod_ready(const Pod& pod) {
  const PodCondition* ready = pod_condition(pod, "Ready");
  return ready != nullptr && ready->status == "True";
}

bool is_pod_available(const Pod& pod, int32_t min_ready_seconds, schema::Time now) {
  if (!is_pod_ready(pod)) return false;
  if (min_ready_seconds == 0) return true;
  schema::Time since = pod_condition(pod, "Ready")->last_transition_time;
  return !since.is_zero() && since.unix_seconds() + min_ready_seconds < now.unix_seconds();
}

namespace {

struct Ranked {
  PodPtr pod;
  int rank = 0;
};

int phase_order(const Pod& pod) {
  if (pod.status.phase == "Pending") return 0;
  return pod.status.phase == "Unknown" ? 1 : 2;
}

int32_t deletion_cost(const Pod& pod) {
  std::string_view text = schema::get_or_empty(pod.metadata.annotations, "controller.kubernetes.io/pod-deletion-cost");
  if (text.empty() || (text[0] == '0' && text != "0") || text[0] == '+') return 0;
  int32_t cost = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cost);
  return error == std::errc() && end == text.data() + text.size() ? cost : 0;
}

int32_t most_restarts(const Pod& pod) {
  int32_t most = 0;
  for (const auto& status : pod.status.container_statuses) most = std::max(most, status.restart_count);
  return most;
}

schema::Time ready_time(const Pod& pod) {
  const PodCondition* ready = pod_condition(pod, "Ready");
  return ready != nullptr && ready->status == "True" ? ready->last_transition_time : schema::Time();
}

// Younger is smaller, by the magnitude of the age only (LogarithmicScaleDown), then by UID: <0, 0, >0.
int compare_age(const Pod& a, const Pod& b, schema::Time ta, schema::Time tb, schema::Time now) {
  if (ta == tb) return 0;
  if (ta.is_zero() || tb.is_zero()) return ta.is_zero() ? -1 : 1;
  auto magnitude = [&](schema::Time t) {
    int64_t age = now.unix_seconds() - t.unix_seconds();
    return age > 0 ? static_cast<int64_t>(std::log2(static_cast<double>(age) * 1e9)) : int64_t{-1};
  };
  int64_t difference = magnitude(ta) - magnitude(tb);
  if (difference != 0) return difference < 0 ? -1 : 1;
  return a.metadata.uid < b.metadata.uid ? -1 : 1;
}

bool goes_first(const Ranked& x, const Ranked& y, schema::Time now) {
  const Pod& a = *x.pod;
  const Pod& b = *y.pod;
  bool a_unassigned = a.spec.node_name.empty(), b_unassigned = b.spec.node_name.empty();
  if (a_unassigned != b_unassigned) return a_unassigned;
  if (phase_order(a) != phase_order(b)) return phase_order(a) < phase_order(b);
  bool a_ready = is_pod_ready(a), b_ready = is_pod_ready(b);
  if (a_ready != b_ready) return !a_ready;
  if (int32_t ca = deletion_cost(a), cb = deletion_cost(b); ca != cb) return ca < cb;
  if (x.rank != y.rank) return x.rank > y.rank;
  if (a_ready && b_ready) {
    if (int order = compare_age(a, b, ready_time(a), ready_time(b), now); order != 0) return order < 0;
  }
  if (int32_t ra = most_restarts(a), rb = most_restarts(b); ra != rb) return ra > rb;
  return compare_age(a, b, a.metadata.creation_timestamp, b.metadata.creation_timestamp, now) < 0;
}

}  // namespace

void sort_for_deletion(std::vector<PodPtr>& pods, const std::vector<PodPtr>& related, schema::Time now) {
  absl::flat_hash_map<std::string, int> on_node;
  for (const PodPtr& pod : related)
    if (is_pod_active(*pod)) ++on_node[pod->spec.node_name.str()];
  std::vector<Ranked> ranked;
  for (PodPtr& pod : pods) {
    int rank = on_node[pod->spec.node_name.str()];
    ranked.push_back({std::move(pod), rank});
  }
  std::sort(ranked.begin(), ranked.end(), [now](const Ranked& a, const Ranked& b) { return goes_first(a, b, now); });
  for (size_t i = 0; i < pods.size(); ++i) pods[i] = std::move(ranked[i].pod);
}

namespace {

std::vector<PodPtr> collect(const client::Informer<Pod>& pods, std::string_view value) {
  std::vector<PodPtr> found;
  pods.for_each_indexed(kByController, value, [&](const PodPtr& pod) { found.push_back(pod); });
  return found;
}

}  // namespace

void index_by_controller(const client::Informer<Pod>& pods) { index_by_controller_of(pods); }
std::vector<PodPtr> pods_of_controller(const client::Informer<Pod>& pods, std::string_view uid) { return collect(pods, uid); }
std::vector<PodPtr> orphans_in(const client::Informer<Pod>& pods, std::string_view ns) { return collect(pods, orphan_value(ns)); }

Task<Status> PodControl::create(std::string ns, std::shared_ptr<const Pod> pod, api::core_v1::ObjectReference owner) {
  if (pod->metadata.labels.empty()) co_return Status::error("unable to create pods, no labels");
  Pod copy = *pod;
  copy.metadata.namespace_ = ns;
  auto created = co_await client_.create(std::move(copy));
  if (!created.ok()) {
    if (!is_namespace_terminating(created.status()))
      events_->event(owner, "Warning", "FailedCreate", "Error creating: " + std::string(created.status().message()));
    co_return created.status();
  }
  events_->event(owner, "Normal", "SuccessfulCreate", "Created pod: " + created->metadata.name.str());
  co_return Status();
}

Task<Status> PodControl::remove(std::string ns, std::string name, api::core_v1::ObjectReference owner) {
  std::string wanted = name;
  Status status = co_await client_.remove<Pod>(std::move(ns), std::move(wanted));
  if (status.code() == 404) co_return status;
  if (!status.ok()) {
    events_->event(owner, "Warning", "FailedDelete", "Error deleting: " + std::string(status.message()));
    co_return status.with_context("unable to delete pods");
  }
  events_->event(owner, "Normal", "SuccessfulDelete", "Deleted pod: " + name);
  co_return Status();
}

Task<Status> PodControl::patch(std::string ns, std::string name, std::string strategic_patch) {
  auto patched =
      co_await client_.patch<Pod>(std::move(ns), std::move(name), client::PatchType::kStrategic, std::move(strategic_patch));
  co_return patched.status();
}

Pod pod_of_template(const api::core_v1::PodTemplateSpec& pod_template, std::string_view owner_name,
                    api::meta_v1::OwnerReference owner) {
  // A dash makes the name prettier, unless it would be too long.
  constexpr size_t kMaxName = 253;
  Pod pod;
  pod.metadata.labels = pod_template.metadata.labels;
  pod.metadata.annotations = pod_template.metadata.annotations;
  pod.metadata.finalizers = pod_template.metadata.finalizers;
  std::string prefix(owner_name);
  if (prefix.size() + 1 <= kMaxName) prefix += '-';
  pod.metadata.generate_name = prefix;
  pod.metadata.owner_references.push_back(std::move(owner));
  pod.spec = pod_template.spec;
  return pod;
}

std::string adopt_patch(const api::meta_v1::OwnerReference& owner, std::string_view uid) {
  return "{\"metadata\":{\"uid\":" + quote(uid) + ",\"ownerReferences\":[" + schema::to_json(owner) + "]}}";
}

std::string release_patch(std::string_view owner_uid, std::string_view uid) {
  return "{\"metadata\":{\"uid\":" + quote(uid) + ",\"ownerReferences\":[{\"$patch\":\"delete\",\"uid\":" + quote(owner_uid) + "}]}}";
}

std::string template_hash(const api::core_v1::PodTemplateSpec& pod_template, const schema::Opt<int32_t>& collision_count) {
  // Upstream hashes a dump of its Go structs, which nobody else can make; any stable encoding serves, since the hash is only ever compared with
  // what its writer wrote. Equality of templates is by value, not by hash.
  uint32_t hash = fnv32a(schema::to_json(pod_template));
  if (collision_count) {
    auto count = static_cast<uint32_t>(*collision_count);
    char bytes[8] = {};
    for (int i = 0; i < 4; ++i) bytes[i] = static_cast<char>(count >> (8 * i));
    hash = fnv32a(std::string_view(bytes, sizeof bytes), hash);
  }
  return safe_encode(std::to_string(hash));
}

}  // namespace knarr::controller
