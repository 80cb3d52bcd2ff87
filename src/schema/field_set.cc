// SPDX-License-Identifier: Apache-2.0
#include "schema/field_set.h"

#include <algorithm>
#include <charconv>

#include "schema/json.h"
#include "schema/json_reader.h"

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
bool child_before(const FieldSet::Child& a, const FieldSet::Child& b) { return before(a.element, b.element); }

// Both lists in step: both(x, y) for what is in both, left(x) and right(y) for the rest.
template <class T, class Key, class Left, class Both, class Right>
void zip(std::span<const T> a, std::span<const T> b, Key key, Left left, Both both, Right right) {
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
constexpr auto kElement = [](const FieldSet::Child& child) -> const PathElement& { return child.element; };
constexpr auto kIgnore = [](const auto&) {};

// Whether the text is how we write an item's keys: {"name":"x","port":80}, names ascending, nothing that could be written in two ways.
bool is_canonical(std::string_view text) {
  std::string_view last;
  auto string = [&text](std::string_view* out) {
    if (!text.starts_with('"')) return false;
    size_t end = 1;
    while (end < text.size() && text[end] != '"' && text[end] != '\\' && static_cast<int8_t>(text[end]) >= 0x20) ++end;
    if (end >= text.size() || text[end] != '"') return false;
    *out = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    return true;
  };
  auto eat = [&text](char c) {
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
  };
  if (!eat('{')) return false;
  for (bool first = true; first || eat(','); first = false) {
    std::string_view name, value;
    if (!string(&name) || name <= last || !eat(':')) return false;
    last = name;
    if (string(&value)) continue;
    size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0 || digits > 15 || (digits > 1 && text[0] == '0')) return false;
    text.remove_prefix(digits);
  }
  return text == "}";
}

// `key` need not outlive the element.
Result<PathElement> parse_element(std::string_view key, Arena& arena) {
  auto bad = [key] { return Status::make(400, "BadRequest", "invalid path element " + json::to_string(json::Value(key))); };
  if (key.size() < 2 || key[1] != ':') return bad();
  const auto kind = static_cast<PathElement::Kind>(key[0]);
  std::string_view text = key.substr(2);
  switch (kind) {
    case PathElement::kField: return PathElement{kind, arena.copy(text)};
    case PathElement::kIndex: {
      int index = 0;
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
      if (error != std::errc() || end != text.data() + text.size()) return bad();
      return PathElement{kind, arena.copy(text)};
    }
    case PathElement::kKey:
    case PathElement::kValue: {
      if (kind == PathElement::kKey && is_canonical(text)) return PathElement{kind, arena.copy(text)};
      // Written anew, so that equal elements have equal texts.
      auto parsed = json::parse(text);
      if (!parsed.ok() || (kind == PathElement::kKey && (!parsed->is_object() || parsed->members().empty()))) return bad();
      std::string written;
      json::write(written, *parsed, true);
      return PathElement{kind, arena.copy(written)};
    }
  }
  return bad();
}

