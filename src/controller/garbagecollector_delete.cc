// SPDX-License-Identifier: Apache-2.0
// What is done about one object whose owners may be gone.
#include "controller/garbagecollector.h"
#include "controller/pod_util.h"
#include "controller/util.h"
#include "schema/codec.h"

namespace knarr::controller {
namespace {

using api::meta_v1::PartialObjectMetadata;

constexpr const char* kForeground = "foregroundDeletion";
constexpr const char* kOrphan = "orphan";
constexpr int kConflictRetries = 5;

Status not_namespaced() { return Status::make(400, "BadRequest", "cluster-scoped objects cannot refer to namespaced owners"); }

std::string owners_patch(const std::string& head, const std::vector<OwnerReference>& owners) {
  std::string list;
  for (const OwnerReference& owner : owners) list += (list.empty() ? "" : ",") + schema::to_json(owner);
  return "{\"metadata\":{" + head + ",\"ownerReferences\":" + (list.empty() ? "null" : "[" + list + "]") + "}}";
}

}  // namespace

// ---- calls -----------------------------------------------------------------------------------------------------------------

Result<ServedResourcePtr> GarbageCollector::resource_of(const std::string& api_version, const std::string& kind) const {
  if (ServedResourcePtr resource = discovery_.find(api_version, kind)) return resource;
  return Status::error("unable to get REST mapping for " + api_version + "/" + kind + ".");
}

Task<Result<ObjectMeta>> GarbageCollector::read(ObjectIdentity identity) {
  auto found = resource_of(identity.api_version, identity.kind);
  if (!found.ok()) co_return found.status();
  ServedResourcePtr resource = *found;
  if (resource->namespaced && identity.namespace_.empty()) co_return not_namespaced();
  client::ObjectRef ref{resource->namespaced ? identity.namespace_ : "", identity.name};
  auto object = co_await context_->client.get_object(resource->resource, std::move(ref), &PartialObjectMetadata::table());
  if (!object.ok()) co_return object.status();
  co_return std::move(object->as<PartialObjectMetadata>()->metadata);
}

Task<Status> GarbageCollector::remove(ObjectIdentity identity, std::string policy) {
  auto found = resource_of(identity.api_version, identity.kind);
  if (!found.ok()) co_return found.status();
  ServedResourcePtr resource = *found;
  client::ObjectRef ref{resource->namespaced ? identity.namespace_ : "", identity.name};
  client::DeleteOptions options;
  options.uid = identity.uid;
  options.propagation_policy = std::move(policy);
  Status status = co_await context_->client.delete_object(resource->resource, std::move(ref), std::move(options));
  co_return status;
}

Task<Status> GarbageCollector::patch(ObjectIdentity identity, client::PatchType type, std::string body) {
  auto found = resource_of(identity.api_version, identity.kind);
  if (!found.ok()) co_return found.status();
  ServedResourcePtr resource = *found;
  client::ObjectRef ref{resource->namespaced ? identity.namespace_ : "", identity.name};
  auto patched = co_await context_->client.patch_object(resource->resource, std::move(ref), type, std::move(body));
  co_return patched.status();
}

// Custom resources know no strategic merge patch (415): they get the whole list, guarded by the version.
Task<Status> GarbageCollector::drop_owners(ObjectIdentity identity, std::vector<std::string> uids) {
  std::string body = "{\"metadata\":{\"uid\":" + quote(identity.uid) + ",\"ownerReferences\":[";
  for (size_t i = 0; i < uids.size(); ++i)
    body += (i == 0 ? "" : ",") + ("{\"$patch\":\"delete\",\"uid\":" + quote(uids[i]) + "}");
  body += "]}}";
  Status status = co_await patch(identity, client::PatchType::kStrategic, std::move(body));
  if (status.code() != 415) co_return status;
  auto latest = co_await read(identity);
  if (!latest.ok()) co_return latest.status();
  std::vector<OwnerReference> kept;
  for (const OwnerReference& owner : latest->owner_references)
    if (std::find(uids.begin(), uids.end(), owner.uid.str()) == uids.end()) kept.push_back(owner);
  std::string merge = owners_patch("\"resourceVersion\":" + quote(latest->resource_version), kept);
  status = co_await patch(identity, client::PatchType::kMerge, std::move(merge));
  co_return status;
}

Task<Status> GarbageCollector::unblock_owners(ObjectIdentity identity, std::vector<OwnerReference> owners) {
  std::vector<OwnerReference> blocking;
  for (OwnerReference& owner : owners) {
    bool blocks = owner.block_owner_deletion.value_or(false);
    owner.block_owner_deletion = false;
    if (blocks) blocking.push_back(owner);
  }
  std::string body = owners_patch("\"uid\":" + quote(identity.uid), blocking);
  Status status = co_await patch(identity, client::PatchType::kStrategic, std::move(body));
  if (status.code() != 415) co_return status;
  auto latest = co_await read(identity);
  if (!latest.ok()) co_return latest.status();
  std::string merge = owners_patch("\"resourceVersion\":" + quote(latest->resource_version), owners);
  status = co_await patch(identity, client::PatchType::kMerge, std::move(merge));
  co_return status;
}

Task<Status> GarbageCollector::remove_finalizer(ObjectIdentity identity, std::string finalizer) {
  Status status;
  for (int attempt = 0; attempt < kConflictRetries; ++attempt) {
    auto latest = co_await read(identity);
    if (latest.status().code() == 404) co_return Status();
    if (!latest.ok()) co_return latest.status();
    if (latest->uid != identity.uid || !has_finalizer(*latest, finalizer)) co_return Status();
    std::string list;
    for (const schema::Str& one : latest->finalizers)
      if (one != finalizer) list += (list.empty() ? "" : ",") + quote(one);
    std::string body =
        "{\"metadata\":{\"resourceVersion\":" + quote(latest->resource_version) + ",\"finalizers\":" + (list.empty() ? "null" : "[" + list + "]") + "}}";
    status = co_await patch(identity, client::PatchType::kMerge, std::move(body));
    if (status.code() == 404) co_return Status();
    if (status.code() != 409) co_return status;
  }
  co_return status;
}

// ---- deleting --------------------------------------------------------------------------------------------------------------

Task<Status> GarbageCollector::attempt_to_delete(std::string uid) {
  co_await wait_until_running();
  std::shared_ptr<GcNode> node = graph_.find(uid);
  if (node == nullptr || context_->stopped()) co_return Status();
  bool was_virtual = node->is_virtual;
  Status status = co_await delete_item(node);
  if (status.is("BadRequest")) co_return Status();  // a reference that can never be right: nothing to retry
  if (!status.ok()) co_return status;
  // It exists, but its informer has not shown it: ask again, lest it was deleted between the two.
  std::shared_ptr<GcNode> now = graph_.find(uid);
  if (was_virtual && now != nullptr && now->is_virtual) co_return Status::make(409, "Conflict", "item hasn't been observed yet");
  co_return Status();
}

Task<Status> GarbageCollector::delete_item(std::shared_ptr<GcNode> node) {
  if (node->being_deleted && !node->deleting_dependents) co_return Status();
  ObjectIdentity identity = node->identity;
  auto latest = co_await read(identity);
  if (latest.status().code() == 404 || (latest.ok() && latest->uid != identity.uid)) {
    graph_.found_absent(identity);
    co_return Status();
  }
  if (!latest.ok()) co_return latest.status();
  if (node->deleting_dependents) {
    Status status = co_await wait_for_dependents(node);
    co_return status;
  }
  if (latest->owner_references.empty()) co_return Status();
  References references;
  ObjectMeta copy = *latest;
  Status status = co_await classify(node, std::move(copy), references);
  if (!status.ok()) co_return status;
  status = co_await delete_by_references(node, std::move(*latest), std::move(references));
  if (status.code() == 404) {
    graph_.found_absent(identity);
    co_return Status();
  }
  co_return status;
}

Task<Status> GarbageCollector::classify(std::shared_ptr<GcNode> node, ObjectMeta latest, References& references) {
  for (const OwnerReference& reference : latest.owner_references) {
    OwnerReference copy = reference;
    std::string ns = node->identity.namespace_;
    auto owner = co_await read_owner(std::move(copy), std::move(ns));
    if (owner.status().code() == 404) {
      references.dangling.push_back(reference.uid.str());
    } else if (!owner.ok()) {
      co_return owner.status();
    } else if (owner->deletion_timestamp && has_finalizer(*owner, kForeground)) {
      references.waiting.push_back(reference.uid.str());
    } else {
      references.solid.push_back(reference);
    }
  }
  co_return Status();
}

Task<Result<ObjectMeta>> GarbageCollector::read_owner(OwnerReference reference, std::string dependent_namespace) {
  Status absent = Status::make(404, "NotFound", "owner is absent");
  ObjectIdentity owner{reference.api_version.str(), reference.kind.str(), "", reference.name.str(), reference.uid.str()};
  if (graph_.is_absent(owner)) co_return absent;
  owner.namespace_ = dependent_namespace;
  if (graph_.is_absent(owner)) co_return absent;
  auto resource = resource_of(owner.api_version, owner.kind);
  if (!resource.ok()) co_return resource.status();
  if (!(*resource)->namespaced) owner.namespace_.clear();
  if ((*resource)->namespaced && dependent_namespace.empty()) co_return not_namespaced();
  auto latest = co_await read(owner);
  bool gone = latest.status().code() == 404 || (latest.ok() && latest->uid != owner.uid);
  if (!gone) co_return latest;
  graph_.note_absent(owner);
  co_return absent;
}

Task<Status> GarbageCollector::delete_by_references(std::shared_ptr<GcNode> node, ObjectMeta latest, References references) {
  ObjectIdentity identity = node->identity;
  if (!references.solid.empty()) {
    std::vector<std::string> uids = std::move(references.dangling);
    uids.insert(uids.end(), references.waiting.begin(), references.waiting.end());
    if (uids.empty()) co_return Status();
    Status status = co_await drop_owners(std::move(identity), std::move(uids));
    co_return status;
  }
  std::string policy = "Background";
  if (!references.waiting.empty() && !node->dependents.empty()) {
    // An owner waits for this object, which has dependents of its own: it goes in the foreground, too. In a circle nobody could begin, so this
    // object stops blocking its owners when one of its dependents waits as well.
    bool circle = false;
    for (const GcNode* dependent : node->dependents) circle = circle || dependent->deleting_dependents;
    if (circle) {
      ObjectIdentity target = identity;
      std::vector<OwnerReference> owners = node->owners;
      Status status = co_await unblock_owners(std::move(target), std::move(owners));
      if (!status.ok()) co_return status;
    }
    policy = "Foreground";
  } else if (has_finalizer(latest, kOrphan)) {
    policy = "Orphan";  // somebody's wish, expressed before
  } else if (has_finalizer(latest, kForeground)) {
    policy = "Foreground";
  }
  Status status = co_await remove(std::move(identity), std::move(policy));
  co_return status;
}

Task<Status> GarbageCollector::wait_for_dependents(std::shared_ptr<GcNode> node) {
  std::vector<GcNode*> blocking = node->blocking_dependents();
  if (blocking.empty()) {
    ObjectIdentity identity = node->identity;
    std::string finalizer = kForeground;
    Status status = co_await remove_finalizer(std::move(identity), std::move(finalizer));
    co_return status;
  }
  for (const GcNode* dependent : blocking)
    if (!dependent->deleting_dependents) delete_queue_->add(dependent->identity.uid);
  co_return Status();
}

// ---- orphaning -------------------------------------------------------------------------------------------------------------

Task<Status> GarbageCollector::orphan_one(ObjectIdentity dependent, std::string owner_uid) {
  std::string text = dependent.text();
  std::vector<std::string> uids = {std::move(owner_uid)};
  Status status = co_await drop_owners(std::move(dependent), std::move(uids));
  if (status.ok() || status.code() == 404) co_return Status();
  co_return status.with_context("orphaning " + text + " failed");
}

Task<Status> GarbageCollector::attempt_to_orphan(std::string uid) {
  co_await wait_until_running();
  std::shared_ptr<GcNode> owner = graph_.find(uid);
  if (owner == nullptr || context_->stopped()) co_return Status();
  auto self = shared_from_this();
  std::vector<Job> jobs;
  for (const GcNode* dependent : owner->dependents) {
    ObjectIdentity identity = dependent->identity;
    jobs.push_back([self, identity, uid] { return self->orphan_one(identity, uid); });
  }
  std::vector<Status> results = co_await run_together(std::move(jobs));
  if (Status status = aggregate(results); !status.ok()) co_return status;
  ObjectIdentity identity = owner->identity;
  std::string finalizer = kOrphan;
  Status status = co_await remove_finalizer(std::move(identity), std::move(finalizer));
  co_return status;
}

}  // namespace knarr::controller
