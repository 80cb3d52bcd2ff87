// SPDX-License-Identifier: Apache-2.0
// What the tables say of every place in an object for server-side apply: what is merged, by which keys, and what is one value. For the
// interpreters of field ownership only.
#pragma once

#include <string_view>

#include "schema/json.h"
#include "schema/type.h"

namespace knarr::schema {

// A place in the tables: the root, a field, or what a field's list or map holds. None of them: a place that no table knows.
struct Place {
  const Type* root = nullptr;
  const Type* owner = nullptr;
  const Field* field = nullptr;
  bool element = false;

  const Type* type() const { return root != nullptr ? root : field->kind == Kind::kStruct ? &field_type(*owner, *field) : nullptr; }
};

struct Atom {
  enum Form : uint8_t { kScalar, kStruct, kMap, kList, kUntyped } form = kScalar;  // kUntyped: each value says itself what it is
  enum Check : uint8_t { kAny, kBool, kNumber, kText } check = kAny;               // of scalars
  bool atomic = false;
  const Type* type = nullptr;       // of structs
  std::string_view keys;            // of lists by key, comma separated; "" is a set
  Place inner;                      // of maps and lists
};

Atom atom_of(const Place& place);
// The same when the place holds `value`, which may be null: never kUntyped.
Atom atom_of(const Place& place, const json::Value* value);

// A field by its JSON name, also of a struct whose fields are its parent's; `offset` is from the start of the outer struct.
struct NamedField {
  const Type* owner = nullptr;
  const Field* field = nullptr;     // null: there is none
  size_t offset = 0;
};
NamedField find_named(const Type& type, std::string_view name);
// The place of a member; *named: the tables know it.
Place member_place(const Atom& atom, std::string_view name, bool* named);

// Calls visit(key) for each of comma-separated keys.
template <class Visit>
void for_each_key(std::string_view keys, Visit visit) {
  while (!keys.empty()) {
    size_t comma = std::min(keys.find(','), keys.size());
    visit(keys.substr(0, comma));
    keys.remove_prefix(std::min(comma + 1, keys.size()));
  }
}
// JSON of what a key of an item is when the item does not say; "" when it must.
std::string_view default_of_key(const Place& item, std::string_view key);

// The texts of failures that both interpreters have.
std::string missing_key_text(std::string_view key);

}  // namespace knarr::schema
