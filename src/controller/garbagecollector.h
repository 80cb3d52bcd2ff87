// SPDX-License-Identifier: Apache-2.0
// garbagecollector: deletes objects whose owners are all gone, and carries out foreground and orphaning deletions. Internal.
//
// It watches every resource that can be deleted, listed and watched: where a controller has a cache of whole objects already, that one; else
// metadata only. Which resources there are is asked again when a CustomResourceDefinition or an APIService changes.
#pragma once

#include <map>

#include "controller/controller.h"
#include "controller/discovery.h"
#include "controller/gc_graph.h"

namespace knarr::controller {

class GarbageCollector : public std::enable_shared_from_this<GarbageCollector> {
 public:
  explicit GarbageCollector(ContextPtr context);
  void start();

 private:
  struct Monitor {
    ServedResourcePtr resource;
    std::shared_ptr<client::InformerCore> core;
    bool own = false;                      // ours alone: stopped with its resource
  };
  struct References {
    std::vector<OwnerReference> solid;
    std::vector<std::string> dangling, waiting;  // UIDs; waiting: the owner is being deleted in the foreground
  };

  // ---- monitors
  Task<Status> sync_monitors();
  void add_monitor(ServedResourcePtr resource);
  void object_changed(const ServedResource& resource, const client::SharedObject& old, const client::SharedObject& now);
  void watch_for_new_resources();
  Task<void> wait_until_running();

  // ---- deletion (garbagecollector_delete.cc)
  Task<Status> attempt_to_delete(std::string uid);
  Task<Status> delete_item(std::shared_ptr<GcNode> node);
  Task<Status> delete_by_references(std::shared_ptr<GcNode> node, ObjectMeta latest, References references);
  Task<Status> wait_for_dependents(std::shared_ptr<GcNode> node);
  Task<Status> classify(std::shared_ptr<GcNode> node, ObjectMeta latest, References& references);
  // The owner's metadata; NotFound when the reference dangles.
  Task<Result<ObjectMeta>> read_owner(OwnerReference reference, std::string dependent_namespace);
  Task<Status> attempt_to_orphan(std::string uid);
  Task<Status> orphan_one(ObjectIdentity dependent, std::string owner_uid);
  Task<Status> remove_finalizer(ObjectIdentity identity, std::string finalizer);

  // ---- calls
  Result<ServedResourcePtr> resource_of(const std::string& api_version, const std::string& kind) const;
  Task<Result<ObjectMeta>> read(ObjectIdentity identity);
  Task<Status> remove(ObjectIdentity identity, std::string policy);
  Task<Status> patch(ObjectIdentity identity, client::PatchType type, std::string body);
  Task<Status> drop_owners(ObjectIdentity identity, std::vector<std::string> uids);
  Task<Status> unblock_owners(ObjectIdentity identity, std::vector<OwnerReference> owners);

  ContextPtr context_;
  std::shared_ptr<client::EventRecorder> events_;
  std::shared_ptr<client::WorkQueue> delete_queue_, orphan_queue_, sync_queue_;
  GcGraph graph_;
  Discovery discovery_;
  std::map<std::string, Monitor> monitors_;  // by "group/resource"
  std::vector<ServedResourcePtr> retired_;   // an informer that was stopped may still be on its way out
  Notifier resumed_;
  bool running_ = false;                     // false while new monitors fill the graph: deciding by half a graph would be wrong
};

}  // namespace knarr::controller
