// SPDX-License-Identifier: Apache-2.0
#include "kubelet/node/machine_info.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/files.h"

namespace knarr::kubelet {

namespace {

std::string first_line(const std::string& path) {
  auto content = read_file(path);
  if (!content.ok()) return {};
  std::string line = content->substr(0, content->find('\n'));
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.pop_back();
  return line;
}

int64_t meminfo(std::string_view content, std::string_view key) {
  size_t at = content.find(key);
  if (at == std::string_view::npos) return 0;
  return std::atoll(std::string(content.substr(at + key.size(), 32)).c_str()) * 1024;
}

std::string pretty_os_name() {
  auto content = read_file("/etc/os-release");
  if (!content.ok()) return "Linux";
  size_t at = content->find("PRETTY_NAME=");
  if (at == std::string::npos) return "Linux";
  std::string value = content->substr(at + 12, content->find('\n', at) - at - 12);
  value.erase(std::remove(value.begin(), value.end(), '"'), value.end());
  return value;
}

std::string address_text(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address->sa_family == AF_INET) inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
  return text;
}

}  // namespace

std::string go_architecture() {
  utsname name;
  if (::uname(&name) != 0) return {};
  std::string_view machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (machine.substr(0, 3) == "arm") return "arm";
  if (machine == "i686" || machine == "i386") return "386";
  return std::string(machine);
}

MachineInfo read_machine_info(const std::string& root_dir, const std::string& cgroup_mount) {
  MachineInfo info;
  info.cpus = static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  if (auto content = read_file("/proc/meminfo"); content.ok()) {
    info.memory_bytes = meminfo(*content, "MemTotal:");
    info.swap_on = meminfo(*content, "SwapTotal:") > 0;
  }
  struct statvfs disk;
  if (::statvfs(root_dir.c_str(), &disk) == 0) info.disk_bytes = static_cast<int64_t>(disk.f_blocks) * static_cast<int64_t>(disk.f_frsize);
  info.machine_id = first_line("/etc/machine-id");
  if (info.machine_id.empty()) info.machine_id = first_line("/var/lib/dbus/machine-id");
  info.system_uuid = first_line("/sys/class/dmi/id/product_uuid");
  if (info.system_uuid.empty()) info.system_uuid = info.machine_id;
  info.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  utsname name;
  if (::uname(&name) == 0) info.kernel_version = name.release;
  info.os_image = pretty_os_name();
  info.architecture = go_architecture();
  // v1: the memory controller with swap accounting has this file; v2: below any cgroup with the memory controller.
  info.swap_accounting = file_exists(cgroup_mount + "/memory/memory.memsw.limit_in_bytes");
  return info;
}

std::string default_address() {
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd >= 0) {
    // Connecting a datagram socket sends nothing; it only asks the routing table.
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(53);
    inet_pton(AF_INET, "192.0.2.1", &to.sin_addr);
    sockaddr_in from{};
    socklen_t size = sizeof from;
    bool found = ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 &&
                 ::getsockname(fd, reinterpret_cast<sockaddr*>(&from), &size) == 0;
    ::close(fd);
    if (found) return address_text(reinterpret_cast<sockaddr*>(&from));
  }
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  std::string address;
  for (ifaddrs* item = list; item != nullptr && address.empty(); item = item->ifa_next) {
    if (item->ifa_addr == nullptr || item->ifa_addr->sa_family != AF_INET || (item->ifa_flags & IFF_LOOPBACK) != 0) continue;
    address = address_text(item->ifa_addr);
  }
  ::freeifaddrs(list);
  return address;
}

}  // namespace knarr::kubelet
