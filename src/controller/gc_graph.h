// SPDX-License-Identifier: Apache-2.0
// Who owns whom: the graph of all objects by UID that the garbage collector decides by. Pure: events go in, UIDs to be looked at come out.
//
// A node is virtual while it is known only from somebody's ownerReference. Since references are written by users, the coordinates of a virtual
// node may be wrong; the answer to whether it exists is always asked of the server before anything is deleted. One executor.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/meta_v1.h"
#include "client/event_correlator.h"

namespace knarr::controller {

using api::meta_v1::ObjectMeta;
using api::meta_v1::OwnerReference;

struct ObjectIdentity {
  std::string api_version, kind, namespace_, name, uid;
  friend auto operator<=>(const ObjectIdentity&, const ObjectIdentity&) = default;
  std::string text() const;  // for messages and as a key
};
bool refers_to(const OwnerReference& reference, const ObjectIdentity& owner);  // but for the namespace
bool has_finalizer(const ObjectMeta& metadata, std::string_view finalizer);

struct GcNode {
  ObjectIdentity identity;
  std::vector<OwnerReference> owners;
  absl::flat_hash_set<GcNode*> dependents;
  bool is_virtual = false;
  bool being_deleted = false;
  bool deleting_dependents = false;  // deleted in the foreground: waits for those that block it
  std::vector<GcNode*> blocking_dependents() const;
};

class GcGraph {
 public:
  struct Outputs {
    std::function<void(const std::string& uid)> attempt_to_delete;
    std::function<void(const std::string& uid)> attempt_to_delete_later;  // rate limited
    std::function<void(const std::string& uid)> attempt_to_orphan;
    // An owner of another namespace: `dependent` refers to `reference`, which cannot be.
    std::function<void(const ObjectIdentity& dependent, const OwnerReference& reference)> invalid_namespace;
  };
  explicit GcGraph(Outputs outputs) : out_(std::move(outputs)) {}

  // `old` is null for an add.
  void changed(const ObjectIdentity& identity, const ObjectMeta* old, const ObjectMeta& now);
  void deleted(const ObjectIdentity& identity);
  // The server says that there is no such object.
  void found_absent(const ObjectIdentity& identity);

  std::shared_ptr<GcNode> find(const std::string& uid) const;
  // Owners known to be absent; the namespace is "" for cluster-scoped ones.
  bool is_absent(const ObjectIdentity& owner) { return absent_.find(owner.text()) != nullptr; }
  void note_absent(const ObjectIdentity& owner) { absent_[owner.text()] = true; }
  size_t size() const { return nodes_.size(); }

 private:
  static constexpr size_t kAbsentEntries = 500;
  using Nodes = std::vector<GcNode*>;
  void observe(GcNode& node, const ObjectIdentity& identity);
  void insert(const ObjectIdentity& identity, const ObjectMeta& metadata);
  void update_owners(GcNode& node, const ObjectMeta& metadata);
  void transitions(GcNode& node, const ObjectMeta* old, const ObjectMeta& now);
  void add_to_owners(GcNode& node, const std::vector<OwnerReference>& owners);
  void remove_from_owners(GcNode& node, const std::vector<OwnerReference>& owners);
  void remove(GcNode& node, const ObjectIdentity& identity);
  void report(const GcNode& node, const std::string& owner_uid) const;
  static std::pair<Nodes, Nodes> partition(const GcNode& owner, const ObjectIdentity& identity);
  static std::optional<ObjectIdentity> alternate(const Nodes& dependents, const ObjectIdentity& absent);

  Outputs out_;
  absl::flat_hash_map<std::string, std::shared_ptr<GcNode>> nodes_;
  client::LruCache<bool> absent_{kAbsentEntries};
};

}  // namespace knarr::controller
