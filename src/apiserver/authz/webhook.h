// SPDX-License-Identifier: Apache-2.0
// The mode Webhook: another server is sent a SubjectAccessReview (upstream: plugin/pkg/authorizer/webhook).
#pragma once

#include <memory>

#include "apiserver/authz/authorizer.h"
#include "apiserver/server.h"

namespace knarr::apiserver::authz {

// `server` outlives the authorizer.
Result<std::unique_ptr<Authorizer>> make_webhook_authorizer(ApiServer& server);

}  // namespace knarr::apiserver::authz
