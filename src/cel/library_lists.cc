// SPDX-License-Identifier: Apache-2.0
// Kubernetes' functions of lists.
#include "cel/library.h"

namespace knarr::cel {
namespace {

Value sum(const Call& call, Value total) {
  const Value& list = call.args[0];
  for (size_t i = 0, n = list_size(list); i < n; ++i) {
    const Value pair[] = {total, list_at(list, i, call.arena)};
    if (pair[1].is_error()) return pair[1];
    total = functions::add(Call{"_+_", pair, call.arena, nullptr, call.pending});
    if (total.is_error()) return total;
  }
  return total;
}

// The element that every other one is in `order` to.
Value extreme(const Call& call, int64_t order, std::string_view name) {
  const Value& list = call.args[0];
  Value best;
  for (size_t i = 0, n = list_size(list); i < n; ++i) {
    Value item = list_at(list, i, call.arena);
    if (item.is_error()) return item;
    if (!is_comparable(item)) return no_such_overload();
    if (best.is(Value::Kind::kUnset)) {
      best = item;
      continue;
    }
    Value found = compare(best, item);
    if (!found.is_error() && found.as_int() == order) best = item;
  }
  return best.is(Value::Kind::kUnset)
             ? Value::error(call.arena, std::string(name) + " called on empty list")
             : best;
}

}  // namespace

namespace functions {

Value is_sorted(const Call& call) {
  const Value& list = call.args[0];
  Value last;
  for (size_t i = 0, n = list_size(list); i < n; ++i) {
    Value item = list_at(list, i, call.arena);
    if (item.is_error()) return item;
    if (!is_comparable(item)) return cel::no_such_overload();
    if (!last.is(Value::Kind::kUnset)) {
      Value order = compare(last, item);
      if (!order.is_error() && order.as_int() == 1) return Value::boolean(false);
    }
    last = item;
  }
  return Value::boolean(true);
}

Value sum_int(const Call& call) { return sum(call, Value::integer(0)); }
Value sum_uint(const Call& call) { return sum(call, Value::uinteger(0)); }
Value sum_double(const Call& call) { return sum(call, Value::number(0)); }
Value sum_duration(const Call& call) { return sum(call, Value::duration(0)); }
Value list_min(const Call& call) { return extreme(call, 1, "min"); }
Value list_max(const Call& call) { return extreme(call, -1, "max"); }

Value list_index_of(const Call& call) {
  for (size_t i = 0, n = list_size(call.args[0]); i < n; ++i)
    if (receiver_equals(list_at(call.args[0], i, call.arena), call.args[1], call.arena).is_true())
      return Value::integer(static_cast<int64_t>(i));
  return Value::integer(-1);
}

Value list_last_index_of(const Call& call) {
  for (size_t i = list_size(call.args[0]); i-- > 0;)
    if (receiver_equals(list_at(call.args[0], i, call.arena), call.args[1], call.arena).is_true())
      return Value::integer(static_cast<int64_t>(i));
  return Value::integer(-1);
}

}  // namespace functions
}  // namespace knarr::cel
