// SPDX-License-Identifier: Apache-2.0
// From the tree to nodes. Costs are decided here, as cel-go's interpreter counts them: a name with
// its selections costs one and one for each selection, but the name is free where it is a branch of
// a conditional, a key, or inside has().
#include "cel/escape.h"
#include "cel/evaluate.h"
#include "cel/program.h"

namespace knarr::cel {
namespace {

using Op = Node::Op;

class Lowering {
 public:
  Lowering(Ast& ast, const Environment& environment, Code& code, std::string& error)
      : ast_(ast), environment_(environment), code_(code), error_(error) {
    code_.optionals.emplace_back();
  }

  bool run() {
    code_.root = visit(*ast_.root, false);
    code_.slots = static_cast<uint32_t>(ast_.slots);
    return error_.empty();
  }

 private:
  // --- Making nodes ---

  uint32_t add(Op op, const std::vector<uint32_t>& children, uint32_t data = 0, uint8_t cost = 0,
               uint8_t step_cost = 0) {
    Node node{op,
              cost,
              step_cost,
              static_cast<uint32_t>(code_.links.size()),
              static_cast<uint32_t>(children.size()),
              data};
    code_.links.insert(code_.links.end(), children.begin(), children.end());
    code_.nodes.push_back(node);
    return static_cast<uint32_t>(code_.nodes.size() - 1);
  }
  uint32_t constant(const Value& value) {
    code_.constants.push_back(value);
    return add(Op::kConst, {}, static_cast<uint32_t>(code_.constants.size() - 1));
  }
  uint32_t field(const std::string& name) {
    std::optional<std::string> unescaped = unescape_field(name);
    code_.fields.push_back(
        {Value::string(ast_.arena.copy(name)), unescaped.value_or(""), unescaped.has_value()});
    return static_cast<uint32_t>(code_.fields.size() - 1);
  }
  bool is_constant(uint32_t node) const { return code_.nodes[node].op == Op::kConst; }
  const Value& constant_of(uint32_t node) const { return code_.constants[code_.nodes[node].data]; }

  // A node without variables, computed now. Lists and maps that cannot be made fail when they are
  // evaluated, conversions at once.
  uint32_t folded(uint32_t node) {
    code_.root = node;
    code_.slots = 0;
    Outcome outcome = evaluate(code_, environment_, {}, {}, ast_.arena);
    if (outcome.value.is_error() && code_.nodes[node].op == Op::kCall) {
      if (error_.empty()) error_ = outcome.value.text();
      return node;
    }
    return constant(outcome.value);
  }

  bool all_constant(const std::vector<uint32_t>& nodes) const {
    for (uint32_t node : nodes)
      if (!is_constant(node)) return false;
    return true;
  }

  // --- Attributes: names, selections, and choices between them ---

  static bool is_attribute(const Expr& e) {
    if (e.kind == Expr::Kind::kIdent) return e.variable >= 0 || e.slot >= 0;
    if (e.kind == Expr::Kind::kSelect) return true;
    if (e.kind != Expr::Kind::kCall) return false;
    switch (e.function->special) {
      case Special::kIndex:
      case Special::kOptionalIndex:
      case Special::kOptionalSelect:
      case Special::kConditional:
        return true;
      default:
        return false;
    }
  }

  static bool starts_with_choice(const Expr& e) {
    if (e.kind == Expr::Kind::kSelect) return starts_with_choice(*e.args[0]);
    if (e.kind != Expr::Kind::kCall) return false;
    if (e.function->special == Special::kConditional) return true;
    return is_attribute(e) && starts_with_choice(*e.args[0]);
  }

  // What is selected from. `quiet`: the whole attribute's own unit is not charged.
  uint32_t operand(const Expr& e, bool quiet, uint8_t& cost) {
    bool attribute = is_attribute(e);
    cost = attribute || quiet ? 0 : 1;
    return visit(e, attribute && quiet);
  }

  uint32_t select(const Expr& e, bool quiet) {
    uint8_t cost = 0;
    if (e.test_only) {
      uint32_t from = operand(*e.args[0], true, cost);
      uint8_t step_cost = !quiet && starts_with_choice(*e.args[0]) ? 0 : 1;
      return add(Op::kHas, {from}, field(e.text), 0, step_cost);
    }
    uint32_t from = operand(*e.args[0], quiet, cost);
    return add(Op::kSelect, {from}, field(e.text), cost, 1);
  }

  uint32_t index(const Expr& e, bool quiet, bool is_optional) {
    uint8_t cost = 0;
    uint32_t from = operand(*e.args[0], quiet, cost);
    uint32_t key = visit(*e.args[1], is_attribute(*e.args[1]));
    if (is_constant(key) && !can_select(constant_of(key)) && error_.empty())
      error_ = "invalid qualifier type: " + std::string(go_type_name(constant_of(key)));
    return add(is_optional ? Op::kOptionalIndex : Op::kIndex, {from, key}, 0, cost, 1);
  }

