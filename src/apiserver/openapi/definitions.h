// SPDX-License-Identifier: Apache-2.0
// OpenAPI schemas of API types, made from the tables. One builder serves both dialects: v2 (Swagger, "#/definitions/") and v3
// ("#/components/schemas/", references wrapped in allOf, defaults of non-pointer fields).
#pragma once

#include <absl/container/flat_hash_set.h>

#include <string>
#include <string_view>
#include <vector>

#include "schema/json.h"
#include "schema/resource.h"

namespace knarr::apiserver::openapi {

enum class Dialect : uint8_t { kV2, kV3 };

// Collects the definitions that are reachable from what was added.
class Definitions {
 public:
  explicit Definitions(Dialect dialect) : dialect_(dialect) {}
  void add(const schema::Type& type);
  // A named definition without a table: Patch, Quantity, ...
  void add_named(std::string_view name);
  // {"$ref": ...} to a definition, which is added.
  json::Value reference(const schema::Type& type);
  json::Value reference(std::string_view name);
  // All of them by name, sorted. Call once.
  json::Value take();

 private:
  json::Value schema_of(const schema::Type& type);
  void add_fields(const schema::Type& type, json::Value& properties, std::vector<std::string>& required);
  json::Value field_schema(const schema::Type& type, const schema::Field& field);
  json::Value value_schema(const schema::Type& type, const schema::Field& field, bool element);
  json::Value named_schema(std::string_view name) const;

  Dialect dialect_;
  absl::flat_hash_set<const schema::Type*> seen_;
  std::vector<const schema::Type*> pending_;
  std::vector<std::string> named_;
};

inline constexpr std::string_view kPatchName = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

}  // namespace knarr::apiserver::openapi
