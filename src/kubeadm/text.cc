// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/text.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace knarr::kubeadm {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0;;) {
    size_t end = text.find(separator, at);
    parts.emplace_back(text.substr(at, end == std::string_view::npos ? end : end - at));
    if (end == std::string_view::npos) return parts;
    at = end + 1;
  }
}

std::vector<std::string> split_fields(std::string_view text) {
  std::vector<std::string> fields;
  std::string field;
  for (char c : text) {
    if (!std::isspace(static_cast<unsigned char>(c))) {
      field += c;
    } else if (!field.empty()) {
      fields.push_back(std::move(field));
      field.clear();
    }
  }
  if (!field.empty()) fields.push_back(std::move(field));
  return fields;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += separator;
    text += parts[i];
  }
  return text;
}

std::string replace_all(std::string text, std::string_view what, std::string_view with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) text.replace(at, what.size(), with);
  return text;
}

std::string to_lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string trim_space(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return std::string(text);
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      case '\r': out += "\\r"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          char escaped[8];
          std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(c));
          out += escaped;
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string pad_right(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

bool contains(const std::vector<std::string>& list, std::string_view item) { return std::find(list.begin(), list.end(), item) != list.end(); }

std::string bracketed(const std::vector<std::string>& list) { return "[" + join(list, " ") + "]"; }

// ---- durations ---------------------------------------------------------------------------------------------------------------

Result<Duration> parse_duration(std::string_view text) {
  Status invalid = Status::error("time: invalid duration " + quote(text));
  std::string_view rest = text;
  bool negative = !rest.empty() && rest.front() == '-';
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) rest.remove_prefix(1);
  if (rest == "0") return Duration(0);
  if (rest.empty()) return invalid;
  double total = 0;
  while (!rest.empty()) {
    double number = 0;
    auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc() || end == rest.data() || number < 0) return invalid;
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    size_t unit_size = 0;
    while (unit_size < rest.size() && rest[unit_size] != '.' && !std::isdigit(static_cast<unsigned char>(rest[unit_size]))) ++unit_size;
    std::string_view unit = rest.substr(0, unit_size);
    rest.remove_prefix(unit_size);
    if (unit == "h") total += number * 3600e9;
    else if (unit == "m") total += number * 60e9;
    else if (unit == "s") total += number * 1e9;
    else if (unit == "ms") total += number * 1e6;
    else if (unit == "us" || unit == "µs") total += number * 1e3;
    else if (unit == "ns") total += number;
    else if (unit.empty()) return Status::error("time: missing unit in duration " + quote(text));
    else return Status::error("time: unknown unit " + quote(unit) + " in duration " + quote(text));
    if (total > 9.2e18) return invalid;
  }
  return Duration(static_cast<int64_t>(negative ? -total : total));
}

std::string format_duration(Duration duration) {
  int64_t ns = duration.count();
  if (ns == 0) return "0s";
  std::string sign = ns < 0 ? "-" : "";
  uint64_t left = ns < 0 ? 0 - static_cast<uint64_t>(ns) : static_cast<uint64_t>(ns);
  auto decimal = [](uint64_t whole, uint64_t fraction, int digits) {
    std::string text = std::to_string(fraction);
    text.insert(0, static_cast<size_t>(digits) - text.size(), '0');
    while (!text.empty() && text.back() == '0') text.pop_back();
    return std::to_string(whole) + (text.empty() ? "" : "." + text);
  };
  if (left < 1000) return sign + std::to_string(left) + "ns";
  if (left < 1000000) return sign + decimal(left / 1000, left % 1000, 3) + "µs";
  if (left < 1000000000) return sign + decimal(left / 1000000, left % 1000000, 6) + "ms";
  uint64_t seconds = left / 1000000000;
  std::string text = decimal(seconds % 60, left % 1000000000, 9) + "s";
  if (seconds >= 60) text = std::to_string(seconds / 60 % 60) + "m" + text;
  if (seconds >= 3600) text = std::to_string(seconds / 3600) + "h" + text;
  return sign + text;
}

