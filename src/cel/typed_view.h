// SPDX-License-Identifier: Apache-2.0
// Typed API objects seen as the maps and lists of their JSON form, by their tables and without
// converting them.
#pragma once

#include "cel/value.h"

namespace knarr::cel {

// Reads Values whose form is one of the typed ones. Texts that the object does not hold as such
// (times, base64) go to the arena.
class TypedView {
 public:
  static size_t size(const Value& v);
  static Value at(const Value& list, size_t i, Arena& arena);
  static bool find(const Value& map, std::string_view key, Arena& arena, Value& out);
  static Value keys(const Value& map, Arena& arena);

 private:
  template <class Visit>  // bool visit(name, field, inner, at): true ends the walk
  static bool each_member(const schema::Type& type, const void* object, const Visit& visit);
  static bool is_written(const schema::Field& field, const void* at);
  static Value member(const schema::Field& field, const schema::Type* inner, const void* at,
                      Arena& arena);
  static Value element(schema::Kind kind, const schema::Type* inner, const void* at, Arena& arena);
  static Value text_element(schema::Kind kind, const void* at, Arena& arena);
  static const schema::Type& type_of(const Value& map);
};

}  // namespace knarr::cel
