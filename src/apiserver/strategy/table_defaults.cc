// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/table_defaults.h"

#include <charconv>
#include <vector>

#include "schema/codec.h"
#include "schema/json.h"

namespace knarr::apiserver {

namespace {

using schema::Field;
using schema::Kind;
using schema::RawList;
using schema::Shape;
using schema::Type;
using schema::TypeSet;

// Built-in objects nest a dozen levels of structs; JSONSchemaProps may go on, and has no defaults.
constexpr int kMaxDepth = 64;

// Which types have a default in themselves or below: most subtrees need no walk.
std::vector<bool> types_with_defaults(const TypeSet& set) {
  std::vector<bool> found(set.type_count, false);
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t i = 0; i < set.type_count; ++i) {
      if (found[i]) continue;
      for (const Field& field : set.types[i].fields()) {
        bool below = field.kind == Kind::kStruct && found[field.type];
        if (!below && set.meta(field).default_json == 0) continue;
        found[i] = changed = true;
        break;
      }
    }
  }
  return found;
}

bool is_unset(const Field& field, const Type* type, const void* at) {
  switch (field.shape) {
    case Shape::kOptional:
      return !schema::optional_present(field.kind, at);
    case Shape::kList:
    case Shape::kMap:
      return static_cast<const RawList*>(at)->size() == 0;
    case Shape::kPlain:
      break;
  }
  switch (field.kind) {
    case Kind::kBool:
      return !*static_cast<const bool*>(at);
    case Kind::kInt32:
    case Kind::kUint32:
      return *static_cast<const uint32_t*>(at) == 0;
    case Kind::kInt64:
    case Kind::kUint64:
      return *static_cast<const uint64_t*>(at) == 0;
    case Kind::kString:
      return static_cast<const schema::Str*>(at)->empty();
    case Kind::kStruct:
      return schema::is_zero(*type, at);
    default:
      return false;
  }
}

// One scalar from its JSON text: a string, a number or a boolean.
void set_scalar(Kind kind, void* at, const json::Value& value) {
  switch (kind) {
    case Kind::kBool:
      *static_cast<bool*>(at) = value.as_bool();
      break;
    case Kind::kInt32:
    case Kind::kUint32:
      *static_cast<int32_t*>(at) = static_cast<int32_t>(value.as_int());
      break;
    case Kind::kInt64:
    case Kind::kUint64:
      *static_cast<int64_t*>(at) = value.as_int();
      break;
    case Kind::kString:
      static_cast<schema::Str*>(at)->assign(value.as_string(), true);
      break;
    case Kind::kIntOrString:
      *static_cast<schema::IntOrString*>(at) =
          value.is_string() ? schema::IntOrString(std::string_view(value.as_string()))
                            : schema::IntOrString(static_cast<int32_t>(value.as_int()));
      break;
    default:
      KNARR_CHECK(!"a default of this kind");
  }
}

void set_default(const Field& field, const Type* type, void* at, std::string_view text) {
  auto parsed = json::parse(text);
  KNARR_CHECK(parsed.ok());
  const json::Value& value = *parsed;
  if (field.shape == Shape::kList) {
    for (const json::Value& item : value.items())
      set_scalar(field.kind, static_cast<RawList*>(at)->append(schema::kind_size(field.kind, type)),
                 item);
    return;
  }
  if (field.kind == Kind::kStruct) {
    // Only {} is used: the struct's own defaults fill it.
    if (field.shape == Shape::kOptional) schema::optional_ensure(field.kind, type, at);
    return;
  }
  void* target =
      field.shape == Shape::kOptional ? schema::optional_ensure(field.kind, type, at) : at;
  set_scalar(field.kind, target, value);
}

void walk(const std::vector<bool>& wanted, const Type& type, void* object, int depth) {
  if (depth > kMaxDepth) return;
  const TypeSet& set = *type.set;
  for (const Field& field : type.fields()) {
    const Type* below = field.kind == Kind::kStruct ? &set.types[field.type] : nullptr;
    uint32_t text = set.meta(field).default_json;
    bool descend = below != nullptr && wanted[field.type];
    if (text == 0 && !descend) continue;
    void* at = schema::field_at(object, field);
    if (text != 0 && is_unset(field, below, at)) set_default(field, below, at, set.text(text));
    if (!descend) continue;
    switch (field.shape) {
      case Shape::kPlain:
        walk(wanted, *below, at, depth + 1);
        break;
      case Shape::kOptional:
        if (void* value = schema::optional_value(field.kind, at))
          walk(wanted, *below, value, depth + 1);
        break;
      case Shape::kList: {
        auto* list = static_cast<RawList*>(at);
        for (size_t i = 0; i < list->size(); ++i)
          walk(wanted, *below, list->at(i, below->size), depth + 1);
        break;
      }
      case Shape::kMap: {
        auto* list = static_cast<RawList*>(at);
        size_t entry = schema::map_entry_size(below->size);
        for (size_t i = 0; i < list->size(); ++i)
          walk(wanted, *below, list->at(i, entry) + schema::kMapValueOffset, depth + 1);
        break;
      }
    }
  }
}

}  // namespace

void apply_table_defaults(const Type& type, void* object) {
  static const std::vector<bool> builtin = types_with_defaults(schema::kBuiltin);
  if (type.set != &schema::kBuiltin || !builtin[type.index]) return;
  walk(builtin, type, object, 0);
}

}  // namespace knarr::apiserver
