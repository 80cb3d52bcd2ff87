// SPDX-License-Identifier: Apache-2.0
// Equal slices of an address range, given out lowest free first. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace knarr::controller {

// An IPv4 or IPv6 network, aligned.
struct Cidr {
  unsigned __int128 address = 0;
  int prefix = 0;
  bool v6 = false;
  int bits() const { return v6 ? 128 : 32; }
  static Result<Cidr> parse(std::string_view text);
  std::string to_string() const;
  bool overlaps(const Cidr& other) const;
};

class CidrSet {
 public:
  // At most 2^16 slices, as upstream.
  static Result<CidrSet> make(const Cidr& range, int slice_prefix);
  std::optional<Cidr> allocate();
  void occupy(const Cidr& cidr);   // also ranges larger or smaller than a slice; outside ones are ignored
  void release(const Cidr& cidr);
  bool v6() const { return range_.v6; }

 private:
  void mark(const Cidr& cidr, bool used);
  Cidr range_;
  int slice_prefix_ = 0;
  size_t next_ = 0;                // where the search for a free one goes on
  std::vector<bool> used_;
};

}  // namespace knarr::controller
