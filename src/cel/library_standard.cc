// SPDX-License-Identifier: Apache-2.0
// Operators and standard functions. They look at the types of their values, as cel-go's do: what
// the checker let through as dyn may be anything here.
#include "cel/library.h"
#include "cel/schema.h"

namespace knarr::cel {

using Kind = Value::Kind;

namespace {

constexpr int64_t kNanosPerSecond = 1000000000;

Value int_overflow() { return Value::error("integer overflow"); }
Value uint_overflow() { return Value::error("unsigned integer overflow"); }

Value add_to_time(const Value& time, int64_t nanos) {
  int64_t seconds = time.as_int() + nanos / kNanosPerSecond;  // far from overflow: both are bounded
  int64_t rest = static_cast<int64_t>(time.nanos()) + nanos % kNanosPerSecond;
  if (rest < 0) {
    rest += kNanosPerSecond;
    --seconds;
  } else if (rest >= kNanosPerSecond) {
    rest -= kNanosPerSecond;
    ++seconds;
  }
  if (seconds < kMinUnixSeconds || seconds > kMaxUnixSeconds)
    return Value::error("timestamp overflow");
  return Value::timestamp(seconds, static_cast<uint32_t>(rest), time.zone_minutes());
}

Value add_ints(int64_t a, int64_t b, Value (*make)(int64_t)) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? int_overflow() : make(sum);
}
Value subtract_ints(int64_t a, int64_t b, Value (*make)(int64_t)) {
  int64_t difference = 0;
  return __builtin_sub_overflow(a, b, &difference) ? int_overflow() : make(difference);
}

Value concatenate(const Call& call, const Value& a, const Value& b, Kind kind) {
  size_t size = a.text().size() + b.text().size();
  if (!call.arena.fits(size)) {
    call.arena.refuse();
    return no_such_overload();
  }
  char* to = static_cast<char*>(call.arena.allocate(size));
  std::memcpy(to, a.text().data(), a.text().size());
  std::memcpy(to + a.text().size(), b.text().data(), b.text().size());
  return kind == Kind::kString ? Value::string({to, size}) : Value::bytes({to, size});
}

// Additions to a set leave out what it has; to a list by keys they replace what has the same keys.
Value add_by_identity(const Call& call, const Value& a, const Value& b, const Schema& schema) {
  size_t count = list_size(a), added = list_size(b);
  Value* items = call.arena.values(count + added);
  for (size_t i = 0; i < count; ++i) items[i] = list_at(a, i, call.arena);
  size_t size = add_elements_by_identity(items, count, b, schema, call.arena);
  return Value::typed_list(items, size, &schema);
}

Value add_lists(const Call& call, const Value& a, const Value& b) {
  const Schema* schema = a.list_schema();
  if (schema != nullptr &&
      (schema->list_type == Schema::ListType::kSet || schema->list_type == Schema::ListType::kMap))
    return add_by_identity(call, a, b, *schema);
  size_t left = list_size(a), right = list_size(b);
  if (left == 0) return b;
  if (right == 0) return a;
  auto* node = static_cast<Concat*>(call.arena.allocate(sizeof(Concat)));
  new (node) Concat{a, b, static_cast<uint32_t>(left + right)};
  return Value::concat(node, schema);
}

}  // namespace

