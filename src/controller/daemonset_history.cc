// SPDX-License-Identifier: Apache-2.0
// Revisions of a DaemonSet: finding or making the one of the present template, numbering, clean-up.
#include <set>

#include "controller/daemonset.h"
#include "controller/util.h"

namespace knarr::controller {

Task<Result<DaemonSetController::History>> DaemonSetController::history(DaemonSetPtr set) {
  auto selector = schema::LabelSelector::from(set->spec.selector.get());
  if (!selector.ok()) co_return selector.status();
  RevisionList candidates = claimable(revisions_, set->metadata);
  std::function<bool(const ControllerRevision&)> matches = [selector = std::move(*selector)](const ControllerRevision& revision) {
    return selector.matches(revision.metadata.labels);
  };
  auto claimed = co_await claim_all<ControllerRevision, DaemonSet>(context_->client, set, std::move(candidates), std::move(matches));
  if (!claimed.ok()) co_return claimed.status();

  std::string data = template_patch(set->spec.template_);
  History history;
  RevisionList current;
  for (RevisionPtr& revision : *claimed) {
    if (!revision->metadata.labels.contains(kRevisionHashLabel)) {
      auto labelled = co_await label_revision(std::move(revision));
      if (!labelled.ok()) co_return labelled.status();
      revision = std::move(*labelled);
    }
    (has_data(*revision, data) ? current : history.old).push_back(revision);
  }
  int64_t number = max_revision(history.old) + 1;
  if (current.empty()) {
    auto made = co_await make_revision(set, std::move(data), number);
    if (!made.ok()) co_return made.status();
    history.current = std::move(*made);
    co_return history;
  }
  auto only = co_await merge_duplicates(set, std::move(current));
  if (!only.ok()) co_return only.status();
  history.current = std::move(*only);
  // Gone back to: it is the newest again.
  if (history.current->revision < number) {
    RevisionPtr present = history.current;
    auto renumbered = co_await renumber(context_->client, std::move(present), number);
    if (!renumbered.ok()) co_return renumbered.status();
    history.current = std::move(*renumbered);
  }
  co_return history;
}

// Of a time before hashes: the name serves.
Task<Result<RevisionPtr>> DaemonSetController::label_revision(RevisionPtr revision) {
  ControllerRevision copy = *revision;
  copy.metadata.labels[kRevisionHashLabel] = revision->metadata.name;
  auto updated = co_await context_->client.update(std::move(copy));
  if (!updated.ok()) co_return updated.status();
  co_return std::make_shared<const ControllerRevision>(std::move(*updated));
}

Task<Result<RevisionPtr>> DaemonSetController::make_revision(DaemonSetPtr set, std::string data, int64_t number) {
  std::string hash = template_hash(set->spec.template_, set->status.collision_count);
  ControllerRevision revision;
  revision.metadata.name = set->metadata.name.str() + "-" + hash;
  revision.metadata.namespace_ = set->metadata.namespace_;
  revision.metadata.labels = set->spec.template_.metadata.labels;
  revision.metadata.labels[kRevisionHashLabel] = hash;
  revision.metadata.annotations = set->metadata.annotations;
  revision.metadata.owner_references.push_back(controller_ref(*set));
  revision.data.bytes = data;
  revision.revision = number;
  std::string name = revision.metadata.name.str();
  auto created = co_await context_->client.create(std::move(revision));
  if (created.ok()) co_return std::make_shared<const ControllerRevision>(std::move(*created));
  if (!created.status().is("AlreadyExists")) co_return created.status();
  Status conflict = created.status();
  auto taken = co_await name_taken(set, std::move(name), std::move(data), std::move(conflict));
  co_return taken;
}

// The name is in use: by what an earlier round made (the cache was behind), or by another template with this hash, which the collision count
// keeps apart from now on.
Task<Result<RevisionPtr>> DaemonSetController::name_taken(DaemonSetPtr set, std::string name, std::string data, Status conflict) {
  std::string ns = set->metadata.namespace_.str(), same_ns = ns, set_name = set->metadata.name.str();
  auto present = co_await context_->client.get<ControllerRevision>(std::move(ns), std::move(name));
  if (!present.ok()) co_return present.status();
  if (has_data(*present, data)) co_return std::make_shared<const ControllerRevision>(std::move(*present));
  auto fresh = co_await context_->client.get<DaemonSet>(std::move(same_ns), std::move(set_name));
  if (!fresh.ok()) co_return fresh.status();
  if (!(fresh->status.collision_count == set->status.collision_count))
    co_return Status::error(fmt::format("found a stale collision count ({}, expected {}) of DaemonSet {} while processing; will retry until it is updated",
                                        set->status.collision_count.value_or(0), fresh->status.collision_count.value_or(0),
                                        quote(set->metadata.name)));
  fresh->status.collision_count = fresh->status.collision_count.value_or(0) + 1;
  DaemonSet copy = std::move(*fresh);
  auto updated = co_await context_->client.update_status(std::move(copy));
  co_return updated.ok() ? conflict : updated.status();
}

// Several revisions of one template (a lost race, or adopted ones): the highest number stays and takes over the pods of the others. (Upstream
// relabels the pods of every template then, which passes old ones off as updated.)
Task<Result<RevisionPtr>> DaemonSetController::merge_duplicates(DaemonSetPtr set, RevisionList current) {
  RevisionPtr kept = current[0];
  for (const RevisionPtr& revision : current)
    if (revision->revision >= kept->revision) kept = revision;
  if (current.size() == 1) co_return kept;
  std::set<std::string, std::less<>> duplicates;
  for (const RevisionPtr& revision : current)
    if (revision != kept) duplicates.emplace(schema::get_or_empty(revision->metadata.labels, kRevisionHashLabel));
  std::string hash(schema::get_or_empty(kept->metadata.labels, kRevisionHashLabel));
  std::string patch = "{\"metadata\":{\"labels\":{" + quote(kRevisionHashLabel) + ":" + quote(hash) + "}}}";
  auto pods = co_await claim_pods(set);
  if (!pods.ok()) co_return pods.status();
  for (const PodPtr& pod : *pods) {
    if (!duplicates.contains(schema::get_or_empty(pod->metadata.labels, kRevisionHashLabel))) continue;
    std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str(), body = patch;
    auto patched = co_await context_->client.patch<Pod>(std::move(ns), std::move(name), client::PatchType::kMerge, std::move(body));
    if (!patched.ok()) co_return patched.status();
  }
  for (const RevisionPtr& revision : current) {
    if (revision == kept) continue;
    Status status = co_await remove_revision(context_->client, revision);
    if (!status.ok()) co_return status;
  }
  co_return kept;
}

Task<Status> DaemonSetController::clean_up(DaemonSetPtr set, RevisionList old) {
  int64_t surplus = static_cast<int64_t>(old.size()) - set->spec.revision_history_limit.value_or(10);
  if (surplus <= 0) co_return Status();
  auto present = co_await pods_by_node(set, true);
  if (!present.ok()) co_return present.status();
  std::set<std::string, std::less<>> live;
  for (const auto& [node, list] : *present)
    for (const PodPtr& pod : list) live.emplace(schema::get_or_empty(pod->metadata.labels, kRevisionHashLabel));
  std::stable_sort(old.begin(), old.end(), [](const RevisionPtr& a, const RevisionPtr& b) { return a->revision < b->revision; });
  for (const RevisionPtr& revision : old) {
    if (surplus <= 0) break;
    if (live.contains(schema::get_or_empty(revision->metadata.labels, kRevisionHashLabel))) continue;
    Status status = co_await remove_revision(context_->client, revision);
    if (!status.ok()) co_return status;
    --surplus;
  }
  co_return Status();
}

}  // namespace knarr::controller