  static bool can_select(const Value& key) {
    switch (key.kind()) {
      case Value::Kind::kBool:
      case Value::Kind::kInt:
      case Value::Kind::kUint:
      case Value::Kind::kDouble:
      case Value::Kind::kString:
        return true;
      default:
        return false;
    }
  }

  // --- Everything ---

  uint32_t visit(const Expr& e, bool quiet) {
    switch (e.kind) {
      case Expr::Kind::kConst:
        return constant(e.value);
      case Expr::Kind::kIdent:
        // Upstream takes any name that stands for a type for the type's own.
        if ((e.slot >= 0 || e.variable >= 0) && e.type->kind == Type::Kind::kType &&
            !e.type->params.empty() && error_.empty())
          error_ = "reference to undefined type: " + e.text;
        if (e.slot >= 0) return add(Op::kLocal, {}, static_cast<uint32_t>(e.slot), quiet ? 0 : 1);
        if (e.variable >= 0)
          return add(Op::kVariable, {}, static_cast<uint32_t>(e.variable), quiet ? 0 : 1);
        return constant(Value::type(type_name(*e.type)));
      case Expr::Kind::kSelect:
        return select(e, quiet);
      case Expr::Kind::kCall:
        return call(e, quiet);
      case Expr::Kind::kList:
        return list(e);
      case Expr::Kind::kMap:
        return map(e);
      case Expr::Kind::kFold:
        return fold(e);
      default:
        return constant(Value::null());  // unreachable: such trees have issues
    }
  }

  // The run-time name of the type that a type names.
  std::string_view type_name(const Type& type) {
    if (type.params.empty()) return "type";
    const Type& named = *type.params[0];
    switch (named.kind) {
      case Type::Kind::kNull:
        return "null_type";
      case Type::Kind::kDuration:
        return "google.protobuf.Duration";
      case Type::Kind::kTimestamp:
        return "google.protobuf.Timestamp";
      case Type::Kind::kList:
        return "list";
      case Type::Kind::kMap:
        return "map";
      default:
        return ast_.arena.copy(to_string(named));
    }
  }

  uint32_t optional_marks(const Expr& e) {
    bool any = false;
    for (bool mark : e.optionals) any |= mark;
    if (!any) return 0;
    code_.optionals.push_back(e.optionals);
    return static_cast<uint32_t>(code_.optionals.size() - 1);
  }

  std::vector<uint32_t> visit_all(const std::vector<Expr*>& all) {
    std::vector<uint32_t> nodes;
    for (const Expr* e : all) nodes.push_back(visit(*e, false));
    return nodes;
  }

  uint32_t list(const Expr& e) {
    std::vector<uint32_t> elements = visit_all(e.args);
    uint32_t made = add(Op::kList, elements, optional_marks(e), 10);
    return environment_.folding() && all_constant(elements) ? folded(made) : made;
  }

  uint32_t map(const Expr& e) {
    std::vector<uint32_t> entries = visit_all(e.args);
    uint32_t made = add(Op::kMap, entries, optional_marks(e), 30);
    return environment_.folding() && all_constant(entries) ? folded(made) : made;
  }

  uint32_t fold(const Expr& e) {
    std::vector<uint32_t> parts;
    for (size_t i = 0; i < Expr::kFoldParts; ++i)
      parts.push_back(i == Expr::kStep ? step(*e.args[i], e.slot + 1) : visit(*e.args[i], false));
    return add(Op::kFold, parts, static_cast<uint32_t>(e.slot));
  }

  // accumulator + list, alone or as a branch: the list grows in place.
  uint32_t step(const Expr& e, int32_t accumulator) {
    if (e.kind != Expr::Kind::kCall) return visit(e, false);
    if (e.function->special == Special::kConditional) {
      uint32_t condition = visit(*e.args[0], false), yes = step_branch(*e.args[1], accumulator),
               no = step_branch(*e.args[2], accumulator);
      return add(Op::kConditional, {condition, yes, no});
    }
    bool appends = e.text == "_+_" && e.args[0]->kind == Expr::Kind::kIdent &&
                   e.args[0]->slot == accumulator && e.args[1]->kind == Expr::Kind::kList;
    if (!appends) return visit(e, false);
    // One for the name, one for the call.
    return add(Op::kAppend, {visit(*e.args[1], false)}, static_cast<uint32_t>(accumulator), 2);
  }
  uint32_t step_branch(const Expr& e, int32_t accumulator) {
    return is_attribute(e) ? visit(e, true) : step(e, accumulator);
  }

