// SPDX-License-Identifier: Apache-2.0
// Arithmetic on resource quantities ("100m", "1.5Gi", "2e3"), exact as upstream's.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "schema/value.h"

namespace knarr::schema {

// A parsed quantity: an integer count of nano-units (128 bits) and the family of suffixes it is written with.
class QuantityValue {
 public:
  enum class Format : uint8_t { kDecimalSI, kBinarySI, kDecimalExponent };
  QuantityValue() = default;
  static Result<QuantityValue> parse(std::string_view text);
  // Unparsable text counts as zero; for objects that were validated on the way in.
  static QuantityValue of(const Quantity& quantity);
  static QuantityValue from_int(int64_t units, Format format = Format::kDecimalSI);
  static QuantityValue from_milli(int64_t milli, Format format = Format::kDecimalSI);

  int64_t value() const;        // whole units, rounded up, saturating
  int64_t milli_value() const;  // thousandths, rounded up, saturating
  bool is_zero() const { return nano_ == 0; }
  int sign() const { return nano_ < 0 ? -1 : nano_ > 0; }
  Format format() const { return format_; }
  std::string to_string() const;  // canonical
  Quantity to_quantity() const { return Quantity(to_string()); }
  QuantityValue& operator+=(const QuantityValue& other);
  QuantityValue& operator-=(const QuantityValue& other);
  friend std::strong_ordering operator<=>(const QuantityValue& a, const QuantityValue& b) {
    return a.nano_ <=> b.nano_;
  }
  friend bool operator==(const QuantityValue& a, const QuantityValue& b) { return a.nano_ == b.nano_; }

 private:
  __int128 nano_ = 0;
  Format format_ = Format::kDecimalSI;
};

// Canonical text of any accepted spelling (what decoding a JSON quantity stores).
Result<std::string> canonical_quantity(std::string_view text);

}  // namespace knarr::schema
