// SPDX-License-Identifier: Apache-2.0
#include "cel/cel.h"

#include "cel/checker.h"
#include "cel/evaluate.h"
#include "cel/parser.h"
#include "cel/program.h"

namespace knarr::cel {

Program::Program(std::shared_ptr<const Environment> environment, std::unique_ptr<Ast> ast,
                 std::unique_ptr<TypePool> types, std::unique_ptr<Code> code)
    : environment_(std::move(environment)),
      ast_(std::move(ast)),
      types_(std::move(types)),
      code_(std::move(code)) {}
Program::~Program() = default;

const Type& Program::result_type() const { return *ast_->root->type; }
Range Program::estimate_cost(const SizeHints& hints) const {
  return cel::estimate_cost(*ast_->root, hints);
}

Outcome Program::evaluate(std::span<const Value> bindings, const Budget& budget,
                          Arena& arena) const {
  return cel::evaluate(*code_, *environment_, bindings, budget, arena);
}

bool Program::uses(std::string_view variable) const {
  int place = environment_->find_variable(variable);
  if (place < 0) return false;
  for (const Expr& e : ast_->nodes)
    if (e.variable == place) return true;
  return false;
}

Compilation compile(std::shared_ptr<const Environment> environment, std::string_view text) {
  Compilation made;
  auto ast = std::make_unique<Ast>();
  ast->source = text;
  made.issues = Issues(text);
  parse(*ast, {environment->optional_syntax()}, made.issues);
  if (!made.issues.empty()) return made;
  auto types = std::make_unique<TypePool>();
  check(*ast, *environment, *types, made.issues);
  if (!made.issues.empty()) return made;
  auto code = std::make_unique<Code>();
  (void)lower(*ast, *environment, *code, made.failure);
  made.program = std::make_unique<Program>(std::move(environment), std::move(ast), std::move(types),
                                           std::move(code));
  return made;
}

}  // namespace knarr::cel
