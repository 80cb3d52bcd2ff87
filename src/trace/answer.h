// SPDX-License-Identifier: Apache-2.0
// GET /debug/podtrace?uid=UID[&uid=UID]: what a ring answers, as JSON. Times are nanoseconds since the epoch:
//
//   {"parts":["kube-scheduler"],"now":N,"since":N,"spans":[{"step":"queued","start":N,"end":N,"detail":"..."}]}
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "trace/ring.h"

namespace knarr::trace {

// The answer to a request with this query (without '?'); 400 when it is malformed or names no pod.
Result<std::string> answer_query(const Ring& ring, std::string_view query);

std::string write_answer(const Answer& answer);
// Spans of steps that this version does not know are left out; anything else that is not as above is an error.
Result<Answer> parse_answer(std::string_view text);

}  // namespace knarr::trace
