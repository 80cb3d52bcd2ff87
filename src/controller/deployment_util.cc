// SPDX-License-Identifier: Apache-2.0
#include "controller/deployment_util.h"

#include <charconv>
#include <cmath>
#include <limits>

namespace knarr::controller {
namespace {

constexpr size_t kMaxHistoryChars = 2000;

template <class Int>
std::optional<Int> parse_int(std::string_view text) {
  Int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class Get>
int32_t sum(const RsList& list, Get get) {
  int32_t total = 0;
  for (const RsPtr& rs : list) total += get(*rs);
  return total;
}

const schema::IntOrString kZero(0);
const schema::IntOrString& or_zero(const schema::Opt<schema::IntOrString>& value) { return value ? *value : kZero; }

// Surge and unavailability; both zero would never move, so one may be missing.
std::pair<int32_t, int32_t> fenceposts(const Deployment& d) {
  const auto* rolling = d.spec.strategy.rolling_update.get();
  if (rolling == nullptr) return {0, 1};
  int32_t surge = scaled_value(or_zero(rolling->max_surge), wanted(d), true).value_or(0);
  int32_t unavailable = scaled_value(or_zero(rolling->max_unavailable), wanted(d), false).value_or(0);
  if (surge == 0 && unavailable == 0) unavailable = 1;
  return {surge, unavailable};
}

}  // namespace

int32_t wanted(const Deployment& d) { return d.spec.replicas.value_or(1); }
int32_t wanted(const ReplicaSet& rs) { return rs.spec.replicas.value_or(1); }
int32_t total_wanted(const RsList& list) {
  return sum(list, [](const ReplicaSet& rs) { return wanted(rs); });
}
int32_t total_actual(const RsList& list) {
  return sum(list, [](const ReplicaSet& rs) { return rs.status.replicas; });
}
int32_t total_ready(const RsList& list) {
  return sum(list, [](const ReplicaSet& rs) { return rs.status.ready_replicas; });
}
int32_t total_available(const RsList& list) {
  return sum(list, [](const ReplicaSet& rs) { return rs.status.available_replicas; });
}

std::optional<int32_t> scaled_value(const schema::IntOrString& value, int32_t total, bool round_up) {
  if (!value.is_string) return value.number;
  std::string_view text = value.text;
  if (!text.ends_with('%')) return std::nullopt;
  auto percent = parse_int<int64_t>(text.substr(0, text.size() - 1));
  if (!percent || *percent < 0 || *percent > std::numeric_limits<int32_t>::max()) return std::nullopt;
  int64_t product = *percent * total;
  return static_cast<int32_t>(std::min<int64_t>((product + (round_up ? 99 : 0)) / 100, std::numeric_limits<int32_t>::max()));
}

int32_t max_surge(const Deployment& d) { return is_rolling(d) ? fenceposts(d).first : 0; }

int32_t max_unavailable(const Deployment& d) {
  if (!is_rolling(d) || wanted(d) == 0) return 0;
  return std::min(fenceposts(d).second, wanted(d));
}

int32_t new_rs_size(const Deployment& d, const RsList& all, const ReplicaSet& new_rs) {
  if (!is_rolling(d)) return wanted(d);
  const auto* rolling = d.spec.strategy.rolling_update.get();
  int32_t surge = rolling == nullptr ? 0 : scaled_value(or_zero(rolling->max_surge), wanted(d), true).value_or(0);
  int32_t room = wanted(d) + surge - total_wanted(all);
  if (room <= 0) return wanted(new_rs);
  return wanted(new_rs) + std::min(room, wanted(d) - wanted(new_rs));
}

int32_t proportion(const ReplicaSet& rs, const Deployment& d, int32_t to_add, int32_t added) {
  if (wanted(rs) == 0 || to_add == 0 || to_add == added) return 0;
  int32_t fraction = 0;
  if (wanted(d) == 0) {
    fraction = -wanted(rs);
  } else {
    // The size that the ReplicaSet's share was of when it was last scaled.
    int32_t before = int_annotation(rs, kMaxReplicas).value_or(d.status.replicas);
    if (before == 0) return 0;
    double size = static_cast<double>(wanted(rs)) * (wanted(d) + max_surge(d)) / before;
    fraction = static_cast<int32_t>(std::lround(size)) - wanted(rs);
  }
  int32_t allowed = to_add - added;
  return to_add > 0 ? std::min(fraction, allowed) : std::max(fraction, allowed);
}

bool is_rolling(const Deployment& d) { return d.spec.strategy.type == "RollingUpdate"; }

bool older(const RsPtr& a, const RsPtr& b) {
  const auto& x = a->metadata;
  const auto& y = b->metadata;
  if (x.creation_timestamp == y.creation_timestamp) return x.name < y.name;
  return x.creation_timestamp < y.creation_timestamp;
}

bool same_template(const api::core_v1::PodTemplateSpec& a, const api::core_v1::PodTemplateSpec& b) {
  if (!(a.spec == b.spec)) return false;
  api::meta_v1::ObjectMeta x = a.metadata, y = b.metadata;
  x.labels.erase(kTemplateHash);
  y.labels.erase(kTemplateHash);
  return x == y;
}

RsPtr find_new(const Deployment& d, RsList& list) {
  std::sort(list.begin(), list.end(), older);
  for (const RsPtr& rs : list)
    if (same_template(rs->spec.template_, d.spec.template_)) return rs;
  return nullptr;
}

RsList without(const RsList& list, const RsPtr& one) {
  RsList rest;
  for (const RsPtr& rs : list)
    if (one == nullptr || rs->metadata.uid != one->metadata.uid) rest.push_back(rs);
  return rest;
}

RsList with(RsList list, const RsPtr& one) {
  if (one != nullptr) list.push_back(one);
  return list;
}

RsList active(const RsList& list) {
  RsList found;
  for (const RsPtr& rs : list)
    if (wanted(*rs) > 0) found.push_back(rs);
  return found;
}

RsPtr active_or_latest(const RsPtr& new_rs, const RsList& old) {
  RsList found = active(with(old, new_rs));
  if (found.size() == 1) return found.front();
  if (found.size() > 1) return nullptr;
  if (new_rs != nullptr || old.empty()) return new_rs;
  return *std::max_element(old.begin(), old.end(), older);
}

bool saturated(const Deployment& d, const ReplicaSet& rs) {
  auto desired = int_annotation(rs, kDesiredReplicas);
  return desired && wanted(rs) == wanted(d) && *desired == wanted(d) && rs.status.available_replicas == wanted(d);
}

std::optional<int64_t> revision_of(const ReplicaSet& rs) {
  const schema::Str* text = rs.metadata.annotations.find(kRevision);
  return text == nullptr ? std::optional<int64_t>(0) : parse_int<int64_t>(text->view());
}

int64_t max_revision(const RsList& list) {
  int64_t most = 0;
  for (const RsPtr& rs : list) most = std::max(most, revision_of(*rs).value_or(0));
  return most;
}

int64_t last_revision(const RsList& list) {
  int64_t most = 0, second = 0;
  for (const RsPtr& rs : list) {
    auto revision = revision_of(*rs);
    if (!revision) continue;
    if (*revision >= most) {
      second = most;
      most = *revision;
    } else {
      second = std::max(second, *revision);
    }
  }
  return second;
}

std::optional<int32_t> int_annotation(const ReplicaSet& rs, std::string_view name) {
  const schema::Str* text = rs.metadata.annotations.find(name);
  return text == nullptr ? std::nullopt : parse_int<int32_t>(text->view());
}

namespace {

bool put(schema::Map<schema::Str>& map, std::string_view key, const std::string& value) {
  schema::Str& slot = map[key];
  if (slot == value) return false;
  slot = value;
  return true;
}

// "1,3,5" and the newest that was replaced; the oldest fall off beyond the limit.
void append_history(ReplicaSet& rs, const std::string& old_revision) {
  std::string history(schema::get_or_empty(rs.metadata.annotations, kRevisionHistory));
  if (history.empty()) {
    rs.metadata.annotations[kRevisionHistory] = old_revision;
    return;
  }
  while (!history.empty() && history.size() + 1 + old_revision.size() > kMaxHistoryChars) {
    size_t comma = history.find(',');
    history.erase(0, comma == std::string::npos ? comma : comma + 1);
  }
  rs.metadata.annotations[kRevisionHistory] = history.empty() ? old_revision : history + "," + old_revision;
}

}  // namespace

bool skip_annotation(std::string_view name) {
  return name == "kubectl.kubernetes.io/last-applied-configuration" || name == kRevision || name == kRevisionHistory ||
         name == kDesiredReplicas || name == kMaxReplicas || name == kRollbackTo;
}

bool set_revision(Deployment& d, const std::string& revision) { return put(d.metadata.annotations, kRevision, revision); }

bool set_replicas_annotations(ReplicaSet& rs, const Deployment& d) {
  bool changed = put(rs.metadata.annotations, kDesiredReplicas, std::to_string(wanted(d)));
  changed |= put(rs.metadata.annotations, kMaxReplicas, std::to_string(wanted(d) + max_surge(d)));
  return changed;
}

bool set_new_rs_annotations(const Deployment& d, ReplicaSet& rs, int64_t revision, bool exists) {
  bool changed = false;
  for (const auto& entry : d.metadata.annotations)
    if (!skip_annotation(entry.key)) changed |= put(rs.metadata.annotations, entry.key, entry.value.str());
  bool had = rs.metadata.annotations.contains(kRevision);
  std::string old_text(schema::get_or_empty(rs.metadata.annotations, kRevision));
  auto old_revision = old_text.empty() ? std::optional<int64_t>(0) : parse_int<int64_t>(old_text);
  if (!old_revision) return false;
  if (*old_revision < revision) {
    rs.metadata.annotations[kRevision] = std::to_string(revision);
    changed = true;
    if (had) append_history(rs, old_text);
  }
  if (!exists) changed |= set_replicas_annotations(rs, d);
  return changed;
}

std::optional<int64_t> rollback_revision(const Deployment& d) {
  return parse_int<int64_t>(schema::get_or_empty(d.metadata.annotations, kRollbackTo));
}

const Condition* condition_of(const DeploymentStatus& status, std::string_view type) {
  for (const Condition& condition : status.conditions)
    if (condition.type == type) return &condition;
  return nullptr;
}

Condition make_condition(std::string_view type, std::string_view status, std::string_view reason, const std::string& message,
                         schema::Time now) {
  Condition condition;
  condition.type = type;
  condition.status = status;
  condition.last_update_time = now;
  condition.last_transition_time = now;
  condition.reason = reason;
  condition.message = message;
  return condition;
}

void set_condition(DeploymentStatus& status, Condition condition) {
  if (const Condition* present = condition_of(status, condition.type)) {
    if (present->status == condition.status && present->reason == condition.reason) return;
    if (present->status == condition.status) condition.last_transition_time = present->last_transition_time;
  }
  std::string type = condition.type.str();
  remove_condition(status, type);
  status.conditions.push_back(std::move(condition));
}

void remove_condition(DeploymentStatus& status, std::string_view type) {
  status.conditions.erase_if([type](const Condition& condition) { return condition.type == type; });
}

bool has_progress_deadline(const Deployment& d) {
  return d.spec.progress_deadline_seconds && *d.spec.progress_deadline_seconds != std::numeric_limits<int32_t>::max();
}

bool is_complete(const Deployment& d, const DeploymentStatus& status) {
  return status.updated_replicas == wanted(d) && status.replicas == wanted(d) && status.available_replicas == wanted(d) &&
         status.observed_generation >= d.metadata.generation;
}

bool is_progressing(const Deployment& d, const DeploymentStatus& status) {
  const DeploymentStatus& before = d.status;
  return status.updated_replicas > before.updated_replicas ||
         status.replicas - status.updated_replicas < before.replicas - before.updated_replicas ||
         status.ready_replicas > before.ready_replicas || status.available_replicas > before.available_replicas;
}

bool has_timed_out(const Deployment& d, const DeploymentStatus& status, schema::Time now) {
  const Condition* progressing = condition_of(status, "Progressing");
  if (!has_progress_deadline(d) || progressing == nullptr || progressing->reason == "NewReplicaSetAvailable") return false;
  if (progressing->reason == "ProgressDeadlineExceeded") return true;
  return progressing->last_update_time.unix_seconds() + *d.spec.progress_deadline_seconds < now.unix_seconds();
}

DeploymentStatus compute_status(const RsList& all, const RsPtr& new_rs, const Deployment& d, schema::Time now) {
  DeploymentStatus status;
  status.observed_generation = d.metadata.generation;
  status.replicas = total_actual(all);
  status.updated_replicas = new_rs == nullptr ? 0 : new_rs->status.replicas;
  status.ready_replicas = total_ready(all);
  status.available_replicas = total_available(all);
  status.unavailable_replicas = std::max(0, total_wanted(all) - status.available_replicas);
  status.collision_count = d.status.collision_count;
  status.conditions = d.status.conditions;
  if (status.available_replicas >= wanted(d) - max_unavailable(d)) {
    set_condition(status, make_condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now));
  } else {
    set_condition(status, make_condition("Available", "False", "MinimumReplicasUnavailable",
                                         "Deployment does not have minimum availability.", now));
  }
  return status;
}

}  // namespace knarr::controller
