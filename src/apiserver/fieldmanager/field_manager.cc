// SPDX-License-Identifier: Apache-2.0
#include "apiserver/fieldmanager/field_manager.h"

#include <map>
#include <optional>

#include "apiserver/conversion.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"
#include "apiserver/registry/registry.h"
#include "schema/codec.h"
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
const FieldSet& stripped_fields() {
  static const FieldSet fields = schema::field_set({"apiVersion", "kind", "metadata", "metadata.name", "metadata.namespace", "metadata.creationTimestamp",
                                                    "metadata.selfLink", "metadata.uid", "metadata.clusterName", "metadata.generation",
                                                    "metadata.managedFields", "metadata.resourceVersion"});
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

FieldChanges without(FieldChanges changes, const FieldSet& fields) {
  if (fields.empty()) return changes;
  return {changes.removed.subtract_trees(fields), changes.modified.subtract_trees(fields), changes.added.subtract_trees(fields)};
}

bool same_but_times(const ManagedFields& a, const schema::List<api::meta_v1::ManagedFieldsEntry>& entries) {
  auto decoded = ManagedFields::decode(entries);
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

// An object's trees by version, made when asked for.
class FieldManager::Versions {
 public:
  Versions(const FieldManager& manager, const schema::Object& object) : manager_(manager), object_(object) {}

  const json::Value& at(const schema::Resource& version) {
    auto found = trees_.find(&version);
    if (found == trees_.end()) found = trees_.emplace(&version, manager_.tree(version, object_)).first;
    return found->second;
  }

 private:
  const FieldManager& manager_;
  const schema::Object& object_;
  std::map<const schema::Resource*, json::Value> trees_;
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

json::Value FieldManager::tree(const schema::Resource& version, const schema::Object& object) const {
  schema::KindInfo kind{version.group, version.version, version.kind, version.api_version, version.type};
  std::string text;
  if (&version == &stored_ && metadata_of(object.type(), object.data()).managed_fields.empty()) {
    schema::encode_json(text, object.type(), object.data(), &kind);
  } else {
    schema::Object copy = &version == &stored_ ? object : convert(stored_, version, object.data());
    metadata_of(copy.type(), copy.data()).managed_fields.reset();
    schema::encode_json(text, copy.type(), copy.data(), &kind);
  }
  auto parsed = json::parse(text);
  return parsed.ok() ? std::move(*parsed) : json::Value::object();
}

Result<schema::Object> FieldManager::from_tree(const json::Value& tree) const {
  schema::Object object(*asked_.type);
  TRY(schema::decode_json(json::to_string(tree), object.type(), object.data()));
  return object;
}

FieldSet FieldManager::reset_fields() const {
  for (const Reset& reset : kResets)
    if (reset.group == asked_.group && reset.plural == asked_.plural && reset.subresource == subresource_) return schema::field_set(reset.fields);
  if (subresource_ == "status") return schema::field_set({"spec"});
  return schema::find_field(*asked_.type, "status") != nullptr ? schema::field_set({"status"}) : FieldSet();
}

ManagedFields FieldManager::updated(const schema::Object& live, const schema::Object& object, ManagedFields managed, std::string_view manager,
                                    bool* unchanged, Status* failure) const {
  FieldSet reset = reset_fields();
  Versions before(*this, live), after(*this, object);
  std::map<std::string, FieldChanges, std::less<>> changes;
  auto changes_at = [&](const schema::Resource& at) -> Result<const FieldChanges*> {
    auto found = changes.find(at.api_version);
    if (found == changes.end()) {
      TRY_ASSIGN(FieldChanges made, schema::compare_fields(*at.type, before.at(at), after.at(at)));
      found = changes.emplace(at.api_version, without(std::move(made), reset)).first;
    }
    return &found->second;
  };
  for (FieldOwner& owner : managed.owners) {
    const schema::Resource* at = version(owner.api_version);
    if (at == nullptr) {
      owner.fields = FieldSet();  // a version that is served no more
      continue;
    }
    auto found = changes_at(*at);
    if (!found.ok()) {
      *failure = found.status();
      return {};
    }
    const FieldChanges& change = **found;
    if (!change.none()) owner.fields = owner.fields.subtract(change.modified).subtract(change.added).subtract(change.removed);
  }
  managed.erase_empty();
  auto found = changes_at(asked_);
  if (!found.ok()) {
    *failure = found.status();
    return {};
  }
  const FieldChanges& change = **found;
  *unchanged = change.none();
  FieldOwner self;
  self.manager = manager;
  self.subresource = subresource_;
  self.api_version = asked_.api_version;
  self.time = schema::to_time(clock_.now());
  self.fields = change.modified.unite(change.added).subtract_trees(reset).subtract(stripped_fields());
  if (self.fields.empty()) return managed;
  if (const FieldOwner* previous = managed.find(self)) self.fields = self.fields.unite(previous->fields);
  managed.erase(self);
  managed.owners.push_back(std::move(self));
  return managed;
}

void FieldManager::update(const schema::Object* live, schema::Object& object, std::string_view manager) const {
  auto& entries = metadata_of(object.type(), object.data()).managed_fields;
  ManagedFields managed;
  if (asks_for_reset(entries)) {
    entries.reset();
    return;
  }
  // Clients that do not know of managedFields leave them out; a subresource cannot set them.
  if (!entries.empty() && subresource_.empty())
    if (auto given = ManagedFields::decode(entries); given.ok()) managed = std::move(*given);
  if (managed.empty() && live != nullptr)
    if (auto kept = ManagedFields::decode(metadata_of(live->type(), live->data()).managed_fields); kept.ok()) managed = std::move(*kept);
  entries.reset();
  // Objects that nobody has tracked since they were made stay so until the first apply.
  if (managed.empty() && live != nullptr) return;
  std::optional<schema::Object> none;
  if (live == nullptr) none.emplace(*stored_.type);
  bool unchanged = false;
  Status failure;
  managed = updated(live != nullptr ? *live : *none, object, std::move(managed), manager, &unchanged, &failure);
  if (!failure.ok()) return;
  managed.cap_updates();
  if (live != nullptr && unchanged) {
    const auto& old = metadata_of(live->type(), live->data()).managed_fields;
    if (same_but_times(managed, old)) {
      entries = old;
      return;
    }
  }
  entries = managed.encode();
}

FieldSet FieldManager::allowed_by_last_applied(const json::Value& live) const {
  const json::Value& text = live.at({"metadata", "annotations", kLastApplied});
  if (text.as_string().empty()) return {};
  auto last = json::parse(text.as_string());
  if (!last.ok() || last->at({"apiVersion"}).as_string() != asked_.api_version) return {};
  auto fields = schema::fields_of(*asked_.type, *last);
  auto changes = schema::compare_fields(*asked_.type, *last, live);
  if (!fields.ok() || !changes.ok()) return {};
  return fields->subtract(changes->modified).subtract(changes->added).subtract(changes->removed);
}

namespace {

// Takes out of `merged` what the applier stated last time and states no more, unless another one owns it. All in one version.
Result<json::Value> prune(const schema::Type& type, const json::Value& merged, const FieldSet& last, const FieldSet& owned) {
  FieldSet named_last = schema::with_named_fields(type, last);
  json::Value pruned = schema::remove_fields(type, merged, named_last);
  TRY_ASSIGN(FieldSet merged_fields, schema::fields_of(type, merged));
  merged_fields = schema::with_named_fields(type, merged_fields);
  TRY_ASSIGN(FieldSet pruned_fields, schema::fields_of(type, pruned));
  FieldSet stays = schema::with_named_fields(type, pruned_fields).unite(schema::with_named_fields(type, owned));
  pruned = schema::remove_fields(type, merged, merged_fields.subtract(stays));
  // What nobody owns, or only updates do, was never this applier's to take away.
  TRY_ASSIGN(pruned_fields, schema::fields_of(type, pruned));
  FieldSet gone = merged_fields.subtract(schema::with_named_fields(type, pruned_fields)).intersect(named_last);
  return schema::remove_fields(type, merged, gone);
}

}  // namespace

Result<FieldManager::Outcome> FieldManager::merge(const schema::Object& live, const json::Value& applied, ManagedFields managed, std::string_view manager,
                                                  bool force) const {
  FieldSet reset = reset_fields();
  Versions before(*this, live);
  const json::Value& live_tree = before.at(asked_);
  auto merged = schema::merge_documents(*asked_.type, live_tree, applied);
  if (!merged.ok()) return Status::make(500, "", "failed to merge config: " + std::string(merged.status().message()));
  Outcome outcome;
  outcome.tree = std::move(*merged);
  FieldOwner self;
  self.manager = manager;
  self.applied = true;
  self.subresource = subresource_;
  self.api_version = asked_.api_version;
  TRY_ASSIGN(self.fields, schema::fields_of(*asked_.type, applied));
  self.fields = self.fields.subtract_trees(reset);
  std::optional<FieldOwner> last;
  if (const FieldOwner* found = managed.find(self)) last = *found;
  managed.erase(self);
  // An applier that comes back with another version of the kind takes nothing away that once; upstream converts its last set.
  if (last.has_value() && !last->fields.empty() && last->api_version == asked_.api_version) {
    FieldSet owned = self.fields;
    for (const FieldOwner& owner : managed.owners)
      if (owner.api_version == asked_.api_version) owned = owned.unite(owner.fields);
    auto pruned = prune(*asked_.type, outcome.tree, last->fields, owned);
    if (!pruned.ok()) return Status::make(500, "", "failed to prune fields: " + std::string(pruned.status().message()));
    outcome.tree = std::move(*pruned);
  }
  // Compared as it will be read, so that null and absent are one.
  TRY_ASSIGN(schema::Object made, from_tree(outcome.tree));
  schema::Object stored = convert(asked_, stored_, made.data());
  Versions after(*this, stored);
  std::vector<Conflict> conflicts;
  for (FieldOwner& owner : managed.owners) {
    const schema::Resource* at = version(owner.api_version);
    if (at == nullptr) {
      owner.fields = FieldSet();
      continue;
    }
    TRY_ASSIGN(FieldChanges changes, schema::compare_fields(*at->type, before.at(*at), after.at(*at)));
    changes = without(std::move(changes), reset);
    FieldSet taken = owner.fields.intersect(changes.modified.unite(changes.added));
    std::string name = owner.to_string();
    taken.for_each([&](std::span<const schema::PathElement> path) {
      conflicts.push_back({name, schema::FieldPath(path.begin(), path.end())});
    });
    owner.fields = owner.fields.subtract(taken).subtract(changes.removed);
  }
  if (!force && !conflicts.empty()) {
    // kubectl moving on from client-side apply: what its annotation proves to be its own is no conflict.
    FieldSet allowed = manager == "kubectl" ? allowed_by_last_applied(live_tree) : FieldSet();
    std::erase_if(conflicts, [&allowed](const Conflict& conflict) { return allowed.has(conflict.path); });
    if (!conflicts.empty()) return conflict_status(conflicts);
  }
  managed.erase_empty();
  TRY_ASSIGN(FieldChanges changes, schema::compare_fields(*asked_.type, live_tree, after.at(asked_)));
  outcome.unchanged = without(std::move(changes), reset).none();
  self.fields = self.fields.subtract(stripped_fields());
  if (!outcome.unchanged) {
    self.time = schema::to_time(clock_.now());
  } else if (last.has_value()) {
    self.time = last->time;
  }
  if (!self.fields.empty()) managed.owners.push_back(std::move(self));
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
  schema::Object base = live != nullptr ? *live : schema::Object(*stored_.type);
  auto& entries = metadata_of(base.type(), base.data()).managed_fields;
  ManagedFields managed;
  if (auto decoded = ManagedFields::decode(entries); decoded.ok()) managed = std::move(*decoded);
  if (managed.empty() && live != nullptr) {
    bool unchanged = false;
    Status failure;
    managed = updated(schema::Object(*stored_.type), base, {}, kBeforeFirstApply, &unchanged, &failure);
    if (!failure.ok()) return Status::make(500, "", "failed to create manager for existing fields: " + std::string(failure.message()));
  }
  TRY_ASSIGN(Outcome outcome, merge(base, applied, std::move(managed), manager, force));
  if (manager == "kubectl" && !outcome.tree.at({"metadata", "annotations", kLastApplied}).as_string().empty()) {
    json::Value stated = applied;
    if (json::Value* annotations = stated["metadata"].find("annotations")) annotations->erase(kLastApplied);
    std::string text;
    json::write(text, stated, true);
    outcome.tree["metadata"]["annotations"][kLastApplied] = text + "\n";
  }
  outcome.managed.cap_updates();
  TRY_ASSIGN(schema::Object object, from_tree(outcome.tree));
  auto& made = metadata_of(object.type(), object.data()).managed_fields;
  made = outcome.unchanged && live != nullptr && same_but_times(outcome.managed, entries) ? entries : outcome.managed.encode();
  return object;
}

std::string manager_of_user_agent(std::string_view user_agent) {
  std::string name;
  for (char c : user_agent.substr(0, user_agent.find('/')))
    if (static_cast<uint8_t>(c) >= 0x20 && c != 0x7F && name.size() < kMaxManagerName) name += c;
  return name;
}

}  // namespace knarr::apiserver
