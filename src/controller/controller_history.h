// SPDX-License-Identifier: Apache-2.0
// ControllerRevisions: the pod templates that a DaemonSet or StatefulSet has had, one object each, numbered. Internal to those two.
//
// A revision's data is a strategic merge patch that puts its template back: {"spec":{"template":{...,"$patch":"replace"}}}, keys sorted, as
// Go writes a map. That is upstream's form to the byte, so that one's controller finds the other's revisions and no pod is made anew.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/apps_v1.h"
#include "client/client.h"

namespace knarr::controller {

using api::apps_v1::ControllerRevision;
using RevisionPtr = std::shared_ptr<const ControllerRevision>;
using RevisionList = std::vector<RevisionPtr>;

// On revisions of DaemonSets and on pods of both kinds; on revisions of StatefulSets it is controller.kubernetes.io/hash.
inline constexpr std::string_view kRevisionHashLabel = "controller-revision-hash";
inline constexpr std::string_view kHistoryHashLabel = "controller.kubernetes.io/hash";

std::string template_patch(const api::core_v1::PodTemplateSpec& pod_template);
// Equal as JSON: a server may have spaced or ordered it otherwise.
bool has_data(const ControllerRevision& revision, std::string_view data);
// FNV-1 of the data and the collision count in digits, without vowels.
std::string revision_hash(std::string_view data, const schema::Opt<int32_t>& collision_count);
// NAME-HASH, cut to a legal name.
std::string revision_name(std::string_view owner_name, std::string_view hash);
bool older_revision(const RevisionPtr& a, const RevisionPtr& b);  // by number, age, name
int64_t max_revision(const RevisionList& list);

// Gives the revision another number; repeats on conflicts with other writers.
Task<Result<RevisionPtr>> renumber(client::Client& client, RevisionPtr revision, int64_t number);
Task<Status> remove_revision(client::Client& client, RevisionPtr revision);

}  // namespace knarr::controller
