// SPDX-License-Identifier: Apache-2.0
#include "schema/structured_merge.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>

namespace knarr::schema {
namespace {

using json::Value;

// A place in the tables: the root, a field, or what a field's list or map holds.
struct Place {
  const Type* root = nullptr;
  const Type* owner = nullptr;
  const Field* field = nullptr;
  bool element = false;
};

// What the tables say of the values in a place.
struct Atom {
  enum Form : uint8_t { kScalar, kStruct, kMap, kList } form = kScalar;
  enum Check : uint8_t { kAny, kBool, kNumber, kText } check = kAny;  // of scalars
  bool atomic = false;
  const Type* type = nullptr;       // of structs
  std::string_view keys;            // of lists by key, comma separated; "" is a set
  Place inner;                      // of maps and lists
};

constexpr uint16_t kFreeForm = kOrBool | kOrArray | kOrStringArray;

// Values without a table say themselves what they are.
Atom untyped(const Value* value) {
  Atom atom;
  if (value != nullptr && value->is_object()) atom.form = Atom::kMap;
  if (value != nullptr && value->is_array()) {
    atom.form = Atom::kList;
    atom.atomic = true;
  }
  return atom;
}

Atom struct_atom(const Type& type, bool atomic, const Value* value) {
  if ((type.flags & kFreeForm) != 0) return untyped(value);
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

Atom atom_of(const Place& place, const Value* value) {
  if (place.root != nullptr) return struct_atom(*place.root, false, value);
  if (place.field == nullptr) return untyped(value);
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
    case Kind::kStruct: return struct_atom(field_type(*place.owner, field), !place.element && meta.list_type == FieldMeta::kAtomic, value);
    case Kind::kRawExtension:
    case Kind::kFieldsV1:
    case Kind::kJson: return untyped(value);
    case Kind::kStringList:
      atom.form = Atom::kList;
      atom.atomic = true;
      return atom;
    default: break;
  }
  atom.check = check_of(field.kind);
  return atom;
}

// The field of this JSON name, also of a struct whose fields are its parent's.
Place find_named(const Type& type, std::string_view name) {
  for (const Field& field : type.fields()) {
    if ((field.flags & kInline) != 0 && field.kind == Kind::kStruct) {
      if (Place inner = find_named(field_type(type, field), name); inner.field != nullptr) return inner;
    } else if (field_name(type, field) == name) {
      return {.owner = &type, .field = &field};
    }
  }
  return {};
}

// The place of a member; *named: the tables know it.
Place member_place(const Atom& atom, std::string_view name, bool* named) {
  *named = false;
  if (atom.form != Atom::kStruct) return atom.inner;
  if (Place place = find_named(*atom.type, name); place.field != nullptr) {
    *named = true;
    return place;
  }
  if ((atom.type->flags & kHasTypeMeta) != 0 && (name == "apiVersion" || name == "kind")) *named = true;
  return {};
}

// What a key is when the item does not say.
Value default_of(const Place& item, std::string_view key) {
  Atom atom = atom_of(item, nullptr);
  if (atom.form != Atom::kStruct) return {};
  Place place = find_named(*atom.type, key);
  if (place.field == nullptr) return {};
  std::string_view text = atom.type->set->text(atom.type->set->meta(*place.field).default_json);
  auto parsed = json::parse(text);
  return text.empty() || !parsed.ok() ? Value() : std::move(*parsed);
}

Result<PathElement> item_element(const Atom& list, const Value& item) {
  PathElement element;
  if (list.keys.empty()) {
    if (item.is_object()) return Status::error("associative list without keys has an element that's a map type");
    if (item.is_array()) return Status::error("not supported: associative list with lists as elements");
    if (item.is_null()) return Status::error("associative list without keys has an element that's an explicit null");
    element.kind = PathElement::kValue;
    json::write(element.text, item);
    return element;
  }
  if (!item.is_object()) return Status::error("associative list with keys may not have non-map elements");
  element.kind = PathElement::kKey;
  Value keys = Value::object();
  for (std::string_view rest = list.keys; !rest.empty();) {
    size_t comma = std::min(rest.find(','), rest.size());
    std::string_view key = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    const Value* found = item.find(key);
    Value value = found != nullptr ? *found : default_of(list.inner, key);
    if (found == nullptr && value.is_null())
      return Status::error("associative list with keys has an element that omits key field \"" + std::string(key) + "\" (and doesn't have default value)");
    keys[key] = std::move(value);
  }
  json::write(element.text, keys, true);
  return element;
}

// Items by their elements.
class Index {
 public:
  // Fails as upstream at the first item without a key and the second with the same.
  Status add_all(const Atom& list, const Value* items) {
    if (items == nullptr || !items->is_array()) return {};
    for (size_t i = 0; i < items->items().size(); ++i) {
      auto element = item_element(list, items->items()[i]);
      if (!element.ok()) return Status::error("element " + std::to_string(i) + ": " + std::string(element.status().message()));
      if (!at_.emplace(element->text, i).second) return Status::error("duplicate entries for key " + element->to_string());
      elements.push_back(std::move(*element));
    }
    items_ = &items->items();
    return {};
  }
  const Value* find(const PathElement& element) const {
    auto found = at_.find(element.text);
    return found == at_.end() ? nullptr : &(*items_)[found->second];
  }
  std::vector<PathElement> elements;

