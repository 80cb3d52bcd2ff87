// SPDX-License-Identifier: Apache-2.0
// Which fields differ between two objects of one type, as field ownership sees them.
//
// Objects are compared where they lie, by their tables, as their JSON would be: a field that JSON leaves out is not there. Lists are sets,
// maps by key, or atomic, as the tables say; what has no table is compared by member, its lists as one value. The rules, and the texts of
// failures, are those of sigs.k8s.io/structured-merge-diff. Pure functions.
#pragma once

#include "base/status.h"
#include "schema/field_set.h"
#include "schema/type.h"

namespace knarr::schema {

struct FieldChanges {
  FieldSet removed, modified, added;
  bool none() const { return removed.empty() && modified.empty() && added.empty(); }
};

// What lies in fields of the type `unseen` (null: none) is not looked at. 500 where an item has no key or two have the same.
Result<FieldChanges> compare_objects(const Type& type, const void* before, const void* after, const Type* unseen, Arena& arena);

}  // namespace knarr::schema
