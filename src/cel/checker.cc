// SPDX-License-Identifier: Apache-2.0
// Type checking, by cel-go's rules: Hindley-Milner unification with dyn, overloads by the types of
// their arguments.
#include "cel/checker.h"

namespace knarr::cel {
namespace {

using Kind = Expr::Kind;

class Checker {
 public:
  Checker(Ast& ast, const Environment& environment, TypePool& pool, Issues& issues)
      : ast_(ast),
        environment_(environment),
        pool_(pool),
        issues_(issues),
        unifier_(pool),
        cross_types_(environment.cross_type_comparisons()) {}

  void run() {
    visit(*ast_.root);
    for (Expr& e : ast_.nodes)
      if (e.type != nullptr) e.type = unifier_.resolve(e.type, true);
  }

 private:
  struct Local {
    std::string_view name;
    const Type* type;
    int32_t slot;
  };

  void report(int32_t offset, std::string message) {
    issues_.add_checked(offset, std::move(message));
  }
  void undeclared(const Expr& e, std::string_view name) {
    report(e.offset, "undeclared reference to '" + std::string(name) + "' (in container '')");
  }

  void visit(Expr& e) {
    switch (e.kind) {
      case Kind::kError:
        e.type = &types::kError;
        return;
      case Kind::kConst:
        e.type = constant_type(e.value);
        return;
      case Kind::kIdent:
        return ident(e);
      case Kind::kSelect:
        return select(e);
      case Kind::kCall:
        return call(e);
      case Kind::kList:
        return list(e);
      case Kind::kMap:
        return map(e);
      case Kind::kMessage:
        return message(e);
      case Kind::kFold:
        return fold(e);
    }
  }

  static const Type* constant_type(const Value& value) {
    switch (value.kind()) {
      case Value::Kind::kBool:
        return &types::kBool;
      case Value::Kind::kInt:
        return &types::kInt;
      case Value::Kind::kUint:
        return &types::kUint;
      case Value::Kind::kDouble:
        return &types::kDouble;
      case Value::Kind::kString:
        return &types::kString;
      case Value::Kind::kBytes:
        return &types::kBytes;
      default:
        return &types::kNull;
    }
  }

  // --- Names ---

  // Sets what the name means. Local variables hide those of the environment.
  bool resolve_name(Expr& e, std::string_view name) {
    if (name.starts_with('.')) name.remove_prefix(1);
    e.slot = e.variable = -1;  // a node that macros share is visited twice
    for (size_t i = locals_.size(); i-- > 0;) {
      if (locals_[i].name != name) continue;
      e.type = locals_[i].type;
      e.slot = locals_[i].slot;
      return true;
    }
    if (int variable = environment_.find_variable(name); variable >= 0) {
      e.type = environment_.variable_type(static_cast<size_t>(variable));
      e.variable = variable;
      return true;
    }
    const Type* named = environment_.find_type_name(name);
    if (named != nullptr) e.type = named;
    return named != nullptr;
  }

  void ident(Expr& e) {
    if (resolve_name(e, e.text)) return;
    e.type = &types::kError;
    undeclared(e, e.text);
  }

  void select(Expr& e) {
    std::string name = qualified_name(e);
    if (!name.empty() && resolve_name(e, name)) {
      e.kind = Kind::kIdent;
      e.text = name;
      e.args.clear();
      return;
    }
    const Type* field = select_field(e, *e.args[0], e.text, false);
    e.type = e.test_only ? &types::kBool : field;
  }

  const Type* select_field(Expr& e, Expr& operand, const std::string& field, bool is_optional) {
    visit(operand);
    const Type* target = unifier_.resolve(operand.type, false);
    bool unwrapped = target->kind == Type::Kind::kOptional;
    if (unwrapped) target = target->params[0];
    const Type* result = &types::kDyn;
    switch (target->kind) {
      case Type::Kind::kMap:
        result = target->params[1];
        break;
      case Type::Kind::kObject:
        result = object_field(e, *target, field);
        break;
      case Type::Kind::kVar:
        (void)unifier_.assignable(&types::kDyn, target);
        break;
      default:
        if (!target->is_dyn_or_error())
          report(e.offset,
                 "type '" + to_proto_text(*target) + "' does not support field selection");
    }
    if (unwrapped || is_optional) result = pool_.optional(result);
    return unifier_.resolve(result, false);
  }

