// SPDX-License-Identifier: Apache-2.0
// Evaluation: one recursive walk over the nodes. Nothing is allocated unless the expression makes
// something; what it makes goes to the arena.
#include "cel/evaluate.h"

namespace knarr::cel {
namespace {

using Op = Node::Op;
using Kind = Value::Kind;

// How many steps of loops go by between two questions for an interruption.
constexpr uint64_t kStepsBetweenChecks = 100;

class Evaluation {
 public:
  Evaluation(const Code& code, const Environment& environment, std::span<const Value> bindings,
             const Budget& budget, Arena& arena)
      : code_(code),
        environment_(environment),
        bindings_(bindings),
        budget_(budget),
        arena_(arena) {
    if (code.slots == 0) return;
    locals_ = arena.values(code.slots);
    builders_ = static_cast<Builder*>(arena.allocate(code.slots * sizeof(Builder)));
    std::fill(builders_, builders_ + code.slots, Builder());
  }

  Outcome run() {
    Value value = eval(code_.nodes[code_.root]);
    if (pending_ && stop_ == Stop::kNone) stop_ = Stop::kPending;
    switch (stop_) {
      case Stop::kNone:
        break;
      case Stop::kCost:
        value = Value::error("operation cancelled: actual cost limit exceeded");
        break;
      case Stop::kMemory:
        value = Value::error("operation cancelled: memory limit exceeded");
        break;
      case Stop::kInterrupted:
        value = Value::error("operation interrupted");
        break;
      case Stop::kPending:
        value = Value::error("authorization is not decided yet");
        break;
    }
    return {value, cost_, stop_};
  }

 private:
  // A list that a fold makes grows in place. Values see the part that was there when they were
  // taken.
  struct Builder {
    Value* items = nullptr;
    uint32_t size = 0, capacity = 0;
    bool active = false;
  };

  Value stopped() const { return Value::error("stopped"); }

  // False when the evaluation is to end.
  bool charge(uint64_t cost) {
    cost_ = cost_ > UINT64_MAX - cost ? UINT64_MAX : cost_ + cost;
    if (cost_ > budget_.cost && stop_ == Stop::kNone) stop_ = Stop::kCost;
    if (arena_.over_limit() && stop_ == Stop::kNone) stop_ = Stop::kMemory;
    return stop_ == Stop::kNone && !pending_;
  }

  Value eval(const Node& node) {
    if (!charge(node.cost)) return stopped();
    switch (node.op) {
      case Op::kConst:
        return code_.constants[node.data];
      case Op::kLocal:
        return locals_[node.data];
      case Op::kVariable:
        return variable(node);
      case Op::kSelect:
      case Op::kOptionalSelect:
        return select(node);
      case Op::kHas:
        return has(node);
      case Op::kIndex:
      case Op::kOptionalIndex:
        return index(node);
      case Op::kAnd:
        return logical(node, false);
      case Op::kOr:
        return logical(node, true);
      case Op::kConditional:
        return conditional(node);
      case Op::kNotStrictlyFalse: {
        Value value = eval(code_.child(node, 0));
        return value.is(Kind::kBool) ? value : Value::boolean(true);
      }
      case Op::kEqual:
      case Op::kNotEqual:
        return equality(node);
      case Op::kCall:
        return call(node);
      case Op::kAppend:
        return append(node);
      case Op::kInSet: {
        Value value = eval(code_.child(node, 0));
        if (value.is_error()) return value;
        return Value::boolean(
            static_cast<const MadeMap*>(code_.constants[node.data].pointer())->find(value) !=
            nullptr);
      }
      case Op::kList:
        return list(node);
      case Op::kMap:
        return map(node);
      case Op::kFold:
        return fold(node);
      case Op::kOptionalOr:
      case Op::kOptionalOrValue:
        return optional_or(node);
    }
    return Value::null();
  }

  Value variable(const Node& node) {
    if (node.data < bindings_.size() && !bindings_[node.data].is(Kind::kUnset))
      return bindings_[node.data];
    return Value::error(
        arena_, "no such attribute(s): " + std::string(environment_.variable_name(node.data)));
  }

  // --- Selections ---

  Value select(const Node& node) {
    Value from = eval(code_.child(node, 0));
    if (from.is_error()) return from;
    const FieldName& field = code_.fields[node.data];
    return step(node, from, field.key, &field, node.op == Op::kOptionalSelect);
  }

