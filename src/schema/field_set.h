// SPDX-License-Identifier: Apache-2.0
// Sets of field paths, as server-side apply owns and compares them, and their JSON form (metav1.FieldsV1).
//
// A set is a tree: the paths that end here (members) and, by path element, the sets below. Both are kept in upstream's order, so that the
// same set always has the same text. Pure values.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace knarr::schema {

struct PathElement {
  enum Kind : char { kField = 'f', kKey = 'k', kValue = 'v', kIndex = 'i' };  // in upstream's order, which compare() follows
  Kind kind = kField;
  std::string text;   // a field's or map key's name; JSON of an item's keys (sorted by name) or of a set's value; an index

  // ".spec", "[name=\"a\"]", "[=\"v\"]", "[3]"
  std::string to_string() const;
  friend bool operator==(const PathElement&, const PathElement&) = default;
};
// Below, equal, above: numbers compare as numbers.
int compare(const PathElement& a, const PathElement& b);
inline PathElement field_element(std::string_view name) { return {PathElement::kField, std::string(name)}; }

using FieldPath = std::vector<PathElement>;
std::string path_text(std::span<const PathElement> path);

class FieldSet {
 public:
  using Child = std::pair<PathElement, FieldSet>;
  std::vector<PathElement> members;   // sorted
  std::vector<Child> children;        // sorted, none empty

  bool empty() const { return members.empty() && children.empty(); }
  bool has(std::span<const PathElement> path) const;
  bool has_member(const PathElement& element) const;
  const FieldSet* child(const PathElement& element) const;   // null: nothing below
  void insert(std::span<const PathElement> path);

  FieldSet unite(const FieldSet& other) const;
  FieldSet intersect(const FieldSet& other) const;
  // Without the paths of the other one; what lies below them stays.
  FieldSet subtract(const FieldSet& other) const;
  // Without the paths of the other one and everything below.
  FieldSet subtract_trees(const FieldSet& other) const;
  // Every path, members before what lies deeper.
  void for_each(const std::function<void(std::span<const PathElement>)>& visit) const;
  // After elements were appended in any order, each once.
  void sort();

  // 400 for what is no FieldsV1.
  static Result<FieldSet> parse(std::string_view json);
  void write(std::string& out) const;
  friend bool operator==(const FieldSet&, const FieldSet&) = default;
};

// "metadata.name" style, of field names only.
FieldSet field_set(std::initializer_list<std::string_view> dotted_paths);

}  // namespace knarr::schema
