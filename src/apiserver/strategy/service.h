// SPDX-License-Identifier: Apache-2.0
// Validation of services, split from their strategy.
#pragma once

#include "api/core_v1.h"
#include "apiserver/strategy.h"
#include "apiserver/strategy/validators.h"

namespace knarr::apiserver {

namespace core = api::core_v1;

void validate_service(const core::Service& service, FieldErrors& errors);
void validate_service_update(const core::Service& service, const core::Service& old,
                             FieldErrors& errors);
void warn_service(WriteContext& context, const core::Service& service, const core::Service* old);
void validate_service_status(const core::Service& service, const core::Service& old,
                             FieldErrors& errors);
// clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy agree with each other.
void validate_cluster_ips(const core::Service& service, FieldErrors& errors);

}  // namespace knarr::apiserver
