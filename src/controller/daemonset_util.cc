// SPDX-License-Identifier: Apache-2.0
#include "controller/daemonset_util.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <charconv>

#include "controller/controller_history.h"
#include "controller/deployment_util.h"
#include "schema/node_selector.h"

namespace knarr::controller {

using api::core_v1::NodeSelectorTerm;
using api::core_v1::Pod;
using api::core_v1::PodSpec;
using api::core_v1::PodTemplateSpec;
using api::core_v1::Toleration;

// ---- pods ------------------------------------------------------------------------------------------------------------------

void add_daemon_tolerations(PodSpec& pod) {
  struct Tolerated {
    std::string_view key, effect;
    bool host_network_only = false;
  };
  static constexpr Tolerated kTolerated[] = {
      {kNotReadyTaint, "NoExecute"},
      {kUnreachableTaint, "NoExecute"},
      {"node.kubernetes.io/disk-pressure", "NoSchedule"},
      {"node.kubernetes.io/memory-pressure", "NoSchedule"},
      {"node.kubernetes.io/pid-pressure", "NoSchedule"},
      {"node.kubernetes.io/unschedulable", "NoSchedule"},
      {"node.kubernetes.io/network-unavailable", "NoSchedule", true},
  };
  for (const Tolerated& one : kTolerated) {
    if (one.host_network_only && !pod.host_network) continue;
    Toleration made;
    made.key = one.key;
    made.operator_ = "Exists";
    made.effect = one.effect;
    // One that differs in value or seconds only gives way.
    auto same = [&made](const Toleration& other) {
      return other.key == made.key && other.effect == made.effect && other.operator_ == made.operator_ && other.value == made.value;
    };
    bool placed = false;
    for (Toleration& present : pod.tolerations) {
      if (!same(present)) continue;
      present = made;
      placed = true;
    }
    if (!placed) pod.tolerations.push_back(std::move(made));
  }
}

void pin_to_node(PodSpec& pod, std::string_view node) {
  NodeSelectorTerm term;
  auto& requirement = term.match_fields.emplace_back();
  requirement.key = "metadata.name";
  requirement.operator_ = "In";
  requirement.values.push_back(node);
  auto& terms = pod.affinity.ensure().node_affinity.ensure().required_during_scheduling_ignored_during_execution.ensure().node_selector_terms;
  terms.clear();
  terms.push_back(std::move(term));
}

std::optional<std::string> target_node(const Pod& pod) {
  if (!pod.spec.node_name.empty()) return pod.spec.node_name.str();
  if (!pod.spec.affinity || !pod.spec.affinity->node_affinity) return std::nullopt;
  const auto& required = pod.spec.affinity->node_affinity->required_during_scheduling_ignored_during_execution;
  if (!required) return std::nullopt;
  for (const NodeSelectorTerm& term : required->node_selector_terms) {
    for (const auto& requirement : term.match_fields) {
      if (!(requirement.key == "metadata.name") || !(requirement.operator_ == "In")) continue;
      if (requirement.values.size() != 1) return std::nullopt;
      return requirement.values[0].str();
    }
  }
  return std::nullopt;
}

std::optional<int64_t> template_generation(const DaemonSet& set) {
  std::string_view text = schema::get_or_empty(set.metadata.annotations, "deprecated.daemonset.template.generation");
  int64_t generation = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), generation);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return generation;
}

namespace {
constexpr std::string_view kTemplateGenerationLabel = "pod-template-generation";
}

PodTemplateSpec daemon_template(const DaemonSet& set, std::string_view hash) {
  PodTemplateSpec made = set.spec.template_;
  add_daemon_tolerations(made.spec);
  if (auto generation = template_generation(set)) made.metadata.labels[kTemplateGenerationLabel] = std::to_string(*generation);
  if (!hash.empty()) made.metadata.labels[kRevisionHashLabel] = hash;
  return made;
}

bool is_pod_updated(const Pod& pod, std::string_view hash, const std::optional<int64_t>& generation) {
  const auto& labels = pod.metadata.labels;
  if (generation && schema::get_or_empty(labels, kTemplateGenerationLabel) == std::to_string(*generation)) return true;
  return !hash.empty() && schema::get_or_empty(labels, kRevisionHashLabel) == hash;
}

