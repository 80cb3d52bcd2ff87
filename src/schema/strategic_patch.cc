// SPDX-License-Identifier: Apache-2.0
// Strategic merge patch, after apimachinery's pkg/util/strategicpatch, with the type tables in the
// place of Go's struct tags. Where upstream compares every element with every other one, an index
// keeps the work linear.
#include <algorithm>
#include <optional>

#include "schema/object_editor.h"
#include "schema/patch.h"
#include "schema/strategic_schema.h"

namespace knarr::schema {
namespace {

using json::Value;

constexpr std::string_view kDirective = "$patch";
constexpr std::string_view kDeleteFromList = "$deleteFromPrimitiveList";
constexpr std::string_view kSetElementOrder = "$setElementOrder";
constexpr std::string_view kRetainKeysKey = "$retainKeys";

Status bad_format(std::string_view of) {
  return Status::make(400, "BadRequest", "invalid patch format of " + std::string(of));
}

// Equal texts mean equal values of one Go type.
std::string identity(const Value& value) {
  return std::string(1, static_cast<char>('0' + static_cast<int>(value.type()))) +
         json::to_string(value);
}

std::string element_identity(const Value& item, std::string_view merge_key) {
  if (merge_key.empty()) return identity(item);
  const Value* key = item.find(merge_key);
  return key == nullptr ? std::string() : identity(*key);
}

// First positions of the elements of a list, by merge key or value.
class Positions {
 public:
  Positions(const Value::Array& items, std::string_view merge_key) : merge_key_(merge_key) {
    for (size_t i = 0; i < items.size(); ++i) add(items[i], i);
  }
  void add(const Value& item, size_t position) {
    std::string text = element_identity(item, merge_key_);
    if (!text.empty()) positions_.emplace(std::move(text), position);
  }
  std::optional<size_t> find(const Value& item) const {
    auto found = positions_.find(element_identity(item, merge_key_));
    return found == positions_.end() ? std::nullopt : std::optional<size_t>(found->second);
  }

