// SPDX-License-Identifier: Apache-2.0
// Checks that many kinds share, in the words of upstream's util/validation and api/validation.
//
// check_* answer messages, none when the text is valid. validate_* add to a FieldErrors. Pure
// functions; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/field_errors.h"
#include "schema/selector.h"
#include "schema/value.h"

namespace knarr::api::meta_v1 {
struct LabelSelector;
struct ObjectMeta;
struct Condition;
}  // namespace knarr::api::meta_v1

namespace knarr::apiserver {

using Messages = std::vector<std::string>;
using schema::List;
using schema::Map;
using schema::Opt;
using schema::Str;

inline constexpr std::string_view kIsNegative = "must be greater than or equal to 0";
inline constexpr std::string_view kFieldImmutable = "field is immutable";
inline constexpr std::string_view kNotPositive = "must be greater than zero";

std::string max_length_message(int length);            // must be no more than N characters
std::string range_message(int64_t low, int64_t high);  // must be between A and B, inclusive
std::string regex_message(std::string_view message, std::string_view regex,
                          std::initializer_list<std::string_view> examples);

// ---- texts
// ------------------------------------------------------------------------------------------------------------------
bool is_dns1123_label(std::string_view text);  // the pattern alone, any length
bool is_dns1123_subdomain(std::string_view text);
Messages check_dns1123_label(std::string_view text);
Messages check_dns1123_subdomain(std::string_view text);
Messages check_dns1035_label(std::string_view text);
Messages check_wildcard_dns1123_subdomain(std::string_view text);
using schema::check_label_value;
using schema::check_qualified_name;
Messages check_c_identifier(std::string_view text);
Messages check_port_number(int64_t port);
Messages check_port_name(std::string_view text);
Messages check_ip(std::string_view text);
Messages check_percent(std::string_view text);
Messages check_http_header_name(std::string_view text);
Messages check_env_var_name(std::string_view text);
Messages check_config_map_key(std::string_view text);
Messages check_user_id(int64_t id);                               // also group ids
Messages check_path_segment(std::string_view text, bool prefix);  // names of RBAC objects

// Rules for metadata.name; `prefix` when the text is a generateName.
Messages name_is_dns_subdomain(std::string_view name, bool prefix);
Messages name_is_dns_label(std::string_view name, bool prefix);
Messages name_is_dns1035_label(std::string_view name, bool prefix);

// ---- addresses
// --------------------------------------------------------------------------------------------------------------
struct IpAddress {
  bool v6 = false;
  std::array<uint8_t, 16> bytes{};  // IPv4 in the first four
  bool is_unspecified() const;
  bool is_loopback() const;
  bool is_link_local_unicast() const;
  bool is_link_local_multicast() const;
};
// As upstream's sloppy parser: leading zeros in IPv4 parts are decimal; ::ffff:a.b.c.d is IPv4.
std::optional<IpAddress> parse_ip(std::string_view text);
struct Cidr {
  IpAddress address;
  int prefix = 0;
};
std::optional<Cidr> parse_cidr(std::string_view text);
// One address of each family at most, and both present.
bool is_dual_stack(const std::vector<IpAddress>& addresses);
void validate_non_special_ip(std::string_view text, const Path& path, FieldErrors& errors);

// ---- fields
// -----------------------------------------------------------------------------------------------------------------
// One Invalid for each message, with the text as its value.
void invalid_each(const Path& path, std::string_view value, const Messages& messages,
                  FieldErrors& errors);
void validate_nonnegative(int64_t value, const Path& path, FieldErrors& errors);
void validate_labels(const Map<Str>& labels, const Path& path, FieldErrors& errors);
void validate_annotations(const Map<Str>& annotations, const Path& path, FieldErrors& errors);
void validate_label_selector(const api::meta_v1::LabelSelector* selector, const Path& path,
                             FieldErrors& errors, bool allow_invalid_values = false);
void validate_condition(const api::meta_v1::Condition& condition, const Path& path,
                        FieldErrors& errors);
void validate_port_or_name(const schema::IntOrString& port, const Path& path, FieldErrors& errors);
void validate_finalizer_name(std::string_view name, const Path& path, FieldErrors& errors);
// An absolute or relative file path without "..".
void validate_no_backsteps(std::string_view target, const Path& path, FieldErrors& errors);
void validate_descending_path(std::string_view target, const Path& path, FieldErrors& errors);
void validate_non_reserved_path(std::string_view target, const Path& path, FieldErrors& errors);

// Required when empty, NotSupported when not in the list.
void validate_choice(std::string_view value, const std::vector<std::string_view>& valid,
                     const Path& path, FieldErrors& errors);
// NotSupported when not in the list.
void validate_supported(std::string_view value, const std::vector<std::string_view>& valid,
                        const Path& path, FieldErrors& errors);

template <class T>
void validate_immutable(const T& now, const T& before, std::string_view printed, const Path& path,
                        FieldErrors& errors) {
  if (!(now == before)) errors.invalid(path, printed, kFieldImmutable);
}

// ---- Go's %#v of a few types, as it appears in messages
// -----------------------------------------------------------------------
std::string go_map(const Map<Str>& map);     // map[string]string{"a":"b"}
std::string go_list(const List<Str>& list);  // []string{"a", "b"}
std::string go_quantity(
    const schema::Quantity& quantity);              // resource.Quantity{i:..., Format:"DecimalSI"}
std::string go_pointer_text(const Opt<Str>& text);  // "x" or null

inline Path operator/(const Path& path, std::string_view child) { return path.child(child); }

std::string lower(std::string_view text);
std::string_view trim(std::string_view text);
std::vector<std::string_view> split(std::string_view text, char separator);
std::string join(const Messages& parts, std::string_view separator);
bool contains(const List<Str>& list, std::string_view text);

}  // namespace knarr::apiserver
