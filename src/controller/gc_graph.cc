// SPDX-License-Identifier: Apache-2.0
#include "controller/gc_graph.h"

#include <set>

namespace knarr::controller {
namespace {

constexpr std::string_view kForeground = "foregroundDeletion";
constexpr std::string_view kOrphan = "orphan";

ObjectIdentity identity_of(const OwnerReference& reference, const std::string& ns) {
  return {reference.api_version.str(), reference.kind.str(), ns, reference.name.str(), reference.uid.str()};
}

// The deletion that waits for this finalizer begins with this change.
bool starts_waiting(const ObjectMeta* old, const ObjectMeta& now, std::string_view finalizer) {
  if (!now.deletion_timestamp || !has_finalizer(now, finalizer)) return false;
  return old == nullptr || !old->deletion_timestamp || !has_finalizer(*old, finalizer);
}

bool blocks(const OwnerReference& reference) { return reference.block_owner_deletion.value_or(false); }

const OwnerReference* with_uid(const std::vector<OwnerReference>& list, const schema::Str& uid) {
  for (const OwnerReference& reference : list)
    if (reference.uid == uid) return &reference;
  return nullptr;
}

std::vector<OwnerReference> owners_of(const ObjectMeta& metadata) {
  return {metadata.owner_references.begin(), metadata.owner_references.end()};
}

}  // namespace

std::string ObjectIdentity::text() const {
  std::string text = "[" + api_version + "/" + kind;
  if (!namespace_.empty()) text += ", namespace: " + namespace_;
  return text + ", name: " + name + ", uid: " + uid + "]";
}

bool refers_to(const OwnerReference& reference, const ObjectIdentity& owner) {
  return reference.uid == owner.uid && reference.name == owner.name && reference.kind == owner.kind &&
         reference.api_version == owner.api_version;
}

bool has_finalizer(const ObjectMeta& metadata, std::string_view finalizer) {
  for (const schema::Str& one : metadata.finalizers)
    if (one == finalizer) return true;
  return false;
}

std::vector<GcNode*> GcNode::blocking_dependents() const {
  std::vector<GcNode*> found;
  for (GcNode* dependent : dependents)
    for (const OwnerReference& owner : dependent->owners)
      if (owner.uid == identity.uid && blocks(owner)) {
        found.push_back(dependent);
        break;
      }
  return found;
}

std::shared_ptr<GcNode> GcGraph::find(const std::string& uid) const {
  auto at = nodes_.find(uid);
  return at == nodes_.end() ? nullptr : at->second;
}

void GcGraph::report(const GcNode& node, const std::string& owner_uid) const {
  for (const OwnerReference& owner : node.owners)
    if (owner.uid == owner_uid) return out_.invalid_namespace(node.identity, owner);
}

// Dependents whose references agree with the owner's identity, and those with one that does not.
std::pair<GcGraph::Nodes, GcGraph::Nodes> GcGraph::partition(const GcNode& owner, const ObjectIdentity& identity) {
  std::pair<Nodes, Nodes> result;
  for (GcNode* dependent : owner.dependents) {
    bool match = false, mismatch = false;
    if (!identity.namespace_.empty() && dependent->identity.namespace_ != identity.namespace_) {
      mismatch = true;
    } else {
      for (const OwnerReference& reference : dependent->owners) {
        if (reference.uid != identity.uid) continue;
        (refers_to(reference, identity) ? match : mismatch) = true;
      }
    }
    if (match) result.first.push_back(dependent);
    if (mismatch) result.second.push_back(dependent);
  }
  return result;
}

// A virtual node turned out to be real: dependents that described it wrongly must be checked.
void GcGraph::observe(GcNode& node, const ObjectIdentity& identity) {
  if (!node.is_virtual) return;
  if (node.identity != identity) {
    for (GcNode* dependent : partition(node, identity).second) {
      if (!identity.namespace_.empty() && dependent->identity.namespace_ != identity.namespace_) report(*dependent, identity.uid);
      out_.attempt_to_delete(dependent->identity.uid);
    }
    node.identity = identity;
  }
  node.is_virtual = false;
}

void GcGraph::add_to_owners(GcNode& node, const std::vector<OwnerReference>& owners) {
  bool doubtful = false;
  for (const OwnerReference& owner : owners) {
    std::shared_ptr<GcNode> found = find(owner.uid.str());
    bool known = found != nullptr;
    if (!known) {
      // Perhaps its informer is only slower than ours, perhaps it never was: whoever works on it finds out.
      found = std::make_shared<GcNode>();
      found->identity = identity_of(owner, node.identity.namespace_);
      found->is_virtual = true;
      nodes_[found->identity.uid] = found;
    }
    found->dependents.insert(&node);
    if (!known) {
      out_.attempt_to_delete(found->identity.uid);
      continue;
    }
    if (doubtful) continue;
    bool namespaced = !found->identity.namespace_.empty();
    bool elsewhere = found->identity.namespace_ != node.identity.namespace_;
    if (namespaced && elsewhere) {
      if (!found->is_virtual) report(node, owner.uid.str());
      doubtful = true;
    } else if (!refers_to(owner, found->identity) || (!namespaced && elsewhere && found->is_virtual)) {
      doubtful = true;
    }
  }
  if (doubtful) out_.attempt_to_delete(node.identity.uid);
}

void GcGraph::remove_from_owners(GcNode& node, const std::vector<OwnerReference>& owners) {
  for (const OwnerReference& owner : owners)
    if (auto found = find(owner.uid.str())) found->dependents.erase(&node);
}

void GcGraph::insert(const ObjectIdentity& identity, const ObjectMeta& metadata) {
  auto node = std::make_shared<GcNode>();
  node->identity = identity;
  node->owners = owners_of(metadata);
  node->being_deleted = metadata.deletion_timestamp.has_value();
  node->deleting_dependents = node->being_deleted && has_finalizer(metadata, kForeground);
  nodes_[identity.uid] = node;
  add_to_owners(*node, node->owners);
}

void GcGraph::update_owners(GcNode& node, const ObjectMeta& metadata) {
  std::vector<OwnerReference> now = owners_of(metadata), added, removed;
  bool changed = now.size() != node.owners.size();
  for (const OwnerReference& before : node.owners) {
    const OwnerReference* after = with_uid(now, before.uid);
    if (after == nullptr) removed.push_back(before);
    if (after == nullptr || !(*after == before)) changed = true;
    // An owner that waited for this object may wait no longer.
    if (blocks(before) && (after == nullptr || !blocks(*after)) && find(before.uid.str()) != nullptr)
      out_.attempt_to_delete(before.uid.str());
  }
  for (const OwnerReference& after : now)
    if (with_uid(node.owners, after.uid) == nullptr) added.push_back(after);
  if (!changed && added.empty()) return;
  node.owners = std::move(now);
  add_to_owners(node, added);
  remove_from_owners(node, removed);
}

void GcGraph::transitions(GcNode& node, const ObjectMeta* old, const ObjectMeta& now) {
  if (starts_waiting(old, now, kOrphan)) return out_.attempt_to_orphan(node.identity.uid);
  if (!starts_waiting(old, now, kForeground)) return;
  node.deleting_dependents = true;
  for (GcNode* dependent : node.dependents) out_.attempt_to_delete(dependent->identity.uid);
  out_.attempt_to_delete(node.identity.uid);
}

void GcGraph::changed(const ObjectIdentity& identity, const ObjectMeta* old, const ObjectMeta& now) {
  std::shared_ptr<GcNode> node = find(identity.uid);
  if (node == nullptr) {
    insert(identity, now);
    node = find(identity.uid);
  } else {
    observe(*node, identity);
    update_owners(*node, now);
    if (now.deletion_timestamp) node->being_deleted = true;
  }
  transitions(*node, old, now);
}

void GcGraph::remove(GcNode& node, const ObjectIdentity& identity) {
  std::shared_ptr<GcNode> keep = find(node.identity.uid);
  remove_from_owners(node, node.owners);
  nodes_.erase(node.identity.uid);
  if (!node.dependents.empty()) note_absent(identity);
  for (GcNode* dependent : node.dependents) out_.attempt_to_delete(dependent->identity.uid);
  for (const OwnerReference& owner : node.owners) {
    auto found = find(owner.uid.str());
    if (found != nullptr && found->deleting_dependents) out_.attempt_to_delete(owner.uid.str());
  }
  // Whoever still holds the node must not follow pointers that nobody keeps right from now on.
  node.dependents.clear();
}

void GcGraph::deleted(const ObjectIdentity& identity) {
  std::shared_ptr<GcNode> node = find(identity.uid);
  if (node == nullptr) return;
  observe(*node, identity);
  remove(*node, identity);
}

// Another description of the absent owner that a dependent gives: the next one after it in a fixed order, so that all are tried in turn.
std::optional<ObjectIdentity> GcGraph::alternate(const Nodes& dependents, const ObjectIdentity& absent) {
  auto order = [](const ObjectIdentity& i) { return std::tie(i.kind, i.api_version, i.namespace_, i.name, i.uid); };
  auto less = [order](const ObjectIdentity& a, const ObjectIdentity& b) { return order(a) < order(b); };
  std::set<ObjectIdentity, decltype(less)> candidates(less);
  bool cluster_scoped = absent.namespace_.empty();
  for (const GcNode* dependent : dependents) {
    for (const OwnerReference& reference : dependent->owners) {
      if (reference.uid != absent.uid) continue;
      if (refers_to(reference, absent) && (cluster_scoped || absent.namespace_ == dependent->identity.namespace_)) continue;
      ObjectIdentity candidate = identity_of(reference, dependent->identity.namespace_);
      if (cluster_scoped && candidate.api_version == absent.api_version && candidate.kind == absent.kind) candidate.namespace_.clear();
      if (candidate != absent) candidates.insert(std::move(candidate));
    }
  }
  if (candidates.empty()) return std::nullopt;
  auto next = candidates.upper_bound(absent);
  return next != candidates.end() ? *next : *candidates.begin();
}

void GcGraph::found_absent(const ObjectIdentity& identity) {
  std::shared_ptr<GcNode> node = find(identity.uid);
  if (node == nullptr) return;
  if (!node->is_virtual && node->identity == identity) return remove(*node, identity);
  auto [matching, others] = partition(*node, identity);
  if (node->is_virtual && others.empty()) return remove(*node, identity);
  // Only this description of the owner is refuted: its believers are looked at, the node stays for the others.
  if (!matching.empty()) {
    note_absent(identity);
    for (GcNode* dependent : matching) out_.attempt_to_delete(dependent->identity.uid);
  }
  if (!node->is_virtual || node->identity != identity) return;
  if (auto other = alternate(others, identity)) {
    node->identity = std::move(*other);
    out_.attempt_to_delete_later(node->identity.uid);
  }
}

}  // namespace knarr::controller
