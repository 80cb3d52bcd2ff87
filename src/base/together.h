// SPDX-License-Identifier: Apache-2.0
// Several tasks at the same time, on the caller's executor.
#pragma once

#include <functional>
#include <vector>

#include "base/status.h"
#include "base/task.h"

namespace knarr {

// Runs all jobs at the same time and waits for them; results in the order of the jobs.
using Job = std::function<Task<Status>()>;
Task<std::vector<Status>> run_together(std::vector<Job> jobs);

}  // namespace knarr