std::string format_rfc3339(WallTime time) {
  time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

Result<WallTime> parse_rfc3339(std::string_view text) {
  std::string copy(text);
  std::tm parts{};
  char zone = 0;
  int used = 0;
  if (std::sscanf(copy.c_str(), "%d-%d-%dT%d:%d:%d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &parts.tm_hour, &parts.tm_min,
                  &parts.tm_sec, &used) != 6)
    return Status::error("parsing time " + quote(text) + " as \"2006-01-02T15:04:05Z07:00\": cannot parse");
  int hours = 0, minutes = 0;
  const char* rest = copy.c_str() + used;
  int64_t offset = 0;
  if (std::sscanf(rest, "%c%d:%d", &zone, &hours, &minutes) == 3 && (zone == '+' || zone == '-')) {
    offset = (hours * 3600 + minutes * 60) * (zone == '+' ? 1 : -1);
  } else if (std::strcmp(rest, "Z") != 0) {
    return Status::error("parsing time " + quote(text) + " as \"2006-01-02T15:04:05Z07:00\": cannot parse " + quote(rest) + " as \"Z07:00\"");
  }
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  return WallTime(std::chrono::seconds(timegm(&parts) - offset));
}

std::string short_human_duration(Duration duration) {
  int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3600) return std::to_string(seconds / 60) + "m";
  if (seconds < 24 * 3600) return std::to_string(seconds / 3600) + "h";
  if (seconds < 365 * 24 * 3600) return std::to_string(seconds / 3600 / 24) + "d";
  return std::to_string(seconds / 3600 / 24 / 365) + "y";
}

// ---- addresses ---------------------------------------------------------------------------------------------------------------

namespace {

// Bytes of an address; 0 when it is none, else 4 or 16. Leading zeros in a v4 part are let through, as ParseIPSloppy does.
int parse_ip(std::string_view text, unsigned char* bytes) {
  std::string copy(text);
  if (text.find(':') != std::string_view::npos) return ::inet_pton(AF_INET6, copy.c_str(), bytes) == 1 ? 16 : 0;
  std::vector<std::string> parts = split(text, '.');
  if (parts.size() != 4) return 0;
  for (size_t i = 0; i < 4; ++i) {
    int number = -1;
    const char* end = parts[i].data() + parts[i].size();
    auto parsed = std::from_chars(parts[i].data(), end, number);
    if (parts[i].empty() || parsed.ec != std::errc() || parsed.ptr != end || number < 0 || number > 255) return 0;
    bytes[i] = static_cast<unsigned char>(number);
  }
  return 4;
}

std::string ip_text(const unsigned char* bytes, bool v6) {
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(v6 ? AF_INET6 : AF_INET, bytes, text, sizeof text);
  return text;
}

}  // namespace

bool is_ip(std::string_view text) {
  unsigned char bytes[16];
  return parse_ip(text, bytes) != 0;
}
bool is_ipv6(std::string_view text) {
  unsigned char bytes[16];
  return parse_ip(text, bytes) == 16;
}
bool is_loopback(std::string_view ip) {
  unsigned char bytes[16];
  int size = parse_ip(ip, bytes);
  return (size == 4 && bytes[0] == 127) || (size == 16 && ip_text(bytes, true) == "::1");
}
bool is_global_unicast(std::string_view ip) {
  unsigned char bytes[16];
  int size = parse_ip(ip, bytes);
  if (size == 4) {
    std::string text = ip_text(bytes, false);
    return text != "255.255.255.255" && text != "0.0.0.0" && bytes[0] != 127 && (bytes[0] & 0xf0) != 0xe0 && !(bytes[0] == 169 && bytes[1] == 254);
  }
  if (size == 0) return false;
  std::string text = ip_text(bytes, true);
  return text != "::" && text != "::1" && bytes[0] != 0xff && !(bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80);
}
std::string canonical_ip(std::string_view ip) {
  unsigned char bytes[16];
  int size = parse_ip(ip, bytes);
  return size == 0 ? std::string(ip) : ip_text(bytes, size == 16);
}

Result<Cidr> parse_cidr(std::string_view text) {
  Status invalid = Status::error("invalid CIDR address: " + std::string(text));
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return invalid;
  Cidr cidr;
  int size = parse_ip(text.substr(0, slash), cidr.bytes);
  std::string_view prefix = text.substr(slash + 1);
  auto [end, error] = std::from_chars(prefix.data(), prefix.data() + prefix.size(), cidr.prefix);
  if (size == 0 || prefix.empty() || error != std::errc() || end != prefix.data() + prefix.size()) return invalid;
  cidr.v6 = size == 16;
  if (cidr.prefix < 0 || cidr.prefix > cidr.bits()) return invalid;
  for (int bit = cidr.prefix; bit < cidr.bits(); ++bit) cidr.bytes[bit / 8] &= static_cast<unsigned char>(~(0x80 >> (bit % 8)));
  return cidr;
}

