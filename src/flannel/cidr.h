// SPDX-License-Identifier: Apache-2.0
// IPv4 addresses and networks as values. Host byte order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace knarr::flannel {

using Ipv4 = uint32_t;
Result<Ipv4> parse_ipv4(std::string_view text);
std::string ipv4_text(Ipv4 address);

struct Cidr {
  Ipv4 address = 0;  // as written: 10.244.1.1/24 keeps its last byte
  int prefix = 0;
  Ipv4 mask() const { return prefix == 0 ? 0 : ~uint32_t{0} << (32 - prefix); }
  Cidr network() const { return {address & mask(), prefix}; }
  bool contains(Ipv4 other) const { return (other & mask()) == (address & mask()); }
  bool contains(const Cidr& other) const { return prefix <= other.prefix && contains(other.address); }
  bool empty() const { return address == 0 && prefix == 0; }
  std::string text() const;
  friend bool operator==(const Cidr&, const Cidr&) = default;
};
Result<Cidr> parse_cidr(std::string_view text);

}  // namespace knarr::flannel