bool before_in_line(const PodPtr& a, const PodPtr& b) {
  bool a_bound = !a->spec.node_name.empty(), b_bound = !b->spec.node_name.empty();
  if (a_bound != b_bound) return a_bound;
  if (a->metadata.creation_timestamp != b->metadata.creation_timestamp)
    return a->metadata.creation_timestamp < b->metadata.creation_timestamp;
  return a->metadata.name < b->metadata.name;
}

// ---- nodes -----------------------------------------------------------------------------------------------------------------

DaemonPlacement::DaemonPlacement(const DaemonSet& set) : set_(set) {
  PodSpec spec;
  spec.tolerations = set.spec.template_.spec.tolerations;
  spec.host_network = set.spec.template_.spec.host_network;
  add_daemon_tolerations(spec);
  tolerations_ = std::move(spec.tolerations);
}

DaemonPlacement::Verdict DaemonPlacement::on(const Node& node) const {
  const PodSpec& pod = set_.spec.template_.spec;
  if (!pod.node_name.empty() && !(pod.node_name == node.metadata.name)) return {};
  if (!schema::matches_node_selection(pod, node)) return {};
  Verdict verdict{true, true};
  for (const Taint& taint : node.spec.taints) {
    bool repels = taint.effect == "NoSchedule", drives_out = taint.effect == "NoExecute";
    if ((!repels && !drives_out) || schema::tolerates(tolerations_, taint)) continue;
    verdict.run = false;
    if (drives_out) verdict.keep = false;
  }
  return verdict;
}

// ---- decisions -------------------------------------------------------------------------------------------------------------

namespace {

bool is_deleting(const Pod& pod) { return pod.metadata.deletion_timestamp.has_value(); }

const api::apps_v1::RollingUpdateDaemonSet* rolling_of(const DaemonSet& set) {
  return set.spec.update_strategy.type == "RollingUpdate" ? set.spec.update_strategy.rolling_update.get() : nullptr;
}

std::optional<int32_t> surge_count(const DaemonSet& set, int32_t nodes) {
  const auto* rolling = rolling_of(set);
  return rolling != nullptr && rolling->max_surge ? scaled_value(*rolling->max_surge, nodes, true) : 0;
}

std::optional<int32_t> unavailable_count(const DaemonSet& set, int32_t nodes) {
  const auto* rolling = rolling_of(set);
  return rolling != nullptr && rolling->max_unavailable ? scaled_value(*rolling->max_unavailable, nodes, true) : 0;
}

// While a new pod stands beside an old one: the old goes once it is of no use or the new one is available. Others are too many.
void settle_surge(const DaemonSet& set, const std::vector<PodPtr>& line, std::string_view hash, schema::Time now, NodeNeeds& needs) {
  PodPtr newest, previous;
  for (const PodPtr& pod : line) {
    bool is_new = schema::get_or_empty(pod->metadata.labels, kRevisionHashLabel) == hash;
    PodPtr& place = is_new ? newest : previous;
    if (place == nullptr) {
      place = pod;
    } else {
      needs.remove.push_back(pod);
    }
  }
  if (newest == nullptr || previous == nullptr) return;
  if (!is_pod_ready(*previous) || is_pod_available(*newest, set.spec.min_ready_seconds, now)) needs.remove.push_back(previous);
}

}  // namespace

NodeNeeds node_needs(const DaemonSet& set, DaemonPlacement::Verdict verdict, const std::vector<PodPtr>* pods, std::string_view hash,
                     schema::Time now) {
  NodeNeeds needs;
  if (pods == nullptr) {
    needs.create = verdict.run;
    return needs;
  }
  if (!verdict.keep) {
    for (const PodPtr& pod : *pods)
      if (!is_deleting(*pod)) needs.remove.push_back(pod);
    return needs;
  }
  std::vector<PodPtr> running;
  for (const PodPtr& pod : *pods) {
    if (is_deleting(*pod)) continue;
    if (pod->status.phase == "Failed") {
      needs.failed.push_back(pod);
    } else if (pod->status.phase == "Succeeded") {
      needs.succeeded.push_back(pod);
    } else {
      running.push_back(pod);
    }
  }
  std::sort(running.begin(), running.end(), before_in_line);
  bool may_surge = surge_count(set, 1).value_or(0) > 0;
  if (!may_surge) {
    if (running.size() > 1) needs.remove.assign(running.begin() + 1, running.end());
  } else if (running.size() <= 1) {
    // A pod on its way out does not stop the next one.
    needs.create = running.empty() && verdict.run;
  } else {
    settle_surge(set, running, hash, now, needs);
  }
  return needs;
}