  Value index(const Node& node) {
    Value from = eval(code_.child(node, 0));
    if (from.is_error() || (from.is(Kind::kOptional) && from.held() == nullptr)) return from;
    Value key = eval(code_.child(node, 1));
    bool is_optional = node.op == Op::kOptionalIndex || from.is(Kind::kOptional);
    if (key.is_error()) return is_optional || charge(node.step_cost) ? key : stopped();
    switch (key.kind()) {
      case Kind::kBool:
      case Kind::kInt:
      case Kind::kUint:
      case Kind::kDouble:
      case Kind::kString:
        return step(node, from, key, nullptr, node.op == Op::kOptionalIndex);
      default:
        return is_optional || charge(node.step_cost)
                   ? Value::error(arena_,
                                  "invalid qualifier type: " + std::string(go_type_name(key)))
                   : stopped();
    }
  }

  // From an optional, or optionally, the answer is optional, and what is not there costs nothing.
  Value step(const Node& node, const Value& from, const Value& key, const FieldName* field,
             bool is_optional) {
    if (!is_optional && !from.is(Kind::kOptional))
      return charge(node.step_cost) ? select_from(from, key, field, arena_) : stopped();
    if (from.is(Kind::kOptional) && from.held() == nullptr) return from;
    Value found;
    Value failure = find_in(from.is(Kind::kOptional) ? *from.held() : from, key, field, found);
    if (failure.is_error()) return failure;
    if (found.is(Kind::kUnset)) return Value::optional(nullptr);
    return charge(node.step_cost) ? make_optional(found, arena_) : stopped();
  }

  // Looks without failing for what is not there: `found` stays unset.
  Value find_in(const Value& from, const Value& key, const FieldName* field, Value& found) {
    if (from.is_error()) return from;
    if (from.is(Kind::kMap)) {
      bool has = field != nullptr ? map_find_field(from, key, field->unescaped, field->can_unescape,
                                                   arena_, found)
                                  : map_find(from, key, arena_, found);
      if (!has) found = Value();
      return found.is_error() ? found : Value();
    }
    if (!from.is(Kind::kList)) return Value();
    Value item = select_from(from, key, field, arena_);
    if (!item.is_error()) found = item;
    return item.is_error() && !item.text().starts_with("index out of bounds") ? item : Value();
  }

  Value has(const Node& node) {
    Value from = eval(code_.child(node, 0));
    if (from.is_error()) {
      // Upstream gives one back for any has() and had only charged names, not choices between them.
      if (node.step_cost == 0 && cost_ > 0) --cost_;
      return from;
    }
    bool is_optional = from.is(Kind::kOptional);
    if (is_optional && from.held() == nullptr) return Value::boolean(false);
    const FieldName& field = code_.fields[node.data];
    Value found;
    Value failure = find_in(is_optional ? *from.held() : from, field.key, &field, found);
    bool is_charged = !is_optional || !found.is(Kind::kUnset);
    if (is_charged && !charge(node.step_cost)) return stopped();
    return failure.is_error() ? failure : Value::boolean(!found.is(Kind::kUnset));
  }

  // --- Operators ---

  // && and ||: `decisive` on either side decides, whatever the other is, even an error.
  Value logical(const Node& node, bool decisive) {
    Value left = eval(code_.child(node, 0));
    if (left.is(Kind::kBool) && left.as_bool() == decisive) return left;
    if (stop_ != Stop::kNone || pending_) return stopped();
    Value right = eval(code_.child(node, 1));
    if (right.is(Kind::kBool) && (left.is(Kind::kBool) || right.as_bool() == decisive))
      return right;
    if (left.is_error()) return left;
    return right.is_error() ? right : no_such_overload();
  }

  Value conditional(const Node& node) {
    Value condition = eval(code_.child(node, 0));
    if (!condition.is(Kind::kBool)) return condition.is_error() ? condition : no_such_overload();
    return eval(code_.child(node, condition.as_bool() ? 1 : 2));
  }

  Value equality(const Node& node) {
    const Value sides[] = {eval(code_.child(node, 0)), eval(code_.child(node, 1))};
    if (!charge(run_cost(Cost::kEqual, sides, arena_))) return stopped();
    for (const Value& side : sides)
      if (side.is_error()) return side;
    Value equal = equals(sides[0], sides[1], arena_);
    return node.op == Op::kEqual ? equal : Value::boolean(!equal.is_true());
  }

