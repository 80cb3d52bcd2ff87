// SPDX-License-Identifier: Apache-2.0
#include "proxy/command.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/files.h"

namespace knarr::proxy {
namespace {

class RealSystem final : public System {
 public:
  Task<Result<CommandResult>> run(std::vector<std::string> args, std::string input) override {
    return run_command(std::move(args), std::move(input));
  }
  std::optional<int64_t> sysctl(const std::string& name) const override {
    Result<std::string> text = read_file("/proc/sys/" + name);
    if (!text.ok()) return std::nullopt;
    return std::strtoll(text->c_str(), nullptr, 10);
  }
  Status set_sysctl(const std::string& name, int64_t value) override {
    std::string path = "/proc/sys/" + name, text = std::to_string(value);
    int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return Status::from_errno("open " + path, errno);
    ssize_t written = ::write(fd, text.data(), text.size());
    int error = errno;
    ::close(fd);
    return written < 0 ? Status::from_errno("write " + path, error) : Status();
  }
  std::vector<std::string> interface_addresses() const override {
    std::vector<std::string> out;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return out;
    for (ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
      if (at->ifa_addr == nullptr) continue;
      int family = at->ifa_addr->sa_family;
      if (family != AF_INET && family != AF_INET6) continue;
      char text[NI_MAXHOST];
      socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
      if (::getnameinfo(at->ifa_addr, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) continue;
      std::string address = text;
      out.push_back(address.substr(0, address.find('%')));
    }
    ::freeifaddrs(list);
    return out;
  }
};

}  // namespace

std::unique_ptr<System> System::real() { return std::make_unique<RealSystem>(); }

std::string RecordingSystem::Call::line() const {
  std::string out;
  for (const std::string& arg : args) out += (out.empty() ? "" : " ") + arg;
  return out;
}

Task<Result<CommandResult>> RecordingSystem::run(std::vector<std::string> args, std::string input) {
  calls.push_back({std::move(args), std::move(input)});
  co_return answer ? answer(calls.back()) : CommandResult();
}

std::optional<int64_t> RecordingSystem::sysctl(const std::string& name) const {
  for (auto set = sysctls.rbegin(); set != sysctls.rend(); ++set)
    if (set->first == name) return set->second;
  return 0;
}

Status RecordingSystem::set_sysctl(const std::string& name, int64_t value) {
  sysctls.emplace_back(name, value);
  return {};
}

}  // namespace knarr::proxy
