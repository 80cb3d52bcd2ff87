// SPDX-License-Identifier: Apache-2.0
// The threads of a command: one main loop, on which components run, and a few loops for the API's connections.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/status.h"
#include "base/task.h"

namespace knarr::cmd {

class EventLoops {
 public:
  // `connection_threads` loops beside the main one; 0 = connections share the main loop.
  explicit EventLoops(int connection_threads);
  ~EventLoops();
  Executor main() const;
  std::vector<Executor> connections() const;

  // Runs `boot` on the main loop, then waits for SIGINT or SIGTERM (or a failure of boot), then runs `stop`. A second signal ends the process at once.
  // Returns the exit code; a failure of boot is printed as one line.
  int run(Task<Status> boot, std::function<Task<void>()> stop);
  // For a command that ends by itself: runs `work` to its end.
  int run_once(Task<Status> work);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace knarr::cmd