  const Type* object_field(const Expr& e, const Type& object, const std::string& field) {
    if (object.decl == nullptr) {
      report(e.offset, "[internal] unexpected failed resolution of '" + object.name + "'");
      return &types::kError;
    }
    auto found = object.decl->fields.find(field);
    if (found != object.decl->fields.end()) return found->second->type;
    report(e.offset, "undefined field '" + field + "'");
    return &types::kError;
  }

  // --- Calls ---

  void call(Expr& e) {
    if (e.text == "_?._" && !e.has_target) {
      // Without an overload, as upstream has it: the estimate of such a selection is nothing.
      e.function = environment_.find_function(e.text);
      e.args[1]->type = &types::kString;
      e.type = select_field(e, *e.args[0], std::string(e.args[1]->value.text()), true);
      return;
    }
    size_t first_arg = e.has_target ? 1 : 0;
    for (size_t i = first_arg; i < e.args.size(); ++i) visit(*e.args[i]);
    if (e.has_target) {
      // a.b.f(x) may be the function a.b.f.
      std::string prefix = qualified_name(*e.args[0]);
      const Function* function =
          prefix.empty() ? nullptr : environment_.find_function(prefix + "." + e.text);
      if (function != nullptr) {
        e.has_target = false;
        e.text = function->name;
        e.args.erase(e.args.begin());
        return apply(e, *function);
      }
      visit(*e.args[0]);
    }
    const Function* function = environment_.find_function(e.text);
    if (function != nullptr) return apply(e, *function);
    undeclared(e, e.text);
    e.type = &types::kError;
  }

  const Type* instantiate(const Type* type, const std::vector<const Type*>& variables) {
    if (type->kind == Type::Kind::kVar) return variables[type->var];
    if (type->params.empty()) return type;
    std::vector<const Type*> params;
    for (const Type* param : type->params) params.push_back(instantiate(param, variables));
    switch (type->kind) {
      case Type::Kind::kList:
        return pool_.list(params[0]);
      case Type::Kind::kMap:
        return pool_.map(params[0], params[1]);
      case Type::Kind::kOptional:
        return pool_.optional(params[0]);
      default:
        return pool_.type_of(params[0]);
    }
  }

  void apply(Expr& e, const Function& function) {
    std::vector<const Type*> args;
    for (const Expr* arg : e.args) args.push_back(arg->type);
    e.function = &function;
    e.overloads.clear();
    const Type* result = nullptr;
    for (const Overload& overload : function.overloads) {
      if (!environment_.has(overload) || overload.is_member() != e.has_target) continue;
      if ((overload.flags & Overload::kCrossNumber) && !cross_types_) continue;
      std::vector<const Type*> variables, params;
      for (uint32_t i = 0; i < overload.type_variables; ++i)
        variables.push_back(unifier_.new_var());
      for (const Type* param : overload.params) params.push_back(instantiate(param, variables));
      if (!unifier_.assignable(args, params)) continue;
      e.overloads.push_back(&overload);
      const Type* one = unifier_.resolve(instantiate(overload.result, variables), false);
      if (result == nullptr) {
        result = one;
      } else if (!result->is_dyn() && !same(*one, *result)) {
        result = &types::kDyn;
      }
    }
    if (result == nullptr) {
      report(e.offset, "found no matching overload for '" + std::string(function.name) +
                           "' applied to '" + signature(args, e.has_target) + "'");
      result = &types::kError;
    }
    e.type = result;
  }

  std::string signature(const std::vector<const Type*>& args, bool has_target) {
    std::string text;
    for (size_t i = 0; i < args.size(); ++i) {
      std::string one = to_string(*unifier_.resolve(args[i], true));
      if (has_target && i == 0) {
        text = one + ".(";
        continue;
      }
      text += i > (has_target ? 1u : 0u) ? ", " : text.empty() ? "(" : "";
      text += one;
    }
    return (text.empty() ? "(" : text) + ")";
  }

  // --- Literals ---

  // The type of an element beside the ones before it.
  const Type* join(const Expr& e, const Type* before, const Type* now) {
    if (before == nullptr) return now;
    if (unifier_.assignable(before, now)) return Unifier::most_general(before, now);
    if (environment_.mixed_literals()) return &types::kDyn;
    mismatch(e, before, now);
    return &types::kError;
  }

