// SPDX-License-Identifier: Apache-2.0
// What a plain YAML scalar means: YAML 1.1's rules as go-yaml v2 applies them, for readers and for
// the writer's choice of quotes.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace knarr::schema {

enum class YamlTag : uint8_t { kString, kNull, kBool, kInt, kFloat, kTimestamp, kOther };

struct YamlScalar {
  YamlTag tag = YamlTag::kString;
  bool flag = false;  // kBool
  bool is_unsigned = false;
  int64_t integer = 0;  // kInt; above 2^63-1 in `large`
  uint64_t large = 0;
  double real = 0;  // kFloat
};

// `tag` is the node's tag ("" when it has none). Fails where the tag contradicts the text.
Result<YamlScalar> resolve_yaml_scalar(std::string_view tag, std::string_view text);
// Sexagesimal numbers of YAML 1.1, which other parsers would read as such.
bool is_base60_float(std::string_view text);
// Go's FormatFloat with format g: shortest digits, an exponent below 1e-4 and from 1e+06 on.
std::string format_yaml_float(double value);
std::string format_yaml_float32(double value);

}  // namespace knarr::schema
