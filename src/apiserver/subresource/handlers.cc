// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource_handlers.h"

#include "apiserver/subresource/binding.h"
#include "apiserver/subresource/token.h"

namespace knarr::apiserver {
namespace {

constexpr SubresourceHandler kHandlers[] = {
    {"", "pods", "binding", subresource::create_pod_binding},
    {"", "serviceaccounts", "token", subresource::create_token},
};

}  // namespace

std::span<const SubresourceHandler> subresource_handlers() { return kHandlers; }

}  // namespace knarr::apiserver
