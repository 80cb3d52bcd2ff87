// SPDX-License-Identifier: Apache-2.0
// The estimate of what an expression may cost, from the types and the maximal sizes of its data.
// Upstream refuses rules of custom resources by these numbers, so they are upstream's to the unit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "cel/ast.h"

namespace knarr::cel {

struct Range {
  uint64_t min = 0, max = 0;
  friend bool operator==(const Range&, const Range&) = default;
};

// Sizes of data that the expression does not show.
class SizeHints {
 public:
  virtual ~SizeHints() = default;
  // `path` begins with a variable; then come names of fields, "@items", "@values" and "@keys". It
  // is empty for data that is not reached from a variable.
  virtual std::optional<Range> size_of(std::span<const std::string> path,
                                       const Type& type) const = 0;
};

// The maximal sizes that a declared type has, whichever variable the path begins with.
class DeclaredSizes : public SizeHints {
 public:
  explicit DeclaredSizes(const DeclType& root) : root_(root) {}
  std::optional<Range> size_of(std::span<const std::string> path, const Type& type) const override;

 private:
  const DeclType& root_;
};

// Of a checked tree.
Range estimate_cost(const Expr& root, const SizeHints& hints);

}  // namespace knarr::cel
