// SPDX-License-Identifier: Apache-2.0
#include "cel/value.h"

#include <algorithm>

#include "cel/escape.h"
#include "cel/schema.h"
#include "cel/typed_view.h"

namespace knarr::cel {

using Kind = Value::Kind;
using Form = Value::Form;

// --- Arena
// -----------------------------------------------------------------------------------------------------------------

void* Arena::allocate(size_t size) {
  size = (size + 7) & ~size_t{7};
  used_ += size;
  if (size > left_) {
    size_t block = std::max<size_t>(
        size, blocks_.empty() ? 4096 : std::min<size_t>(blocks_.back().size * 2, size_t{1} << 20));
    blocks_.push_back({std::make_unique_for_overwrite<char[]>(block), block});
    next_ = blocks_.back().memory.get();
    left_ = block;
  }
  void* memory = next_;
  next_ += size;
  left_ -= size;
  return memory;
}

std::string_view Arena::copy(std::string_view text) {
  if (text.empty()) return "";
  char* to = static_cast<char*>(allocate(text.size()));
  std::memcpy(to, text.data(), text.size());
  return {to, text.size()};
}

Value* Arena::values(size_t count) {
  auto* made = static_cast<Value*>(allocate(count * sizeof(Value)));
  for (size_t i = 0; i < count; ++i) new (made + i) Value();
  return made;
}

void Arena::reset() {
  kept_.clear();
  used_ = 0;
  if (blocks_.empty()) return;
  blocks_.resize(1);
  next_ = blocks_[0].memory.get();
  left_ = blocks_[0].size;
}

// --- Making
// ----------------------------------------------------------------------------------------------------------------

Value Value::text_of(Kind kind, std::string_view text) {
  Value v(kind);
  v.pointer_ = text.data();
  v.size_ = static_cast<uint32_t>(text.size());
  return v;
}

Value Value::made(Kind kind, Form form, const void* pointer, size_t size, const void* extra) {
  Value v(kind);
  v.form_ = form;
  v.pointer_ = pointer;
  v.size_ = static_cast<uint32_t>(size);
  v.extra_ = extra;
  return v;
}

Value Value::timestamp(int64_t unix_seconds, uint32_t nanos, int zone_minutes) {
  Value v(Kind::kTimestamp);
  v.int_ = unix_seconds;
  v.size_ = nanos;
  v.small_ = static_cast<int16_t>(zone_minutes);
  return v;
}

Value Value::concat(const Concat* node, const Schema* schema) {
  return made(Kind::kList, Form::kConcat, node, node->size, schema);
}
Value Value::map(const MadeMap* map) { return made(Kind::kMap, Form::kMade, map, map->size); }

Value Value::typed_list(const Value* items, size_t size, const Schema* schema) {
  return made(Kind::kList, Form::kMade, items, size, schema);
}

std::string_view Value::type_name() const {
  // In the order of Kind.
  static constexpr std::string_view kNames[] = {"error",
                                                "error",
                                                "null_type",
                                                "bool",
                                                "int",
                                                "uint",
                                                "double",
                                                "string",
                                                "bytes",
                                                "google.protobuf.Duration",
                                                "google.protobuf.Timestamp",
                                                "list",
                                                "map",
                                                "type",
                                                "optional",
                                                "",
                                                "unknown"};
  return kind_ == Kind::kOpaque ? std::string_view(as_opaque()->type_name)
                                : kNames[static_cast<size_t>(kind_)];
}

Value Value::of(const json::Value& json) {
  switch (json.type()) {
    case json::Value::Type::kNull:
      return null();
    case json::Value::Type::kBool:
      return boolean(json.as_bool());
    case json::Value::Type::kInt:
      return integer(json.as_int());
    case json::Value::Type::kDouble:
      return number(json.as_double());
    case json::Value::Type::kString:
      return string(json.as_string());
    case json::Value::Type::kArray:
      return made(Kind::kList, Form::kJson, &json, 0);
    case json::Value::Type::kObject:
      return made(Kind::kMap, Form::kJson, &json, 0);
  }
  return null();
}

namespace {

std::string_view go_type_name(const json::Value& json) {
  static constexpr std::string_view kNames[] = {
      "<nil>", "bool", "int64", "float64", "string", "[]interface {}", "map[string]interface {}"};
  return kNames[static_cast<size_t>(json.type())];
}

Value bad_data(Arena& arena, std::string_view wanted, const json::Value& json) {
  return Value::error(arena, "invalid data, expected " + std::string(wanted) + ", got " +
                                 std::string(go_type_name(json)));
}

Value text_by_format(const std::string& text, Schema::Format format, Arena& arena);

// "Invalid x y: reason" of upstream; the reasons are Go's parsers' and only said in general here.
Value bad_format(Arena& arena, std::string_view what, std::string_view text) {
  return Value::error(
      arena, "Invalid " + std::string(what) + " " + std::string(text) + ": cannot be parsed");
}

}  // namespace

Value Value::of(const json::Value& json, const Schema& schema, Arena& arena) {
  using Type = Schema::Type;
  if (json.is_null())
    return schema.nullable ? null()
                           : error("invalid data, got null for schema with nullable=false");
  if (schema.int_or_string) {
    if (json.is_string() || json.is_int()) return of(json);
    return error("invalid data, expected XIntOrString value to be either a string or integer");
  }
  switch (schema.type) {
    case Type::kObject:
      if (!json.is_object())
        return error("invalid data, expected a map for the provided schema with type=object");
      if (!schema.has_properties && schema.additional == nullptr && !schema.preserve_unknown)
        return error(
            "invalid object type, expected either Properties or AdditionalProperties with "
            "Allows=true and non-empty Schema");
      return made(Kind::kMap, Form::kJson, &json, 0, &schema);
    case Type::kArray:
      if (!json.is_array())
        return error("invalid data, expected an array for the provided schema with type=array");
      if (schema.items == nullptr)
        return error("invalid array type, expected Items with a non-empty Schema");
      if (schema.list_type == Schema::ListType::kOther)
        return error(arena,
                     "invalid x-kubernetes-list-type, expected 'map', 'set' or 'atomic' but got " +
                         schema.list_type_text);
      return made(Kind::kList, Form::kJson, &json, 0, &schema);
    case Type::kString:
      return json.is_string() ? text_by_format(json.as_string(), schema.format, arena)
                              : bad_data(arena, "string", json);
    case Type::kNumber:
      return json.is_number() ? number(json.as_double()) : bad_data(arena, "float", json);
    case Type::kInteger:
      return json.is_int() ? integer(json.as_int()) : bad_data(arena, "int", json);
    case Type::kBoolean:
      return json.is_bool() ? boolean(json.as_bool()) : bad_data(arena, "bool", json);
    default:
      break;
  }
  if (schema.preserve_unknown) return made(Kind::kPreserved, Form::kJson, &json, 0);
  return error(arena,
               "invalid type, expected object, array, number, integer, boolean or string, or no "
               "type with x-kubernetes-int-or-string or "
               "x-kubernetes-preserve-unknown-fields is true, got " +
                   schema.type_text);
}

namespace {

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

// URL-safe alphabet with padding, as upstream reads "byte" here; line ends are passed over.
bool decode_url_base64(std::string_view text, std::string& out) {
  uint32_t bits = 0;
  int digits = 0, padding = 0;
  for (char c : text) {
    if (c == '\n' || c == '\r') continue;
    if (c == '=') {
      if (++padding > 2 || digits < 2) return false;
      if (digits + padding == 4) {
        out += static_cast<char>(bits >> (digits == 2 ? 4 : 10));
        if (digits == 3) out += static_cast<char>(bits >> 2);
      }
      continue;
    }
    int digit = base64_digit(c);
    if (digit < 0 || padding != 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if (++digits < 4) continue;
    out += static_cast<char>(bits >> 16);
    out += static_cast<char>(bits >> 8);
    out += static_cast<char>(bits);
    bits = 0;
    digits = 0;
  }
  return digits == 0 ? padding == 0 : digits + padding == 4;
}

Value text_by_format(const std::string& text, Schema::Format format, Arena& arena) {
  Value time;
  switch (format) {
    case Schema::Format::kNone:
      break;
    case Schema::Format::kDuration: {
      int64_t nanos = 0;
      return parse_open_api_duration(text, nanos) ? Value::duration(nanos)
                                                  : bad_format(arena, "duration", text);
    }
    case Schema::Format::kDate:
      return parse_timestamp(text + "T00:00:00Z", time)
                 ? time
                 : bad_format(arena, "date formatted string", text);
    case Schema::Format::kDateTime:
      if (text.empty()) return Value::timestamp(0, 0);
      return parse_timestamp(text, time) ? time
                                         : bad_format(arena, "date-time formatted string", text);
    case Schema::Format::kByte: {
      std::string bytes;
      return decode_url_base64(text, bytes) ? Value::bytes(arena.copy(bytes))
                                            : bad_format(arena, "byte formatted string", text);
    }
  }
  return Value::string(text);
}

}  // namespace

// --- Lists
// -----------------------------------------------------------------------------------------------------------------

size_t list_size(const Value& list) {
  if (list.form() == Form::kJson) return list.json()->items().size();
  if (list.form() == Form::kTyped) return TypedView::size(list);
  return list.made_size();
}

Value list_at(const Value& list, size_t i, Arena& arena) {
  const Value* at = &list;
  while (at->form() == Form::kConcat) {
    const auto* node = static_cast<const Concat*>(at->pointer());
    size_t left = list_size(node->left);
    at = i < left ? &node->left : &node->right;
    if (i >= left) i -= left;
  }
  if (at->form() == Form::kMade) return static_cast<const Value*>(at->pointer())[i];
  if (at->form() == Form::kTyped) return TypedView::at(*at, i, arena);
  const json::Value& item = at->json()->items()[i];
  const Schema* schema = at->json_schema();
  return schema == nullptr ? Value::of(item) : Value::of(item, *schema->items, arena);
}

// --- Maps
// ------------------------------------------------------------------------------------------------------------------

size_t map_size(const Value& map) {
  switch (map.form()) {
    case Form::kJson:
      return map.json()->members().size();
    case Form::kTyped:
    case Form::kTypedRoot:
    case Form::kTypedMap:
      return TypedView::size(map);
    default:
      return map.made_size();
  }
}

namespace {

bool same_key(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kBool:
      return a.as_bool() == b.as_bool();
    case Kind::kDouble:
      return a.as_double() == b.as_double();
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kType:
      return a.text() == b.text();
    case Kind::kTimestamp:
      return a.as_int() == b.as_int() && a.nanos() == b.nanos();
    case Kind::kNull:
      return true;
    default:
      return a.as_int() == b.as_int();
  }
}

constexpr size_t kLargestUnindexed = 12;

size_t hash_key(const Value& key) {
  bool is_text = key.is(Kind::kString) || key.is(Kind::kBytes) || key.is(Kind::kType);
  size_t hash = is_text
                    ? std::hash<std::string_view>()(key.text())
                    : std::hash<uint64_t>()(key.is(Kind::kBool) ? key.as_bool() : key.as_uint());
  return hash * 0x9e3779b97f4a7c15 + static_cast<size_t>(key.kind());
}

}  // namespace

MadeMap* MadeMap::make(size_t most, Arena& arena) {
  auto* made = new (arena.allocate(sizeof(MadeMap))) MadeMap();
  made->entries = arena.values(most * 2);
  if (most <= kLargestUnindexed) return made;
  for (made->slots = 32; made->slots < most * 2;) made->slots *= 2;
  made->index = static_cast<uint32_t*>(arena.allocate(made->slots * sizeof(uint32_t)));
  std::fill(made->index, made->index + made->slots, 0);
  return made;
}

// Where the entry's number is, or is to be put.
uint32_t* MadeMap::slot(const Value& key) const {
  size_t at = hash_key(key) >> 7;
  while (true) {
    uint32_t* found = &index[at++ & (slots - 1)];
    if (*found == 0 || same_key(entries[2 * (*found - 1)], key)) return found;
  }
}

Value* MadeMap::find(const Value& key) const {
  if (index != nullptr) {
    uint32_t number = *slot(key);
    return number == 0 ? nullptr : &entries[2 * number - 1];
  }
  for (uint32_t i = 0; i < size; ++i)
    if (same_key(entries[2 * i], key)) return &entries[2 * i + 1];
  return nullptr;
}

void MadeMap::set(const Value& key, const Value& value) {
  if (Value* found = find(key)) {
    *found = value;
    return;
  }
  entries[2 * size] = key;
  entries[2 * size + 1] = value;
  ++size;
  if (index != nullptr) *slot(key) = size;
}

void MadeMap::erase(const Value& key) {
  Value* found = find(key);
  if (found == nullptr) return;
  std::copy(found + 1, entries + 2 * size, found - 1);
  --size;
  if (index == nullptr) return;
  std::fill(index, index + slots, 0);
  for (uint32_t i = 0; i < size; ++i) *slot(entries[2 * i]) = i + 1;
}

namespace {

// Numbers find keys of the other integer types, but never keys that are doubles.
const Value* find_made(const MadeMap& map, const Value& key) {
  if (const Value* found = map.find(key)) return found;
  int64_t i = 0;
  uint64_t u = 0;
  switch (key.kind()) {
    case Kind::kDouble:
      if (double_to_int_exact(key.as_double(), i))
        if (const Value* found = map.find(Value::integer(i))) return found;
      return double_to_uint_exact(key.as_double(), u) ? map.find(Value::uinteger(u)) : nullptr;
    case Kind::kInt:
      return key.as_int() >= 0 ? map.find(Value::uinteger(key.as_uint())) : nullptr;
    case Kind::kUint:
      return key.as_int() >= 0 ? map.find(Value::integer(key.as_int())) : nullptr;
    default:
      return nullptr;
  }
}

bool find_json(const Value& map, std::string_view name, bool is_object, Arena& arena, Value& out) {
  const json::Value* found = map.json()->find(name);
  if (found == nullptr) return false;
  const Schema* schema = map.json_schema();
  if (schema == nullptr) {
    out = Value::of(*found);
    return true;
  }
  if (is_object && found->is_null()) return false;
  const Schema* member = schema->member(name);
  if (member == nullptr) return false;
  out = Value::of(*found, *member, arena);
  return true;
}

bool is_object_view(const Value& map) {
  return map.json_schema() != nullptr && map.json_schema()->has_properties;
}

}  // namespace

bool map_find_field(const Value& map, const Value& key, std::string_view unescaped,
                    bool can_unescape, Arena& arena, Value& out) {
  if (!is_object_view(map)) return map_find(map, key, arena, out);
  return can_unescape && find_json(map, unescaped, true, arena, out);
}

bool map_find(const Value& map, const Value& key, Arena& arena, Value& out) {
  if (map.form() == Form::kMade) {
    const Value* found = find_made(*static_cast<const MadeMap*>(map.pointer()), key);
    if (found != nullptr) out = *found;
    return found != nullptr;
  }
  if (!key.is(Kind::kString)) {
    if (map.json_schema() == nullptr) return false;
    out = no_such_overload();
    return true;
  }
  switch (map.form()) {
    case Form::kJson: {
      if (!is_object_view(map)) return find_json(map, key.text(), false, arena, out);
      std::optional<std::string> name = unescape_field(key.text());
      return name && find_json(map, *name, true, arena, out);
    }
    case Form::kLazy:
      return static_cast<LazyMap*>(const_cast<void*>(map.pointer()))->find(key.text(), arena, out);
    default:
      return TypedView::find(map, key.text(), arena, out);
  }
}

Value map_keys(const Value& map, Arena& arena) {
  switch (map.form()) {
    case Form::kMade: {
      const auto& made = *static_cast<const MadeMap*>(map.pointer());
      Value* keys = arena.values(made.size);
      for (uint32_t i = 0; i < made.size; ++i) keys[i] = made.entries[2 * i];
      return Value::list(keys, made.size);
    }
    case Form::kJson:
      break;
    case Form::kLazy:
      return Value::list(nullptr, 0);
    default:
      return TypedView::keys(map, arena);
  }
  const Schema* schema = map.json_schema();
  bool is_object = is_object_view(map);
  const json::Value::Members& members = map.json()->members();
  Value* keys = arena.values(members.size());
  size_t count = 0;
  for (const auto& [name, value] : members) {
    if (schema != nullptr && schema->member(name) == nullptr) continue;
    std::optional<std::string> escaped = is_object ? escape_field(name) : std::nullopt;
    keys[count++] =
        escaped && *escaped != name ? Value::string(arena.copy(*escaped)) : Value::string(name);
  }
  return Value::list(keys, count);
}

}  // namespace knarr::cel
