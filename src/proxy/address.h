// SPDX-License-Identifier: Apache-2.0
// IP addresses and CIDRs as the proxy meets them in objects, flags and interfaces: text in, comparisons out. Pure.
//
// Like Kubernetes' "sloppy" parsers, and unlike inet_pton, IPv4 octets may have leading zeros ("010.000.0.1" is 10.0.0.1): old objects hold such.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace knarr::proxy {

enum class Family : uint8_t { kIPv4, kIPv6 };
inline std::string_view family_name(Family family) { return family == Family::kIPv4 ? "IPv4" : "IPv6"; }

struct Address {
  Family family = Family::kIPv4;
  std::array<uint8_t, 16> bytes{};  // the first 4 of IPv4
  std::string text() const;         // canonical
  bool is_loopback() const;
  bool is_unspecified() const;
  bool operator==(const Address&) const = default;
};

struct Cidr {
  Address address;
  int bits = 0;
  bool contains(const Address& other) const;
};

std::optional<Address> parse_address(std::string_view text);
std::optional<Cidr> parse_cidr(std::string_view text);
// "10.0.0.1:80", "[fd00::1]:80"
std::string join_host_port(std::string_view host, int port);

}  // namespace knarr::proxy
