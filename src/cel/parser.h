// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "cel/ast.h"
#include "cel/issues.h"

namespace knarr::cel {

struct ParseOptions {
  bool optional_syntax = false;  // a.?b, a[?b], [?a], {?k: v}, and the macro optMap
};

// Parses and expands macros. With issues the tree may have holes. Bounded: 100,000 code points, 250
// levels of expressions in each other, 250 levels of operators, calls and selections, as in cel-go.
void parse(Ast& ast, const ParseOptions& options, Issues& issues);

// Expands target.name(args) or name(args) when it is a macro: the expansion, or null. A macro that
// is used wrongly is reported.
Expr* expand_macro(Ast& ast, int32_t offset, std::string_view name, Expr* target,
                   const std::vector<Expr*>& args, const ParseOptions& options, Issues& issues);

}  // namespace knarr::cel
