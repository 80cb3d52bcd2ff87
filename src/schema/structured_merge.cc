// SPDX-License-Identifier: Apache-2.0
#include "schema/structured_merge.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>

#include "schema/merge_places.h"

namespace knarr::schema {
namespace {

using json::Value;

Result<PathElement> item_element(const Atom& list, const Value& item, Arena& arena) {
  PathElement element;
  std::string text;
  if (list.keys.empty()) {
    if (item.is_object()) return Status::error("associative list without keys has an element that's a map type");
    if (item.is_array()) return Status::error("not supported: associative list with lists as elements");
    if (item.is_null()) return Status::error("associative list without keys has an element that's an explicit null");
    json::write(text, item);
    return PathElement{PathElement::kValue, arena.copy(text)};
  }
  if (!item.is_object()) return Status::error("associative list with keys may not have non-map elements");
  Value keys = Value::object();
  Status missing;
  for_each_key(list.keys, [&](std::string_view key) {
    if (const Value* found = item.find(key); found != nullptr) {
      keys[key] = *found;
      return;
    }
    auto fallback = json::parse(default_of_key(list.inner, key));
    if (fallback.ok() && !fallback->is_null()) {
      keys[key] = std::move(*fallback);
    } else if (missing.ok()) {
      missing = Status::error(missing_key_text(key));
    }
  });
  TRY(missing);
  json::write(text, keys, true);
  return PathElement{PathElement::kKey, arena.copy(text)};
}

// Items by their elements.
class Index {
 public:
  explicit Index(Arena& arena) : arena_(arena) {}
  // Fails as upstream at the first item without a key and the second with the same.
  Status add_all(const Atom& list, const Value* items) {
    if (items == nullptr || !items->is_array()) return {};
    for (size_t i = 0; i < items->items().size(); ++i) {
      auto element = item_element(list, items->items()[i], arena_);
      if (!element.ok()) return Status::error("element " + std::to_string(i) + ": " + std::string(element.status().message()));
      if (!at_.emplace(element->text, i).second) return Status::error("duplicate entries for key " + element->to_string());
      elements.push_back(*element);
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
  Arena& arena_;
  absl::flat_hash_map<std::string_view, size_t> at_;
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
Result<bool> collect(const Place& place, const Value& value, FieldSet* set, Arena& arena) {
  Atom atom = atom_of(place, &value);
  if (atom.form == Atom::kScalar || atom.atomic) return true;
  FieldSetBuilder node;
  if (atom.form == Atom::kList) {
    Index index(arena);
    TRY(index.add_all(atom, &value));
    for (const PathElement& element : index.elements) {
      FieldSet below;
      auto self = collect(atom.inner, *index.find(element), &below, arena);
      if (!self.ok()) return self.status();
      node.add(element);
      node.add(element, below);
    }
  } else if (value.is_object()) {
    for (const auto& [name, child] : value.members()) {
      bool named = false;
      Place inner = member_place(atom, name, &named);
      PathElement element = field_element(arena.copy(name));
      FieldSet below;
      TRY_ASSIGN(bool self, collect(inner, child, &below, arena));
      if (self || !named || child.is_null() || (child.is_object() && child.members().empty())) node.add(element);
      node.add(element, below);
    }
  }
  *set = node.build(arena);
  return false;
}

// ---- merging ----------------------------------------------------------------------------------------------------------------

Result<Value> merge_place(const Place& place, const Value* live, const Value* applied, Arena& arena);

// Items keep the live order; new ones come where the applied list has them.
Result<Value> merge_lists(const Atom& atom, const Value* live, const Value* applied, Arena& arena) {
  Index left(arena), right(arena);
  TRY(right.add_all(atom, applied));
  TRY(left.add_all(atom, live));
  std::vector<const PathElement*> shared;
  for (const PathElement& element : right.elements)
    if (left.find(element) != nullptr) shared.push_back(&element);
  Value out = Value::array();
  size_t l = 0, r = 0, s = 0;
  auto take = [&](const PathElement& element) -> Status {
    TRY_ASSIGN(Value merged, merge_place(atom.inner, left.find(element), right.find(element), arena));
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

Result<Value> merge_place(const Place& place, const Value* live, const Value* applied, Arena& arena) {
  if (applied == nullptr) return *live;
  if (live == nullptr) return *applied;
  Atom atom = atom_of(place, applied->is_null() ? live : applied);
  if (atom.form == Atom::kScalar || atom.atomic) return *applied;
  if (atom.form == Atom::kList) {
    if (empty_list(live) && empty_list(applied)) return *applied;
    return merge_lists(atom, live, applied, arena);
  }
  Members left(live), right(applied);
  if (left.empty() && right.empty()) return *applied;
  Value out = Value::object();
  bool named = false;
  for (const auto& [name, value] : left.all()) {
    TRY_ASSIGN(Value merged, merge_place(member_place(atom, name, &named), &value, right.find(name), arena));
    out.members().emplace_back(name, std::move(merged));
  }
  for (const auto& [name, value] : right.all())
    if (left.find(name) == nullptr) out.members().emplace_back(name, value);
  return out;
}

// ---- taking away ------------------------------------------------------------------------------------------------------------

Value remove_place(const Place& place, const Value& value, const FieldSet& fields, Arena& arena) {
  Atom atom = atom_of(place, &value);
  if (atom.form == Atom::kScalar) return value;
  if (atom.atomic) return {};
  if (atom.form == Atom::kList) {
    if (!value.is_array()) return {};
    Value out = Value::array();
    for (const Value& item : value.items()) {
      auto element = item_element(atom, item, arena);
      if (element.ok() && fields.has_member(*element)) continue;
      const FieldSet* below = element.ok() ? fields.child(*element) : nullptr;
      out.push_back(below == nullptr ? item : remove_place(atom.inner, item, *below, arena));
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
    out.members().emplace_back(name, below == nullptr ? child : remove_place(member_place(atom, name, &named), child, *below, arena));
  }
  return out.members().empty() ? Value() : out;
}

FieldSet name_place(const Place& place, const FieldSet& fields, Arena& arena) {
  Atom atom = atom_of(place, nullptr);
  FieldSetBuilder node;
  for (const PathElement& member : fields.members) node.add(member);
  for (const auto& [element, child] : fields.children) {
    bool named = false;
    Place inner = atom.inner;
    if (element.kind == PathElement::kField) inner = member_place(atom, element.text, &named);
    if (named) node.add(element);
    node.add(element, name_place(inner, child, arena));
  }
  return node.build(arena);
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
    Arena arena;
    Index index(arena);
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

Result<FieldSet> fields_of(const Type& type, const Value& document, Arena& arena) {
  FieldSet set;
  auto self = collect({.root = &type}, document, &set, arena);
  if (!self.ok()) return self.status();
  return set;
}

Result<Value> merge_documents(const Type& type, const Value& live, const Value& applied) {
  Arena arena;
  return merge_place({.root = &type}, &live, &applied, arena);
}

Value remove_fields(const Type& type, const Value& document, const FieldSet& fields) {
  Arena arena;
  return remove_place({.root = &type}, document, fields, arena);
}

FieldSet with_named_fields(const Type& type, const FieldSet& fields, Arena& arena) { return name_place({.root = &type}, fields, arena); }

}  // namespace knarr::schema
