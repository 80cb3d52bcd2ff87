// SPDX-License-Identifier: Apache-2.0
// metadata.managedFields as values: who owns which fields, by which kind of write. They are views of the entries they were read from and of
// an arena, and live no longer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/meta_v1.h"
#include "base/status.h"
#include "schema/field_set.h"

namespace knarr::apiserver {

// One entry. Two entries are of the same manager when name, operation and subresource agree, and for updates the version too.
struct FieldOwner {
  std::string_view manager;
  bool applied = false;
  std::string_view api_version;     // of the paths
  std::string_view subresource;
  schema::Opt<schema::Time> time;
  schema::FieldSet fields;

  bool is_same(const FieldOwner& other) const;
  // As conflicts name it: `"kubectl" using apps/v1`; without a time, as upstream.
  std::string to_string() const;
};

class ManagedFields {
 public:
  std::vector<FieldOwner> owners;

  bool empty() const { return owners.empty(); }
  FieldOwner* find(const FieldOwner& like);
  void erase(const FieldOwner& like);
  void erase_empty();

  // Fails for entries that no server writes.
  static Result<ManagedFields> decode(const schema::List<api::meta_v1::ManagedFieldsEntry>& entries, Arena& arena);
  // In upstream's order.
  schema::List<api::meta_v1::ManagedFieldsEntry> encode() const;
  // Merges the oldest updates of one version into "ancient-changes" until at most ten remain.
  void cap_updates(Arena& arena);
};

// The entry of an object that asks for its managedFields to be emptied.
bool asks_for_reset(const schema::List<api::meta_v1::ManagedFieldsEntry>& entries);

}  // namespace knarr::apiserver
