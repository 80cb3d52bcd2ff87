// SPDX-License-Identifier: Apache-2.0
// What an OpenAPI schema says of data, for expressions about it: the structural schema of a custom
// resource, cut down to what types, values and costs need. Immutable once made.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cel/type.h"
#include "schema/json.h"

namespace knarr::cel {

struct Schema {
  enum class Type : uint8_t {
    kNone,
    kObject,
    kArray,
    kString,
    kNumber,
    kInteger,
    kBoolean,
    kOther
  };
  enum class Format : uint8_t { kNone, kByte, kDate, kDateTime, kDuration };
  enum class ListType : uint8_t { kNone, kAtomic, kSet, kMap, kOther };

  Type type = Type::kNone;
  Format format = Format::kNone;
  ListType list_type = ListType::kNone;
  bool nullable = false, int_or_string = false, preserve_unknown = false, embedded_resource = false;
  bool has_properties = false, has_default = false;
  std::string type_text, list_type_text;  // as written, for messages
  std::map<std::string, std::unique_ptr<Schema>, std::less<>> properties;
  std::unique_ptr<Schema> items, additional;  // additional: additionalProperties with a schema
  std::vector<std::string> required, list_keys;
  std::optional<int64_t> max_items, max_length, max_properties;

  // From an OpenAPI v3 schema in JSON (a JSONSchemaProps). Unknown keywords are no concern here.
  // Depth is the tree's.
  static std::unique_ptr<Schema> from_json(const json::Value& schema);
  // What it says of one member of an object; null when nothing.
  const Schema* member(std::string_view name) const;
  // Gains kind, apiVersion and metadata, as the root of a resource and an embedded resource have
  // them.
  void add_type_and_object_meta();
};

// The declared type of a schema, as upstream derives it: maximal sizes are estimated from what fits
// into a request of 3 MiB. Object types are named after `name` ("Root.spec.ports.@idx"). Null when
// expressions cannot see such data.
const DeclType* declare(const Schema& schema, std::string_view name, TypePool& pool);

}  // namespace knarr::cel
