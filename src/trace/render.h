// SPDX-License-Identifier: Apache-2.0
// A timeline for people, and for programs.
#pragma once

#include <string>

#include "trace/timeline.h"

namespace knarr::trace {

struct Subject {
  std::string namespace_, name, uid, node, phase;
};

// A line a step: the time of day (UTC), the distance from the first step, how long it took, who took it, what it was; then the sum by kind of time.
std::string to_text(const Subject& subject, const Timeline& timeline);
// {"pod":{...},"start":"...","readyMillis":N,"steps":[...],"shares":[...],"sources":[...],"notes":[...]}; times as RFC 3339 with nanoseconds.
std::string to_json_text(const Subject& subject, const Timeline& timeline, const std::vector<Source>& sources);

}  // namespace knarr::trace
