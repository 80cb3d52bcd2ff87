// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cel/cel.h"
#include "cel/program.h"

namespace knarr::cel {

Outcome evaluate(const Code& code, const Environment& environment, std::span<const Value> bindings,
                 const Budget& budget, Arena& arena);

// obj.key or obj[key]; the language's error when there is no such thing.
Value select_from(const Value& from, const Value& key, const FieldName* field, Arena& arena);
// The name of a value's type in Go, for the messages that show it.
std::string_view go_type_name(const Value& v);
bool can_be_map_key(const Value& key);

}  // namespace knarr::cel
