// SPDX-License-Identifier: Apache-2.0
// The macros: has, all, exists, exists_one, map, filter, and optMap. All but has become a fold over
// a range. The shape of the expansion is upstream's, because the cost of an expression counts its
// nodes.
#include "cel/parser.h"

namespace knarr::cel {
namespace {

constexpr std::string_view kAccumulator = "__result__";

class Macros {
 public:
  Macros(Ast& ast, int32_t offset, Issues& issues) : ast_(ast), offset_(offset), issues_(issues) {}

  Expr* has(const std::vector<Expr*>& args) {
    if (args[0]->kind != Expr::Kind::kSelect)
      return fail(offset_, "invalid argument to has() macro");
    Expr* made = ast_.make(Expr::Kind::kSelect, offset_);
    made->test_only = true;
    made->text = args[0]->text;
    made->args = {args[0]->args[0]};
    return made;
  }

  Expr* all(Expr* range, const std::vector<Expr*>& args) {
    if (!is_name(args[0])) return fail(args[0]->offset, "argument must be a simple name");
    return fold(args[0]->text, range, constant(Value::boolean(true)),
                call("@not_strictly_false", {accumulator()}),
                call("_&&_", {accumulator(), args[1]}), accumulator());
  }

  Expr* exists(Expr* range, const std::vector<Expr*>& args) {
    if (!is_name(args[0])) return fail(args[0]->offset, "argument must be a simple name");
    return fold(args[0]->text, range, constant(Value::boolean(false)),
                call("@not_strictly_false", {call("!_", {accumulator()})}),
                call("_||_", {accumulator(), args[1]}), accumulator());
  }

  Expr* exists_one(Expr* range, const std::vector<Expr*>& args) {
    if (!is_name(args[0])) return fail(args[0]->offset, "argument must be a simple name");
    Expr* one = constant(Value::integer(1));
    Expr* more = call("_+_", {accumulator(), one});
    return fold(args[0]->text, range, constant(Value::integer(0)), constant(Value::boolean(true)),
                call("_?_:_", {args[1], more, accumulator()}), call("_==_", {accumulator(), one}));
  }

  // map(x, f) and map(x, p, f); filter(x, p) is map(x, p, x).
  Expr* map(Expr* range, const Expr* name, Expr* predicate, Expr* element) {
    if (!is_name(name)) return fail(offset_, "argument is not an identifier");
    Expr* single = ast_.make(Expr::Kind::kList, offset_);
    single->args = {element};
    single->optionals = {false};
    Expr* step = call("_+_", {accumulator(), single});
    if (predicate != nullptr) step = call("_?_:_", {predicate, step, accumulator()});
    return fold(name->text, range, ast_.make(Expr::Kind::kList, offset_),
                constant(Value::boolean(true)), step, accumulator());
  }

  // target.hasValue() ? optional.of(f with the value under its name) : optional.none(). The name is
  // bound by a fold over nothing.
  Expr* opt_map(Expr* target, const std::vector<Expr*>& args) {
    if (!is_name(args[0]))
      return fail(args[0]->offset, "optMap() variable name must be a simple identifier");
    Expr* name = ast_.make(Expr::Kind::kIdent, offset_);
    name->text = args[0]->text;
    Expr* bound = fold("#unused", ast_.make(Expr::Kind::kList, offset_), method("value", target),
                       constant(Value::boolean(false)), name, args[1]);
    bound->accumulator = args[0]->text;
    return call("_?_:_", {method("hasValue", target), call("optional.of", {bound}),
                          call("optional.none", {})});
  }

 private:
  static bool is_name(const Expr* e) { return e->kind == Expr::Kind::kIdent; }

  Expr* fail(int32_t offset, std::string message) {
    issues_.add_at(offset, std::move(message));
    return ast_.make(Expr::Kind::kError, offset);
  }
  Expr* constant(Value value) {
    Expr* made = ast_.make(Expr::Kind::kConst, offset_);
    made->value = value;
    return made;
  }
  Expr* accumulator() {
    Expr* made = ast_.make(Expr::Kind::kIdent, offset_);
    made->text = kAccumulator;
    return made;
  }
  Expr* call(std::string_view name, std::vector<Expr*> args) {
    Expr* made = ast_.make(Expr::Kind::kCall, offset_);
    made->text = name;
    made->args = std::move(args);
    return made;
  }
  Expr* method(std::string_view name, Expr* target) {
    Expr* made = call(name, {target});
    made->has_target = true;
    return made;
  }
  Expr* fold(const std::string& variable, Expr* range, Expr* init, Expr* condition, Expr* step,
             Expr* result) {
    Expr* made = ast_.make(Expr::Kind::kFold, offset_);
    made->text = variable;
    made->accumulator = kAccumulator;
    made->args = {range, init, condition, step, result};
    return made;
  }

  Ast& ast_;
  int32_t offset_;
  Issues& issues_;
};

}  // namespace

Expr* expand_macro(Ast& ast, int32_t offset, std::string_view name, Expr* target,
                   const std::vector<Expr*>& args, const ParseOptions& options, Issues& issues) {
  // Where something was wrong already, nothing more is said.
  for (const Expr* arg : args)
    if (arg->kind == Expr::Kind::kError) return ast.make(Expr::Kind::kError, offset);
  Macros macros(ast, offset, issues);
  if (target == nullptr) return name == "has" && args.size() == 1 ? macros.has(args) : nullptr;
  if (name == "map" && args.size() == 3) return macros.map(target, args[0], args[1], args[2]);
  if (args.size() != 2) return nullptr;
  if (name == "all") return macros.all(target, args);
  if (name == "exists") return macros.exists(target, args);
  if (name == "exists_one") return macros.exists_one(target, args);
  if (name == "map") return macros.map(target, args[0], nullptr, args[1]);
  if (name == "filter") return macros.map(target, args[0], args[1], args[0]);
  if (name == "optMap" && options.optional_syntax) return macros.opt_map(target, args);
  return nullptr;
}

}  // namespace knarr::cel
