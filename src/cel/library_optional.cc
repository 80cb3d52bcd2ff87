// SPDX-License-Identifier: Apache-2.0
// Optional values: there or not.
#include "cel/library.h"

namespace knarr::cel {
namespace {

bool is_zero_value(const Value& v) {
  using Kind = Value::Kind;
  switch (v.kind()) {
    case Kind::kNull:
      return true;
    case Kind::kBool:
      return !v.as_bool();
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kDuration:
      return v.as_int() == 0;
    case Kind::kDouble:
      return v.as_double() == 0;
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kList:
    case Kind::kMap:
      return cost_size(v) == 0;
    case Kind::kTimestamp:
      return v.as_int() == kMinUnixSeconds && v.nanos() == 0;
    default:
      return false;
  }
}

}  // namespace

Value make_optional(const Value& v, Arena& arena) {
  Value* held = arena.values(1);
  *held = v;
  return Value::optional(held);
}

namespace functions {

Value optional_of(const Call& call) { return make_optional(call.args[0], call.arena); }
Value optional_of_non_zero(const Call& call) {
  return is_zero_value(call.args[0]) ? Value::optional(nullptr)
                                     : make_optional(call.args[0], call.arena);
}
Value optional_none(const Call&) { return Value::optional(nullptr); }
Value optional_value(const Call& call) {
  return call.args[0].held() == nullptr ? Value::error("optional.none() dereference")
                                        : *call.args[0].held();
}
Value optional_has_value(const Call& call) {
  return Value::boolean(call.args[0].held() != nullptr);
}

}  // namespace functions
}  // namespace knarr::cel
