// SPDX-License-Identifier: Apache-2.0
#include "schema/field_set.h"

#include <algorithm>
#include <charconv>

#include "schema/json.h"

namespace knarr::schema {
namespace {

int rank(PathElement::Kind kind) {
  switch (kind) {
    case PathElement::kField: return 0;
    case PathElement::kKey: return 1;
    case PathElement::kValue: return 2;
    case PathElement::kIndex: return 3;
  }
  return 4;
}

int sign(auto order) { return order < 0 ? -1 : order > 0 ? 1 : 0; }

// Upstream's order of types: numbers, strings, booleans, then the rest.
int type_rank(const json::Value& value) {
  if (value.is_number()) return 0;
  if (value.is_string()) return 1;
  return value.is_bool() ? 2 : 3;
}

int compare_scalars(const json::Value& a, const json::Value& b) {
  if (type_rank(a) != type_rank(b)) return sign(type_rank(a) - type_rank(b));
  if (a.is_int() && b.is_int()) return a.as_int() < b.as_int() ? -1 : a.as_int() > b.as_int() ? 1 : 0;
  if (a.is_number()) return a.as_double() < b.as_double() ? -1 : a.as_double() > b.as_double() ? 1 : 0;
  if (a.is_string()) return sign(a.as_string().compare(b.as_string()));
  if (a.is_bool()) return sign(static_cast<int>(a.as_bool()) - static_cast<int>(b.as_bool()));
  return sign(json::to_string(a).compare(json::to_string(b)));
}

// Texts of one shape that first differ inside a string, by far the most: 0 when that cannot be told without parsing.
int compare_inside_string(std::string_view a, std::string_view b) {
  bool inside = false;
  size_t at = 0;
  for (; at < a.size() && at < b.size() && a[at] == b[at]; ++at) {
    if (a[at] == '\\') return 0;
    if (a[at] == '"') inside = !inside;
  }
  if (!inside || at == a.size() || at == b.size() || a[at] == '\\' || b[at] == '\\') return 0;
  // The one that ends here is the shorter.
  if (a[at] == '"' || b[at] == '"') return a[at] == '"' ? -1 : 1;
  return static_cast<uint8_t>(a[at]) < static_cast<uint8_t>(b[at]) ? -1 : 1;
}

int compare_texts(std::string_view a, std::string_view b) {
  if (int order = compare_inside_string(a, b); order != 0) return order;
  auto left = json::parse(a), right = json::parse(b);
  if (!left.ok() || !right.ok()) return sign(a.compare(b));
  if (!left->is_object() || !right->is_object()) return compare_scalars(*left, *right);
  const auto &x = left->members(), &y = right->members();
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (int order = x[i].first.compare(y[i].first); order != 0) return sign(order);
    if (int order = compare_scalars(x[i].second, y[i].second); order != 0) return order;
  }
  return x.size() < y.size() ? -1 : x.size() > y.size() ? 1 : 0;
}

bool before(const PathElement& a, const PathElement& b) { return compare(a, b) < 0; }
bool child_before(const FieldSet::Child& a, const FieldSet::Child& b) { return before(a.first, b.first); }

// Both lists in step: both(x, y) for what is in both, left(x) and right(y) for the rest.
template <class T, class Key, class Left, class Both, class Right>
void zip(const std::vector<T>& a, const std::vector<T>& b, Key key, Left left, Both both, Right right) {
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    int order = i == a.size() ? 1 : j == b.size() ? -1 : compare(key(a[i]), key(b[j]));
    if (order < 0) {
      left(a[i++]);
    } else if (order > 0) {
      right(b[j++]);
    } else {
      both(a[i++], b[j++]);
    }
  }
}
constexpr auto kSelf = [](const PathElement& element) -> const PathElement& { return element; };
constexpr auto kFirst = [](const FieldSet::Child& child) -> const PathElement& { return child.first; };
constexpr auto kIgnore = [](const auto&) {};

void add_child(FieldSet& set, const PathElement& element, FieldSet child) {
  if (!child.empty()) set.children.emplace_back(element, std::move(child));
}

