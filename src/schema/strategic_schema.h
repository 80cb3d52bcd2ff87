// SPDX-License-Identifier: Apache-2.0
// What strategic merge patch reads out of the type tables, and how it words what it finds wrong.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "schema/json.h"
#include "schema/type.h"

namespace knarr::schema {

// What the tables say of the values of a field: a struct's type, or none for what has no fields.
struct Schema {
  const Type* type = nullptr;
  std::string_view name;
};
struct FieldSchema {
  Schema schema;
  bool merge = false, replace = false, is_list = false;
  std::string_view merge_key;
};

// The field that a member of an object is for; fails, as upstream, where the values have no fields
// or none of this name.
Result<FieldSchema> lookup(const Schema& schema, std::string_view key);
// The same for a list.
Result<FieldSchema> lookup_list(const Schema& schema, std::string_view key);

// A value as Go's %v prints it, and its Go type.
std::string go_value(const json::Value& value);
std::string_view go_type(const json::Value& value);

// 500, like any failure inside upstream's merge.
inline Status failure(const std::string& text) { return Status::error(text); }
Status bad_type(std::string_view expected, const json::Value& actual);
Status no_merge_key(const json::Value& map, std::string_view key);

}  // namespace knarr::schema