Result<std::string> nth_address(const Cidr& cidr, uint64_t index) {
  int free_bits = cidr.bits() - cidr.prefix;
  if (free_bits < 64 && index >> free_bits != 0)
    return Status::error("can't generate IP with index " + std::to_string(index) + " from subnet. subnet too small. subnet: \"" +
                         ip_text(cidr.bytes, cidr.v6) + "/" + std::to_string(cidr.prefix) + "\"");
  unsigned char bytes[16];
  std::memcpy(bytes, cidr.bytes, sizeof bytes);
  unsigned carry = 0;
  for (int i = cidr.bits() / 8 - 1; i >= 0; --i, index >>= 8) {
    unsigned sum = bytes[i] + static_cast<unsigned>(index & 0xff) + carry;
    bytes[i] = static_cast<unsigned char>(sum);
    carry = sum >> 8;
  }
  return ip_text(bytes, cidr.v6);
}

std::string join_host_port(std::string_view host, std::string_view port) {
  bool v6 = host.find(':') != std::string_view::npos;
  return (v6 ? "[" : "") + std::string(host) + (v6 ? "]:" : ":") + std::string(port);
}

Result<HostPort> parse_host_port(std::string_view text) {
  HostPort result;
  std::string_view host = text;
  size_t colon = text.rfind(':');
  bool bracketed_host = !text.empty() && text.front() == '[' && text.find("]:") != std::string_view::npos;
  if (bracketed_host || (colon != std::string_view::npos && text.find(':') == colon)) {
    host = text.substr(0, colon);
    if (bracketed_host) host = host.substr(1, host.size() - 2);
    result.port = text.substr(colon + 1);
    int number = 0;
    auto [end, error] = std::from_chars(result.port.data(), result.port.data() + result.port.size(), number);
    if (error != std::errc() || end != result.port.data() + result.port.size() || number < 1 || number > 65535)
      return Status::error("hostport " + std::string(text) + ": port " + result.port + " must be a valid number between 1 and 65535, inclusive");
  }
  result.host = host;
  if (is_ip(host)) return result;
  if (is_dns_subdomain(host)) return result;
  return Status::error("hostport " + std::string(text) + ": host '" + std::string(host) + "' must be a valid IP address or a valid RFC-1123 DNS subdomain");
}

// ---- names -------------------------------------------------------------------------------------------------------------------

bool is_dns_label(std::string_view text) {
  auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (text.empty() || text.size() > 63 || !alphanumeric(text.front()) || !alphanumeric(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) { return alphanumeric(c) || c == '-'; });
}
bool is_dns_subdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  std::vector<std::string> labels = split(text, '.');
  return std::all_of(labels.begin(), labels.end(), [](const std::string& label) { return is_dns_label(label); });
}
bool is_wildcard_dns(std::string_view text) { return text.starts_with("*.") && is_dns_subdomain(text.substr(2)); }

// ---- versions ----------------------------------------------------------------------------------------------------------------

std::string Version::text() const {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch) + (pre_release.empty() ? "" : "-" + pre_release);
}

std::optional<Version> parse_version(std::string_view text) {
  if (text.starts_with("v")) text.remove_prefix(1);
  Version version;
  std::string_view numbers = text;
  if (size_t dash = text.find_first_of("-+"); dash != std::string_view::npos) {
    numbers = text.substr(0, dash);
    if (text[dash] == '-') version.pre_release = text.substr(dash + 1, text.find('+') == std::string_view::npos ? std::string_view::npos : text.find('+') - dash - 1);
  }
  std::vector<std::string> parts = split(numbers, '.');
  if (parts.size() != 3) return std::nullopt;
  int* targets[] = {&version.major, &version.minor, &version.patch};
  for (size_t i = 0; i < 3; ++i) {
    const char* end = parts[i].data() + parts[i].size();
    auto parsed = std::from_chars(parts[i].data(), end, *targets[i]);
    if (parts[i].empty() || parsed.ec != std::errc() || parsed.ptr != end || *targets[i] < 0) return std::nullopt;
  }
  return version;
}

int compare(const Version& a, const Version& b) {
  int pairs[][2] = {{a.major, b.major}, {a.minor, b.minor}, {a.patch, b.patch}};
  for (auto& [x, y] : pairs)
    if (x != y) return x < y ? -1 : 1;
  if (a.pre_release == b.pre_release) return 0;
  if (a.pre_release.empty()) return 1;
  if (b.pre_release.empty()) return -1;
  return a.pre_release < b.pre_release ? -1 : 1;
}

}  // namespace knarr::kubeadm
