// SPDX-License-Identifier: Apache-2.0
#include "apiserver/service_account_name.h"

#include "apiserver/registry/metadata.h"

namespace knarr::apiserver {
namespace {

constexpr std::string_view kPrefix = "system:serviceaccount:", kGroup = "system:serviceaccounts";

}  // namespace

std::optional<ServiceAccountName> parse_service_account(std::string_view user_name) {
  if (!user_name.starts_with(kPrefix)) return std::nullopt;
  std::string_view rest = user_name.substr(kPrefix.size());
  size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view ns = rest.substr(0, colon), name = rest.substr(colon + 1);
  if (!dns_label_problems(ns, false).empty() || !dns_subdomain_problems(name, false).empty()) return std::nullopt;
  return ServiceAccountName{std::string(ns), std::string(name)};
}

std::string service_account_user(std::string_view ns, std::string_view name) {
  return std::string(kPrefix).append(ns).append(":").append(name);
}

std::vector<std::string> service_account_groups(std::string_view ns) {
  return {std::string(kGroup), std::string(kGroup).append(":").append(ns)};
}

}  // namespace knarr::apiserver
