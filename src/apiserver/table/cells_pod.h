// SPDX-License-Identifier: Apache-2.0
// The row of a pod: what it is doing, in a word.
#pragma once

#include "apiserver/table/cells.h"

namespace knarr::apiserver::table {

void pod_row(const api::core_v1::Pod& pod, WallTime now, Row& row);

}  // namespace knarr::apiserver::table
