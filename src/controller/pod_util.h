// SPDX-License-Identifier: Apache-2.0
// Pods as controllers see them: states, the order of deletion, making and removing them with events.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "client/client.h"
#include "client/events.h"
#include "client/informer.h"

namespace knarr::controller {

using PodPtr = std::shared_ptr<const api::core_v1::Pod>;

bool is_pod_active(const api::core_v1::Pod& pod);    // neither ended nor being deleted
bool is_pod_terminal(const api::core_v1::Pod& pod);  // Succeeded or Failed
const api::core_v1::PodCondition* pod_condition(const api::core_v1::Pod& pod, std::string_view type);
bool is_pod_ready(const api::core_v1::Pod& pod);
// Ready for at least `min_ready_seconds`.
bool is_pod_available(const api::core_v1::Pod& pod, int32_t min_ready_seconds, schema::Time now);

// Sorts the pods that should go first to the front: upstream's ActivePodsWithRanks. `ranks[i]` counts the related active pods on the node of
// pods[i].
void sort_for_deletion(std::vector<PodPtr>& pods, const std::vector<PodPtr>& related, schema::Time now);

// Pods by the UID of their controller, and those without one by namespace. Every informer of pods has it once asked for.
void index_by_controller(const client::Informer<api::core_v1::Pod>& pods);
std::vector<PodPtr> pods_of_controller(const client::Informer<api::core_v1::Pod>& pods, std::string_view uid);
std::vector<PodPtr> orphans_in(const client::Informer<api::core_v1::Pod>& pods, std::string_view ns);

// Creates and deletes on behalf of `owner`, and says so in events about it.
class PodControl {
 public:
  PodControl(client::Client& client, std::shared_ptr<client::EventRecorder> events) : client_(client), events_(std::move(events)) {}
  Task<Status> create(std::string ns, std::shared_ptr<const api::core_v1::Pod> pod, api::core_v1::ObjectReference owner);
  Task<Status> remove(std::string ns, std::string name, api::core_v1::ObjectReference owner);
  Task<Status> patch(std::string ns, std::string name, std::string strategic_patch);

 private:
  client::Client& client_;
  std::shared_ptr<client::EventRecorder> events_;
};

// A pod of a template, with the owner as its controller and a generated name.
api::core_v1::Pod pod_of_template(const api::core_v1::PodTemplateSpec& pod_template, std::string_view owner_name,
                                  api::meta_v1::OwnerReference owner);

// Strategic merge patches that make or end an ownership.
std::string adopt_patch(const api::meta_v1::OwnerReference& owner, std::string_view uid);
std::string release_patch(std::string_view owner_uid, std::string_view uid);

// pod-template-hash of a template: FNV-32a of its encoding and the collision count.
std::string template_hash(const api::core_v1::PodTemplateSpec& pod_template, const schema::Opt<int32_t>& collision_count);

}  // namespace knarr::controller
