// SPDX-License-Identifier: Apache-2.0
#include "apiserver/fieldmanager/managed_fields.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "apiserver/field_errors.h"

namespace knarr::apiserver {
namespace {

using api::meta_v1::ManagedFieldsEntry;
using Entries = schema::List<ManagedFieldsEntry>;

constexpr size_t kMaxUpdates = 10;
constexpr std::string_view kAncient = "ancient-changes";

int64_t seconds(const FieldOwner& owner) { return owner.time.has_value() ? owner.time->unix_seconds() : 0; }

}  // namespace

bool FieldOwner::is_same(const FieldOwner& other) const {
  return manager == other.manager && applied == other.applied && subresource == other.subresource && (applied || api_version == other.api_version);
}

std::string FieldOwner::to_string() const {
  std::string text = quoted(manager);
  if (!subresource.empty()) text += " with subresource " + quoted(subresource);
  return applied ? text : text + " using " + std::string(api_version);
}

FieldOwner* ManagedFields::find(const FieldOwner& like) {
  for (FieldOwner& owner : owners)
    if (owner.is_same(like)) return &owner;
  return nullptr;
}

void ManagedFields::erase(const FieldOwner& like) {
  std::erase_if(owners, [&like](const FieldOwner& owner) { return owner.is_same(like); });
}

void ManagedFields::erase_empty() {
  std::erase_if(owners, [](const FieldOwner& owner) { return owner.fields.empty(); });
}

Result<ManagedFields> ManagedFields::decode(const Entries& entries, Arena& arena) {
  ManagedFields out;
  for (size_t i = 0; i < entries.size(); ++i) {
    const ManagedFieldsEntry& entry = entries[i];
    FieldOwner owner;
    if (entry.operation != "Apply" && entry.operation != "Update") return Status::error("operation must be `Apply` or `Update`");
    if (entry.api_version.empty()) return Status::error("apiVersion must not be empty");
    if (entry.fields_type.empty()) return Status::error("missing fieldsType in managed fields entry " + std::to_string(i));
    if (entry.fields_type != "FieldsV1")
      return Status::error("invalid fieldsType " + quoted(entry.fields_type) + " in managed fields entry " + std::to_string(i));
    owner.manager = entry.manager;
    owner.applied = entry.operation == "Apply";
    owner.api_version = entry.api_version;
    owner.subresource = entry.subresource;
    owner.time = entry.time;
    if (entry.fields_v1.has_value() && !entry.fields_v1->bytes.empty()) {
      TRY_ASSIGN(owner.fields, schema::FieldSet::parse(entry.fields_v1->bytes, arena));
    }
    out.erase(owner);
    out.owners.push_back(owner);
  }
  return out;
}

Entries ManagedFields::encode() const {
  std::vector<const FieldOwner*> order;
  for (const FieldOwner& owner : owners) order.push_back(&owner);
  std::sort(order.begin(), order.end(), [](const FieldOwner* a, const FieldOwner* b) {
    // "Apply" comes before "Update".
    return std::tuple(!a->applied, seconds(*a), a->manager, a->api_version, a->subresource) <
           std::tuple(!b->applied, seconds(*b), b->manager, b->api_version, b->subresource);
  });
  Entries entries;
  std::string text;
  for (const FieldOwner* owner : order) {
    ManagedFieldsEntry& entry = entries.emplace_back();
    entry.manager = owner->manager;
    entry.operation = owner->applied ? "Apply" : "Update";
    entry.api_version = owner->api_version;
    entry.time = owner->time;
    entry.fields_type = "FieldsV1";
    entry.subresource = owner->subresource;
    text.clear();
    owner->fields.write(text);
    schema::Raw raw;
    raw.bytes = text;
    entry.fields_v1 = std::move(raw);
  }
  return entries;
}

void ManagedFields::cap_updates(Arena& arena) {
  if (owners.size() <= kMaxUpdates) return;
  std::vector<FieldOwner> updates;
  for (const FieldOwner& owner : owners)
    if (!owner.applied) updates.push_back(owner);
  size_t length = updates.size();
  if (length <= kMaxUpdates) return;
  std::stable_sort(updates.begin(), updates.end(), [](const FieldOwner& a, const FieldOwner& b) {
    return std::tuple(seconds(a), a.manager) < std::tuple(seconds(b), b.manager);
  });
  // The first of a version is moved into the bucket only when a second one comes.
  std::map<std::string_view, FieldOwner> first_of;
  for (const FieldOwner& update : updates) {
    if (length <= kMaxUpdates) break;
    auto [first, is_first] = first_of.emplace(update.api_version, update);
    if (is_first) continue;
    FieldOwner bucket;
    bucket.manager = kAncient;
    bucket.api_version = update.api_version;
    if (find(bucket) == nullptr) {
      bucket.fields = first->second.fields;
      erase(first->second);
      owners.push_back(bucket);
    }
    FieldOwner* into = find(bucket);
    into->fields = into->fields.unite(update.fields, arena);
    into->time = update.time;
    erase(update);
    --length;
  }
}

bool asks_for_reset(const Entries& entries) { return entries.size() == 1 && entries[0] == ManagedFieldsEntry(); }

}  // namespace knarr::apiserver