  void mismatch(const Expr& e, const Type* wanted, const Type* found) {
    report(e.offset,
           "expected type '" + to_string(*wanted) + "' but found '" + to_string(*found) + "'");
  }

  const Type* unwrap_optional(const Expr& e, bool is_optional) {
    if (!is_optional) return e.type;
    if (e.type->kind == Type::Kind::kOptional) return e.type->params[0];
    if (!e.type->is_dyn()) mismatch(e, pool_.optional(e.type), e.type);
    return e.type;
  }

  void list(Expr& e) {
    const Type* element = nullptr;
    for (size_t i = 0; i < e.args.size(); ++i) {
      visit(*e.args[i]);
      element = join(*e.args[i], element, unwrap_optional(*e.args[i], e.optionals[i]));
    }
    e.type = pool_.list(element == nullptr ? unifier_.new_var() : element);
  }

  void map(Expr& e) {
    const Type *key = nullptr, *value = nullptr;
    for (size_t i = 0; i + 1 < e.args.size(); i += 2) {
      visit(*e.args[i]);
      key = join(*e.args[i], key, e.args[i]->type);
      visit(*e.args[i + 1]);
      value = join(*e.args[i + 1], value, unwrap_optional(*e.args[i + 1], e.optionals[i / 2]));
    }
    if (key == nullptr) {
      key = unifier_.new_var();
      value = unifier_.new_var();
    }
    e.type = pool_.map(key, value);
  }

  // No message can be made here: there are no message types. What is wrong is said as upstream says
  // it.
  void message(Expr& e) {
    Expr name;
    if (!resolve_name(name, e.text)) {
      undeclared(e, e.text);
      e.type = &types::kError;
      return;
    }
    const Type& found = *unifier_.resolve(name.type, false);
    if (found.kind != Type::Kind::kType) {
      report(e.offset, "'" + to_string(found) + "(" + to_proto_text(found) + ")' is not a type");
    } else {
      report(e.offset, "'" + (found.params.empty() ? "" : to_string(*found.params[0])) +
                           "' is not a message type");
    }
    for (size_t i = 0; i < e.args.size(); ++i) {
      visit(*e.args[i]);
      report(e.positions[i], "[internal] unexpected failed resolution of ''");
    }
    e.type = &types::kError;
  }

  // --- Folds ---

  void fold(Expr& e) {
    visit(*e.args[Expr::kRange]);
    visit(*e.args[Expr::kInit]);
    const Type* accumulator = e.args[Expr::kInit]->type;
    const Type* range = unifier_.resolve(e.args[Expr::kRange]->type, false);
    const Type* variable = &types::kDyn;
    if (range->kind == Type::Kind::kList || range->kind == Type::Kind::kMap) {
      variable = range->params[0];
    } else if (range->is_dyn_or_error() || range->kind == Type::Kind::kVar) {
      (void)unifier_.assignable(&types::kDyn, range);
    } else {
      report(e.args[Expr::kRange]->offset,
             "expression of type '" + to_string(*range) +
                 "' cannot be range of a comprehension (must be list, map, or dynamic)");
      variable = &types::kError;
    }
    e.slot = ast_.slots;
    ast_.slots += 2;
    // Upstream's scopes forget which comparisons are off: from the first fold on, numbers of
    // different types compare.
    cross_types_ = true;
    locals_.push_back({e.accumulator, accumulator, e.slot + 1});
    locals_.push_back({e.text, variable, e.slot});
    visit(*e.args[Expr::kCondition]);
    demand(*e.args[Expr::kCondition], &types::kBool);
    visit(*e.args[Expr::kStep]);
    demand(*e.args[Expr::kStep], accumulator);
    locals_.pop_back();
    visit(*e.args[Expr::kResult]);
    locals_.pop_back();
    e.type = unifier_.resolve(e.args[Expr::kResult]->type, false);
  }

  void demand(const Expr& e, const Type* type) {
    if (!unifier_.assignable(type, e.type)) mismatch(e, type, e.type);
  }

  Ast& ast_;
  const Environment& environment_;
  TypePool& pool_;
  Issues& issues_;
  Unifier unifier_;
  bool cross_types_;
  std::vector<Local> locals_;
};

}  // namespace

void check(Ast& ast, const Environment& environment, TypePool& pool, Issues& issues) {
  Checker(ast, environment, pool, issues).run();
}

}  // namespace knarr::cel
