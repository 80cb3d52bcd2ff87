// SPDX-License-Identifier: Apache-2.0
// A Swagger document in gnostic's protobuf form (openapi.v2.Document), which kubectl before 1.29 and the end-to-end suite ask for.
#pragma once

#include <string>

#include "schema/json.h"

namespace knarr::apiserver::openapi {

std::string to_gnostic(const json::Value& swagger);

}  // namespace knarr::apiserver::openapi
