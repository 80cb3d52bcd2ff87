// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/validators.h"

#include <arpa/inet.h>

#include "api/meta_v1.h"
#include "schema/quantity.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kLabelRegex = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
constexpr std::string_view kSubdomainRegex =
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxSubdomain = 253;
constexpr size_t kMaxAnnotationsBytes = 256 << 10;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower_alnum(char c) { return is_lower(c) || is_digit(c); }
bool is_alpha(char c) { return is_lower(c) || is_upper(c); }

template <class Test>
bool all_of(std::string_view text, Test test) {
  for (char c : text)
    if (!test(c)) return false;
  return true;
}

// What a config key or a variable's name must not be: a step up in a directory tree.
void add_directory_problems(std::string_view text, Messages& out) {
  if (text == ".") {
    out.emplace_back("must not be '.'");
  } else if (text == "..") {
    out.emplace_back("must not be '..'");
  } else if (text.starts_with("..")) {
    out.emplace_back("must not start with '..'");
  }
}

// A generateName may end in a dash: what follows it will be a letter.
std::string mask_trailing_dash(std::string_view name) {
  if (name.size() > 1 && name.ends_with('-'))
    return std::string(name.substr(0, name.size() - 2)) + "a";
  return std::string(name);
}

}  // namespace

std::string max_length_message(int length) {
  return "must be no more than " + std::to_string(length) + " characters";
}
std::string range_message(int64_t low, int64_t high) {
  return "must be between " + std::to_string(low) + " and " + std::to_string(high) + ", inclusive";
}
std::string regex_message(std::string_view message, std::string_view regex,
                          std::initializer_list<std::string_view> examples) {
  std::string out(message);
  if (examples.size() == 0)
    return out + " (regex used for validation is '" + std::string(regex) + "')";
  out += " (e.g. ";
  bool first = true;
  for (std::string_view example : examples) {
    if (!first) out += " or ";
    first = false;
    out += "'" + std::string(example) + "', ";
  }
  return out + "regex used for validation is '" + std::string(regex) + "')";
}

bool is_dns1123_label(std::string_view text) {
  return !text.empty() && is_lower_alnum(text.front()) && is_lower_alnum(text.back()) &&
         all_of(text, [](char c) { return is_lower_alnum(c) || c == '-'; });
}
bool is_dns1123_subdomain(std::string_view text) {
  for (size_t start = 0;;) {
    size_t dot = text.find('.', start);
    if (!is_dns1123_label(text.substr(start, dot == text.npos ? dot : dot - start))) return false;
    if (dot == text.npos) return true;
    start = dot + 1;
  }
}

