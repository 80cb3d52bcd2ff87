// SPDX-License-Identifier: Apache-2.0
// --authorization-mode: which authorizers there are, in the given order, after the one that lets system:masters do everything.
#pragma once

#include <memory>

#include "apiserver/authz/authorizer.h"
#include "base/status.h"

namespace knarr::apiserver {
class Core;
}

namespace knarr::apiserver::authz {

// `core` outlives the authorizer. Fails for modes that there are not, or given twice, and for files that cannot be read.
Result<std::unique_ptr<Authorizer>> make_authorizer(Core& core);

}  // namespace knarr::apiserver::authz