  uint32_t call(const Expr& e, bool quiet) {
    switch (e.function->special) {
      case Special::kIndex:
        return index(e, quiet, false);
      case Special::kOptionalIndex:
        return index(e, quiet, true);
      case Special::kOptionalSelect: {
        uint8_t cost = 0;
        uint32_t from = operand(*e.args[0], quiet, cost);
        return add(Op::kOptionalSelect, {from}, field(std::string(e.args[1]->value.text())), cost,
                   1);
      }
      case Special::kConditional: {
        uint32_t condition = visit(*e.args[0], false),
                 yes = visit(*e.args[1], is_attribute(*e.args[1])),
                 no = visit(*e.args[2], is_attribute(*e.args[2]));
        return add(Op::kConditional, {condition, yes, no});
      }
      default:
        break;
    }
    std::vector<uint32_t> args = visit_all(e.args);
    switch (e.function->special) {
      case Special::kAnd:
        return add(Op::kAnd, args);
      case Special::kOr:
        return add(Op::kOr, args);
      case Special::kNotStrictlyFalse:
        return add(Op::kNotStrictlyFalse, args, 0, 1);
      case Special::kEqual:
        return add(Op::kEqual, args);
      case Special::kNotEqual:
        return add(Op::kNotEqual, args);
      case Special::kOptionalOr:
        return add(Op::kOptionalOr, args);
      case Special::kOptionalOrValue:
        return add(Op::kOptionalOrValue, args);
      default:
        return plain_call(e, args);
    }
  }

  uint32_t plain_call(const Expr& e, const std::vector<uint32_t>& args) {
    CallSite site{e.function, e.overloads.size() == 1 ? e.overloads[0] : nullptr, Cost::kUnit,
                  args.size() > 2, nullptr};
    Cost cost = e.overloads[0]->cost;
    if (site.resolved != nullptr || cost >= Cost::kNominal) site.cost = cost;
    if (environment_.folding() && site.cost == Cost::kInList && is_constant(args[1]))
      if (std::optional<uint32_t> set = in_set(args)) return *set;
    bool is_guarded = e.overloads[0]->flags & Overload::kGuarded;
    if (site.resolved == nullptr && is_guarded && e.function->overloads.size() > 1)
      site.stops_at_error = true;
    if (environment_.folding() && e.function->special == Special::kRegex && is_constant(args[1]) &&
        constant_of(args[1]).is(Value::Kind::kString)) {
      std::string error;
      site.regex = Regex::compile(constant_of(args[1]).text(), error);
      site.stops_at_error = true;
      if (site.regex == nullptr && error_.empty()) error_ = error;
    }
    code_.calls.push_back(std::move(site));
    uint32_t made = add(Op::kCall, args, static_cast<uint32_t>(code_.calls.size() - 1));
    bool folds = environment_.folding() && e.function->special == Special::kConversion &&
                 args.size() == 1 && is_constant(args[0]);
    return folds ? folded(made) : made;
  }

  // x in [constants]: a lookup, unless the constants are no plain values.
  std::optional<uint32_t> in_set(const std::vector<uint32_t>& args) {
    const Value list = constant_of(args[1]);
    size_t size = list_size(list);
    if (size == 0) return constant(Value::boolean(false));
    MadeMap* set = MadeMap::make(size * 3, ast_.arena);
    for (size_t i = 0; i < size; ++i) {
      Value item = list_at(list, i, ast_.arena);
      if (!can_select(item)) return std::nullopt;
      set->set(item, Value::boolean(true));
      add_numbers_alike(*set, item);
    }
    code_.constants.push_back(Value::map(set));
    return add(Op::kInSet, {args[0]}, static_cast<uint32_t>(code_.constants.size() - 1));
  }

  static void add_numbers_alike(MadeMap& set, const Value& item) {
    Value yes = Value::boolean(true);
    int64_t i = 0;
    uint64_t u = 0;
    switch (item.kind()) {
      case Value::Kind::kInt:
        set.set(Value::number(static_cast<double>(item.as_int())), yes);
        if (item.as_int() >= 0) set.set(Value::uinteger(item.as_uint()), yes);
        return;
      case Value::Kind::kUint:
        set.set(Value::number(static_cast<double>(item.as_uint())), yes);
        if (item.as_int() >= 0) set.set(Value::integer(item.as_int()), yes);
        return;
      case Value::Kind::kDouble:
        if (double_to_int_exact(item.as_double(), i)) set.set(Value::integer(i), yes);
        if (double_to_uint_exact(item.as_double(), u)) set.set(Value::uinteger(u), yes);
        return;
      default:
        return;
    }
  }

  Ast& ast_;
  const Environment& environment_;
  Code& code_;
  std::string& error_;
};

}  // namespace

bool lower(Ast& ast, const Environment& environment, Code& code, std::string& error) {
  return Lowering(ast, environment, code, error).run();
}

}  // namespace knarr::cel
