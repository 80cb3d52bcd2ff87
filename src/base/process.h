// SPDX-License-Identifier: Apache-2.0
// Child processes. A child is waited for through its pidfd, so nothing needs SIGCHLD.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/task.h"

namespace knarr {

struct ProcessOptions {
  std::vector<std::string> args;               // args[0] is looked up in PATH
  std::vector<std::string> environment;        // added to ours, "NAME=value"
  std::string log_file;                        // stdout and stderr are appended here; "" = inherited
  bool new_session = false;                    // survives our terminal and our death
};

class Process {
 public:
  static Result<std::unique_ptr<Process>> start(const ProcessOptions& options);
  // With these descriptors as its input, output and errors.
  static Result<std::unique_ptr<Process>> start_with(const ProcessOptions& options, int in, int out, int err);
  ~Process();                                  // does not end the child
  pid_t pid() const { return pid_; }
  bool running() const;
  void signal(int number) const;
  // Exit code, or 128 + signal. One waiter.
  Task<int> wait();
  // SIGTERM, then SIGKILL after `grace`.
  Task<void> stop(Duration grace);

 private:
  Process(pid_t pid, int pidfd) : pid_(pid), pidfd_(pidfd) {}
  int reap();
  pid_t pid_;
  int pidfd_;
  int exit_code_ = -1;
};

// Runs a program to its end and gives what it printed (stdout and stderr together). A non-zero exit is an error holding the output.
Task<Result<std::string>> run_process(std::vector<std::string> args);

// How a program that was fed `input` ended.
struct CommandResult {
  int exit_code = 0;                           // or 128 + signal
  std::string out, err;
};
// Runs a program to its end with `input` as its standard input. An error only when it could not be started.
Task<Result<CommandResult>> run_command(std::vector<std::string> args, std::string input);

}  // namespace knarr
