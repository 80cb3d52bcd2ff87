// SPDX-License-Identifier: Apache-2.0
// The compact form that is evaluated: nodes in one array, their children by index. Made by
// lower.cc, run by evaluate.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cel/ast.h"
#include "cel/environment.h"
#include "cel/library.h"

namespace knarr::cel {

struct Node {
  enum class Op : uint8_t {
    kConst,           // data: constant
    kVariable,        // data: variable
    kLocal,           // data: slot
    kSelect,          // child; data: field
    kHas,             // child; data: field
    kOptionalSelect,  // child; data: field
    kIndex,           // child, key
    kOptionalIndex,   // child, key
    kAnd,
    kOr,                // left, right
    kConditional,       // condition, yes, no
    kNotStrictlyFalse,  // child
    kEqual,
    kNotEqual,  // left, right
    kCall,      // arguments; data: call
    kAppend,    // an accumulator's slot as data; child: a list to put behind it
    kInSet,     // child; data: constant, a map whose keys are the set
    kList,      // elements; data: optional ones, see Code::optionals
    kMap,       // key, value ...; data: optional ones
    kFold,      // Expr::FoldPart; data: slot
    kOptionalOr,
    kOptionalOrValue,  // left, right
  };
  Op op;
  uint8_t cost = 0;       // of an evaluation, whatever comes out
  uint8_t step_cost = 0;  // of a selection, when there was something to select from
  uint32_t first = 0;     // of its children in Code::links
  uint32_t count = 0;
  uint32_t data = 0;
};

// A field by the name of the expression and by the one in the data.
struct FieldName {
  Value key;
  std::string unescaped;
  bool can_unescape;
};

struct CallSite {
  const Function* function;
  const Overload* resolved;  // null when types are only known at run time
  Cost cost;
  bool stops_at_error;  // later arguments are not looked at, and nothing is charged
  std::shared_ptr<const Regex> regex;
};

struct Code {
  std::vector<Node> nodes;
  std::vector<uint32_t> links;
  std::vector<Value> constants;
  std::vector<FieldName> fields;
  std::vector<CallSite> calls;
  std::vector<std::vector<bool>> optionals;  // 0: none
  uint32_t root = 0;
  uint32_t slots = 0;

  const Node& child(const Node& node, size_t i) const { return nodes[links[node.first + i]]; }
};

// Lowers a checked tree. What is constant is computed now; false and upstream's message when that
// fails. Constants live in ast.arena.
bool lower(Ast& ast, const Environment& environment, Code& code, std::string& error);

}  // namespace knarr::cel
