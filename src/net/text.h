// SPDX-License-Identifier: Apache-2.0
// Small text helpers of HTTP's grammar, internal to this module.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace knarr::net {

inline char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
bool iequals(std::string_view a, std::string_view b);
std::string_view trim(std::string_view text);
bool is_token(std::string_view text);  // RFC 9110 token, not empty
bool is_field_value(std::string_view text);
// A value that cannot break the framing: control characters become spaces.
std::string clean_field_value(std::string_view text);
int hex_digit(char c);  // -1 when it is none
std::optional<uint64_t> parse_decimal(std::string_view text);
// "Tue, 24 Nov 2026 22:08:05 GMT", made once a second and thread.
std::string_view http_date();
// Hop-by-hop fields that HTTP/2 forbids.
bool is_connection_specific(std::string_view name);
// "host:port" split; brackets of an IPv6 host removed. False when there is no port.
bool split_host_port(std::string_view address, std::string* host, std::string* port);

}  // namespace knarr::net