std::vector<PodPtr> pods_without_node(const std::vector<NodePtr>& nodes, const PodsByNode& pods) {
  absl::flat_hash_set<std::string_view> known;
  for (const NodePtr& node : nodes) known.insert(node->metadata.name);
  std::vector<PodPtr> found;
  for (const auto& [name, list] : pods) {
    if (known.contains(name)) continue;
    for (const PodPtr& pod : list)
      if (pod->spec.node_name.empty()) found.push_back(pod);
  }
  return found;
}

namespace {

// The one pod of the present template and the one of another on a node; not ok when there are more.
struct Pair {
  PodPtr updated, outdated;
  bool ok = true;
};

Pair pair_on_node(const DaemonSet& set, const std::vector<PodPtr>& pods, std::string_view hash) {
  std::optional<int64_t> generation = template_generation(set);
  Pair pair;
  for (const PodPtr& pod : pods) {
    if (is_deleting(*pod)) continue;
    PodPtr& place = is_pod_updated(*pod, hash, generation) ? pair.updated : pair.outdated;
    if (place != nullptr) return {nullptr, nullptr, false};
    place = pod;
  }
  return pair;
}

template <class T>
void append_first(std::vector<T>& to, const std::vector<T>& from, int32_t count) {
  size_t n = std::min(from.size(), static_cast<size_t>(std::max(count, 0)));
  to.insert(to.end(), from.begin(), from.begin() + static_cast<ptrdiff_t>(n));
}

// Old pods go first, as far as nodes without an available pod are allowed.
PodChanges replace_in_place(const DaemonSet& set, const PodsByNode& pods, std::string_view hash, schema::Time now, int32_t max_unavailable) {
  PodChanges changes;
  std::vector<PodPtr> candidates;
  int32_t unavailable = 0;
  auto available = [&](const PodPtr& pod) { return is_pod_available(*pod, set.spec.min_ready_seconds, now); };
  for (const auto& [node, list] : pods) {
    Pair pair = pair_on_node(set, list, hash);
    bool has_new = pair.updated != nullptr, has_old = pair.outdated != nullptr;
    if (!pair.ok || has_new == has_old) {
      ++unavailable;
    } else if (has_new) {
      if (!available(pair.updated)) ++unavailable;
    } else if (!available(pair.outdated)) {
      changes.remove.push_back(pair.outdated);
    } else if (unavailable < max_unavailable) {
      candidates.push_back(pair.outdated);
    }
  }
  append_first(changes.remove, candidates, max_unavailable - unavailable);
  return changes;
}

// New pods come first, beside the old ones, as far as the surge is allowed.
class Surge {
 public:
  Surge(const DaemonSet& set, const DaemonPlacement& placement, const std::vector<NodePtr>& nodes, schema::Time now, int32_t max_surge)
      : set_(set), placement_(placement), now_(now), max_surge_(max_surge) {
    for (const NodePtr& node : nodes) nodes_.emplace(node->metadata.name, node.get());
  }

  Result<PodChanges> plan(const PodsByNode& pods, std::string_view hash, int32_t desired) {
    for (const auto& [node, list] : pods) {
      Pair pair = pair_on_node(set_, list, hash);
      TRY(look_at(node, pair));
    }
    append_first(changes_.remove, on_unfit_nodes_, available_count_ - desired);
    append_first(changes_.create_on, candidates_, max_surge_ - surge_);
    return std::move(changes_);
  }

 private:
  bool available(const PodPtr& pod) const { return is_pod_available(*pod, set_.spec.min_ready_seconds, now_); }

  Status look_at(const std::string& node, const Pair& pair) {
    if (!pair.ok) {
      ++surge_;
      return {};
    }
    const PodPtr& present = pair.outdated != nullptr ? pair.outdated : pair.updated;
    if (present != nullptr && available(present)) ++available_count_;
    if (pair.outdated == nullptr) return {};
    if (pair.updated != nullptr) {
      if (available(pair.updated)) {
        changes_.remove.push_back(pair.outdated);
      } else {
        ++surge_;
      }
      return {};
    }
    auto at = nodes_.find(node);
    if (at == nodes_.end()) return Status::error("couldn't get node for nodeName \"" + node + "\": node \"" + node + "\" not found");
    bool fits = placement_.on(*at->second).run, useful = available(pair.outdated);
    if (!fits) {
      (useful ? on_unfit_nodes_ : changes_.remove).push_back(pair.outdated);
    } else if (!useful) {
      changes_.create_on.push_back(node);
    } else if (surge_ < max_surge_) {
      candidates_.push_back(node);
    }
    return {};
  }

