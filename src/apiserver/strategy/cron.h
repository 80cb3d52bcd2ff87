// SPDX-License-Identifier: Apache-2.0
// Whether a cron schedule can be parsed, in the words of the parser that upstream uses (five fields
// or @descriptors).
#pragma once

#include <string>
#include <string_view>

namespace knarr::apiserver {

// "" when valid.
std::string cron_schedule_problem(std::string_view schedule);
// "" when the system knows this time zone.
std::string time_zone_problem(std::string_view zone);

}  // namespace knarr::apiserver
