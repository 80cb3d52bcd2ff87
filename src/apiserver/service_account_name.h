// SPDX-License-Identifier: Apache-2.0
// The names that service accounts log in with: system:serviceaccount:NAMESPACE:NAME.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace knarr::apiserver {

struct ServiceAccountName {
  std::string namespace_, name;
};

// Empty when it is another user's name.
std::optional<ServiceAccountName> parse_service_account(std::string_view user_name);
std::string service_account_user(std::string_view ns, std::string_view name);
std::vector<std::string> service_account_groups(std::string_view ns);

}  // namespace knarr::apiserver