  Value optional_or(const Node& node) {
    Value left = eval(code_.child(node, 0));
    if (!left.is(Kind::kOptional)) return left;
    if (left.held() == nullptr) return eval(code_.child(node, 1));
    return node.op == Op::kOptionalOr ? left : *left.held();
  }

  Value call(const Node& node) {
    const CallSite& site = code_.calls[node.data];
    constexpr size_t kFew = 4;  // no function has more parameters
    Value args[kFew];
    const Value* failure = nullptr;
    for (size_t i = 0; i < node.count; ++i) {
      args[i] = eval(code_.child(node, i));
      if (!args[i].is_error()) continue;
      // Upstream only charges for a call whose arguments have all been looked at.
      if (site.stops_at_error && i + 1 < node.count) return args[i];
      if (failure == nullptr) failure = &args[i];
    }
    std::span<const Value> all(args, node.count);
    if (!charge(run_cost(site.cost, all, arena_))) return stopped();
    if (failure != nullptr)
      return charge(run_cost_of_result(site.cost, *failure)) ? *failure : stopped();
    Call applied{site.function->name, all, arena_, site.regex.get(), pending_};
    Value result = site.regex != nullptr
                       ? site.function->overloads[0].call(applied)
                       : dispatch(*site.function, site.resolved, environment_.libraries(), applied);
    if (!charge(run_cost_of_result(site.cost, result))) return stopped();
    return result;
  }

  // --- Literals and folds ---

  Value list(const Node& node) {
    const std::vector<bool>& optionals = code_.optionals[node.data];
    Value* items = arena_.values(node.count);
    size_t size = 0;
    for (size_t i = 0; i < node.count; ++i) {
      Value item = eval(code_.child(node, i));
      if (item.is_error()) return item;
      if (node.data != 0 && optionals[i]) {
        if (!item.is(Kind::kOptional))
          return Value::error(arena_,
                              "cannot initialize optional list element from non-optional value " +
                                  display(item, arena_));
        if (item.held() == nullptr) continue;
        item = *item.held();
      }
      items[size++] = item;
    }
    return Value::list(items, size);
  }

  Value map(const Node& node) {
    const std::vector<bool>& optionals = code_.optionals[node.data];
    MadeMap* made = MadeMap::make(node.count / 2, arena_);
    for (size_t i = 0; i < node.count; i += 2) {
      Value key = eval(code_.child(node, i));
      if (key.is_error()) return key;
      Value value = eval(code_.child(node, i + 1));
      if (value.is_error()) return value;
      if (!can_be_map_key(key))
        return Value::error(arena_, "internal error: runtime error: hash of unhashable type " +
                                        std::string(go_type_name(key)));
      if (node.data != 0 && optionals[i / 2]) {
        if (!value.is(Kind::kOptional)) {
          return Value::error(arena_, "cannot initialize optional entry '" + display(key, arena_) +
                                          "' from non-optional value " + display(value, arena_));
        }
        if (value.held() == nullptr) {
          made->erase(key);
          continue;
        }
        value = *value.held();
      }
      made->set(key, value);
    }
    return Value::map(made);
  }

  Value fold(const Node& node) {
    Value range = eval(code_.child(node, Expr::kRange));
    if (range.is_error()) return range;
    if (range.is(Kind::kMap)) {
      range = map_keys(range, arena_);
    } else if (!range.is(Kind::kList)) {
      return Value::error(arena_,
                          "got '" + std::string(go_type_name(range)) + "', expected iterable type");
    }
    uint32_t variable = node.data, accumulator = node.data + 1;
    locals_[accumulator] = eval(code_.child(node, Expr::kInit));
    bool builds = locals_[accumulator].is(Kind::kList) && list_size(locals_[accumulator]) == 0;
    builders_[accumulator] = Builder{nullptr, 0, 0, builds};
    const Node &condition = code_.child(node, Expr::kCondition),
               &next = code_.child(node, Expr::kStep);
    for (size_t i = 0, n = list_size(range); i < n; ++i) {
      locals_[variable] = list_at(range, i, arena_);
      Value goes_on = eval(condition);
      if (goes_on.is(Kind::kBool) && !goes_on.as_bool()) break;
      locals_[accumulator] = eval(next);
      if (!goes_on_after_step()) return stopped();
    }
    return eval(code_.child(node, Expr::kResult));
  }

  bool goes_on_after_step() {
    if (++steps_ % kStepsBetweenChecks == 0 && budget_.interrupted && budget_.interrupted() &&
        stop_ == Stop::kNone)
      stop_ = Stop::kInterrupted;
    return charge(0);
  }

