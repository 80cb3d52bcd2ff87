// SPDX-License-Identifier: Apache-2.0
// The failures a store reports, worded once for every implementation.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace knarr::store {

// The reader asked for history that compaction has dropped.
Status list_expired();
Status watch_expired();
// The revision has not happened yet. Same shape as upstream's answer, which clients recognise by
// its cause.
Status revision_too_large(int64_t wanted, int64_t current);
Status store_closing();
// The quota is used up; only deletes and compactions still work.
Status out_of_space();
Status bad_request(std::string_view message);

}  // namespace knarr::store
