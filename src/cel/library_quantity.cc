// SPDX-License-Identifier: Apache-2.0
// Kubernetes' quantities, and what all opaque values have in common.
#include "cel/library.h"
#include "cel/opaque.h"

namespace knarr::cel {
namespace {

using schema::QuantityValue;

// 128-bit numbers want an alignment that the arena does not promise.
Value make(const QuantityValue& quantity, Arena& arena) {
  size_t room = sizeof(QuantityOpaque) + alignof(QuantityOpaque);
  void* at = arena.allocate(room);
  at = std::align(alignof(QuantityOpaque), sizeof(QuantityOpaque), at, room);
  return Value::opaque(new (at) QuantityOpaque{{kQuantityTypeName}, quantity});
}

const QuantityValue& of(const Value& v) {
  return static_cast<const QuantityOpaque*>(v.as_opaque())->quantity;
}

QuantityValue operand(const Value& v) {
  return v.is(Value::Kind::kInt)
             ? QuantityValue::from_int(v.as_int(), QuantityValue::Format::kDecimalExponent)
             : of(v);
}

bool is_whole(const QuantityValue& quantity) {
  int64_t value = quantity.value();
  return QuantityValue::from_int(value) == quantity;
}

// The whole part and billionths apart, so that both are exact.
double approximate(QuantityValue quantity) {
  auto whole = static_cast<double>(quantity.value());
  quantity -= QuantityValue::from_int(quantity.value());
  return whole + static_cast<double>(quantity.milli_value()) / 1000;
}

}  // namespace

Value opaque_equals(const Value& a, const Value& b) {
  if (!b.is(Value::Kind::kOpaque) || a.type_name() != b.type_name()) return no_such_overload();
  if (a.type_name() == kUrlTypeName)
    return Value::boolean(static_cast<const UrlValue*>(a.as_opaque())->whole ==
                          static_cast<const UrlValue*>(b.as_opaque())->whole);
  if (a.type_name() == kQuantityTypeName) return Value::boolean(of(a) == of(b));
  return no_such_overload();
}

std::string opaque_text(const Value& v) {
  if (v.type_name() == kUrlTypeName)
    return std::string(static_cast<const UrlValue*>(v.as_opaque())->whole);
  if (v.type_name() == kQuantityTypeName) return of(v).to_string();
  return std::string(v.type_name());
}

namespace functions {

Value quantity(const Call& call) {
  Result<QuantityValue> parsed = QuantityValue::parse(call.args[0].text());
  return parsed.ok() ? make(*parsed, call.arena)
                     : Value::error(call.arena, parsed.status().message());
}
Value is_quantity(const Call& call) {
  return Value::boolean(QuantityValue::parse(call.args[0].text()).ok());
}
Value quantity_sign(const Call& call) { return Value::integer(of(call.args[0]).sign()); }
Value quantity_is_greater(const Call& call) {
  return Value::boolean(of(call.args[0]) > of(call.args[1]));
}
Value quantity_is_less(const Call& call) {
  return Value::boolean(of(call.args[0]) < of(call.args[1]));
}
Value quantity_compare(const Call& call) {
  auto order = of(call.args[0]) <=> of(call.args[1]);
  return Value::integer(order < 0 ? -1 : order > 0 ? 1 : 0);
}
Value quantity_as_float(const Call& call) { return Value::number(approximate(of(call.args[0]))); }
Value quantity_is_int(const Call& call) { return Value::boolean(is_whole(of(call.args[0]))); }
Value quantity_as_int(const Call& call) {
  return is_whole(of(call.args[0])) ? Value::integer(of(call.args[0]).value())
                                    : Value::error("cannot convert value to integer");
}
Value quantity_add(const Call& call) {
  QuantityValue sum = of(call.args[0]);
  sum += operand(call.args[1]);
  return make(sum, call.arena);
}
Value quantity_sub(const Call& call) {
  QuantityValue difference = of(call.args[0]);
  difference -= operand(call.args[1]);
  return make(difference, call.arena);
}

}  // namespace functions
}  // namespace knarr::cel
