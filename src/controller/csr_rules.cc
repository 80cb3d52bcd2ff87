// SPDX-License-Identifier: Apache-2.0
#include "controller/csr_rules.h"

#include <algorithm>
#include <set>

#include "schema/time.h"

namespace knarr::controller::csr {
namespace {

using namespace std::chrono_literals;

using Usages = std::set<std::string_view>;

constexpr Duration kFinishedLife = 1h, kPendingLife = 24h;
constexpr std::string_view kDigitalSignature = "digital signature", kKeyEncipherment = "key encipherment", kClientAuth = "client auth",
                           kServerAuth = "server auth";

// Encipherment is for RSA keys; a request may go without.
bool are_exactly(const std::vector<std::string>& usages, std::string_view purpose) {
  Usages given(usages.begin(), usages.end());
  return given == Usages{kDigitalSignature, kKeyEncipherment, purpose} || given == Usages{kDigitalSignature, purpose};
}

bool is_of_nodes(const pki::RequestedNames& names) { return names.organizations == std::vector<std::string>{"system:nodes"}; }
bool is_of_a_node(const pki::RequestedNames& names) { return names.common_name.starts_with("system:node:"); }

bool older_than(schema::Time time, Duration age, WallTime now) { return !time.is_zero() && now - schema::to_wall(time) > age; }

bool certificate_expired(const Request& request, WallTime now) {
  auto info = pki::inspect(request.status.certificate.str());
  return info.ok() && now > info->not_after;
}

}  // namespace

bool has_condition(const Request& request, std::string_view type) {
  return std::any_of(request.status.conditions.begin(), request.status.conditions.end(), [&](const auto& c) { return c.type == type; });
}

bool is_approved(const Request& request) { return has_condition(request, "Approved") && !has_condition(request, "Denied"); }

bool has_failed(const Request& request) {
  return std::any_of(request.status.conditions.begin(), request.status.conditions.end(),
                     [](const auto& c) { return c.type == "Failed" && (c.status.empty() || c.status == "True"); });
}

std::string kubelet_client_problem(const pki::RequestedNames& names, const std::vector<std::string>& usages) {
  if (!is_of_nodes(names)) return "subject organization is not system:nodes";
  if (!names.dns_names.empty()) return "DNS subjectAltNames are not allowed";
  if (!names.emails.empty()) return "Email subjectAltNames are not allowed";
  if (!names.ip_addresses.empty()) return "IP subjectAltNames are not allowed";
  if (!names.uris.empty()) return "URI subjectAltNames are not allowed";
  if (!is_of_a_node(names)) return "subject common name does not begin with system:node:";
  if (!are_exactly(usages, kClientAuth)) return "usages did not match [client auth digital signature key encipherment]";
  return {};
}

std::string kubelet_serving_problem(const pki::RequestedNames& names, const std::vector<std::string>& usages) {
  if (!is_of_nodes(names)) return "subject organization is not system:nodes";
  if (names.dns_names.empty() && names.ip_addresses.empty()) return "DNS or IP subjectAltName is required";
  if (!names.emails.empty()) return "Email subjectAltNames are not allowed";
  if (!names.uris.empty()) return "URI subjectAltNames are not allowed";
  if (!are_exactly(usages, kServerAuth)) return "usages did not match [digital signature key encipherment server auth]";
  if (!is_of_a_node(names)) return "subject common name does not begin with system:node:";
  return {};
}

std::string apiserver_client_problem(const std::vector<std::string>& usages) {
  bool client = false;
  for (const std::string& usage : usages) {
    if (usage == kClientAuth) client = true;
    else if (usage != kDigitalSignature && usage != kKeyEncipherment) return "invalid usage for client certificate: " + usage;
  }
  return client ? "" : "missing required usage for client certificate: client auth";
}

std::string problem_for_signer(std::string_view signer, const pki::RequestedNames& names, const std::vector<std::string>& usages) {
  if (signer == kKubeletClient) return kubelet_client_problem(names, usages);
  if (signer == kKubeletServing) return kubelet_serving_problem(names, usages);
  if (signer == kApiServerClient) return apiserver_client_problem(usages);
  return {};  // legacy-unknown takes everything
}

Duration lifetime_of(const Request& request, Duration most) {
  if (!request.spec.expiration_seconds) return most;
  Duration asked = std::chrono::seconds(*request.spec.expiration_seconds);
  return asked > most ? most : std::max<Duration>(asked, 10min);
}

std::string_view reason_to_remove(const Request& request, WallTime now) {
  bool issued = !request.status.certificate.empty();
  for (const auto& condition : request.status.conditions) {
    bool old = older_than(condition.last_update_time, kFinishedLife, now);
    if (condition.type == "Approved" && issued && old) return "approved long ago";
    if (condition.type == "Denied" && old) return "denied long ago";
    if (condition.type == "Failed" && old) return "failed long ago";
  }
  if (request.status.conditions.empty() && older_than(request.metadata.creation_timestamp, kPendingLife, now)) return "never handled";
  if (issued && has_condition(request, "Approved") && certificate_expired(request, now)) return "the certificate has expired";
  return {};
}

std::vector<std::string> usages_of(const Request& request) {
  std::vector<std::string> usages;
  for (const schema::Str& usage : request.spec.usages) usages.push_back(usage.str());
  return usages;
}

}  // namespace knarr::controller::csr
