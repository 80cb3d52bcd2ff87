// SPDX-License-Identifier: Apache-2.0
// pods/eviction: a delete that asks the pod's disruption budget first (upstream: registry/core/pod/storage/eviction.go).
//
// The budget's status is the ledger: an eviction takes one of its allowed disruptions and writes the pod's name beside it, by compare and swap,
// before the pod is deleted. The disruption controller settles the account later.
#pragma once

#include "api/policy_v1.h"
#include "base/status.h"
#include "base/task.h"
#include "schema/value.h"

namespace knarr::apiserver {
struct RequestContext;
}

namespace knarr::apiserver::subresource {

Task<Status> create_eviction(RequestContext& context);  // POST .../pods/NAME/eviction

// Takes one disruption out of the budget for a pod; 429 when there is none left. On a dry run the pod is not noted.
Status take_disruption(api::policy_v1::PodDisruptionBudget& budget, std::string_view pod_name, schema::Time now, bool dry_run);

}  // namespace knarr::apiserver::subresource
