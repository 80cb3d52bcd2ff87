// SPDX-License-Identifier: Apache-2.0
#include "schema/field_changes.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>

#include "schema/codec.h"
#include "schema/codec_internal.h"
#include "schema/json.h"
#include "schema/json_text.h"
#include "schema/merge_places.h"

namespace knarr::schema {
namespace {

using json::Value;

enum Change : uint8_t { kNothing, kRemoved, kModified, kAdded };

// What an object has in a place: nothing, null, or a value.
struct Seen {
  bool there = false;
  const void* at = nullptr;
};

Change whole_change(bool before, bool after) { return before ? after ? kModified : kRemoved : kAdded; }

// What changed below one place, in the making.
class Node {
 public:
  void add(const PathElement& element, Change self, const FieldChanges& below) {
    if (self != kNothing) set_of(self).add(element);
    removed_.add(element, below.removed);
    modified_.add(element, below.modified);
    added_.add(element, below.added);
  }
  FieldChanges build(Arena& arena) { return {removed_.build(arena), modified_.build(arena), added_.build(arena)}; }

 private:
  FieldSetBuilder& set_of(Change change) { return change == kRemoved ? removed_ : change == kModified ? modified_ : added_; }
  FieldSetBuilder removed_, modified_, added_;
};

// The elements of a list's items. Long lists get an index.
class Items {
 public:
  // False: there is one already.
  bool add(const PathElement& element) {
    if (find(element) != kNone) return false;
    elements_.push_back(element);
    if (elements_.size() == kScanLimit)
      for (size_t i = 0; i < kScanLimit; ++i) index_.emplace(elements_[i].text, i);
    if (elements_.size() > kScanLimit) index_.emplace(element.text, elements_.size() - 1);
    return true;
  }
  size_t find(const PathElement& element) const {
    if (!index_.empty()) {
      auto found = index_.find(element.text);
      return found == index_.end() ? kNone : found->second;
    }
    for (size_t i = 0; i < elements_.size(); ++i)
      if (elements_[i].text == element.text) return i;
    return kNone;
  }
  size_t size() const { return elements_.size(); }
  const PathElement& operator[](size_t i) const { return elements_[i]; }
  static constexpr size_t kNone = ~size_t{0};

 private:
  static constexpr size_t kScanLimit = 16;
  absl::InlinedVector<PathElement, 8> elements_;
  absl::flat_hash_map<std::string_view, size_t> index_;
};

// Values of both sides that no table describes.
class UntypedComparison {
 public:
  explicit UntypedComparison(Arena& arena) : arena_(arena) {}

  Change compare(const Value* before, const Value* after, FieldChanges* changes) {
    const Value* seen = after != nullptr && !after->is_null() ? after : before;
    if (seen == nullptr || !seen->is_object() || (is_bare(before) && is_bare(after))) {
      if (before != nullptr && after != nullptr) return *before == *after ? kNothing : kModified;
      return whole_change(before != nullptr, after != nullptr);
    }
    Node node;
    members(before, after, node);
    *changes = node.build(arena_);
    return before == nullptr ? kAdded : after == nullptr ? kRemoved : kNothing;
  }

  void members(const Value* before, const Value* after, Node& node) {
    auto child = [&](const std::string& name, const Value* left, const Value* right) {
      FieldChanges below;
      Change self = compare(left, right, &below);
      if (self != kNothing || !below.none()) node.add(field_element(arena_.copy(name)), self, below);
    };
    if (before != nullptr && before->is_object())
      for (const auto& [name, value] : before->members()) child(name, &value, after == nullptr ? nullptr : after->find(name));
    if (after != nullptr && after->is_object())
      for (const auto& [name, value] : after->members())
        if (before == nullptr || before->find(name) == nullptr) child(name, nullptr, &value);
  }

 private:
  static bool is_bare(const Value* value) { return value == nullptr || !value->is_object() || value->members().empty(); }
  Arena& arena_;
};

class Comparison {
 public:
  Comparison(const Type* unseen, Arena& arena) : unseen_(unseen), arena_(arena) {}

  // Null objects are not there. *any: one of them has members.
  Status fields(const Type& type, const void* before, const void* after, Node& node, bool* any) {
    for (const Field& field : type.fields()) {
      const void* left = before == nullptr ? nullptr : field_at(before, field);
      const void* right = after == nullptr ? nullptr : field_at(after, field);
      if ((field.flags & kInline) != 0) {
        TRY(fields(field_type(type, field), left, right, node, any));
        continue;
      }
      if (field.name == 0) {
        unknown_members(static_cast<const Raw*>(left), static_cast<const Raw*>(right), node, any);
        continue;
      }
      Seen x = look(field, left), y = look(field, right);
      if (!x.there && !y.there) continue;
      *any = true;
      if (unseen_ != nullptr && field.kind == Kind::kStruct && &field_type(type, field) == unseen_) continue;
      TRY(child({.owner = &type, .field = &field}, field_element(field_name(type, field)), x, y, node));
    }
    return {};
  }

