// SPDX-License-Identifier: Apache-2.0
#include "schema/strategic_schema.h"

#include <algorithm>
#include <vector>

#include "schema/json_reader.h"

namespace knarr::schema {

using json::Value;

namespace {

// A value as Go's %v prints it.
void append_go_value(std::string& out, const Value& value) {
  switch (value.type()) {
    case Value::Type::kNull:
      out += "<nil>";
      break;
    case Value::Type::kString:
      out += value.as_string();
      break;
    case Value::Type::kArray: {
      out += '[';
      for (size_t i = 0; i < value.items().size(); ++i) {
        if (i != 0) out += ' ';
        append_go_value(out, value.items()[i]);
      }
      out += ']';
      break;
    }
    case Value::Type::kObject: {
      std::vector<const Value::Member*> members;
      for (const Value::Member& member : value.members()) members.push_back(&member);
      std::sort(members.begin(), members.end(),
                [](const auto* a, const auto* b) { return a->first < b->first; });
      out += "map[";
      for (size_t i = 0; i < members.size(); ++i) {
        if (i != 0) out += ' ';
        out += members[i]->first + ":";
        append_go_value(out, members[i]->second);
      }
      out += ']';
      break;
    }
    default:
      out += json::to_string(value);
  }
}
bool equal_fold(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return lower(x) == lower(y); });
}

// Through inline structs too; an exact name wins over one that differs in case.
const Field* find_field_folded(const Type& type, std::string_view key, const Type** owner,
                               bool folded) {
  for (const Field& field : type.fields()) {
    if (field.flags & kInline) {
      if (const Field* found = find_field_folded(field_type(type, field), key, owner, folded))
        return found;
      continue;
    }
    std::string_view name = field_name(type, field);
    if (folded ? equal_fold(name, key) : name == key) {
      *owner = &type;
      return &field;
    }
  }
  return nullptr;
}

}  // namespace

std::string go_value(const Value& value) {
  std::string out;
  append_go_value(out, value);
  return out;
}

std::string_view go_type(const Value& value) {
  switch (value.type()) {
    case Value::Type::kNull:
      return "%!s(<nil>)";
    case Value::Type::kBool:
      return "bool";
    case Value::Type::kInt:
      return "int64";
    case Value::Type::kDouble:
      return "float64";
    case Value::Type::kString:
      return "string";
    case Value::Type::kArray:
      return "[]interface {}";
    case Value::Type::kObject:
      return "map[string]interface {}";
  }
  return "";
}
Status bad_type(std::string_view expected, const Value& actual) {
  return failure("expected a " + std::string(expected) + ", but received a " +
                 std::string(go_type(actual)));
}
Status no_merge_key(const Value& map, std::string_view key) {
  return failure("map: " + go_value(map) +
                 " does not contain declared merge key: " + std::string(key));
}

Result<FieldSchema> lookup(const Schema& schema, std::string_view key) {
  if (schema.type == nullptr)
    return failure("merging an object in json but data type is not struct, instead is: " +
                   std::string(schema.name));
  const Type* owner = nullptr;
  const Field* field = find_field_folded(*schema.type, key, &owner, false);
  if (field == nullptr) field = find_field_folded(*schema.type, key, &owner, true);
  if (field == nullptr)
    return failure("unable to find api field in struct " + std::string(schema.type->type_name()) +
                   " for the json field " + go_quote(key));
  const FieldMeta& meta = owner->set->meta(*field);
  FieldSchema found;
  found.merge = meta.patch_strategy & FieldMeta::kMerge;
  found.replace = meta.patch_strategy & FieldMeta::kReplaceWhole;
  // Upstream takes a pointer to a struct for one to a list.
  found.is_list = field->shape == Shape::kList || field->shape == Shape::kOptional;
  found.merge_key = owner->set->text(meta.merge_key);
  if (field->shape == Shape::kMap) {
    found.schema.name = "map";
  } else if (field->kind == Kind::kStruct) {
    found.schema.type = &field_type(*owner, *field);
    found.schema.name = found.schema.type->type_name();
  } else {
    found.schema.name = field->kind == Kind::kString ? "string" : "struct";
  }
  return found;
}

Result<FieldSchema> lookup_list(const Schema& schema, std::string_view key) {
  TRY_ASSIGN(FieldSchema found, lookup(schema, key));
  if (!found.is_list) return failure("expected slice or array type, but got: struct");
  return found;
}

}  // namespace knarr::schema
