// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource_handlers.h"

#include "apiserver/subresource/binding.h"
#include "apiserver/subresource/pod_connect.h"
#include "apiserver/subresource/token.h"

namespace knarr::apiserver {
namespace {

constexpr SubresourceHandler kHandlers[] = {
    {"", "pods", "binding", subresource::create_pod_binding},
    {"", "pods", "log", subresource::get_log},
    {"", "pods", "exec", subresource::connect_exec},
    {"", "pods", "attach", subresource::connect_attach},
    {"", "pods", "portforward", subresource::connect_port_forward},
    {"", "serviceaccounts", "token", subresource::create_token},
};

}  // namespace

std::span<const SubresourceHandler> subresource_handlers() { return kHandlers; }

}  // namespace knarr::apiserver