 private:
  // As the JSON encoder decides it.
  static Seen look(const Field& field, const void* at) {
    if (at == nullptr) return {};
    const bool omit = (field.flags & kOmitEmpty) != 0;
    switch (field.shape) {
      case Shape::kPlain: return {!omit || !is_empty_value(field.kind, at), at};
      case Shape::kOptional: {
        const void* held = optional_value(field.kind, at);
        return {held != nullptr || !omit, held};
      }
      case Shape::kList:
      case Shape::kMap: break;
    }
    const auto* list = static_cast<const RawList*>(at);
    return {!omit || list->size() != 0, list->block == nullptr ? nullptr : at};
  }

  Status child(const Place& place, const PathElement& element, Seen before, Seen after, Node& node) {
    FieldChanges below;
    TRY_ASSIGN(Change self, compare(place, before, after, &below));
    if (self != kNothing || !below.none()) node.add(element, self, below);
    return {};
  }

  Result<Change> compare(const Place& place, Seen before, Seen after, FieldChanges* changes) {
    Atom atom = atom_of(place);
    if (atom.form == Atom::kUntyped) return untyped(place, before, after, changes);
    if (atom.form == Atom::kScalar || atom.atomic) return leaf(place, before, after);
    Node node;
    bool any = false;
    switch (atom.form) {
      case Atom::kStruct: TRY(fields(*atom.type, before.at, after.at, node, &any)); break;
      case Atom::kMap: TRY(entries(atom, before, after, node, &any)); break;
      default:
        if (before.at != nullptr && after.at != nullptr && equal_places(place, before.at, after.at)) return kNothing;
        TRY(items(atom, before, after, node, &any));
    }
    // With nothing in either, it is one value.
    if (!any) return leaf(place, before, after);
    *changes = node.build(arena_);
    // What was not there, or is no more, changes as a whole too.
    return !before.there ? kAdded : !after.there ? kRemoved : kNothing;
  }

  Change leaf(const Place& place, Seen before, Seen after) const {
    if (!before.there || !after.there) return whole_change(before.there, after.there);
    if (before.at == nullptr || after.at == nullptr) return before.at == after.at ? kNothing : kModified;
    return equal_places(place, before.at, after.at) ? kNothing : kModified;
  }

  static bool equal_places(const Place& place, const void* a, const void* b) {
    if (place.root != nullptr) return equal(*place.root, a, b);
    const Field& field = *place.field;
    const bool list = !place.element && (field.shape == Shape::kList || field.shape == Shape::kMap);
    if (!list) return equal_value(field.kind, place.type(), a, b);
    return equal_list(field.kind, place.type(), *static_cast<const RawList*>(a), *static_cast<const RawList*>(b), field.shape == Shape::kMap);
  }

  Status entries(const Atom& atom, Seen before, Seen after, Node& node, bool* any) {
    static const RawList kNone;
    const RawList& left = before.at == nullptr ? kNone : *static_cast<const RawList*>(before.at);
    const RawList& right = after.at == nullptr ? kNone : *static_cast<const RawList*>(after.at);
    const size_t step = map_entry_size(kind_size(atom.inner.field->kind, atom.inner.type()));
    auto key = [step](const RawList& map, size_t i) { return reinterpret_cast<const Str*>(map.at(i, step))->view(); };
    auto value = [step](const RawList& map, size_t i) { return Seen{true, map.at(i, step) + kMapValueOffset}; };
    for (size_t i = 0, j = 0; i < left.size() || j < right.size();) {
      *any = true;
      const int order = i == left.size() ? 1 : j == right.size() ? -1 : key(left, i).compare(key(right, j));
      PathElement element = field_element(arena_.copy(order > 0 ? key(right, j) : key(left, i)));
      Seen x = order <= 0 ? value(left, i) : Seen(), y = order >= 0 ? value(right, j) : Seen();
      TRY(child(atom.inner, element, x, y, node));
      if (order <= 0) ++i;
      if (order >= 0) ++j;
    }
    return {};
  }

  Status items(const Atom& atom, Seen before, Seen after, Node& node, bool* any) {
    const Keys keys(atom);
    const size_t step = kind_size(atom.inner.field->kind, atom.inner.type());
    Items left, right;
    TRY(index(atom, keys, after, step, right));
    TRY(index(atom, keys, before, step, left));
    *any = left.size() + right.size() != 0;
    auto item = [step](Seen list, size_t i) { return i == Items::kNone ? Seen() : Seen{true, static_cast<const RawList*>(list.at)->at(i, step)}; };
    for (size_t i = 0; i < left.size(); ++i) TRY(child(atom.inner, left[i], item(before, i), item(after, right.find(left[i])), node));
    for (size_t i = 0; i < right.size(); ++i)
      if (left.find(right[i]) == Items::kNone) TRY(child(atom.inner, right[i], Seen(), item(after, i), node));
    return {};
  }

