// SPDX-License-Identifier: Apache-2.0
#include "proxy/address.h"

#include <arpa/inet.h>

#include <charconv>

namespace knarr::proxy {
namespace {

std::optional<int> parse_decimal(std::string_view text, int limit) {
  int value = 0;
  if (text.empty() || text.size() > 3) return std::nullopt;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > limit) return std::nullopt;
  return value;
}

std::optional<Address> parse_ipv4(std::string_view text) {
  Address address;
  for (size_t i = 0; i < 4; ++i) {
    size_t dot = i < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return std::nullopt;
    auto octet = parse_decimal(text.substr(0, dot), 255);
    if (!octet) return std::nullopt;
    address.bytes[i] = static_cast<uint8_t>(*octet);
    text.remove_prefix(i < 3 ? dot + 1 : dot);
  }
  return address;
}

}  // namespace

std::string Address::text() const {
  char buffer[INET6_ADDRSTRLEN];
  return inet_ntop(family == Family::kIPv4 ? AF_INET : AF_INET6, bytes.data(), buffer, sizeof buffer);
}

bool Address::is_loopback() const {
  if (family == Family::kIPv4) return bytes[0] == 127;
  Address one{Family::kIPv6, {}};
  one.bytes[15] = 1;
  return *this == one;
}

bool Address::is_unspecified() const { return bytes == std::array<uint8_t, 16>{}; }

bool Cidr::contains(const Address& other) const {
  if (other.family != address.family) return false;
  for (int bit = 0; bit < bits; bit += 8) {
    int mask = bits - bit >= 8 ? 0xff : 0xff << (8 - (bits - bit)) & 0xff;
    if ((address.bytes[static_cast<size_t>(bit / 8)] ^ other.bytes[static_cast<size_t>(bit / 8)]) & mask) return false;
  }
  return true;
}

std::optional<Address> parse_address(std::string_view text) {
  if (text.find(':') == std::string_view::npos) return parse_ipv4(text);
  if (text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  Address address{Family::kIPv6, {}};
  if (inet_pton(AF_INET6, std::string(text).c_str(), address.bytes.data()) != 1) return std::nullopt;
  return address;
}

std::optional<Cidr> parse_cidr(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  auto bits = parse_decimal(text.substr(slash + 1), address->family == Family::kIPv4 ? 32 : 128);
  if (!bits) return std::nullopt;
  return Cidr{*address, *bits};
}

std::string join_host_port(std::string_view host, int port) {
  std::string out;
  bool brackets = host.find(':') != std::string_view::npos;
  if (brackets) out += '[';
  out += host;
  if (brackets) out += ']';
  return out += ":" + std::to_string(port);
}

}  // namespace knarr::proxy
