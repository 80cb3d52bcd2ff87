// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cel/ast.h"
#include "cel/environment.h"

namespace knarr::cel {

// Finds the type of every node, the variables and functions that names mean, and reports what does
// not fit. Types go to `pool`.
void check(Ast& ast, const Environment& environment, TypePool& pool, Issues& issues);

}  // namespace knarr::cel
