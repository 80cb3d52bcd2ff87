// SPDX-License-Identifier: Apache-2.0
#include "apiserver/fieldmanager/field_manager.h"

#include <map>
#include <optional>

#include "apiserver/conversion.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"
#include "apiserver/registry/registry.h"
#include "schema/codec.h"
#include "schema/field_changes.h"
#include "schema/structured_merge.h"
#include "schema/time.h"

namespace knarr::apiserver {
namespace {

using schema::FieldChanges;
using schema::FieldSet;

constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";
constexpr std::string_view kBeforeFirstApply = "before-first-apply";
constexpr size_t kMaxManagerName = 128;

// What nobody owns.
FieldSet stripped_fields() {
  static Arena arena;
  static const FieldSet fields = schema::field_set({"apiVersion", "kind", "metadata", "metadata.name", "metadata.namespace", "metadata.creationTimestamp",
                                                    "metadata.selfLink", "metadata.uid", "metadata.clusterName", "metadata.generation",
                                                    "metadata.managedFields", "metadata.resourceVersion"},
                                                   arena);
  return fields;
}

// What a write to a subresource resets, beside the rule: the main resource resets status, status resets spec.
struct Reset {
  std::string_view group, plural, subresource;
  std::initializer_list<std::string_view> fields;
};
const Reset kResets[] = {
    {"", "pods", "status", {"spec", "metadata.deletionTimestamp", "metadata.ownerReferences"}},
    {"apps", "deployments", "status", {"spec", "metadata.labels"}},
    {"certificates.k8s.io", "certificatesigningrequests", "", {"spec", "status"}},
    {"certificates.k8s.io", "certificatesigningrequests", "status", {"spec", "status.conditions"}},
    {"certificates.k8s.io", "certificatesigningrequests", "approval", {"spec", "status.certificate"}},
    {"flowcontrol.apiserver.k8s.io", "flowschemas", "status", {"metadata", "spec"}},
    {"flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "status", {"metadata", "spec"}},
    {"storage.k8s.io", "volumeattachments", "status", {"metadata", "spec"}},
    {"apiextensions.k8s.io", "customresourcedefinitions", "status", {"metadata", "spec"}},
    {"apiregistration.k8s.io", "apiservices", "status", {"metadata", "spec"}},
};

FieldChanges without(const FieldChanges& changes, const FieldSet& fields, Arena& arena) {
  return {changes.removed.subtract_trees(fields, arena), changes.modified.subtract_trees(fields, arena), changes.added.subtract_trees(fields, arena)};
}

FieldSet without(const FieldSet& owned, const FieldChanges& changes, Arena& arena) {
  return owned.subtract(changes.modified, arena).subtract(changes.added, arena).subtract(changes.removed, arena);
}

Result<FieldChanges> compare(const schema::Type& type, const void* before, const void* after, Arena& arena) {
  return schema::compare_objects(type, before, after, &api::meta_v1::ManagedFieldsEntry::table(), arena);
}

bool same_but_times(const ManagedFields& a, const schema::List<api::meta_v1::ManagedFieldsEntry>& entries, Arena& arena) {
  auto decoded = ManagedFields::decode(entries, arena);
  if (!decoded.ok() || decoded->owners.size() != a.owners.size()) return false;
  for (const FieldOwner& owner : a.owners) {
    const FieldOwner* other = decoded->find(owner);
    if (other == nullptr || other->api_version != owner.api_version || !(other->fields == owner.fields)) return false;
  }
  return true;
}

struct Conflict {
  std::string manager;
  schema::FieldPath path;
};

Status conflict_status(const std::vector<Conflict>& conflicts) {
  StatusInfo info;
  info.code = 409;
  info.reason = "Conflict";
  std::map<std::string, std::vector<std::string>> by_manager;
  for (const Conflict& conflict : conflicts) {
    std::string path = schema::path_text(conflict.path);
    info.causes.push_back({"FieldManagerConflict", "conflict with " + conflict.manager, path});
    by_manager[conflict.manager].push_back(path);
  }
  if (conflicts.size() == 1) {
    info.message = "Apply failed with 1 conflict: conflict with " + conflicts[0].manager + ": " + schema::path_text(conflicts[0].path);
    return Status::from(std::move(info));
  }
  info.message = "Apply failed with " + std::to_string(conflicts.size()) + " conflicts: ";
  bool first = true;
  for (const auto& [manager, paths] : by_manager) {
    info.message += (first ? "" : "\n") + ("conflicts with " + manager + ":");
    first = false;
    for (const std::string& path : paths) info.message += "\n- " + path;
  }
  return Status::from(std::move(info));
}

std::string kind_text(std::string_view api_version, std::string_view kind) {
  return (api_version.find('/') == std::string_view::npos ? "/" : "") + std::string(api_version) + ", Kind=" + std::string(kind);
}

}  // namespace

// An object of the storage version as it is in others, converted when asked for.
class FieldManager::Versions {
 public:
  Versions(const schema::Resource& stored, const void* object) : stored_(stored), object_(object) {}

