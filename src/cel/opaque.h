// SPDX-License-Identifier: Apache-2.0
// The opaque values that can be compared and shown.
#pragma once

#include "cel/value.h"
#include "schema/quantity.h"

namespace knarr::cel {

inline constexpr const char* kUrlTypeName = "kubernetes.URL";
inline constexpr const char* kQuantityTypeName = "kubernetes.Quantity";

// As Go's net/url takes a URL apart. Texts are in the arena.
struct UrlValue : Opaque {
  std::string_view scheme, host, path, query;  // the path is escaped
  std::string_view whole;                      // put together again, for comparing
};

struct QuantityOpaque : Opaque {
  schema::QuantityValue quantity;
};

}  // namespace knarr::cel