  // The keys of a list by key, in the order in which elements name them.
  struct Keys {
    explicit Keys(const Atom& list) {
      if (list.keys.empty() || list.inner.type() == nullptr) return;
      for_each_key(list.keys, [&](std::string_view key) { all.push_back({key, find_named(*list.inner.type(), key), default_of_key(list.inner, key)}); });
      std::sort(all.begin(), all.end(), [](const Key& a, const Key& b) { return a.name < b.name; });
    }
    struct Key {
      std::string_view name;
      NamedField field;
      std::string_view fallback;
    };
    absl::InlinedVector<Key, 3> all;
  };

  // Fails as upstream at the first item without a key and the second with the same.
  Status index(const Atom& atom, const Keys& keys, Seen list, size_t step, Items& out) {
    if (list.at == nullptr) return {};
    const auto& items = *static_cast<const RawList*>(list.at);
    for (size_t i = 0; i < items.size(); ++i) {
      auto element = item_element(atom, keys, items.at(i, step));
      if (!element.ok()) return Status::error("element " + std::to_string(i) + ": " + std::string(element.status().message()));
      if (!out.add(*element)) return Status::error("duplicate entries for key " + element->to_string());
    }
    return {};
  }

  Result<PathElement> item_element(const Atom& atom, const Keys& keys, const void* item) {
    text_.clear();
    if (atom.keys.empty()) {
      if (atom.inner.field->kind != Kind::kString) return Status::error("associative list without keys has an element that's a map type");
      json::write_string(text_, static_cast<const Str*>(item)->view());
      return PathElement{PathElement::kValue, arena_.copy(text_)};
    }
    if (atom.inner.field->kind != Kind::kStruct) return Status::error("associative list with keys may not have non-map elements");
    text_ += '{';
    for (const Keys::Key& key : keys.all) {
      const void* at = key.field.field == nullptr ? nullptr : static_cast<const char*>(item) + key.field.offset;
      const Seen seen = at == nullptr ? Seen() : look(*key.field.field, at);
      if (!seen.there && key.fallback.empty()) return Status::error(missing_key_text(key.name));
      if (text_.size() > 1) text_ += ',';
      json::write_string(text_, key.name);
      text_ += ':';
      if (!seen.there) {
        text_ += key.fallback;
      } else {
        key_value(key.field.field->kind, seen.at);
      }
    }
    text_ += '}';
    return PathElement{PathElement::kKey, arena_.copy(text_)};
  }

  // Keys are scalars.
  void key_value(Kind kind, const void* at) {
    if (at == nullptr) {
      text_ += "null";
      return;
    }
    switch (kind) {
      case Kind::kString: return json::write_string(text_, static_cast<const Str*>(at)->view());
      case Kind::kInt32: return append_int(text_, *static_cast<const int32_t*>(at));
      case Kind::kInt64: return append_int(text_, *static_cast<const int64_t*>(at));
      case Kind::kBool: text_ += *static_cast<const bool*>(at) ? "true" : "false"; return;
      default: text_ += "null"; return;
    }
  }

  Result<Change> untyped(const Place& place, Seen before, Seen after, FieldChanges* changes) {
    if (before.at != nullptr && after.at != nullptr && equal_places(place, before.at, after.at)) return kNothing;
    Value left = document(place, before.at), right = document(place, after.at);
    return UntypedComparison(arena_).compare(before.there ? &left : nullptr, after.there ? &right : nullptr, changes);
  }

  static Value document(const Place& place, const void* at) {
    if (at == nullptr) return {};
    std::string text;
    if (const Type* type = place.type(); type != nullptr) {
      encode_json(text, *type, at);
    } else {
      append_raw_json(text, static_cast<const Raw*>(at)->bytes, place.field->kind);
    }
    auto parsed = json::parse(text);
    return parsed.ok() ? std::move(*parsed) : Value();
  }

  // What a run-time type keeps of fields that it does not know.
  void unknown_members(const Raw* before, const Raw* after, Node& node, bool* any) {
    auto parse = [](const Raw* raw) {
      auto parsed = json::parse(raw == nullptr ? std::string_view() : raw->bytes.view());
      return parsed.ok() ? std::move(*parsed) : Value();
    };
    Value left = parse(before), right = parse(after);
    if (!left.members().empty() || !right.members().empty()) *any = true;
    UntypedComparison(arena_).members(&left, &right, node);
  }

  const Type* unseen_;
  Arena& arena_;
  std::string text_;
};

}  // namespace

Result<FieldChanges> compare_objects(const Type& type, const void* before, const void* after, const Type* unseen, Arena& arena) {
  Node node;
  bool any = false;
  Comparison comparison(unseen, arena);
  TRY(comparison.fields(type, before, after, node, &any));
  return node.build(arena);
}

}  // namespace knarr::schema