  const void* at(const schema::Resource& version) {
    if (&version == &stored_) return object_;
    for (const auto& [known, object] : converted_)
      if (known == &version) return object.data();
    return converted_.emplace_back(&version, convert(stored_, version, object_)).second.data();
  }

 private:
  const schema::Resource& stored_;
  const void* object_;
  std::vector<std::pair<const schema::Resource*, schema::Object>> converted_;
};

struct FieldManager::Outcome {
  json::Value tree;
  ManagedFields managed;
  bool unchanged = false;
};

const schema::Resource* FieldManager::version(std::string_view api_version) const {
  if (api_version == asked_.api_version) return &asked_;
  size_t slash = api_version.find('/');
  std::string_view group = slash == std::string_view::npos ? std::string_view() : api_version.substr(0, slash);
  if (group != asked_.group) return nullptr;
  return schema::find_resource(group, slash == std::string_view::npos ? api_version : api_version.substr(slash + 1), asked_.plural);
}

json::Value FieldManager::tree(const schema::Object& live) const {
  schema::Object object = &asked_ == &stored_ ? live : convert(stored_, asked_, live.data());
  metadata_of(object.type(), object.data()).managed_fields.reset();
  schema::KindInfo kind{asked_.group, asked_.version, asked_.kind, asked_.api_version, asked_.type};
  std::string text;
  schema::encode_json(text, object.type(), object.data(), &kind);
  auto parsed = json::parse(text);
  return parsed.ok() ? std::move(*parsed) : json::Value::object();
}

Result<schema::Object> FieldManager::from_tree(const json::Value& tree) const {
  schema::Object object(*asked_.type);
  TRY(schema::decode_json(json::to_string(tree), object.type(), object.data()));
  return object;
}

FieldSet FieldManager::reset_fields(Arena& arena) const {
  for (const Reset& reset : kResets)
    if (reset.group == asked_.group && reset.plural == asked_.plural && reset.subresource == subresource_) return schema::field_set(reset.fields, arena);
  if (subresource_ == "status") return schema::field_set({"spec"}, arena);
  return schema::find_field(*asked_.type, "status") != nullptr ? schema::field_set({"status"}, arena) : FieldSet();
}

Result<ManagedFields> FieldManager::updated(const void* live, const schema::Object& object, ManagedFields managed, std::string_view manager,
                                            bool* unchanged, Arena& arena) const {
  const FieldSet reset = reset_fields(arena);
  Versions before(stored_, live), after(stored_, object.data());
  std::vector<std::pair<const schema::Resource*, FieldChanges>> known;
  auto changes_at = [&](const schema::Resource& at) -> Result<FieldChanges> {
    for (const auto& [version, changes] : known)
      if (version == &at) return changes;
    TRY_ASSIGN(FieldChanges made, compare(*at.type, before.at(at), after.at(at), arena));
    return known.emplace_back(&at, without(made, reset, arena)).second;
  };
  for (FieldOwner& owner : managed.owners) {
    const schema::Resource* at = version(owner.api_version);
    if (at == nullptr) {
      owner.fields = FieldSet();  // a version that is served no more
      continue;
    }
    TRY_ASSIGN(FieldChanges changes, changes_at(*at));
    owner.fields = without(owner.fields, changes, arena);
  }
  managed.erase_empty();
  TRY_ASSIGN(FieldChanges changes, changes_at(asked_));
  *unchanged = changes.none();
  FieldOwner self;
  self.manager = manager;
  self.subresource = subresource_;
  self.api_version = asked_.api_version;
  self.time = schema::to_time(clock_.now());
  self.fields = changes.modified.unite(changes.added, arena).subtract(stripped_fields(), arena);
  if (self.fields.empty()) return managed;
  if (const FieldOwner* previous = managed.find(self)) self.fields = self.fields.unite(previous->fields, arena);
  managed.erase(self);
  managed.owners.push_back(self);
  return managed;
}

void FieldManager::update(const schema::Object* live, schema::Object& object, std::string_view manager) const {
  auto& entries = metadata_of(object.type(), object.data()).managed_fields;
  const schema::List<api::meta_v1::ManagedFieldsEntry> given = std::move(entries);
  if (asks_for_reset(given)) return;
  Arena arena;
  ManagedFields managed;
  // Clients that do not know of managedFields leave them out; a subresource cannot set them.
  if (!given.empty() && subresource_.empty())
    if (auto decoded = ManagedFields::decode(given, arena); decoded.ok()) managed = std::move(*decoded);
  if (managed.empty() && live != nullptr)
    if (auto kept = ManagedFields::decode(metadata_of(live->type(), live->data()).managed_fields, arena); kept.ok()) managed = std::move(*kept);
  // Objects that nobody has tracked since they were made stay so until the first apply.
  if (managed.empty() && live != nullptr) return;
  bool unchanged = false;
  auto made = updated(live != nullptr ? live->data() : schema::zero_object(), object, std::move(managed), manager, &unchanged, arena);
  if (!made.ok()) return;
  made->cap_updates(arena);
  if (live != nullptr && unchanged) {
    const auto& old = metadata_of(live->type(), live->data()).managed_fields;
    if (same_but_times(*made, old, arena)) {
      entries = old;
      return;
    }
  }
  entries = made->encode();
}

FieldSet FieldManager::allowed_by_last_applied(const json::Value& live, const void* live_object, Arena& arena) const {
  const json::Value& text = live.at({"metadata", "annotations", kLastApplied});
  if (text.as_string().empty()) return {};
  auto last = json::parse(text.as_string());
  if (!last.ok() || last->at({"apiVersion"}).as_string() != asked_.api_version) return {};
  auto fields = schema::fields_of(*asked_.type, *last, arena);
  auto object = from_tree(*last);
  if (!fields.ok() || !object.ok()) return {};
  auto changes = compare(*asked_.type, object->data(), live_object, arena);
  return changes.ok() ? without(*fields, *changes, arena) : FieldSet();
}

namespace {

// Takes out of `merged` what the applier stated last time and states no more, unless another one owns it. All in one version.
Result<json::Value> prune(const schema::Type& type, const json::Value& merged, const FieldSet& last, const FieldSet& owned, Arena& arena) {
  FieldSet named_last = schema::with_named_fields(type, last, arena);
  json::Value pruned = schema::remove_fields(type, merged, named_last);
  TRY_ASSIGN(FieldSet merged_fields, schema::fields_of(type, merged, arena));
  merged_fields = schema::with_named_fields(type, merged_fields, arena);
  TRY_ASSIGN(FieldSet pruned_fields, schema::fields_of(type, pruned, arena));
  FieldSet stays = schema::with_named_fields(type, pruned_fields, arena).unite(schema::with_named_fields(type, owned, arena), arena);
  pruned = schema::remove_fields(type, merged, merged_fields.subtract(stays, arena));
  // What nobody owns, or only updates do, was never this applier's to take away.
  TRY_ASSIGN(pruned_fields, schema::fields_of(type, pruned, arena));
  FieldSet gone = merged_fields.subtract(schema::with_named_fields(type, pruned_fields, arena), arena).intersect(named_last, arena);
  return schema::remove_fields(type, merged, gone);
}

}  // namespace

Result<FieldManager::Outcome> FieldManager::merge(const schema::Object& live, const json::Value& applied, ManagedFields managed, std::string_view manager,
                                                  bool force, Arena& arena) const {
  const FieldSet reset = reset_fields(arena);
  const json::Value live_tree = tree(live);
  auto merged = schema::merge_documents(*asked_.type, live_tree, applied);
  if (!merged.ok()) return Status::make(500, "", "failed to merge config: " + std::string(merged.status().message()));
  Outcome outcome;
  outcome.tree = std::move(*merged);
  FieldOwner self;
  self.manager = manager;
  self.applied = true;
  self.subresource = subresource_;
  self.api_version = asked_.api_version;
  TRY_ASSIGN(self.fields, schema::fields_of(*asked_.type, applied, arena));
  self.fields = self.fields.subtract_trees(reset, arena);
  std::optional<FieldOwner> last;
  if (const FieldOwner* found = managed.find(self)) last = *found;
  managed.erase(self);
  // An applier that comes back with another version of the kind takes nothing away that once; upstream converts its last set.
  if (last.has_value() && !last->fields.empty() && last->api_version == asked_.api_version) {
    FieldSet owned = self.fields;
    for (const FieldOwner& owner : managed.owners)
      if (owner.api_version == asked_.api_version) owned = owned.unite(owner.fields, arena);
    auto pruned = prune(*asked_.type, outcome.tree, last->fields, owned, arena);
    if (!pruned.ok()) return Status::make(500, "", "failed to prune fields: " + std::string(pruned.status().message()));
    outcome.tree = std::move(*pruned);
  }
  // Compared as it will be read, so that null and absent are one.
  TRY_ASSIGN(schema::Object made, from_tree(outcome.tree));
  schema::Object stored = convert(asked_, stored_, made.data());
  Versions before(stored_, live.data()), after(stored_, stored.data());
  std::vector<Conflict> conflicts;
  for (FieldOwner& owner : managed.owners) {
    const schema::Resource* at = version(owner.api_version);
    if (at == nullptr) {
      owner.fields = FieldSet();
      continue;
    }
    TRY_ASSIGN(FieldChanges changes, compare(*at->type, before.at(*at), after.at(*at), arena));
    changes = without(changes, reset, arena);
    FieldSet taken = owner.fields.intersect(changes.modified.unite(changes.added, arena), arena);
    std::string name = owner.to_string();
    taken.for_each([&](std::span<const schema::PathElement> path) {
      conflicts.push_back({name, schema::FieldPath(path.begin(), path.end())});
    });
    owner.fields = owner.fields.subtract(taken, arena).subtract(changes.removed, arena);
  }
  if (!force && !conflicts.empty()) {
    // kubectl moving on from client-side apply: what its annotation proves to be its own is no conflict.
    FieldSet allowed = manager == "kubectl" ? allowed_by_last_applied(live_tree, before.at(asked_), arena) : FieldSet();
    std::erase_if(conflicts, [&allowed](const Conflict& conflict) { return allowed.has(conflict.path); });
    if (!conflicts.empty()) return conflict_status(conflicts);
  }
  managed.erase_empty();
  TRY_ASSIGN(FieldChanges changes, compare(*asked_.type, before.at(asked_), after.at(asked_), arena));
  outcome.unchanged = without(changes, reset, arena).none();
  self.fields = self.fields.subtract(stripped_fields(), arena);
  if (!outcome.unchanged) {
    self.time = schema::to_time(clock_.now());
  } else if (last.has_value()) {
    self.time = last->time;
  }
  if (!self.fields.empty()) managed.owners.push_back(self);
  outcome.managed = std::move(managed);
  return outcome;
}

Result<schema::Object> FieldManager::apply(const schema::Object* live, const json::Value& applied, std::string_view manager, bool force) const {
  const std::string& api_version = applied.at({"apiVersion"}).as_string();
  const std::string& kind = applied.at({"kind"}).as_string();
  if (api_version != asked_.api_version || kind != asked_.kind) return bad_request("invalid object type: " + kind_text(api_version, kind));
  if (!applied.at({"metadata", "managedFields"}).is_null()) return bad_request("metadata.managedFields must be nil");
  if (Status checked = schema::check_document(*asked_.type, applied); !checked.ok()) {
    const std::string& ns = applied.at({"metadata", "namespace"}).as_string();
    return Status::make(500, "", "failed to create typed patch object (" + ns + "/" + applied.at({"metadata", "name"}).as_string() + "; " +
                          kind_text(api_version, kind) + "): " + std::string(checked.message()));
  }
  const schema::Object base = live != nullptr ? *live : schema::Object(*stored_.type);
  const auto& entries = metadata_of(base.type(), base.data()).managed_fields;
  Arena arena;
  ManagedFields managed;
  if (auto decoded = ManagedFields::decode(entries, arena); decoded.ok()) managed = std::move(*decoded);
  if (managed.empty() && live != nullptr) {
    bool unchanged = false;
    auto found = updated(schema::zero_object(), base, {}, kBeforeFirstApply, &unchanged, arena);
    if (!found.ok()) return Status::make(500, "", "failed to create manager for existing fields: " + std::string(found.status().message()));
    managed = std::move(*found);
  }
  TRY_ASSIGN(Outcome outcome, merge(base, applied, std::move(managed), manager, force, arena));
  if (manager == "kubectl" && !outcome.tree.at({"metadata", "annotations", kLastApplied}).as_string().empty()) {
    json::Value stated = applied;
    if (json::Value* annotations = stated["metadata"].find("annotations")) annotations->erase(kLastApplied);
    std::string text;
    json::write(text, stated, true);
    outcome.tree["metadata"]["annotations"][kLastApplied] = text + "\n";
  }
  outcome.managed.cap_updates(arena);
  TRY_ASSIGN(schema::Object object, from_tree(outcome.tree));
  auto& made = metadata_of(object.type(), object.data()).managed_fields;
  made = outcome.unchanged && live != nullptr && same_but_times(outcome.managed, entries, arena) ? entries : outcome.managed.encode();
  return object;
}

std::string manager_of_user_agent(std::string_view user_agent) {
  std::string name;
  for (char c : user_agent.substr(0, user_agent.find('/')))
    if (static_cast<uint8_t>(c) >= 0x20 && c != 0x7F && name.size() < kMaxManagerName) name += c;
  return name;
}

}  // namespace knarr::apiserver
