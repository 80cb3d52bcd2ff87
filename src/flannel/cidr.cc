// SPDX-License-Identifier: Apache-2.0
#include "flannel/cidr.h"

#include <arpa/inet.h>

#include <charconv>

namespace knarr::flannel {

Result<Ipv4> parse_ipv4(std::string_view text) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return Status::error("invalid IP address: " + std::string(text));
  return Ipv4{ntohl(address.s_addr)};
}

std::string ipv4_text(Ipv4 address) {
  in_addr network{htonl(address)};
  char text[INET_ADDRSTRLEN];
  return inet_ntop(AF_INET, &network, text, sizeof text);
}

std::string Cidr::text() const { return ipv4_text(address) + "/" + std::to_string(prefix); }

Result<Cidr> parse_cidr(std::string_view text) {
  Status invalid = Status::error("invalid CIDR address: " + std::string(text));
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return invalid;
  auto address = parse_ipv4(text.substr(0, slash));
  std::string_view digits = text.substr(slash + 1);
  int prefix = -1;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (!address.ok() || error != std::errc() || end != digits.data() + digits.size() || prefix < 0 || prefix > 32) return invalid;
  return Cidr{*address, prefix};
}

}  // namespace knarr::flannel