  Value append(const Node& node) {
    Value whole = locals_[node.data];
    Value added = eval(code_.child(node, 0));
    if (whole.is_error()) return whole;
    if (added.is_error()) return added;
    Builder& builder = builders_[node.data];
    size_t count = list_size(added);
    bool in_place = builder.active && whole.is(Kind::kList) && list_size(whole) == builder.size &&
                    (builder.size == 0 || whole.pointer() == builder.items);
    if (!in_place) {
      const Value both[] = {whole, added};
      return functions::add(Call{"_+_", both, arena_, nullptr, pending_});
    }
    if (builder.size + count > builder.capacity) {
      auto capacity = static_cast<uint32_t>(
          std::max<size_t>(builder.size + count, size_t{builder.capacity} * 2));
      capacity = std::max<uint32_t>(capacity, 8);
      Value* items = arena_.values(capacity);
      std::copy(builder.items, builder.items + builder.size, items);
      builder.items = items;
      builder.capacity = capacity;
    }
    for (size_t i = 0; i < count; ++i) builder.items[builder.size++] = list_at(added, i, arena_);
    return Value::list(builder.items, builder.size);
  }

  const Code& code_;
  const Environment& environment_;
  std::span<const Value> bindings_;
  const Budget& budget_;
  Arena& arena_;
  Value* locals_ = nullptr;
  Builder* builders_ = nullptr;
  uint64_t cost_ = 0, steps_ = 0;
  Stop stop_ = Stop::kNone;
  bool pending_ = false;
};

// The integer that an index is; false when it is none.
bool list_index(const Value& key, int64_t& out) {
  switch (key.kind()) {
    case Kind::kInt:
      out = key.as_int();
      return true;
    case Kind::kUint:
      out = key.as_int();
      return key.as_int() >= 0;
    case Kind::kDouble:
      return double_to_int_exact(key.as_double(), out);
    default:
      return false;
  }
}

}  // namespace

Outcome evaluate(const Code& code, const Environment& environment, std::span<const Value> bindings,
                 const Budget& budget, Arena& arena) {
  return Evaluation(code, environment, bindings, budget, arena).run();
}

Value select_from(const Value& from, const Value& key, const FieldName* field, Arena& arena) {
  if (from.is_error()) return from;
  if (from.is(Kind::kList)) {
    int64_t i = 0;
    if (!list_index(key, i)) {
      bool is_number = key.is(Kind::kUint) || key.is(Kind::kDouble);
      if (is_number)
        return Value::error(arena, "unsupported index value " + display(key, arena) + " in list");
      return Value::error(arena,
                          "unsupported index type '" + std::string(key.type_name()) + "' in list");
    }
    if (i < 0 || static_cast<uint64_t>(i) >= list_size(from))
      return Value::error(arena, "index out of bounds: " + display(key, arena));
    if (from.list_schema() != nullptr && !key.is(Kind::kInt))
      return Value::error(arena, "unsupported index: " + display(key, arena));
    return list_at(from, static_cast<size_t>(i), arena);
  }
  Value found;
  bool has = from.is(Kind::kMap) &&
             (field != nullptr
                  ? map_find_field(from, key, field->unescaped, field->can_unescape, arena, found)
                  : map_find(from, key, arena, found));
  return has ? found : Value::error(arena, "no such key: " + display(key, arena));
}

std::string_view go_type_name(const Value& v) {
  switch (v.kind()) {
    case Kind::kNull:
      return "types.Null";
    case Kind::kBool:
      return "types.Bool";
    case Kind::kInt:
      return "types.Int";
    case Kind::kUint:
      return "types.Uint";
    case Kind::kDouble:
      return "types.Double";
    case Kind::kString:
      return "types.String";
    case Kind::kBytes:
      return "types.Bytes";
    case Kind::kDuration:
      return "types.Duration";
    case Kind::kTimestamp:
      return "types.Timestamp";
    case Kind::kList:
      return "*types.baseList";
    case Kind::kMap:
      return "*types.baseMap";
    case Kind::kType:
      return "*types.TypeValue";
    case Kind::kOptional:
      return "*types.Optional";
    default:
      return v.type_name();
  }
}

// Lists and maps are keys by identity: nothing finds them.
bool can_be_map_key(const Value& key) { return !key.is(Kind::kBytes); }

}  // namespace knarr::cel