 private:
  std::string_view merge_key_;
  absl::flat_hash_map<std::string, size_t> positions_;
};

bool has_directive(const Value& value) {
  return value.is_object() && value.find(kDirective) != nullptr;
}

// Values that hold a directive go; false when this one does.
bool remove_directives(Value& value) {
  if (has_directive(value)) return false;
  if (value.is_object()) {
    std::erase_if(value.members(),
                  [](Value::Member& member) { return !remove_directives(member.second); });
  } else if (value.is_array()) {
    std::erase_if(value.items(), [](Value& item) { return !remove_directives(item); });
  }
  return true;
}

void discard_nulls(Value& value) {
  if (value.is_object()) {
    std::erase_if(value.members(),
                  [](const Value::Member& member) { return member.second.is_null(); });
    for (Value::Member& member : value.members()) discard_nulls(member.second);
  } else if (value.is_array()) {
    for (Value& item : value.items()) discard_nulls(item);
  }
}

// ---- order of merged lists
// ----------------------------------------------------------------------------------------------------

Status check_merge_keys(const Value::Array& items, std::string_view merge_key) {
  for (const Value& item : items) {
    if (!item.is_object()) return bad_type("map[string]interface {}", item);
    if (item.find(merge_key) == nullptr) return no_merge_key(item, merge_key);
  }
  return {};
}

// Stable, by the positions of an order; elements marked for deletion come last.
void sort_by(Value::Array& items, const Positions& order, bool maps) {
  std::vector<std::pair<size_t, Value>> ranked;
  ranked.reserve(items.size());
  for (Value& item : items) {
    const Value* directive = maps ? item.find(kDirective) : nullptr;
    bool deleted = directive != nullptr && directive->as_string() == "delete";
    size_t rank = deleted ? SIZE_MAX : order.find(item).value_or(SIZE_MAX - 1);
    ranked.emplace_back(rank, std::move(item));
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 0; i < items.size(); ++i) items[i] = std::move(ranked[i].second);
}

// Items that the patch orders keep its order; the server's own keep theirs and are woven in where
// the live list had them.
Result<Value::Array> normalize_order(Value::Array patch_items, Value::Array server_items,
                                     const Value::Array& patch_order,
                                     const Value::Array& server_order, std::string_view merge_key,
                                     bool maps) {
  if (maps)
    for (const Value::Array* list : std::initializer_list<const Value::Array*>{
             &patch_items, &patch_order, &server_items, &server_order})
      TRY(check_merge_keys(*list, merge_key));
  std::string_view key = maps ? merge_key : "";
  Positions server_positions(server_order, key);
  sort_by(patch_items, Positions(patch_order, key), maps);
  sort_by(server_items, server_positions, maps);
  Value::Array all;
  all.reserve(patch_items.size() + server_items.size());
  size_t i = 0, j = 0;
  while (i < server_items.size() || j < patch_items.size()) {
    bool take_server = j >= patch_items.size();
    if (i < server_items.size() && j < patch_items.size()) {
      std::optional<size_t> left = server_positions.find(server_items[i]),
                            right = server_positions.find(patch_items[j]);
      take_server = left && right && *left < *right;
    }
    all.push_back(std::move(take_server ? server_items[i++] : patch_items[j++]));
  }
  return all;
}

// Splits `items` by whether `by` holds their like.
void partition(Value::Array items, const Value::Array& by, std::string_view merge_key,
               Value::Array& present, Value::Array& absent) {
  Positions positions(by, merge_key);
  for (Value& item : items) (positions.find(item) ? present : absent).push_back(std::move(item));
}

Status partition_checked(Value::Array items, const Value::Array& by, std::string_view merge_key,
                         Value::Array& present, Value::Array& absent) {
  if (!merge_key.empty()) {
    TRY(check_merge_keys(items, merge_key));
    for (size_t i = 0; i < by.size() && !items.empty(); ++i)
      if (!by[i].is_object())
        return failure("value for key " + std::to_string(i) + " is not a map");
  }
  partition(std::move(items), by, merge_key, present, absent);
  return {};
}

// All elements of both lists have one type, and it is not a list. `maps` says whether it is an
// object.
Status element_type(const Value::Array& a, const Value::Array& b, bool& maps) {
  const Value* first = nullptr;
  for (const Value::Array* list : {&a, &b}) {
    for (const Value& item : *list) {
      if (first == nullptr) {
        first = &item;
        if (item.is_array())
          return Status::make(422, "Invalid", "lists of lists are not supported");
      }
      if (item.is_null() || item.type() != first->type()) {
        Value both = Value::array();
        both.items().emplace_back().items() = a;
        both.items().emplace_back().items() = b;
        return failure("list element types are not identical: " + go_value(both));
      }
    }
  }
  if (first == nullptr) return failure("no elements in any of the given slices");
  maps = first->is_object();
  return {};
}

// ---- merging
// --------------------------------------------------------------------------------------------------------------------

Status merge_map(Value& original, Value patch, const Schema& schema);

// Deletions and a replacement among the patch's elements take effect and leave the patch.
Status apply_special_elements(Value::Array& original, Value::Array& patch,
                              std::string_view merge_key) {
  Value::Array rest;
  absl::flat_hash_set<std::string> deleted;
  bool replace = false;
  for (Value& item : patch) {
    const Value* directive = item.find(kDirective);
    if (directive == nullptr) {
      rest.push_back(std::move(item));
    } else if (directive->as_string() == "delete") {
      if (item.find(merge_key) == nullptr) return no_merge_key(item, merge_key);
      deleted.insert(element_identity(item, merge_key));
    } else if (directive->as_string() == "replace") {
      replace = true;
    } else if (directive->as_string() == "merge") {
      return failure("merging lists cannot yet be specified in the patch");
    } else {
      return failure("unknown patch type: " + go_value(*directive) + " in map: " + go_value(item));
    }
  }
  if (replace) {
    original = std::move(rest);
    patch.clear();
    return {};
  }
  if (!deleted.empty())
    std::erase_if(original, [&](const Value& item) {
      return deleted.contains(element_identity(item, merge_key));
    });
  patch = std::move(rest);
  return {};
}

Status merge_elements(Value::Array& merged, const Value::Array& patch, std::string_view merge_key,
                      const Schema& schema) {
  Positions positions(merged, merge_key);
  for (const Value& item : patch) {
    if (item.find(merge_key) == nullptr) return no_merge_key(item, merge_key);
    std::optional<size_t> found = positions.find(item);
    if (found) {
      TRY(merge_map(merged[*found], item, schema));
    } else {
      positions.add(item, merged.size());
      merged.push_back(item);
    }
  }
  return {};
}

Result<Value::Array> merge_list(Value::Array original, Value::Array patch, const FieldSchema& field,
                                bool is_deletion) {
  if (original.empty() && patch.empty()) return original;
  bool maps = false;
  TRY(element_type(original, patch, maps));
  Value::Array merged;
  std::string_view key = maps ? field.merge_key : "";
  if (!maps) {
    if (is_deletion) {
      Positions deleted(patch, "");
      std::erase_if(original, [&](const Value& item) { return deleted.find(item).has_value(); });
      return original;
    }
    Positions seen({}, "");
    for (const Value::Array* list : {&original, &patch}) {
      for (const Value& item : *list) {
        if (seen.find(item)) continue;
        seen.add(item, 0);
        merged.push_back(item);
      }
    }
  } else {
    if (key.empty())
      return failure("cannot merge lists without merge key for " + std::string(field.schema.name));
    TRY(apply_special_elements(original, patch, key));
    merged = original;
    TRY(merge_elements(merged, patch, key, field.schema));
  }
  // A list of values may have a merge key by mistake of nobody; its elements are then their own
  // keys.
  Value::Array patch_items, server_items;
  TRY(partition_checked(std::move(merged), patch, key, patch_items, server_items));
  return normalize_order(std::move(patch_items), std::move(server_items), patch, original, key,
                         maps);
}

// "$prefix/name" -> "name".
bool extract_key(std::string_view key, std::string_view prefix, std::string& name) {
  size_t slash = key.find('/');
  if (slash == std::string_view::npos || key.substr(0, slash) != prefix) return false;
  name = key.substr(slash + 1);
  return true;
}

// $retainKeys: what the list does not name goes from the original, and may not be in the patch.
Status apply_retain_keys(Value& original, Value& patch) {
  const Value* found = patch.find(kRetainKeysKey);
  if (found == nullptr) return {};
  Value list = *found;
  patch.erase(kRetainKeysKey);
  if (!list.is_array()) return bad_format("retainKeys");
  absl::flat_hash_set<std::string> kept;
  for (const Value& item : list.items())
    if (item.is_string()) kept.insert(item.as_string());
  for (const auto& [key, value] : patch.members()) {
    if (value.is_null() || key.starts_with(kDeleteFromList) || key.starts_with(kSetElementOrder))
      continue;
    if (!kept.contains(key)) return bad_format("retainKeys");
  }
  std::erase_if(original.members(),
                [&](const Value::Member& member) { return !kept.contains(member.first); });
  return {};
}

// The patch's elements must come in the order that $setElementOrder demands, and be among its
// elements.
Status check_order(const Value::Array& patch, const Value::Array& order,
                   std::string_view merge_key) {
  if (patch.empty() || order.empty()) return {};
  size_t i = 0, j = 0;
  while (i < patch.size() && j < order.size()) {
    const Value& item = patch[i];
    if (!merge_key.empty() && !item.is_object()) return bad_type("map[string]interface {}", item);
    if (has_directive(item)) {
      ++i;
      continue;
    }
    if (!merge_key.empty()) {
      for (const Value* side : {&item, &order[j]}) {
        if (!side->is_object()) return bad_type("map[string]interface {}", *side);
        if (side->find(merge_key) == nullptr) return no_merge_key(*side, merge_key);
      }
    }
    if (element_identity(item, merge_key) == element_identity(order[j], merge_key)) ++i;
    ++j;
  }
  while (i < patch.size() && has_directive(patch[i]) &&
         patch[i].find(kDirective)->as_string() == "delete")
    ++i;
  if (i >= patch.size()) return {};
  Value patch_list = Value::array(), order_list = Value::array();
  patch_list.items() = patch;
  order_list.items() = order;
  return failure("The order in patch list:\n" + go_value(patch_list) +
                 "\n doesn't match $setElementOrder list:\n" + go_value(order_list) + "\n");
}

// The order of the live list that upstream weaves by. Its merge deletes and appends inside the
// array that the live list still points to, so that appended elements take the places that
// deletions freed; its tests expect what follows from that.
Value::Array live_order_after_merge(Value::Array live, const Value::Array& patch,
                                    std::string_view merge_key) {
  size_t places = live.size();
  absl::flat_hash_set<std::string> deleted;
  bool replaced = false;
  for (const Value& item : patch) {
    const Value* directive = item.find(kDirective);
    if (directive != nullptr && directive->as_string() == "delete")
      deleted.insert(element_identity(item, merge_key));
    replaced = replaced || (directive != nullptr && directive->as_string() == "replace");
  }
  std::erase_if(
      live, [&](const Value& item) { return deleted.contains(element_identity(item, merge_key)); });
  Positions present(live, merge_key);
  for (const Value& item : patch) {
    if (replaced || live.size() >= places) break;
    if (has_directive(item) || present.find(item)) continue;
    present.add(item, live.size());
    live.push_back(item);
  }
  return live;
}

// One $setElementOrder directive, with the list that it orders; both leave the patch.
Status apply_element_order(Value& original, Value& patch, std::string_view directive,
                           const Value& order, const Schema& schema) {
  if (!order.is_array()) return bad_type("[]interface {}", order);
  std::string name;
  if (!extract_key(directive, kSetElementOrder, name)) return bad_format("setElementOrder list");
  Value* original_list = original.find(name);
  const Value* patch_list = patch.find(name);
  for (const Value* list : std::initializer_list<const Value*>{original_list, patch_list})
    if (list != nullptr && !list->is_array()) return bad_type("[]interface {}", *list);
  TRY_ASSIGN(FieldSchema field, lookup_list(schema, name));
  Value::Array before = original_list == nullptr ? Value::Array() : original_list->items();
  Value::Array patched = patch_list == nullptr ? Value::Array() : patch_list->items();
  TRY(check_order(patched, order.items(), field.merge_key));

  Value::Array merged;
  if (original_list == nullptr && patch_list == nullptr) return {};
  if (patch_list == nullptr) {
    merged = before;
  } else if (original_list == nullptr) {
    Value added = *patch_list;
    remove_directives(added);
    merged = added.items();
  } else if (field.merge) {
    TRY_ASSIGN(merged, merge_list(before, patched, field, false));
  } else {
    merged = patched;
  }
  Value::Array patch_items, server_items;
  TRY(partition_checked(std::move(merged), order.items(), field.merge_key, patch_items,
                        server_items));
  bool maps = false;
  TRY(element_type(before, patched, maps));
  if (maps && field.merge && original_list != nullptr && patch_list != nullptr)
    before = live_order_after_merge(std::move(before), patched, field.merge_key);
  TRY_ASSIGN(Value::Array both, normalize_order(std::move(patch_items), std::move(server_items),
                                                order.items(), before, field.merge_key, maps));
  Value result = Value::array();
  result.items() = std::move(both);
  original[name] = std::move(result);
  patch.erase(name);
  return {};
}

Status apply_element_orders(Value& original, Value& patch, const Schema& schema) {
  std::vector<std::pair<std::string, Value>> directives;
  for (const auto& [key, value] : patch.members())
    if (key.starts_with(kSetElementOrder)) directives.emplace_back(key, value);
  for (const auto& [key, value] : directives) {
    patch.erase(key);
    TRY(apply_element_order(original, patch, key, value, schema));
  }
  return {};
}

// One member of the patch against the original.
Status merge_member(ObjectEditor& original, const std::string& patch_key, Value value,
                    const Schema& schema) {
  std::string key = patch_key;
  bool is_deletion = patch_key.starts_with(kDeleteFromList);
  if (is_deletion && !extract_key(patch_key, kDeleteFromList, key))
    return bad_format("primitive list");
  if (value.is_null()) {
    original.erase(key);
    return {};
  }
  Value* current = original.find(key);
  if (current == nullptr || current->type() != value.type()) {
    if (is_deletion) return {};
    discard_nulls(value);
    if (remove_directives(value)) {
      original.set(key, std::move(value));
    } else {
      original.erase(key);
    }
    return {};
  }
  if (value.is_object()) {
    TRY_ASSIGN(FieldSchema field, lookup(schema, key));
    if (field.replace) {
      *current = std::move(value);
      return {};
    }
    return merge_map(*current, std::move(value), field.schema);
  }
  if (value.is_array()) {
    TRY_ASSIGN(FieldSchema field, lookup_list(schema, key));
    if (field.merge || is_deletion) {
      TRY_ASSIGN(Value::Array merged, merge_list(std::move(current->items()),
                                                 std::move(value.items()), field, is_deletion));
      current->items() = std::move(merged);
    } else {
      *current = std::move(value);
    }
    return {};
  }
  *current = std::move(value);
  return {};
}

Status merge_map(Value& original, Value patch, const Schema& schema) {
  if (const Value* directive = patch.find(kDirective)) {
    if (directive->is_string() && directive->as_string() == "replace") {
      patch.erase(kDirective);
      original = std::move(patch);
      return {};
    }
    if (directive->is_string() && directive->as_string() == "delete") {
      original = Value::object();
      return {};
    }
    return failure("unknown patch type: " + go_value(*directive) + " in map: " + go_value(patch));
  }
  TRY(apply_retain_keys(original, patch));
  TRY(apply_element_orders(original, patch, schema));
  ObjectEditor editor(original);
  for (Value::Member& member : patch.members())
    TRY(merge_member(editor, member.first, std::move(member.second), schema));
  return {};
}

}  // namespace

Result<Value> apply_strategic_patch(Value doc, const Value& patch, const Type& type) {
  if (!patch.is_object()) {
    std::string_view found = patch.is_array()    ? "array"
                             : patch.is_string() ? "string"
                             : patch.is_bool()   ? "bool"
                                                 : "number";
    if (patch.is_null()) return doc;
    return Status::make(400, "BadRequest",
                        "json: cannot unmarshal " + std::string(found) +
                            " into Go value of type map[string]interface {}");
  }
  if (!doc.is_object()) return Status::make(400, "BadRequest", "invalid JSON document");
  TRY(merge_map(doc, patch, {&type, type.type_name()}));
  return doc;
}

}  // namespace knarr::schema