std::string element_key(const PathElement& element) { return std::string(1, element.kind) + ":" + element.text; }

Result<PathElement> parse_element(std::string_view key) {
  Status bad = Status::make(400, "BadRequest", "invalid path element " + json::to_string(json::Value(key)));
  if (key.size() < 2 || key[1] != ':') return bad;
  PathElement element{static_cast<PathElement::Kind>(key[0]), std::string(key.substr(2))};
  switch (element.kind) {
    case PathElement::kField: return element;
    case PathElement::kIndex: {
      int index = 0;
      auto [end, error] = std::from_chars(element.text.data(), element.text.data() + element.text.size(), index);
      if (error != std::errc() || end != element.text.data() + element.text.size()) return bad;
      return element;
    }
    case PathElement::kKey:
    case PathElement::kValue: {
      // Written anew, so that equal elements have equal texts.
      auto parsed = json::parse(element.text);
      if (!parsed.ok() || (element.kind == PathElement::kKey && (!parsed->is_object() || parsed->members().empty()))) return bad;
      element.text.clear();
      json::write(element.text, *parsed, true);
      return element;
    }
  }
  return bad;
}

Status parse_into(const json::Value& object, FieldSet& set) {
  if (!object.is_object()) return Status::make(400, "BadRequest", "fields must be objects");
  for (const auto& [key, value] : object.members()) {
    if (key == ".") continue;
    TRY_ASSIGN(PathElement element, parse_element(key));
    FieldSet child;
    TRY(parse_into(value, child));
    if (value.members().empty() || value.find(".") != nullptr) set.members.push_back(element);
    add_child(set, element, std::move(child));
  }
  set.sort();
  return {};
}

void visit_all(const FieldSet& set, FieldPath& path, const std::function<void(std::span<const PathElement>)>& visit) {
  for (const PathElement& member : set.members) {
    path.push_back(member);
    visit(path);
    path.pop_back();
  }
  for (const auto& [element, child] : set.children) {
    path.push_back(element);
    visit_all(child, path, visit);
    path.pop_back();
  }
}

void write_object(std::string& out, const FieldSet& set, bool is_member) {
  out += '{';
  bool first = true;
  auto key = [&](std::string_view text) {
    if (!first) out += ',';
    first = false;
    json::write_string(out, text);
    out += ':';
  };
  if (is_member) {
    key(".");
    out += "{}";
  }
  size_t i = 0, j = 0;
  while (i < set.members.size() || j < set.children.size()) {
    int order = i == set.members.size() ? 1 : j == set.children.size() ? -1 : compare(set.members[i], set.children[j].first);
    if (order < 0) {
      key(element_key(set.members[i++]));
      out += "{}";
      continue;
    }
    key(element_key(set.children[j].first));
    write_object(out, set.children[j].second, order == 0);
    if (order == 0) ++i;
    ++j;
  }
  out += '}';
}

}  // namespace

int compare(const PathElement& a, const PathElement& b) {
  if (a.kind != b.kind) return sign(rank(a.kind) - rank(b.kind));
  if (a.kind == PathElement::kField) return sign(a.text.compare(b.text));
  return a.text == b.text ? 0 : compare_texts(a.text, b.text);
}

std::string PathElement::to_string() const {
  switch (kind) {
    case kField: return "." + text;
    case kIndex: return "[" + text + "]";
    case kValue: return "[=" + text + "]";
    case kKey: break;
  }
  auto keys = json::parse(text);
  std::string out = "[";
  if (keys.ok())
    for (const auto& [name, value] : keys->members()) out += (out.size() > 1 ? "," : "") + name + "=" + json::to_string(value);
  return out + "]";
}

std::string path_text(std::span<const PathElement> path) {
  std::string text;
  for (const PathElement& element : path) text += element.to_string();
  return text;
}

bool FieldSet::has_member(const PathElement& element) const { return std::binary_search(members.begin(), members.end(), element, before); }

const FieldSet* FieldSet::child(const PathElement& element) const {
  auto at = std::lower_bound(children.begin(), children.end(), element, [](const Child& child, const PathElement& e) { return before(child.first, e); });
  return at == children.end() || compare(at->first, element) != 0 ? nullptr : &at->second;
}