// *is_member: the path that ends here is of the set above. Depth is bounded, because this recurses.
Result<FieldSet> parse_node(JsonReader& reader, int depth, bool* is_member, Arena& arena) {
  constexpr int kMaxDepth = 1000;
  if (reader.peek() != '{' || depth > kMaxDepth) return Status::make(400, "BadRequest", "fields must be objects");
  reader.begin_object();
  FieldSetBuilder builder;
  bool dot = false, any = false;
  for (std::string_view key; reader.next_key(key);) {
    any = true;
    if (key == ".") {
      dot = true;
      reader.skip_value();
      continue;
    }
    TRY_ASSIGN(PathElement element, parse_element(key, arena));
    bool ends = false;
    TRY_ASSIGN(FieldSet below, parse_node(reader, depth + 1, &ends, arena));
    if (ends) builder.add(element);
    builder.add(element, below);
  }
  if (reader.failed()) return reader.status();
  *is_member = dot || !any;
  return builder.build(arena);
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
  auto key = [&](const PathElement& element) {
    if (!first) out += ',';
    first = false;
    const size_t quote = out.size();
    json::write_string(out, element.text);
    const char prefix[] = {element.kind, ':'};
    out.insert(quote + 1, prefix, sizeof prefix);
    out += ':';
  };
  if (is_member) {
    out += "\".\":{}";
    first = false;
  }
  size_t i = 0, j = 0;
  while (i < set.members.size() || j < set.children.size()) {
    int order = i == set.members.size() ? 1 : j == set.children.size() ? -1 : compare(set.members[i], set.children[j].element);
    if (order < 0) {
      key(set.members[i++]);
      out += "{}";
      continue;
    }
    key(set.children[j].element);
    write_object(out, set.children[j].set, order == 0);
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
    case kField: return "." + std::string(text);
    case kIndex: return "[" + std::string(text) + "]";
    case kValue: return "[=" + std::string(text) + "]";
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
  auto at = std::lower_bound(children.begin(), children.end(), element, [](const Child& child, const PathElement& e) { return before(child.element, e); });
  return at == children.end() || compare(at->element, element) != 0 ? nullptr : &at->set;
}

bool FieldSet::has(std::span<const PathElement> path) const {
  if (path.empty()) return false;
  if (path.size() == 1) return has_member(path[0]);
  const FieldSet* below = child(path[0]);
  return below != nullptr && below->has(path.subspan(1));
}

bool operator==(const FieldSet& a, const FieldSet& b) {
  return std::ranges::equal(a.members, b.members) &&
         std::ranges::equal(a.children, b.children, [](const FieldSet::Child& x, const FieldSet::Child& y) { return x.element == y.element && x.set == y.set; });
}

FieldSet FieldSet::unite(const FieldSet& other, Arena& arena) const {
  if (other.empty()) return *this;
  if (empty()) return other;
  FieldSetBuilder out;
  auto keep = [&out](const PathElement& element) { out.add(element); };
  zip(members, other.members, kSelf, keep, [&](const PathElement& element, const PathElement&) { keep(element); }, keep);
  auto keep_child = [&out](const Child& child) { out.add(child.element, child.set); };
  zip(children, other.children, kElement, keep_child,
      [&](const Child& a, const Child& b) { out.add(a.element, a.set.unite(b.set, arena)); }, keep_child);
  return out.build(arena);
}

FieldSet FieldSet::intersect(const FieldSet& other, Arena& arena) const {
  FieldSetBuilder out;
  zip(members, other.members, kSelf, kIgnore, [&out](const PathElement& element, const PathElement&) { out.add(element); }, kIgnore);
  zip(children, other.children, kElement, kIgnore,
      [&](const Child& a, const Child& b) { out.add(a.element, a.set.intersect(b.set, arena)); }, kIgnore);
  return out.build(arena);
}

FieldSet FieldSet::subtract(const FieldSet& other, Arena& arena) const {
  if (other.empty()) return *this;
  FieldSetBuilder out;
  zip(members, other.members, kSelf, [&out](const PathElement& element) { out.add(element); },
      [](const PathElement&, const PathElement&) {}, kIgnore);
  zip(children, other.children, kElement, [&out](const Child& child) { out.add(child.element, child.set); },
      [&](const Child& a, const Child& b) { out.add(a.element, a.set.subtract(b.set, arena)); }, kIgnore);
  return out.build(arena);
}

FieldSet FieldSet::subtract_trees(const FieldSet& other, Arena& arena) const {
  if (other.empty()) return *this;
  FieldSetBuilder out;
  zip(members, other.members, kSelf, [&out](const PathElement& element) { out.add(element); },
      [](const PathElement&, const PathElement&) {}, kIgnore);
  for (const auto& [element, below] : children) {
    if (other.has_member(element)) continue;
    const FieldSet* without = other.child(element);
    out.add(element, without == nullptr ? below : below.subtract_trees(*without, arena));
  }
  return out.build(arena);
}

void FieldSet::for_each(const std::function<void(std::span<const PathElement>)>& visit) const {
  FieldPath path;
  visit_all(*this, path, visit);
}

Result<FieldSet> FieldSet::parse(std::string_view text, Arena& arena) {
  JsonReader reader(text);
  bool is_member = false;
  TRY_ASSIGN(FieldSet set, parse_node(reader, 0, &is_member, arena));
  if (!reader.finish()) return reader.status();
  return set;
}

void FieldSet::write(std::string& out) const { write_object(out, *this, false); }

FieldSet FieldSetBuilder::build(Arena& arena) {
  FieldSet set;
  if (!std::is_sorted(members_.begin(), members_.end(), before)) std::sort(members_.begin(), members_.end(), before);
  members_.erase(std::unique(members_.begin(), members_.end()), members_.end());
  if (!std::is_sorted(children_.begin(), children_.end(), child_before)) std::sort(children_.begin(), children_.end(), child_before);
  set.members = arena.copy(std::span<const PathElement>(members_));
  set.children = arena.copy(std::span<const FieldSet::Child>(children_));
  return set;
}

FieldSet field_set(std::initializer_list<std::string_view> dotted_paths, Arena& arena) {
  FieldSet set;
  for (std::string_view dotted : dotted_paths) {
    FieldPath path;
    while (!dotted.empty()) {
      size_t dot = std::min(dotted.find('.'), dotted.size());
      path.push_back(field_element(dotted.substr(0, dot)));
      dotted.remove_prefix(std::min(dot + 1, dotted.size()));
    }
    FieldSet one;
    for (size_t i = path.size(); i-- > 0;) {
      FieldSetBuilder node;
      if (i + 1 == path.size()) {
        node.add(path[i]);
      } else {
        node.add(path[i], one);
      }
      one = node.build(arena);
    }
    set = set.unite(one, arena);
  }
  return set;
}

}  // namespace knarr::schema
