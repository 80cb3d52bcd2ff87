// SPDX-License-Identifier: Apache-2.0
// What the controllers of CertificateSigningRequests decide by: pure functions. Texts are upstream's, they end up in conditions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/certificates_v1.h"
#include "base/clock.h"
#include "pki/request.h"

namespace knarr::controller::csr {

using Request = api::certificates_v1::CertificateSigningRequest;

inline constexpr std::string_view kApiServerClient = "kubernetes.io/kube-apiserver-client";
inline constexpr std::string_view kKubeletClient = "kubernetes.io/kube-apiserver-client-kubelet";
inline constexpr std::string_view kKubeletServing = "kubernetes.io/kubelet-serving";
inline constexpr std::string_view kLegacyUnknown = "kubernetes.io/legacy-unknown";

bool has_condition(const Request& request, std::string_view type);
bool is_approved(const Request& request);  // and not denied
bool has_failed(const Request& request);

// Why this signer refuses; "" when it signs.
std::string kubelet_client_problem(const pki::RequestedNames& names, const std::vector<std::string>& usages);
std::string kubelet_serving_problem(const pki::RequestedNames& names, const std::vector<std::string>& usages);
std::string apiserver_client_problem(const std::vector<std::string>& usages);
std::string problem_for_signer(std::string_view signer, const pki::RequestedNames& names, const std::vector<std::string>& usages);

// The shorter of what was asked for (ten minutes at least) and `most`.
Duration lifetime_of(const Request& request, Duration most);

// Why the cleaner removes a request, for the log; "" when it stays.
std::string_view reason_to_remove(const Request& request, WallTime now);

std::vector<std::string> usages_of(const Request& request);

}  // namespace knarr::controller::csr
