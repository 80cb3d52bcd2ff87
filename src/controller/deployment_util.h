// SPDX-License-Identifier: Apache-2.0
// Arithmetic, annotations and conditions of Deployments: pure functions, as kubectl and upstream's controller share them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/apps_v1.h"

namespace knarr::controller {

using api::apps_v1::Deployment;
using api::apps_v1::DeploymentStatus;
using api::apps_v1::ReplicaSet;
using RsPtr = std::shared_ptr<const ReplicaSet>;
using RsList = std::vector<RsPtr>;

inline constexpr std::string_view kRevision = "deployment.kubernetes.io/revision";
inline constexpr std::string_view kRevisionHistory = "deployment.kubernetes.io/revision-history";
inline constexpr std::string_view kDesiredReplicas = "deployment.kubernetes.io/desired-replicas";
inline constexpr std::string_view kMaxReplicas = "deployment.kubernetes.io/max-replicas";
inline constexpr std::string_view kRollbackTo = "deprecated.deployment.rollback.to";
inline constexpr std::string_view kTemplateHash = "pod-template-hash";

// ---- sizes
int32_t wanted(const Deployment& d);
int32_t wanted(const ReplicaSet& rs);
int32_t total_wanted(const RsList& list);
int32_t total_actual(const RsList& list);
int32_t total_ready(const RsList& list);
int32_t total_available(const RsList& list);
// A number, or a percentage of `total` rounded up or down; nullopt when it is neither.
std::optional<int32_t> scaled_value(const schema::IntOrString& value, int32_t total, bool round_up);
int32_t max_surge(const Deployment& d);
int32_t max_unavailable(const Deployment& d);
// Size of the new ReplicaSet that the strategy allows now.
int32_t new_rs_size(const Deployment& d, const RsList& all, const ReplicaSet& new_rs);
// This ReplicaSet's share of `to_add` replicas (negative when shrinking), of which `added` are given out.
int32_t proportion(const ReplicaSet& rs, const Deployment& d, int32_t to_add, int32_t added);

// ---- ReplicaSets
bool is_rolling(const Deployment& d);
bool older(const RsPtr& a, const RsPtr& b);  // by creation, then name
bool same_template(const api::core_v1::PodTemplateSpec& a, const api::core_v1::PodTemplateSpec& b);  // but for the hash label
RsPtr find_new(const Deployment& d, RsList& list);  // sorts the list, oldest first
RsList without(const RsList& list, const RsPtr& one);
RsList with(RsList list, const RsPtr& one);         // null adds nothing
RsList active(const RsList& list);                  // that want pods
// The only active one, or the newest when none is; null when several are.
RsPtr active_or_latest(const RsPtr& new_rs, const RsList& old);
bool saturated(const Deployment& d, const ReplicaSet& rs);

// ---- revisions and annotations
std::optional<int64_t> revision_of(const ReplicaSet& rs);
int64_t max_revision(const RsList& list);
int64_t last_revision(const RsList& list);          // the second highest
std::optional<int32_t> int_annotation(const ReplicaSet& rs, std::string_view name);
// These change the object and say whether they did.
bool set_revision(Deployment& d, const std::string& revision);
bool set_replicas_annotations(ReplicaSet& rs, const Deployment& d);
bool set_new_rs_annotations(const Deployment& d, ReplicaSet& rs, int64_t revision, bool exists);
bool skip_annotation(std::string_view name);        // not copied between a Deployment and its ReplicaSets
std::optional<int64_t> rollback_revision(const Deployment& d);

// ---- status and conditions
using Condition = api::apps_v1::DeploymentCondition;
const Condition* condition_of(const DeploymentStatus& status, std::string_view type);
Condition make_condition(std::string_view type, std::string_view status, std::string_view reason, const std::string& message, schema::Time now);
void set_condition(DeploymentStatus& status, Condition condition);
void remove_condition(DeploymentStatus& status, std::string_view type);
bool has_progress_deadline(const Deployment& d);
bool is_complete(const Deployment& d, const DeploymentStatus& status);
bool is_progressing(const Deployment& d, const DeploymentStatus& status);
bool has_timed_out(const Deployment& d, const DeploymentStatus& status, schema::Time now);
DeploymentStatus compute_status(const RsList& all, const RsPtr& new_rs, const Deployment& d, schema::Time now);

}  // namespace knarr::controller