  const DaemonSet& set_;
  const DaemonPlacement& placement_;
  absl::flat_hash_map<std::string_view, const Node*> nodes_;
  schema::Time now_;
  int32_t max_surge_, surge_ = 0, available_count_ = 0;
  PodChanges changes_;
  std::vector<PodPtr> on_unfit_nodes_;
  std::vector<std::string> candidates_;
};

}  // namespace

Result<PodChanges> rolling_changes(const DaemonSet& set, const DaemonPlacement& placement, const std::vector<NodePtr>& nodes,
                                   const PodsByNode& pods, std::string_view hash, schema::Time now) {
  int32_t desired = 0;
  PodsByNode all = pods;  // nodes that still lack a pod count as unavailable
  for (const NodePtr& node : nodes) {
    if (!placement.on(*node).run) continue;
    ++desired;
    all[node->metadata.name.str()];
  }
  auto max_unavailable = unavailable_count(set, desired), max_surge = surge_count(set, desired);
  if (!max_unavailable) return Status::error("couldn't get unavailable numbers: invalid value for MaxUnavailable");
  if (!max_surge) return Status::error("couldn't get unavailable numbers: invalid value for MaxSurge");
  if (desired > 0 && *max_unavailable == 0 && *max_surge == 0) max_unavailable = 1;
  if (*max_surge == 0) return replace_in_place(set, all, hash, now, *max_unavailable);
  return Surge(set, placement, nodes, now, *max_surge).plan(all, hash, desired);
}

// ---- status ----------------------------------------------------------------------------------------------------------------

DaemonCounts count_daemons(const DaemonSet& set, const DaemonPlacement& placement, const std::vector<NodePtr>& nodes, const PodsByNode& pods,
                           std::string_view hash, schema::Time now) {
  std::optional<int64_t> generation = template_generation(set);
  DaemonCounts counts;
  for (const NodePtr& node : nodes) {
    auto at = pods.find(node->metadata.name.view());
    bool scheduled = at != pods.end() && !at->second.empty();
    if (!placement.on(*node).run) {
      if (scheduled) ++counts.misscheduled;
      continue;
    }
    ++counts.desired;
    if (!scheduled) continue;
    ++counts.current;
    // One pod speaks for the node.
    const PodPtr& pod = *std::min_element(at->second.begin(), at->second.end(), before_in_line);
    if (is_pod_ready(*pod)) {
      ++counts.ready;
      if (is_pod_available(*pod, set.spec.min_ready_seconds, now)) ++counts.available;
    }
    if (is_pod_updated(*pod, hash, generation)) ++counts.updated;
  }
  return counts;
}

bool same_counts(const api::apps_v1::DaemonSetStatus& status, const DaemonCounts& counts) {
  api::apps_v1::DaemonSetStatus changed = status;
  set_counts(changed, counts);
  return changed == status;
}

void set_counts(api::apps_v1::DaemonSetStatus& status, const DaemonCounts& counts) {
  status.desired_number_scheduled = counts.desired;
  status.current_number_scheduled = counts.current;
  status.number_misscheduled = counts.misscheduled;
  status.number_ready = counts.ready;
  status.updated_number_scheduled = counts.updated;
  status.number_available = counts.available;
  status.number_unavailable = counts.unavailable();
}

Duration FailedPodBackoff::next(const std::string& key) {
  constexpr Duration kFirst = std::chrono::seconds(1), kMost = std::chrono::minutes(15);
  MonoTime now = clock_.mono();
  absl::erase_if(entries_, [&](const auto& entry) { return now - entry.second.last > 2 * kMost; });
  auto [at, fresh] = entries_.try_emplace(key, Entry{kFirst, now});
  if (fresh) return {};
  Entry& entry = at->second;
  if (now - entry.last < entry.backoff) return entry.backoff;
  entry.backoff = std::min(2 * entry.backoff, kMost);
  entry.last = now;
  return {};
}

}  // namespace knarr::controller
