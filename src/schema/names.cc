// SPDX-License-Identifier: Apache-2.0
// The rules for names and values of labels (upstream's util/validation).
#include <algorithm>

#include "schema/selector.h"

namespace knarr::schema {
namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// (alphanumeric, then alphanumerics, '-', '_', '.')? alphanumeric
bool is_name(std::string_view text) {
  if (text.empty() || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_subdomain(std::string_view text) {
  while (true) {
    std::string_view label = text.substr(0, text.find('.'));
    auto lower = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    if (label.empty() || !lower(label.front()) || !lower(label.back())) return false;
    for (char c : label)
      if (!lower(c) && c != '-') return false;
    if (label.size() == text.size()) return true;
    text.remove_prefix(label.size() + 1);
  }
}

constexpr std::string_view kNameRule =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr std::string_view kSubdomainRule =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an "
    "alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr std::string_view kLabelValueRule =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an "
    "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

}  // namespace

std::vector<std::string> check_qualified_name(std::string_view text) {
  std::vector<std::string> errors;
  std::string_view name = text;
  size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    if (text.find('/', slash + 1) != std::string_view::npos)
      return {"a qualified name " + std::string(kNameRule) +
              " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"};
    std::string_view prefix = text.substr(0, slash);
    name = text.substr(slash + 1);
    if (prefix.empty()) {
      errors.emplace_back("prefix part must be non-empty");
    } else {
      if (prefix.size() > 253)
        errors.emplace_back("prefix part must be no more than 253 characters");
      if (!is_subdomain(prefix)) errors.push_back("prefix part " + std::string(kSubdomainRule));
    }
  }
  if (name.empty()) {
    errors.emplace_back("name part must be non-empty");
  } else if (name.size() > 63) {
    errors.emplace_back("name part must be no more than 63 characters");
  }
  if (!is_name(name)) errors.push_back("name part " + std::string(kNameRule));
  return errors;
}

std::vector<std::string> check_label_value(std::string_view text) {
  std::vector<std::string> errors;
  if (text.size() > 63) errors.emplace_back("must be no more than 63 characters");
  if (!text.empty() && !is_name(text)) errors.emplace_back(kLabelValueRule);
  return errors;
}

}  // namespace knarr::schema
