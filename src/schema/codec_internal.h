// SPDX-License-Identifier: Apache-2.0
// What the files of the codecs share; not for others.
#pragma once

#include <string>
#include <string_view>

#include "schema/type.h"

namespace knarr::schema {

// One more FieldFlag ("typed" in api/): the kinds in this list show their apiVersion and kind, as a StatefulSet's volumeClaimTemplates do;
// items of lists do not.
inline constexpr uint8_t kShowsTypeMeta = 16;

// Typed objects nest no deeper than this, in any encoding: only OpenAPI schemas nest at all, and
// the decoders recurse on them.
inline constexpr int kMaxTypedDepth = 1000;

// The JSON of a raw value (RawExtension, FieldsV1, JSON), compact; "null" when there is none or it
// is not JSON.
void append_raw_json(std::string& out, std::string_view bytes, Kind kind);

// Go's omitempty: structs are never empty, and to Go times, quantities and raw values are
// structs.
inline bool is_empty_value(Kind kind, const void* at) {
  switch (kind) {
    case Kind::kBool:
      return !*static_cast<const bool*>(at);
    case Kind::kInt32:
    case Kind::kUint32:
      return *static_cast<const uint32_t*>(at) == 0;
    case Kind::kInt64:
    case Kind::kUint64:
      return *static_cast<const uint64_t*>(at) == 0;
    case Kind::kFloat:
      return *static_cast<const float*>(at) == 0;
    case Kind::kDouble:
      return *static_cast<const double*>(at) == 0;
    case Kind::kString:
    case Kind::kBytes:
      return static_cast<const Str*>(at)->empty();
    case Kind::kStringList:
      return static_cast<const List<Str>*>(at)->empty();
    default:
      return false;
  }
}

}  // namespace knarr::schema
