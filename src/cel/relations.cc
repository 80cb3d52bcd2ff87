// SPDX-License-Identifier: Apache-2.0
// Equality, order and sizes of values, as cel-go and Kubernetes' wrapper of unstructured data have
// them.
#include <absl/container/flat_hash_map.h>

#include <cmath>
#include <limits>

#include "cel/library.h"
#include "cel/schema.h"
#include "cel/value.h"
#include "schema/utf8.h"

namespace knarr::cel {

using Kind = Value::Kind;
using Form = Value::Form;

Value no_such_overload() { return Value::error("no such overload"); }

// --- Numbers
// ---------------------------------------------------------------------------------------------------------------

namespace {

constexpr double kTwoTo63 = 9223372036854775808.0, kTwoTo64 = 18446744073709551616.0;

template <class T>
int order(T a, T b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

int compare_double_int(double d, int64_t i) {
  return d < -kTwoTo63 ? -1 : d > kTwoTo63 ? 1 : order(d, static_cast<double>(i));
}
int compare_double_uint(double d, uint64_t u) {
  return d < 0 ? -1 : d > kTwoTo64 ? 1 : order(d, static_cast<double>(u));
}
int compare_int_uint(int64_t i, uint64_t u) {
  return i < 0 ? -1 : order(static_cast<uint64_t>(i), u);
}

bool is_number(const Value& v) {
  return v.is(Kind::kInt) || v.is(Kind::kUint) || v.is(Kind::kDouble);
}
bool is_nan(const Value& v) { return v.is(Kind::kDouble) && std::isnan(v.as_double()); }

// Of numbers that are not NaN, whatever their types.
int compare_numbers(const Value& a, const Value& b) {
  if (a.kind() > b.kind()) return -compare_numbers(b, a);  // kInt < kUint < kDouble
  if (a.is(Kind::kInt)) {
    if (b.is(Kind::kInt)) return order(a.as_int(), b.as_int());
    return b.is(Kind::kUint) ? compare_int_uint(a.as_int(), b.as_uint())
                             : -compare_double_int(b.as_double(), a.as_int());
  }
  if (a.is(Kind::kUint))
    return b.is(Kind::kUint) ? order(a.as_uint(), b.as_uint())
                             : -compare_double_uint(b.as_double(), a.as_uint());
  return order(a.as_double(), b.as_double());
}

}  // namespace

bool double_to_int_exact(double d, int64_t& out) {
  if (!(d > -kTwoTo63 && d < kTwoTo63)) return false;
  out = static_cast<int64_t>(d);
  return static_cast<double>(out) == d;
}

bool double_to_uint_exact(double d, uint64_t& out) {
  if (!(d >= 0 && d < kTwoTo64)) return false;
  out = static_cast<uint64_t>(d);
  return static_cast<double>(out) == d;
}

// --- Order
// -----------------------------------------------------------------------------------------------------------------

bool is_comparable(const Value& v) {
  switch (v.kind()) {
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kDouble:
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kDuration:
    case Kind::kTimestamp:
      return true;
    default:
      return false;
  }
}

Value compare(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) {
    if (is_nan(a) || is_nan(b)) return Value::error("NaN values cannot be ordered");
    return Value::integer(compare_numbers(a, b));
  }
  if (a.kind() != b.kind()) return b.is_error() ? b : no_such_overload();
  switch (a.kind()) {
    case Kind::kBool:
      return Value::integer(order<int>(a.as_bool(), b.as_bool()));
    case Kind::kString:
    case Kind::kBytes:
      return Value::integer(order(a.text().compare(b.text()), 0));
    case Kind::kDuration:
      return Value::integer(order(a.as_int(), b.as_int()));
    case Kind::kTimestamp: {
      int seconds = order(a.as_int(), b.as_int());
      return Value::integer(seconds != 0 ? seconds : order(a.nanos(), b.nanos()));
    }
    default:
      return no_such_overload();
  }
}

// --- Equality
// --------------------------------------------------------------------------------------------------------------

namespace {

bool is_true(const Value& v) { return v.is_true(); }
bool is_false(const Value& v) { return v.is(Kind::kBool) && !v.as_bool(); }

// A text that is equal for equal scalars and their containers, to find elements of sets and lists
// by keys.
void append_key(std::string& out, const Value& v, Arena& arena) {
  out += static_cast<char>(v.kind());
  switch (v.kind()) {
    case Kind::kString:
    case Kind::kBytes:
      out += std::to_string(v.text().size()) + ':';
      out += v.text();
      return;
    case Kind::kList:
      for (size_t i = 0, n = list_size(v); i < n; ++i) append_key(out, list_at(v, i, arena), arena);
      out += ']';
      return;
    case Kind::kMap:
      out += v.json() != nullptr ? json::to_string(*v.json()) : display(v, arena);
      return;
    default:
      out += display(v, arena) + ';';
  }
}

std::string element_key(const Value& element, const Schema& schema, Arena& arena) {
  std::string key;
  if (schema.list_type == Schema::ListType::kSet) {
    append_key(key, element, arena);
    return key;
  }
  if (!element.is(Kind::kMap)) return key;
  for (const std::string& name : schema.list_keys) {
    Value part = Value::null();
    (void)map_find_field(element, Value::string(name), name, true, arena, part);
    append_key(key, part, arena);
  }
  return key;
}

bool has_identity(const Schema* schema) {
  return schema != nullptr && (schema->list_type == Schema::ListType::kSet ||
                               schema->list_type == Schema::ListType::kMap);
}

// Sets are equal in any order; lists by keys when the elements under each key are.
Value equals_by_identity(const Value& a, const Value& b, const Schema& schema, Arena& arena) {
  absl::flat_hash_map<std::string, size_t> keys;
  for (size_t i = 0, n = list_size(a); i < n; ++i)
    keys[element_key(list_at(a, i, arena), schema, arena)] = i;
  for (size_t i = 0, n = list_size(b); i < n; ++i) {
    Value element = list_at(b, i, arena);
    auto found = keys.find(element_key(element, schema, arena));
    if (found == keys.end()) return Value::boolean(false);
    if (schema.list_type == Schema::ListType::kSet) continue;
    Value equal = receiver_equals(list_at(a, found->second, arena), element, arena);
    if (!is_true(equal)) return equal;
  }
  return Value::boolean(true);
}

Value lists_equal(const Value& a, const Value& b, Arena& arena) {
  const Schema* schema = a.list_schema();
  if (!b.is(Kind::kList)) return schema != nullptr ? no_such_overload() : Value::boolean(false);
  size_t size = list_size(a);
  if (size != list_size(b)) return Value::boolean(false);
  if (has_identity(schema)) return equals_by_identity(a, b, *schema, arena);
  Value failure;
  for (size_t i = 0; i < size; ++i) {
    Value x = list_at(a, i, arena), y = list_at(b, i, arena);
    Value equal = schema != nullptr ? receiver_equals(x, y, arena) : equals(x, y, arena);
    if (is_false(equal)) return equal;
    if (is_true(equal)) continue;
    if (schema != nullptr) return equal;
    if (failure.is(Kind::kUnset)) failure = equal;
  }
  // Upstream's plain lists pass over errors of their elements; its concatenated ones do not.
  return a.form() == Form::kConcat && failure.is_error() ? failure : Value::boolean(true);
}

// Objects with a schema. A null field is not there, so that an object with one is not even equal to
// itself, as upstream has it; what the schema does not know is compared as data, where both have
// it.
Value objects_equal(const Value& a, const Value& b, Arena& arena) {
  if (!b.is(Kind::kMap)) return no_such_overload();
  if (map_size(a) != map_size(b)) return Value::boolean(false);
  for (const auto& [name, member] : a.json()->members()) {
    const Schema* schema = a.json_schema()->member(name);
    if (schema != nullptr) {
      Value other;
      if (!map_find(b, Value::string(name), arena, other)) return Value::boolean(false);
      Value equal = receiver_equals(Value::of(member, *schema, arena), other, arena);
      if (!is_true(equal)) return equal;
      continue;
    }
    if (b.json_schema() == nullptr) return no_such_overload();
    const json::Value* other = b.json()->find(name);
    if (other != nullptr && !(*other == member)) return Value::boolean(false);
  }
  return Value::boolean(true);
}

Value maps_equal(const Value& a, const Value& b, Arena& arena) {
  if (a.json_schema() != nullptr) return objects_equal(a, b, arena);
  if (!b.is(Kind::kMap) || map_size(a) != map_size(b)) return Value::boolean(false);
  Value keys = map_keys(a, arena);
  for (size_t i = 0, n = list_size(keys); i < n; ++i) {
    Value key = list_at(keys, i, arena), x, y;
    if (!map_find(a, key, arena, x) || !map_find(b, key, arena, y)) return Value::boolean(false);
    Value equal = equals(x, y, arena);
    if (is_false(equal)) return equal;
  }
  return Value::boolean(true);
}

Value optionals_equal(const Value& a, const Value& b, Arena& arena) {
  if (!b.is(Kind::kOptional)) return Value::boolean(false);
  if (a.held() == nullptr || b.held() == nullptr) return Value::boolean(a.held() == b.held());
  return receiver_equals(*a.held(), *b.held(), arena);
}

}  // namespace

Value equals(const Value& a, const Value& b, Arena& arena) {
  if (a.is(Kind::kNull) || b.is(Kind::kNull)) return Value::boolean(a.kind() == b.kind());
  return receiver_equals(a, b, arena);
}

Value receiver_equals(const Value& a, const Value& b, Arena& arena) {
  switch (a.kind()) {
    case Kind::kUnset:
    case Kind::kError:
      return a;
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kDouble:
      return Value::boolean(is_number(b) && !is_nan(a) && !is_nan(b) && compare_numbers(a, b) == 0);
    case Kind::kList:
      return lists_equal(a, b, arena);
    case Kind::kMap:
      return maps_equal(a, b, arena);
    case Kind::kOptional:
      return optionals_equal(a, b, arena);
    case Kind::kOpaque:
      return opaque_equals(a, b);
    case Kind::kPreserved:
      return Value::boolean(b.json() != nullptr && *a.json() == *b.json());
    case Kind::kNull:
      return Value::boolean(b.is(Kind::kNull));
    case Kind::kType:
      return Value::boolean(b.is(Kind::kType) && a.text() == b.text());
    default:
      return Value::boolean(a.kind() == b.kind() && compare(a, b).as_int() == 0);
  }
}

size_t add_elements_by_identity(Value* items, size_t count, const Value& added,
                                const Schema& schema, Arena& arena) {
  absl::flat_hash_map<std::string, size_t> places;
  for (size_t i = 0; i < count; ++i) places[element_key(items[i], schema, arena)] = i;
  for (size_t i = 0, n = list_size(added); i < n; ++i) {
    Value element = list_at(added, i, arena);
    auto [place, is_new] = places.emplace(element_key(element, schema, arena), count);
    if (is_new) {
      items[count++] = element;
    } else if (schema.list_type == Schema::ListType::kMap) {
      items[place->second] = element;
    }
  }
  return count;
}

// --- Sizes and texts
// -------------------------------------------------------------------------------------------------------

size_t count_code_points(std::string_view text) {
  size_t count = 0;
  const char *at = text.data(), *end = at + text.size();
  while (at < end) {
    if (static_cast<signed char>(*at) >= 0) {
      ++at;
    } else {
      (void)schema::decode_utf8(at, end);
    }
    ++count;
  }
  return count;
}

uint64_t cost_size(const Value& v) {
  switch (v.kind()) {
    case Kind::kString:
      return count_code_points(v.text());
    case Kind::kBytes:
      return v.text().size();
    case Kind::kList:
      return list_size(v);
    case Kind::kMap:
      return map_size(v);
    default:
      return 1;
  }
}

std::string display(const Value& v, Arena& arena) {
  switch (v.kind()) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return v.as_bool() ? "true" : "false";
    case Kind::kInt:
      return std::to_string(v.as_int());
    case Kind::kUint:
      return std::to_string(v.as_uint());
    case Kind::kDouble:
      return format_double(v.as_double());
    case Kind::kDuration:
    case Kind::kTimestamp:
      return std::string(convert(v, Conversion::kString, arena).text());
    case Kind::kList: {
      std::string out = "[";
      for (size_t i = 0, n = list_size(v); i < n; ++i)
        out += (i == 0 ? "" : ", ") + display(list_at(v, i, arena), arena);
      return out + "]";
    }
    case Kind::kMap: {
      std::string out = "{";
      Value keys = map_keys(v, arena);
      for (size_t i = 0, n = list_size(keys); i < n; ++i) {
        Value key = list_at(keys, i, arena), member;
        (void)map_find(v, key, arena, member);
        out += (i == 0 ? "" : ", ") + display(key, arena) + ": " + display(member, arena);
      }
      return out + "}";
    }
    case Kind::kOptional:
      return v.held() == nullptr ? "optional.none()"
                                 : "optional(" + display(*v.held(), arena) + ")";
    case Kind::kOpaque:
      return opaque_text(v);
    case Kind::kPreserved:
      return json::to_string(*v.json());
    default:
      return std::string(v.text());
  }
}

}  // namespace knarr::cel
