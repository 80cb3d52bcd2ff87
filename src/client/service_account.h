// SPDX-License-Identifier: Apache-2.0
// Acting as a service account: its token is asked for when it is needed and again before it expires; the account is made when it is missing
// (upstream: controller-manager's DynamicControllerClientBuilder).
#pragma once

#include <memory>
#include <string>

#include "client/client.h"
#include "client/kubeconfig.h"

namespace knarr::client {

// `access` without whatever tells who one is: for transports whose requests bring their own tokens.
ClusterAccess without_credentials(ClusterAccess access);

// Requests go out through `shared`, which has no credentials of its own. `issuer` may create accounts and tokens, and outlives the transport.
std::shared_ptr<Transport> make_service_account_transport(Executor executor, std::shared_ptr<Transport> shared, Client& issuer, ObjectRef account);

}  // namespace knarr::client
