// SPDX-License-Identifier: Apache-2.0
// Small helpers on text, addresses and durations, with Go's spelling. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace knarr::kubeadm {

std::vector<std::string> split(std::string_view text, char separator);
std::vector<std::string> split_fields(std::string_view text);          // at white space, no empty ones
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string replace_all(std::string text, std::string_view what, std::string_view with);
std::string to_lower(std::string text);
std::string trim_space(std::string_view text);
std::string quote(std::string_view text);                              // Go's %q
std::string pad_right(std::string text, size_t width);
bool contains(const std::vector<std::string>& list, std::string_view item);
// Go's %v of a list: [a b c].
std::string bracketed(const std::vector<std::string>& list);

// ---- durations: "4m0s", "1h30m", "24h0m0s"
Result<Duration> parse_duration(std::string_view text);
std::string format_duration(Duration duration);
std::string format_rfc3339(WallTime time);                             // UTC, whole seconds
Result<WallTime> parse_rfc3339(std::string_view text);
// apimachinery's ShortHumanDuration: "23h", "2d".
std::string short_human_duration(Duration duration);

// ---- addresses
bool is_ip(std::string_view text);
bool is_ipv6(std::string_view text);
bool is_loopback(std::string_view ip);
bool is_global_unicast(std::string_view ip);
std::string canonical_ip(std::string_view ip);
struct Cidr {
  bool v6 = false;
  unsigned char bytes[16] = {};
  int prefix = 0;
  int bits() const { return v6 ? 128 : 32; }
};
// As net.ParseCIDR, host bits cleared; the error reads as Go's.
Result<Cidr> parse_cidr(std::string_view text);
// The nth address of the range. Fails when the range has no such address.
Result<std::string> nth_address(const Cidr& cidr, uint64_t index);
std::string join_host_port(std::string_view host, std::string_view port);
struct HostPort {
  std::string host, port;  // port may be ""
};
// "host", "host:port", "[v6]:port"; checks both halves as upstream's kubeadm does.
Result<HostPort> parse_host_port(std::string_view text);

// ---- names (RFC 1123)
bool is_dns_label(std::string_view text);
bool is_dns_subdomain(std::string_view text);
bool is_wildcard_dns(std::string_view text);

// ---- versions
struct Version {
  int major = 0, minor = 0, patch = 0;
  std::string pre_release;
  std::string text() const;   // without "v"
};
std::optional<Version> parse_version(std::string_view text);  // "v1.28.4", "1.28.4-beta.1"
int compare(const Version& a, const Version& b);              // pre-releases by their text, below the release

}  // namespace knarr::kubeadm
