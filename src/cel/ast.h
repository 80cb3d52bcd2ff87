// SPDX-License-Identifier: Apache-2.0
// The syntax tree of an expression, macros expanded, with what the checker finds out about it.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "cel/issues.h"
#include "cel/type.h"
#include "cel/value.h"

namespace knarr::cel {

struct Function;
struct Overload;

struct Expr {
  enum class Kind : uint8_t {
    kError,    // where a syntax error was reported
    kConst,    // value
    kIdent,    // text
    kSelect,   // args[0].text; `test_only` inside has()
    kCall,     // text(args...), or args[0].text(args...) with `has_target`
    kList,     // args; `optionals` marks the optional ones
    kMap,      // args: key, value, key, value ...
    kMessage,  // text{fields[i]: args[i]}
    kFold,     // a comprehension: args by FoldPart
  };
  enum FoldPart : uint8_t { kRange, kInit, kCondition, kStep, kResult, kFoldParts };
  Kind kind = Kind::kError;
  bool test_only = false, has_target = false;
  int32_t offset = -1;  // in code points; -1 nowhere
  std::string text;
  std::string accumulator;  // kFold: the name of the accumulator; text is the loop variable
  Value value;
  std::vector<Expr*> args;
  std::vector<std::string> fields;
  std::vector<bool> optionals;     // by element or entry
  std::vector<int32_t> positions;  // of a map's colons or a message's fields

  // The checker's findings.
  const Type* type = nullptr;
  std::vector<const Overload*> overloads;  // those that may be meant; one when the types decide
  const Function* function = nullptr;
  int32_t variable =
      -1;  // kIdent, or a kSelect that names a variable: index of the environment's variable
  int32_t slot = -1;  // kIdent: local variable of an enclosing fold. kFold: slot of the loop
                      // variable; the accumulator's is one more
};

// Owns the nodes. Texts of constants live in `arena`.
struct Ast {
  std::string source;
  std::deque<Expr> nodes;
  Arena arena{size_t{1} << 30};
  Expr* root = nullptr;
  int32_t slots = 0;

  Expr* make(Expr::Kind kind, int32_t offset) {
    Expr& made = nodes.emplace_back();
    made.kind = kind;
    made.offset = offset;
    return &made;
  }
};

// "a.b.c" of idents and selections; empty when it is something else.
std::string qualified_name(const Expr& e);

}  // namespace knarr::cel
