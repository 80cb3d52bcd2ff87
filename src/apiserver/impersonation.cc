// SPDX-License-Identifier: Apache-2.0
#include "apiserver/impersonation.h"

#include <algorithm>

#include "apiserver/errors.h"
#include "apiserver/service_account_name.h"

namespace knarr::apiserver {
namespace {

constexpr std::string_view kPrefix = "impersonate-", kExtra = "impersonate-extra-";
constexpr std::string_view kAuthenticated = "system:authenticated", kUnauthenticated = "system:unauthenticated";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}

// Extra keys are escaped for the header; what is no escape stays as it is.
std::string unescape(const std::string& key) {
  auto decoded = net::percent_decode(key);
  return decoded.ok() ? *decoded : key;
}

// Everyone but the anonymous user is authenticated, unless the given groups say something about it.
void settle_groups(User& user) {
  bool anonymous = user.name == "system:anonymous";
  if (user.in_group(kUnauthenticated) || (!anonymous && user.in_group(kAuthenticated))) return;
  user.groups.emplace_back(anonymous ? kUnauthenticated : kAuthenticated);
}

}  // namespace

bool asks_to_impersonate(const net::Headers& headers) {
  return std::any_of(headers.fields().begin(), headers.fields().end(), [](const auto& field) {
    return field.first.size() > kPrefix.size() && (field.first[0] | 0x20) == 'i' && lower(field.first).starts_with(kPrefix);
  });
}

Result<Impersonation> parse_impersonation(const net::Headers& headers) {
  Impersonation made;
  User& user = made.user;
  user.name = headers.get("Impersonate-User");
  user.uid = headers.get("Impersonate-Uid");
  auto account = parse_service_account(user.name);
  if (account.has_value()) {
    made.checks.push_back({"", "v1", "serviceaccounts", "", account->namespace_, account->name});
  } else if (!user.name.empty()) {
    made.checks.push_back({"", "", "users", "", "", user.name});
  }
  for (const auto& [key, value] : headers.fields()) {
    if (lower(key) != "impersonate-group") continue;
    user.groups.push_back(value);
    made.checks.push_back({"", "", "groups", "", "", value});
  }
  for (const auto& [key, value] : headers.fields()) {
    std::string name = lower(key);
    if (!name.starts_with(kExtra)) continue;
    std::string extra = unescape(name.substr(kExtra.size()));
    user.extra[extra].push_back(value);
    made.checks.push_back({"authentication.k8s.io", "v1", "userextras", extra, "", value});
  }
  if (!user.uid.empty()) made.checks.push_back({"authentication.k8s.io", "v1", "uids", "", "", user.uid});
  if (user.name.empty() && !made.checks.empty()) return internal_error("requested impersonation without impersonating a user");
  if (account.has_value() && user.groups.empty()) user.groups = service_account_groups(account->namespace_);
  settle_groups(user);
  return made;
}

}  // namespace knarr::apiserver
