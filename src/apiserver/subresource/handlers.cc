// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource_handlers.h"

#include "apiserver/strategy/csr.h"
#include "apiserver/strategy/namespace.h"
#include "apiserver/strategy/pod.h"
#include "apiserver/subresource/binding.h"
#include "apiserver/subresource/component_status.h"
#include "apiserver/subresource/doors.h"
#include "apiserver/subresource/eviction.h"
#include "apiserver/subresource/pod_connect.h"
#include "apiserver/subresource/proxy.h"
#include "apiserver/subresource/reviews.h"
#include "apiserver/subresource/token.h"

namespace knarr::apiserver {
namespace {

using namespace subresource;

constexpr std::string_view kAuthentication = "authentication.k8s.io", kAuthorization = "authorization.k8s.io",
                           kCertificates = "certificates.k8s.io";

constexpr SubresourceHandler kHandlers[] = {
    {"", "bindings", "", create_binding},
    {"", "componentstatuses", "", serve_component_statuses},
    {"", "namespaces", "finalize", nullptr, erase_update<&prepare_namespace_finalize>, erase_validate_update<&validate_namespace_finalize>},
    {"", "nodes", "proxy", connect_node_proxy},
    {"", "pods", "attach", connect_attach},
    {"", "pods", "binding", create_pod_binding},
    {"", "pods", "ephemeralcontainers", nullptr, erase_update<&prepare_ephemeral_containers>,
     erase_validate_update<&validate_ephemeral_containers_update>},
    {"", "pods", "eviction", create_eviction},
    {"", "pods", "exec", connect_exec},
    {"", "pods", "log", get_log},
    {"", "pods", "portforward", connect_port_forward},
    {"", "pods", "proxy", connect_pod_proxy},
    {"", "serviceaccounts", "token", create_token},
    {"", "services", "proxy", connect_service_proxy},
    {kAuthentication, "selfsubjectreviews", "", review_self},
    {kAuthentication, "tokenreviews", "", review_token},
    {kAuthorization, "localsubjectaccessreviews", "", review_local_access},
    {kAuthorization, "selfsubjectaccessreviews", "", review_self_access},
    {kAuthorization, "selfsubjectrulesreviews", "", review_self_rules},
    {kAuthorization, "subjectaccessreviews", "", review_access},
    {kCertificates, "certificatesigningrequests", "approval", nullptr, erase_update<&prepare_csr_approval>,
     erase_validate_update<&validate_csr_approval>},
};

}  // namespace

std::span<const SubresourceHandler> subresource_handlers() { return kHandlers; }

}  // namespace knarr::apiserver
