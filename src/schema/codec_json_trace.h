// SPDX-License-Identifier: Apache-2.0
// Where the JSON decoder is, and how it says so: the paths and the error texts of sigs.k8s.io/json.
#pragma once

#include <string>
#include <string_view>

#include "schema/type.h"

namespace knarr::schema {

// Where the decoder is, for messages: a chain on the stack, from the inside out.
struct Frame {
  const Frame* outer = nullptr;
  const Type* type = nullptr;  // of a struct; null for a list or map
  std::string_view key;        // the current field, or the current key of a map
  size_t index = 0;            // of a list
  enum Kind : uint8_t { kStruct, kMap, kList } kind = kStruct;
};

// Strict decoding reports no more than this many problems.
inline constexpr size_t kMaxReportedProblems = 100;

// "spec.containers[1].image", from the outermost frame to this one.
std::string path_text(const Frame* innermost);
// "json: cannot unmarshal string into Go struct field Container.spec.containers.image of type ..."
std::string mismatch_text(const Frame* innermost, std::string_view found, std::string_view wanted);
// The Go type, as far as the tables know it: "v1.Pod", "[]v1.Container", "map[string]string".
std::string go_name(Shape shape, Kind kind, const Type* inner);
// What Go calls the JSON value that begins with this character.
std::string_view json_value_name(char first);

}  // namespace knarr::schema
