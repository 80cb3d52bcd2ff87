// SPDX-License-Identifier: Apache-2.0
// What server-side apply does to documents, by the tables of their type: which fields they state, merging and taking away.
//
// Documents are JSON trees of one type: what an applier leaves out, states as null or states as empty are three things. Lists are sets, maps
// by key, or atomic, as the tables say; what has no table merges by member, its lists are atomic. The rules, and the texts of failures, are
// those of sigs.k8s.io/structured-merge-diff. Pure functions.
#pragma once

#include "base/status.h"
#include "schema/field_set.h"
#include "schema/json.h"
#include "schema/type.h"

namespace knarr::schema {

// Unknown fields, values of the wrong type, two items with one key: all of them, in one message.
Status check_document(const Type& type, const json::Value& document);
// 500 where an item has no key or two have the same.
Result<FieldSet> fields_of(const Type& type, const json::Value& document, Arena& arena);
Result<json::Value> merge_documents(const Type& type, const json::Value& live, const json::Value& applied);
// Without these fields; an object or list of which nothing is left becomes null.
json::Value remove_fields(const Type& type, const json::Value& document, const FieldSet& fields);
// The set with every named field that has something below it.
FieldSet with_named_fields(const Type& type, const FieldSet& fields, Arena& arena);

}  // namespace knarr::schema