 private:
  absl::flat_hash_map<std::string, size_t> at_;
  const Value::Array* items_ = nullptr;
};

// Members by name, for wide objects; narrow ones are scanned.
class Members {
 public:
  explicit Members(const Value* object) : object_(object != nullptr && object->is_object() ? object : nullptr) {
    if (object_ == nullptr || object_->members().size() <= kScanLimit) return;
    for (const auto& [name, value] : object_->members()) index_.emplace(name, &value);
  }
  const Value* find(std::string_view name) const {
    if (object_ == nullptr) return nullptr;
    if (index_.empty()) return object_->find(name);
    auto found = index_.find(name);
    return found == index_.end() ? nullptr : found->second;
  }
  bool empty() const { return object_ == nullptr || object_->members().empty(); }
  const Value::Members& all() const {
    static const Value::Members none;
    return object_ == nullptr ? none : object_->members();
  }

 private:
  static constexpr size_t kScanLimit = 16;
  const Value* object_;
  absl::flat_hash_map<std::string_view, const Value*> index_;
};

bool empty_list(const Value* value) { return value == nullptr || !value->is_array() || value->items().empty(); }

// ---- which fields there are -------------------------------------------------------------------------------------------------

// True: the place itself is a member of the set.
Result<bool> collect(const Place& place, const Value& value, FieldSet& set) {
  Atom atom = atom_of(place, &value);
  if (atom.form == Atom::kScalar || atom.atomic) return true;
  if (atom.form == Atom::kList) {
    Index index;
    TRY(index.add_all(atom, &value));
    for (const PathElement& element : index.elements) {
      FieldSet below;
      auto self = collect(atom.inner, *index.find(element), below);
      if (!self.ok()) return self.status();
      set.members.push_back(element);
      if (!below.empty()) set.children.emplace_back(element, std::move(below));
    }
  } else if (value.is_object()) {
    for (const auto& [name, child] : value.members()) {
      bool named = false;
      Place inner = member_place(atom, name, &named);
      FieldSet below;
      TRY_ASSIGN(bool self, collect(inner, child, below));
      if (self || !named || child.is_null() || (child.is_object() && child.members().empty())) set.members.push_back(field_element(name));
      if (!below.empty()) set.children.emplace_back(field_element(name), std::move(below));
    }
  }
  set.sort();
  return false;
}

// ---- what differs -----------------------------------------------------------------------------------------------------------

enum Change : uint8_t { kNothing, kRemoved, kModified, kAdded };

Change leaf_change(const Value* before, const Value* after) {
  if (before == nullptr) return kAdded;
  if (after == nullptr) return kRemoved;
  return *before == *after ? kNothing : kModified;
}

Result<Change> compare_place(const Place& place, const Value* before, const Value* after, FieldChanges& changes);

Status compare_child(const Place& place, const PathElement& element, const Value* before, const Value* after, FieldChanges& changes) {
  FieldChanges below;
  TRY_ASSIGN(Change self, compare_place(place, before, after, below));
  if (self == kRemoved) changes.removed.members.push_back(element);
  if (self == kModified) changes.modified.members.push_back(element);
  if (self == kAdded) changes.added.members.push_back(element);
  if (!below.removed.empty()) changes.removed.children.emplace_back(element, std::move(below.removed));
  if (!below.modified.empty()) changes.modified.children.emplace_back(element, std::move(below.modified));
  if (!below.added.empty()) changes.added.children.emplace_back(element, std::move(below.added));
  return {};
}

Result<Change> compare_place(const Place& place, const Value* before, const Value* after, FieldChanges& changes) {
  const Value* seen = after != nullptr && !after->is_null() ? after : before;
  Atom atom = atom_of(place, seen);
  if (atom.form == Atom::kScalar || atom.atomic) return leaf_change(before, after);
  if (atom.form == Atom::kList) {
    if (empty_list(before) && empty_list(after)) return leaf_change(before, after);
    Index left, right;
    TRY(right.add_all(atom, after));
    TRY(left.add_all(atom, before));
    for (const PathElement& element : left.elements) TRY(compare_child(atom.inner, element, left.find(element), right.find(element), changes));
    for (const PathElement& element : right.elements)
      if (left.find(element) == nullptr) TRY(compare_child(atom.inner, element, nullptr, right.find(element), changes));
  } else {
    Members left(before), right(after);
    if (left.empty() && right.empty()) return leaf_change(before, after);
    bool named = false;
    for (const auto& [name, value] : left.all())
      TRY(compare_child(member_place(atom, name, &named), field_element(name), &value, right.find(name), changes));
    for (const auto& [name, value] : right.all())
      if (left.find(name) == nullptr) TRY(compare_child(member_place(atom, name, &named), field_element(name), nullptr, &value, changes));
  }
  for (FieldSet* set : {&changes.removed, &changes.modified, &changes.added}) set->sort();
  // What was not there, or is no more, changes as a whole too.
  return before == nullptr ? kAdded : after == nullptr ? kRemoved : kNothing;
}

// ---- merging ----------------------------------------------------------------------------------------------------------------

Result<Value> merge_place(const Place& place, const Value* live, const Value* applied);

// Items keep the live order; new ones come where the applied list has them.
Result<Value> merge_lists(const Atom& atom, const Value* live, const Value* applied) {
  Index left, right;
  TRY(right.add_all(atom, applied));
  TRY(left.add_all(atom, live));
  std::vector<const PathElement*> shared;
  for (const PathElement& element : right.elements)
    if (left.find(element) != nullptr) shared.push_back(&element);
  Value out = Value::array();
  size_t l = 0, r = 0, s = 0;
  auto take = [&](const PathElement& element) -> Status {
    TRY_ASSIGN(Value merged, merge_place(atom.inner, left.find(element), right.find(element)));
    out.push_back(std::move(merged));
    return {};
  };
  while (l < left.elements.size() || r < right.elements.size()) {
    if (l < left.elements.size() && r < right.elements.size()) {
      const PathElement& element = left.elements[l];
      if (element == right.elements[r]) {
        TRY(take(element));
        ++l, ++r, ++s;
        continue;
      }
      // In both, but another one that is in both comes first.
      if (right.find(element) != nullptr && s < shared.size() && *shared[s] != element) {
        ++l;
        continue;
      }
    }
    if (l < left.elements.size() && right.find(left.elements[l]) == nullptr) {
      TRY(take(left.elements[l++]));
      continue;
    }
    if (r < right.elements.size()) {
      const PathElement& element = right.elements[r++];
      TRY(take(element));
      if (s < shared.size() && *shared[s] == element) ++s;
      continue;
    }
    ++l;
  }
  return out;
}

Result<Value> merge_place(const Place& place, const Value* live, const Value* applied) {
  if (applied == nullptr) return *live;
  if (live == nullptr) return *applied;
  Atom atom = atom_of(place, applied->is_null() ? live : applied);
  if (atom.form == Atom::kScalar || atom.atomic) return *applied;
  if (atom.form == Atom::kList) {
    if (empty_list(live) && empty_list(applied)) return *applied;
    return merge_lists(atom, live, applied);
  }
  Members left(live), right(applied);
  if (left.empty() && right.empty()) return *applied;
  Value out = Value::object();
  bool named = false;
  for (const auto& [name, value] : left.all()) {
    TRY_ASSIGN(Value merged, merge_place(member_place(atom, name, &named), &value, right.find(name)));
    out.members().emplace_back(name, std::move(merged));
  }
  for (const auto& [name, value] : right.all())
    if (left.find(name) == nullptr) out.members().emplace_back(name, value);
  return out;
}

// ---- taking away ------------------------------------------------------------------------------------------------------------

Value remove_place(const Place& place, const Value& value, const FieldSet& fields) {
  Atom atom = atom_of(place, &value);
  if (atom.form == Atom::kScalar) return value;
  if (atom.atomic) return {};
  if (atom.form == Atom::kList) {
    if (!value.is_array()) return {};
    Value out = Value::array();
    for (const Value& item : value.items()) {
      auto element = item_element(atom, item);
      if (element.ok() && fields.has_member(*element)) continue;
      const FieldSet* below = element.ok() ? fields.child(*element) : nullptr;
      out.push_back(below == nullptr ? item : remove_place(atom.inner, item, *below));
    }
    return out.items().empty() ? Value() : out;
  }
  if (!value.is_object()) return {};
  Value out = Value::object();
  bool named = false;
  for (const auto& [name, child] : value.members()) {
    PathElement element = field_element(name);
    if (fields.has_member(element)) continue;
    const FieldSet* below = fields.child(element);
    out.members().emplace_back(name, below == nullptr ? child : remove_place(member_place(atom, name, &named), child, *below));
  }
  return out.members().empty() ? Value() : out;
}

FieldSet name_place(const Place& place, const FieldSet& fields) {
  Atom atom = atom_of(place, nullptr);
  FieldSet out;
  out.members = fields.members;
  for (const auto& [element, child] : fields.children) {
    bool named = false;
    Place inner = atom.inner;
    if (element.kind == PathElement::kField) inner = member_place(atom, element.text, &named);
    if (named) out.members.push_back(element);
    out.children.emplace_back(element, name_place(inner, child));
  }
  out.sort();
  return out;
}

// ---- what is wrong ----------------------------------------------------------------------------------------------------------

void complain(std::vector<std::string>& problems, const std::string& path, std::string_view problem) {
  problems.push_back(path.empty() ? std::string(problem) : path + ": " + std::string(problem));
}

void check_scalar(Atom::Check check, const Value& value, const std::string& path, std::vector<std::string>& problems) {
  if (value.is_null()) return;
  std::string text = json::to_string(value);
  const char* type = value.is_string() ? "string" : value.is_bool() ? "bool" : value.is_object() ? "map[string]interface {}" : "[]interface {}";
  if (check == Atom::kNumber && !value.is_number()) complain(problems, path, "expected numeric (int or float), got " + std::string(type));
  if (check == Atom::kText && !value.is_string()) complain(problems, path, "expected string, got &value.valueUnstructured{Value:" + text + "}");
  if (check == Atom::kBool && !value.is_bool()) complain(problems, path, "expected boolean, got &{" + text + "}");
}

void check_place(const Place& place, const Value& value, const std::string& path, std::vector<std::string>& problems) {
  Atom atom = atom_of(place, &value);
  if (atom.form == Atom::kScalar) return check_scalar(atom.check, value, path, problems);
  if (value.is_null()) return;
  if (atom.form == Atom::kList) {
    if (!value.is_array()) return complain(problems, path, "expected list, got &{" + json::to_string(value) + "}");
    Index index;
    if (!atom.atomic)
      if (Status status = index.add_all(atom, &value); !status.ok()) return complain(problems, path, status.message());
    for (size_t i = 0; i < value.items().size(); ++i)
      check_place(atom.inner, value.items()[i], path + (atom.atomic ? "[" + std::to_string(i) + "]" : index.elements[i].to_string()), problems);
    return;
  }
  if (!value.is_object()) return complain(problems, path, "expected map, got &{" + json::to_string(value) + "}");
  for (const auto& [name, child] : value.members()) {
    bool named = false;
    Place inner = member_place(atom, name, &named);
    if (atom.form == Atom::kStruct && !named) {
      complain(problems, path + "." + name, "field not declared in schema");
      continue;
    }
    check_place(inner, child, path + "." + name, problems);
  }
}

}  // namespace

Status check_document(const Type& type, const Value& document) {
  std::vector<std::string> problems;
  check_place({.root = &type}, document, "", problems);
  if (problems.empty()) return {};
  if (problems.size() == 1) return Status::error(problems[0]);
  std::string text = "errors:";
  for (const std::string& problem : problems) text += "\n  " + problem;
  return Status::error(text);
}

Result<FieldSet> fields_of(const Type& type, const Value& document) {
  FieldSet set;
  auto self = collect({.root = &type}, document, set);
  if (!self.ok()) return self.status();
  return set;
}

Result<FieldChanges> compare_fields(const Type& type, const Value& before, const Value& after) {
  FieldChanges changes;
  auto self = compare_place({.root = &type}, &before, &after, changes);
  if (!self.ok()) return self.status();
  return changes;
}

Result<Value> merge_documents(const Type& type, const Value& live, const Value& applied) {
  return merge_place({.root = &type}, &live, &applied);
}

Value remove_fields(const Type& type, const Value& document, const FieldSet& fields) {
  return remove_place({.root = &type}, document, fields);
}

FieldSet with_named_fields(const Type& type, const FieldSet& fields) { return name_place({.root = &type}, fields); }

}  // namespace knarr::schema