bool FieldSet::has(std::span<const PathElement> path) const {
  if (path.empty()) return false;
  if (path.size() == 1) return has_member(path[0]);
  const FieldSet* below = child(path[0]);
  return below != nullptr && below->has(path.subspan(1));
}

void FieldSet::insert(std::span<const PathElement> path) {
  if (path.empty()) return;
  if (path.size() == 1) {
    auto at = std::lower_bound(members.begin(), members.end(), path[0], before);
    if (at == members.end() || compare(*at, path[0]) != 0) members.insert(at, path[0]);
    return;
  }
  auto at = std::lower_bound(children.begin(), children.end(), path[0], [](const Child& child, const PathElement& e) { return before(child.first, e); });
  if (at == children.end() || compare(at->first, path[0]) != 0) at = children.emplace(at, path[0], FieldSet());
  at->second.insert(path.subspan(1));
}

FieldSet FieldSet::unite(const FieldSet& other) const {
  FieldSet out;
  auto keep = [&out](const PathElement& element) { out.members.push_back(element); };
  zip(members, other.members, kSelf, keep, [&](const PathElement& element, const PathElement&) { keep(element); }, keep);
  auto keep_child = [&out](const Child& child) { out.children.push_back(child); };
  zip(children, other.children, kFirst, keep_child, [&out](const Child& a, const Child& b) { add_child(out, a.first, a.second.unite(b.second)); },
      keep_child);
  return out;
}

FieldSet FieldSet::intersect(const FieldSet& other) const {
  FieldSet out;
  zip(members, other.members, kSelf, kIgnore, [&out](const PathElement& element, const PathElement&) { out.members.push_back(element); }, kIgnore);
  zip(children, other.children, kFirst, kIgnore, [&out](const Child& a, const Child& b) { add_child(out, a.first, a.second.intersect(b.second)); },
      kIgnore);
  return out;
}

FieldSet FieldSet::subtract(const FieldSet& other) const {
  FieldSet out;
  zip(members, other.members, kSelf, [&out](const PathElement& element) { out.members.push_back(element); },
      [](const PathElement&, const PathElement&) {}, kIgnore);
  zip(children, other.children, kFirst, [&out](const Child& child) { out.children.push_back(child); },
      [&out](const Child& a, const Child& b) { add_child(out, a.first, a.second.subtract(b.second)); }, kIgnore);
  return out;
}

FieldSet FieldSet::subtract_trees(const FieldSet& other) const {
  FieldSet out;
  zip(members, other.members, kSelf, [&out](const PathElement& element) { out.members.push_back(element); },
      [](const PathElement&, const PathElement&) {}, kIgnore);
  for (const auto& [element, child] : children) {
    if (other.has_member(element)) continue;
    const FieldSet* below = other.child(element);
    add_child(out, element, below == nullptr ? child : child.subtract_trees(*below));
  }
  return out;
}

void FieldSet::for_each(const std::function<void(std::span<const PathElement>)>& visit) const {
  FieldPath path;
  visit_all(*this, path, visit);
}

void FieldSet::sort() {
  std::sort(members.begin(), members.end(), before);
  members.erase(std::unique(members.begin(), members.end()), members.end());
  std::sort(children.begin(), children.end(), child_before);
}

Result<FieldSet> FieldSet::parse(std::string_view text) {
  TRY_ASSIGN(json::Value value, json::parse(text));
  FieldSet set;
  TRY(parse_into(value, set));
  return set;
}

void FieldSet::write(std::string& out) const { write_object(out, *this, false); }

FieldSet field_set(std::initializer_list<std::string_view> dotted_paths) {
  FieldSet set;
  for (std::string_view dotted : dotted_paths) {
    FieldPath path;
    while (!dotted.empty()) {
      size_t dot = std::min(dotted.find('.'), dotted.size());
      path.push_back(field_element(dotted.substr(0, dot)));
      dotted.remove_prefix(std::min(dot + 1, dotted.size()));
    }
    set.insert(path);
  }
  return set;
}

}  // namespace knarr::schema
