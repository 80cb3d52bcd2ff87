// SPDX-License-Identifier: Apache-2.0
// $(VAR) references, as in a container's command, args, env values and subPathExpr.
//
// "$$" is a literal '$', "$(NAME)" is replaced through the lookup, anything else stays as it is.
// Expansion is one pass: replaced text is not looked at again, so the work is linear in the input
// and the output is bounded by what the lookups return.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace knarr::kubelet {

// Null: no such variable; the reference stays in the text as written.
using VariableLookup = std::function<std::optional<std::string_view>(std::string_view name)>;

// `missing` (may be null) counts the references that had no variable.
std::string expand_variables(std::string_view text, const VariableLookup& lookup,
                             size_t* missing = nullptr);

}  // namespace knarr::kubelet