Messages check_dns1123_label(std::string_view text) {
  Messages out;
  if (text.size() > kMaxLabel) out.push_back(max_length_message(kMaxLabel));
  if (is_dns1123_label(text)) return out;
  if (is_dns1123_subdomain(text)) {
    out.emplace_back("must not contain dots");
  } else {
    out.push_back(
        regex_message("a lowercase RFC 1123 label must consist of lower case alphanumeric "
                      "characters or '-', and must start "
                      "and end with an alphanumeric character",
                      kLabelRegex, {"my-name", "123-abc"}));
  }
  return out;
}
Messages check_dns1123_subdomain(std::string_view text) {
  Messages out;
  if (text.size() > kMaxSubdomain) out.push_back(max_length_message(kMaxSubdomain));
  if (!is_dns1123_subdomain(text))
    out.push_back(
        regex_message("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
                      "characters, '-' or '.', and must "
                      "start and end with an alphanumeric character",
                      kSubdomainRegex, {"example.com"}));
  return out;
}
Messages check_dns1035_label(std::string_view text) {
  Messages out;
  if (text.size() > kMaxLabel) out.push_back(max_length_message(kMaxLabel));
  if (!is_dns1123_label(text) || !is_lower(text.front()))
    out.push_back(
        regex_message("a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
                      "start with an alphabetic "
                      "character, and end with an alphanumeric character",
                      "[a-z]([-a-z0-9]*[a-z0-9])?", {"my-name", "abc-123"}));
  return out;
}
Messages check_wildcard_dns1123_subdomain(std::string_view text) {
  Messages out;
  if (text.size() > kMaxSubdomain) out.push_back(max_length_message(kMaxSubdomain));
  if (!text.starts_with("*.") || !is_dns1123_subdomain(text.substr(2)))
    out.push_back(regex_message(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
        "which must consist "
        "of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        "\\*\\." + std::string(kSubdomainRegex), {"*.example.com"}));
  return out;
}
Messages check_c_identifier(std::string_view text) {
  bool good = !text.empty() && !is_digit(text.front()) &&
              all_of(text, [](char c) { return is_alpha(c) || is_digit(c) || c == '_'; });
  if (good) return {};
  return {
      regex_message("a valid C identifier must start with alphabetic character or '_', followed by "
                    "a string of alphanumeric characters "
                    "or '_'",
                    "[A-Za-z_][A-Za-z0-9_]*", {"my_name", "MY_NAME", "MyName"})};
}
Messages check_port_number(int64_t port) {
  if (port >= 1 && port <= 65535) return {};
  return {range_message(1, 65535)};
}
Messages check_port_name(std::string_view text) {
  Messages out;
  if (text.size() > 15) out.push_back(max_length_message(15));
  if (text.empty() || !all_of(text, [](char c) { return is_lower_alnum(c) || c == '-'; }))
    out.emplace_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (all_of(text, [](char c) { return !is_lower(c); }))
    out.emplace_back("must contain at least one letter (a-z)");
  if (text.find("--") != text.npos) out.emplace_back("must not contain consecutive hyphens");
  if (!text.empty() && (text.front() == '-' || text.back() == '-'))
    out.emplace_back("must not begin or end with a hyphen");
  return out;
}
Messages check_ip(std::string_view text) {
  if (parse_ip(text)) return {};
  return {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"};
}
Messages check_percent(std::string_view text) {
  if (text.size() > 1 && text.back() == '%' && all_of(text.substr(0, text.size() - 1), is_digit))
    return {};
  return {regex_message("a valid percent string must be a numeric string followed by an ending '%'",
                        "[0-9]+%", {"1%", "93%"})};
}
Messages check_http_header_name(std::string_view text) {
  if (!text.empty() && all_of(text, [](char c) { return is_alpha(c) || is_digit(c) || c == '-'; }))
    return {};
  return {regex_message("a valid HTTP header must consist of alphanumeric characters or '-'",
                        "[-A-Za-z0-9]+", {"X-Header-Name"})};
}
Messages check_env_var_name(std::string_view text) {
  Messages out;
  auto good = [](char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_'; };
  if (text.empty() || is_digit(text.front()) || !all_of(text, good))
    out.push_back(
        regex_message("a valid environment variable name must consist of alphabetic characters, "
                      "digits, '_', '-', or '.', and "
                      "must not start with a digit",
                      "[-._a-zA-Z][-._a-zA-Z0-9]*", {"my.env-name", "MY_ENV.NAME", "MyEnvName1"}));
  add_directory_problems(text, out);
  return out;
}
Messages check_config_map_key(std::string_view text) {
  Messages out;
  if (text.size() > kMaxSubdomain) out.push_back(max_length_message(kMaxSubdomain));
  auto good = [](char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_'; };
  if (text.empty() || !all_of(text, good))
    out.push_back(
        regex_message("a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                      "[-._a-zA-Z0-9]+", {"key.name", "KEY_NAME", "key-name"}));
  add_directory_problems(text, out);
  return out;
}
Messages check_user_id(int64_t id) {
  if (id >= 0 && id <= INT32_MAX) return {};
  return {range_message(0, INT32_MAX)};
}
Messages check_path_segment(std::string_view text, bool prefix) {
  if (!prefix && (text == "." || text == "..")) return {"may not be '" + std::string(text) + "'"};
  Messages out;
  for (std::string_view bad : {"/", "%"})
    if (text.find(bad) != text.npos) out.push_back("may not contain '" + std::string(bad) + "'");
  return out;
}

Messages name_is_dns_subdomain(std::string_view name, bool prefix) {
  return check_dns1123_subdomain(prefix ? mask_trailing_dash(name) : std::string(name));
}
Messages name_is_dns_label(std::string_view name, bool prefix) {
  return check_dns1123_label(prefix ? mask_trailing_dash(name) : std::string(name));
}
Messages name_is_dns1035_label(std::string_view name, bool prefix) {
  return check_dns1035_label(prefix ? mask_trailing_dash(name) : std::string(name));
}

// ---- addresses
// --------------------------------------------------------------------------------------------------------------

bool IpAddress::is_unspecified() const {
  for (size_t i = 0; i < (v6 ? 16u : 4u); ++i)
    if (bytes[i] != 0) return false;
  return true;
}
bool IpAddress::is_loopback() const {
  if (!v6) return bytes[0] == 127;
  for (size_t i = 0; i < 15; ++i)
    if (bytes[i] != 0) return false;
  return bytes[15] == 1;
}
bool IpAddress::is_link_local_unicast() const {
  return v6 ? bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80 : bytes[0] == 169 && bytes[1] == 254;
}
bool IpAddress::is_link_local_multicast() const {
  return v6 ? bytes[0] == 0xff && (bytes[1] & 0x0f) == 0x02
            : bytes[0] == 224 && bytes[1] == 0 && bytes[2] == 0;
}

std::optional<IpAddress> parse_ip(std::string_view text) {
  if (text.size() > 64) return std::nullopt;
  IpAddress out;
  if (text.find(':') == text.npos) {
    std::vector<std::string_view> parts = split(text, '.');
    if (parts.size() != 4) return std::nullopt;
    for (size_t i = 0; i < 4; ++i) {
      if (parts[i].empty() || !all_of(parts[i], is_digit)) return std::nullopt;
      unsigned value = 0;
      for (char c : parts[i]) {
        value = value * 10 + static_cast<unsigned>(c - '0');
        if (value > 255) return std::nullopt;
      }
      out.bytes[i] = static_cast<uint8_t>(value);
    }
    return out;
  }
  std::string terminated(text);
  if (inet_pton(AF_INET6, terminated.c_str(), out.bytes.data()) != 1) return std::nullopt;
  static constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), out.bytes.begin())) {
    IpAddress v4;
    std::copy(out.bytes.begin() + 12, out.bytes.end(), v4.bytes.begin());
    return v4;
  }
  out.v6 = true;
  return out;
}

std::optional<Cidr> parse_cidr(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  std::optional<IpAddress> address = parse_ip(text.substr(0, slash));
  std::string_view bits = text.substr(slash + 1);
  if (!address || bits.empty() || bits.size() > 3 || !all_of(bits, is_digit)) return std::nullopt;
  int prefix = 0;
  for (char c : bits) prefix = prefix * 10 + (c - '0');
  if (prefix > (address->v6 ? 128 : 32)) return std::nullopt;
  return Cidr{*address, prefix};
}

bool is_dual_stack(const std::vector<IpAddress>& addresses) {
  bool v4 = false, v6 = false;
  for (const IpAddress& address : addresses) (address.v6 ? v6 : v4) = true;
  return v4 && v6;
}

void validate_non_special_ip(std::string_view text, const Path& path, FieldErrors& errors) {
  std::optional<IpAddress> ip = parse_ip(text);
  std::string value = quoted(text);
  if (!ip) {
    errors.invalid(path, value, "must be a valid IP address");
    return;
  }
  if (ip->is_unspecified())
    errors.invalid(path, value, "may not be unspecified (" + std::string(text) + ")");
  if (ip->is_loopback())
    errors.invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
  if (ip->is_link_local_unicast())
    errors.invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  if (ip->is_link_local_multicast())
    errors.invalid(path, value,
                   "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

// ---- fields
// -----------------------------------------------------------------------------------------------------------------

void invalid_each(const Path& path, std::string_view value, const Messages& messages,
                  FieldErrors& errors) {
  for (const std::string& message : messages) errors.invalid(path, quoted(value), message);
}
void validate_nonnegative(int64_t value, const Path& path, FieldErrors& errors) {
  if (value < 0) errors.invalid(path, std::to_string(value), kIsNegative);
}
void validate_labels(const Map<Str>& labels, const Path& path, FieldErrors& errors) {
  for (const auto& [key, value] : labels) {
    invalid_each(path, key, check_qualified_name(key), errors);
    invalid_each(path, value, check_label_value(value), errors);
  }
}
void validate_annotations(const Map<Str>& annotations, const Path& path, FieldErrors& errors) {
  size_t total = 0;
  for (const auto& [key, value] : annotations) {
    invalid_each(path, key, check_qualified_name(lower(key)), errors);
    total += key.size() + value.size();
  }
  if (total > kMaxAnnotationsBytes)
    errors.too_long(path, "", static_cast<int>(kMaxAnnotationsBytes));
}

void validate_label_selector(const api::meta_v1::LabelSelector* selector, const Path& path,
                             FieldErrors& errors, bool allow_invalid_values) {
  if (selector == nullptr) return;
  validate_labels(selector->match_labels, path / "matchLabels", errors);
  for (size_t i = 0; i < selector->match_expressions.size(); ++i) {
    const auto& expression = selector->match_expressions[i];
    Path at = (path / "matchExpressions").index(i);
    std::string_view op = expression.operator_;
    if (op == "In" || op == "NotIn") {
      if (expression.values.empty())
        errors.required(at / "values", "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (op == "Exists" || op == "DoesNotExist") {
      if (!expression.values.empty())
        errors.forbidden(at / "values",
                         "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else {
      errors.invalid(at / "operator", quoted(op), "not a valid selector operator");
    }
    invalid_each(at / "key", expression.key, check_qualified_name(expression.key), errors);
    if (allow_invalid_values) continue;
    for (size_t j = 0; j < expression.values.size(); ++j)
      invalid_each((at / "values").index(j), expression.values[j],
                   check_label_value(expression.values[j]), errors);
  }
}

void validate_condition(const api::meta_v1::Condition& condition, const Path& path,
                        FieldErrors& errors) {
  invalid_each(path / "type", condition.type, check_qualified_name(condition.type), errors);
  validate_supported(condition.status, {"False", "True", "Unknown"}, path / "status", errors);
  if (condition.observed_generation < 0)
    errors.invalid(path / "observedGeneration", std::to_string(condition.observed_generation),
                   "must be greater than or equal to zero");
  if (condition.last_transition_time.is_zero())
    errors.required(path / "lastTransitionTime", "must be set");
  std::string_view reason = condition.reason;
  if (reason.empty()) {
    errors.required(path / "reason", "must be set");
  } else {
    auto inner = [](char c) {
      return is_alpha(c) || is_digit(c) || c == '_' || c == ',' || c == ':';
    };
    if (!is_alpha(reason.front()) || reason.back() == ',' || reason.back() == ':' ||
        !all_of(reason, inner))
      errors.invalid(
          path / "reason", quoted(reason),
          regex_message("a condition reason must start with alphabetic character, optionally "
                        "followed by a string of alphanumeric "
                        "characters or '_,:', and must end with an alphanumeric character or '_'",
                        "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?",
                        {"my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"}));
    if (reason.size() > 1024) errors.too_long(path / "reason", quoted(reason), 1024);
  }
  if (condition.message.size() > 32768)
    errors.too_long(path / "message", quoted(condition.message), 32768);
}

void validate_port_or_name(const schema::IntOrString& port, const Path& path, FieldErrors& errors) {
  if (port.is_string) {
    invalid_each(path, port.text, check_port_name(port.text), errors);
    return;
  }
  for (const std::string& message : check_port_number(port.number))
    errors.invalid(path, std::to_string(port.number), message);
}

void validate_finalizer_name(std::string_view name, const Path& path, FieldErrors& errors) {
  invalid_each(path, name, check_qualified_name(name), errors);
  if (name.find('/') == name.npos && name != "kubernetes" && name != "orphan" &&
      name != "foregroundDeletion")
    errors.invalid(path, quoted(name),
                   "name is neither a standard finalizer name nor is it fully qualified");
}

void validate_no_backsteps(std::string_view target, const Path& path, FieldErrors& errors) {
  for (std::string_view part : split(target, '/')) {
    if (part != "..") continue;
    errors.invalid(path, quoted(target), "must not contain '..'");
    return;
  }
}
void validate_descending_path(std::string_view target, const Path& path, FieldErrors& errors) {
  if (target.starts_with('/')) errors.invalid(path, quoted(target), "must be a relative path");
  validate_no_backsteps(target, path, errors);
}
void validate_non_reserved_path(std::string_view target, const Path& path, FieldErrors& errors) {
  validate_descending_path(target, path, errors);
  if (target.starts_with("..") && !target.starts_with("../"))
    errors.invalid(path, quoted(target), "must not start with '..'");
}

void validate_supported(std::string_view value, const std::vector<std::string_view>& valid,
                        const Path& path, FieldErrors& errors) {
  for (std::string_view known : valid)
    if (known == value) return;
  errors.not_supported(path, quoted(value), valid);
}
void validate_choice(std::string_view value, const std::vector<std::string_view>& valid,
                     const Path& path, FieldErrors& errors) {
  if (value.empty()) {
    errors.required(path);
  } else {
    validate_supported(value, valid, path, errors);
  }
}

std::string go_map(const Map<Str>& map) {
  if (map.is_null()) return "map[string]string(nil)";
  std::string out = "map[string]string{";
  for (const auto& [key, value] : map) {
    if (out.back() != '{') out += ", ";
    out += quoted(key) + ":" + quoted(value);
  }
  return out + "}";
}
std::string go_list(const List<Str>& list) {
  if (list.is_null()) return "[]string(nil)";
  std::string out = "[]string{";
  for (const Str& value : list) {
    if (out.back() != '{') out += ", ";
    out += quoted(value);
  }
  return out + "}";
}
std::string go_quantity(const schema::Quantity& quantity) {
  std::string_view text = quantity.text.view();
  static constexpr std::pair<std::string_view, int> kSuffixes[] = {
      {"n", -9}, {"u", -6}, {"m", -3}, {"", 0},   {"k", 3},
      {"M", 6},  {"G", 9},  {"T", 12}, {"P", 15}, {"E", 18}};
  size_t end = text.find_first_not_of("+-.0123456789");
  std::string_view number = text.substr(0, end),
                   suffix = end == text.npos ? std::string_view() : text.substr(end);
  std::string digits;
  int scale = 0;
  bool fraction = false;
  for (char c : number) {
    if (c == '.')
      fraction = true;
    else if (c != '+')
      digits.push_back(c);
    if (fraction && c != '.') --scale;
  }
  std::string_view format = "DecimalSI";
  if (suffix.ends_with("i")) {
    format = "BinarySI";
    digits = std::to_string(schema::QuantityValue::of(quantity).value());
    scale = 0;
  } else if (suffix.starts_with("e") || (suffix.starts_with("E") && suffix.size() > 1)) {
    format = "DecimalExponent";
    scale += std::atoi(std::string(suffix.substr(1)).c_str());
  } else {
    for (const auto& [known, power] : kSuffixes)
      if (known == suffix) scale += power;
  }
  bool zero = schema::QuantityValue::of(quantity).is_zero();
  if (zero) digits = "0", scale = 0;
  return "resource.Quantity{i:resource.int64Amount{value:" + digits +
         ", scale:" + std::to_string(scale) +
         "}, d:resource.infDecAmount{Dec:(*inf.Dec)(nil)}, s:" + quoted(zero ? "0" : text) +
         ", Format:" + quoted(format) + "}";
}
std::string go_pointer_text(const Opt<Str>& text) { return text ? quoted(*text) : "null"; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
  return out;
}
std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  size_t start = text.find_first_not_of(kSpace);
  if (start == text.npos) return {};
  return text.substr(start, text.find_last_not_of(kSpace) - start + 1);
}
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (size_t start = 0;;) {
    size_t end = text.find(separator, start);
    out.push_back(text.substr(start, end == text.npos ? end : end - start));
    if (end == text.npos) return out;
    start = end + 1;
  }
}
std::string join(const Messages& parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}
bool contains(const List<Str>& list, std::string_view text) {
  for (const Str& item : list)
    if (item == text) return true;
  return false;
}

}  // namespace knarr::apiserver
