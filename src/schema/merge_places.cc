// SPDX-License-Identifier: Apache-2.0
#include "schema/merge_places.h"

namespace knarr::schema {
namespace {

constexpr uint16_t kFreeForm = kOrBool | kOrArray | kOrStringArray;

Atom untyped() {
  Atom atom;
  atom.form = Atom::kUntyped;
  return atom;
}

Atom struct_atom(const Type& type, bool atomic) {
  if ((type.flags & kFreeForm) != 0) return untyped();
  Atom atom;
  atom.form = Atom::kStruct;
  atom.type = &type;
  atom.atomic = atomic || (type.flags & kAtomicStruct) != 0;
  return atom;
}

Atom::Check check_of(Kind kind) {
  switch (kind) {
    case Kind::kBool: return Atom::kBool;
    case Kind::kInt32:
    case Kind::kInt64:
    case Kind::kUint32:
    case Kind::kUint64:
    case Kind::kFloat:
    case Kind::kDouble: return Atom::kNumber;
    case Kind::kString:
    case Kind::kBytes: return Atom::kText;
    default: return Atom::kAny;
  }
}

}  // namespace

Atom atom_of(const Place& place) {
  if (place.root != nullptr) return struct_atom(*place.root, false);
  if (place.field == nullptr) return untyped();
  const Field& field = *place.field;
  const FieldMeta& meta = place.owner->set->meta(field);
  Atom atom;
  atom.inner = {.owner = place.owner, .field = place.field, .element = true};
  if (!place.element && field.shape == Shape::kMap) {
    atom.form = Atom::kMap;
    atom.atomic = meta.list_type == FieldMeta::kAtomic;
    return atom;
  }
  if (!place.element && field.shape == Shape::kList) {
    atom.form = Atom::kList;
    atom.atomic = meta.list_type == FieldMeta::kAtomic;
    if (meta.list_type == FieldMeta::kMap) atom.keys = place.owner->set->text(meta.list_keys);
    if (meta.list_type == FieldMeta::kNone) {
      // Older lists say only how they are patched.
      atom.atomic = (meta.patch_strategy & FieldMeta::kMerge) == 0;
      atom.keys = place.owner->set->text(meta.merge_key);
    }
    return atom;
  }
  switch (field.kind) {
    case Kind::kStruct: return struct_atom(field_type(*place.owner, field), !place.element && meta.list_type == FieldMeta::kAtomic);
    case Kind::kRawExtension:
    case Kind::kFieldsV1:
    case Kind::kJson: return untyped();
    case Kind::kStringList:
      atom.form = Atom::kList;
      atom.atomic = true;
      return atom;
    default: break;
  }
  atom.check = check_of(field.kind);
  return atom;
}

Atom atom_of(const Place& place, const json::Value* value) {
  Atom atom = atom_of(place);
  if (atom.form != Atom::kUntyped) return atom;
  atom = Atom();
  if (value != nullptr && value->is_object()) atom.form = Atom::kMap;
  if (value != nullptr && value->is_array()) {
    atom.form = Atom::kList;
    atom.atomic = true;
  }
  return atom;
}

NamedField find_named(const Type& type, std::string_view name) {
  for (const Field& field : type.fields()) {
    if ((field.flags & kInline) != 0 && field.kind == Kind::kStruct) {
      NamedField inner = find_named(field_type(type, field), name);
      if (inner.field == nullptr) continue;
      inner.offset += field.offset;
      return inner;
    }
    if (field_name(type, field) == name) return {&type, &field, field.offset};
  }
  return {};
}

Place member_place(const Atom& atom, std::string_view name, bool* named) {
  *named = false;
  if (atom.form != Atom::kStruct) return atom.inner;
  if (NamedField found = find_named(*atom.type, name); found.field != nullptr) {
    *named = true;
    return {.owner = found.owner, .field = found.field};
  }
  if ((atom.type->flags & kHasTypeMeta) != 0 && (name == "apiVersion" || name == "kind")) *named = true;
  return {};
}

std::string_view default_of_key(const Place& item, std::string_view key) {
  Atom atom = atom_of(item);
  if (atom.form != Atom::kStruct) return {};
  NamedField found = find_named(*atom.type, key);
  if (found.field == nullptr) return {};
  return found.owner->set->text(found.owner->set->meta(*found.field).default_json);
}

std::string missing_key_text(std::string_view key) {
  return "associative list with keys has an element that omits key field \"" + std::string(key) + "\" (and doesn't have default value)";
}

}  // namespace knarr::schema
