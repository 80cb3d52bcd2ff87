// SPDX-License-Identifier: Apache-2.0
// Sets of field paths, as server-side apply owns and compares them, and their JSON form (metav1.FieldsV1).
//
// A set is a tree: the paths that end here (members) and, by path element, the sets below. Both are kept in upstream's order, so that the
// same set always has the same text. A set is a view: its nodes and texts lie in the arena it was made with, or in the tables, and are
// shared between sets; copying one costs nothing. Pure values.
#pragma once

#include <absl/container/inlined_vector.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/status.h"

namespace knarr::schema {

struct PathElement {
  enum Kind : char { kField = 'f', kKey = 'k', kValue = 'v', kIndex = 'i' };  // in upstream's order, which compare() follows
  Kind kind = kField;
  std::string_view text;   // a field's or map key's name; JSON of an item's keys (sorted by name) or of a set's value; an index

  // ".spec", "[name=\"a\"]", "[=\"v\"]", "[3]"
  std::string to_string() const;
  friend bool operator==(const PathElement&, const PathElement&) = default;
};
// Below, equal, above: numbers compare as numbers.
int compare(const PathElement& a, const PathElement& b);
inline PathElement field_element(std::string_view name) { return {PathElement::kField, name}; }

using FieldPath = std::vector<PathElement>;
std::string path_text(std::span<const PathElement> path);

class FieldSet {
 public:
  struct Child;
  std::span<const PathElement> members;   // sorted
  std::span<const Child> children;        // sorted, none empty

  bool empty() const { return members.empty() && children.empty(); }
  bool has(std::span<const PathElement> path) const;
  bool has_member(const PathElement& element) const;
  const FieldSet* child(const PathElement& element) const;   // null: nothing below

  FieldSet unite(const FieldSet& other, Arena& arena) const;
  FieldSet intersect(const FieldSet& other, Arena& arena) const;
  // Without the paths of the other one; what lies below them stays.
  FieldSet subtract(const FieldSet& other, Arena& arena) const;
  // Without the paths of the other one and everything below.
  FieldSet subtract_trees(const FieldSet& other, Arena& arena) const;
  // Every path, members before what lies deeper.
  void for_each(const std::function<void(std::span<const PathElement>)>& visit) const;

  // 400 for what is no FieldsV1. `json` need not outlive the set.
  static Result<FieldSet> parse(std::string_view json, Arena& arena);
  void write(std::string& out) const;
  friend bool operator==(const FieldSet& a, const FieldSet& b);
};

struct FieldSet::Child {
  PathElement element;
  FieldSet set;
};

// One node of a set in the making; elements come in any order.
class FieldSetBuilder {
 public:
  void add(const PathElement& member) { members_.push_back(member); }
  // Nothing when the set is empty.
  void add(const PathElement& element, const FieldSet& below) {
    if (!below.empty()) children_.push_back({element, below});
  }
  FieldSet build(Arena& arena);

 private:
  absl::InlinedVector<PathElement, 8> members_;
  absl::InlinedVector<FieldSet::Child, 4> children_;
};

// "metadata.name" style, of field names only, which must outlive the set.
FieldSet field_set(std::initializer_list<std::string_view> dotted_paths, Arena& arena);

}  // namespace knarr::schema
