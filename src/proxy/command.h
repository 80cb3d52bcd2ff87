// SPDX-License-Identifier: Apache-2.0
// The operating system as the proxy touches it: programs that change the kernel's rules, and settings under /proc/sys. Thin, so that tests record
// what would be done instead of needing root.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/status.h"
#include "base/task.h"

namespace knarr::proxy {

class System {
 public:
  virtual ~System() = default;
  // An error only when the program could not be started.
  virtual Task<Result<CommandResult>> run(std::vector<std::string> args, std::string input) = 0;
  // "net/ipv4/conf/all/route_localnet"; nullopt when there is no such setting.
  virtual std::optional<int64_t> sysctl(const std::string& name) const = 0;
  virtual Status set_sysctl(const std::string& name, int64_t value) = 0;
  virtual std::vector<std::string> interface_addresses() const = 0;
  static std::unique_ptr<System> real();
};

// Remembers what it was asked for, and answers what a test told it to.
class RecordingSystem final : public System {
 public:
  struct Call {
    std::vector<std::string> args;
    std::string input;
    std::string line() const;                    // args, joined by blanks
  };
  std::vector<Call> calls;
  std::function<CommandResult(const Call&)> answer;
  std::vector<std::pair<std::string, int64_t>> sysctls;   // as set
  std::vector<std::string> addresses;

  Task<Result<CommandResult>> run(std::vector<std::string> args, std::string input) override;
  std::optional<int64_t> sysctl(const std::string& name) const override;
  Status set_sysctl(const std::string& name, int64_t value) override;
  std::vector<std::string> interface_addresses() const override { return addresses; }
};

}  // namespace knarr::proxy