namespace functions {

Value logical_not(const Call& call) {
  const Value& a = call.args[0];
  if (a.is(Kind::kBool)) return Value::boolean(!a.as_bool());
  return a.is(Kind::kInt) || a.is(Kind::kDouble) ? cel::no_such_overload() : no_such_overload(call);
}

Value add(const Call& call) {
  const Value &a = call.args[0], &b = call.args[1];
  switch (a.kind()) {
    case Kind::kDuration:
      if (b.is(Kind::kTimestamp)) return add_to_time(b, a.as_int());
      return b.is(Kind::kDuration) ? add_ints(a.as_int(), b.as_int(), Value::duration)
                                   : cel::no_such_overload();
    case Kind::kTimestamp:
      return b.is(Kind::kDuration) ? add_to_time(a, b.as_int()) : cel::no_such_overload();
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kDouble:
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kList:
      if (a.kind() != b.kind()) return cel::no_such_overload();
      break;
    default:
      return no_such_overload(call);
  }
  uint64_t sum = 0;
  switch (a.kind()) {
    case Kind::kInt:
      return add_ints(a.as_int(), b.as_int(), Value::integer);
    case Kind::kUint:
      return __builtin_add_overflow(a.as_uint(), b.as_uint(), &sum) ? uint_overflow()
                                                                    : Value::uinteger(sum);
    case Kind::kDouble:
      return Value::number(a.as_double() + b.as_double());
    case Kind::kList:
      return add_lists(call, a, b);
    default:
      return concatenate(call, a, b, a.kind());
  }
}

Value subtract(const Call& call) {
  const Value &a = call.args[0], &b = call.args[1];
  uint64_t difference = 0;
  switch (a.kind()) {
    case Kind::kInt:
      return b.is(Kind::kInt) ? subtract_ints(a.as_int(), b.as_int(), Value::integer)
                              : cel::no_such_overload();
    case Kind::kUint:
      if (!b.is(Kind::kUint)) return cel::no_such_overload();
      return __builtin_sub_overflow(a.as_uint(), b.as_uint(), &difference)
                 ? uint_overflow()
                 : Value::uinteger(difference);
    case Kind::kDouble:
      return b.is(Kind::kDouble) ? Value::number(a.as_double() - b.as_double())
                                 : cel::no_such_overload();
    case Kind::kDuration:
      return b.is(Kind::kDuration) ? subtract_ints(a.as_int(), b.as_int(), Value::duration)
                                   : cel::no_such_overload();
    case Kind::kTimestamp: {
      if (b.is(Kind::kDuration))
        return b.as_int() == INT64_MIN ? int_overflow() : add_to_time(a, -b.as_int());
      if (!b.is(Kind::kTimestamp)) return cel::no_such_overload();
      int64_t nanos = 0;
      bool over = __builtin_mul_overflow(a.as_int() - b.as_int(), kNanosPerSecond, &nanos);
      return over ? int_overflow()
                  : add_ints(nanos,
                             static_cast<int64_t>(a.nanos()) - static_cast<int64_t>(b.nanos()),
                             Value::duration);
    }
    default:
      return no_such_overload(call);
  }
}

Value multiply(const Call& call) {
  const Value &a = call.args[0], &b = call.args[1];
  int64_t product = 0;
  uint64_t unsigned_product = 0;
  switch (a.kind()) {
    case Kind::kInt:
      if (!b.is(Kind::kInt)) return cel::no_such_overload();
      return __builtin_mul_overflow(a.as_int(), b.as_int(), &product) ? int_overflow()
                                                                      : Value::integer(product);
    case Kind::kUint:
      if (!b.is(Kind::kUint)) return cel::no_such_overload();
      return __builtin_mul_overflow(a.as_uint(), b.as_uint(), &unsigned_product)
                 ? uint_overflow()
                 : Value::uinteger(unsigned_product);
    case Kind::kDouble:
      return b.is(Kind::kDouble) ? Value::number(a.as_double() * b.as_double())
                                 : cel::no_such_overload();
    default:
      return no_such_overload(call);
  }
}

Value divide(const Call& call) {
  const Value &a = call.args[0], &b = call.args[1];
  if (a.is(Kind::kDouble))
    return b.is(Kind::kDouble) ? Value::number(a.as_double() / b.as_double())
                               : cel::no_such_overload();
  if (!a.is(Kind::kInt) && !a.is(Kind::kUint)) return no_such_overload(call);
  if (a.kind() != b.kind()) return cel::no_such_overload();
  if (b.as_uint() == 0) return Value::error("division by zero");
  if (a.is(Kind::kUint)) return Value::uinteger(a.as_uint() / b.as_uint());
  return a.as_int() == INT64_MIN && b.as_int() == -1 ? int_overflow()
                                                     : Value::integer(a.as_int() / b.as_int());
}

Value modulo(const Call& call) {
  const Value &a = call.args[0], &b = call.args[1];
  if (!a.is(Kind::kInt) && !a.is(Kind::kUint)) return no_such_overload(call);
  if (a.kind() != b.kind()) return cel::no_such_overload();
  if (b.as_uint() == 0) return Value::error("modulus by zero");
  if (a.is(Kind::kUint)) return Value::uinteger(a.as_uint() % b.as_uint());
  return a.as_int() == INT64_MIN && b.as_int() == -1 ? int_overflow()
                                                     : Value::integer(a.as_int() % b.as_int());
}

Value negate(const Call& call) {
  const Value& a = call.args[0];
  switch (a.kind()) {
    case Kind::kInt:
      return subtract_ints(0, a.as_int(), Value::integer);
    case Kind::kDuration:
      return subtract_ints(0, a.as_int(), Value::duration);
    case Kind::kDouble:
      return Value::number(-a.as_double());
    case Kind::kBool:
      return cel::no_such_overload();
    default:
      return no_such_overload(call);
  }
}

namespace {

template <class Accept>
Value ordered(const Call& call, const Accept& accept) {
  if (!is_comparable(call.args[0])) return no_such_overload(call);
  Value order = compare(call.args[0], call.args[1]);
  return order.is_error() ? order : Value::boolean(accept(order.as_int()));
}

}  // namespace

Value less(const Call& call) {
  return ordered(call, [](int64_t order) { return order < 0; });
}
Value less_equal(const Call& call) {
  return ordered(call, [](int64_t order) { return order <= 0; });
}
Value greater(const Call& call) {
  return ordered(call, [](int64_t order) { return order > 0; });
}
Value greater_equal(const Call& call) {
  return ordered(call, [](int64_t order) { return order >= 0; });
}

Value size(const Call& call) {
  switch (call.args[0].kind()) {
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kList:
    case Kind::kMap:
      return Value::integer(static_cast<int64_t>(cost_size(call.args[0])));
    default:
      return no_such_overload(call);
  }
}

Value in(const Call& call) {
  const Value &item = call.args[0], &whole = call.args[1];
  if (whole.is(Kind::kMap)) {
    Value found;
    bool has = map_find(whole, item, call.arena, found);
    return has && found.is_error() && whole.json_schema() != nullptr ? found : Value::boolean(has);
  }
  if (!whole.is(Kind::kList)) return cel::no_such_overload();
  bool from_schema = whole.list_schema() != nullptr;
  Value failure;
  for (size_t i = 0, n = list_size(whole); i < n; ++i) {
    Value element = list_at(whole, i, call.arena);
    Value equal = from_schema ? receiver_equals(element, item, call.arena)
                              : receiver_equals(item, element, call.arena);
    if (equal.is_true()) return equal;
    if (from_schema && equal.is_error() && !failure.is_error()) failure = equal;
  }
  return failure.is_error() ? failure : Value::boolean(false);
}

namespace {

template <class Test>
Value about_strings(const Call& call, const Test& test) {
  if (!call.args[0].is(Kind::kString)) return no_such_overload(call);
  if (!call.args[1].is(Kind::kString)) return cel::no_such_overload();
  return Value::boolean(test(call.args[0].text(), call.args[1].text()));
}

}  // namespace

Value contains(const Call& call) {
  return about_strings(call, [](std::string_view a, std::string_view b) {
    return a.find(b) != std::string_view::npos;
  });
}
Value starts_with(const Call& call) {
  return about_strings(call,
                       [](std::string_view a, std::string_view b) { return a.starts_with(b); });
}
Value ends_with(const Call& call) {
  return about_strings(call, [](std::string_view a, std::string_view b) { return a.ends_with(b); });
}

Value to_dyn(const Call& call) { return call.args[0]; }
Value to_int(const Call& call) { return convert(call.args[0], Conversion::kInt, call.arena); }
Value to_uint(const Call& call) { return convert(call.args[0], Conversion::kUint, call.arena); }
Value to_double(const Call& call) { return convert(call.args[0], Conversion::kDouble, call.arena); }
Value to_bool(const Call& call) { return convert(call.args[0], Conversion::kBool, call.arena); }
Value to_string(const Call& call) { return convert(call.args[0], Conversion::kString, call.arena); }
Value to_bytes(const Call& call) { return convert(call.args[0], Conversion::kBytes, call.arena); }
Value to_duration(const Call& call) {
  return convert(call.args[0], Conversion::kDuration, call.arena);
}
Value to_timestamp(const Call& call) {
  return convert(call.args[0], Conversion::kTimestamp, call.arena);
}
Value to_type(const Call& call) { return convert(call.args[0], Conversion::kType, call.arena); }

}  // namespace functions

}  // namespace knarr::cel
