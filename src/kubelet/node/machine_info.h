// SPDX-License-Identifier: Apache-2.0
// What the machine is: read once at start from /proc, /sys and /etc.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace knarr::kubelet {

struct MachineInfo {
  int cpus = 1;
  int64_t memory_bytes = 0;
  int64_t disk_bytes = 0;  // of the file system of the kubelet's folder
  std::string machine_id, system_uuid, boot_id, kernel_version, os_image, architecture;
  bool swap_accounting = false;
  bool swap_on = false;
};

MachineInfo read_machine_info(const std::string& root_dir, const std::string& cgroup_mount);
// Where the default route leads from; "" when there is none.
std::string default_address();
// Go's name of the processor: "amd64".
std::string go_architecture();

}  // namespace knarr::kubelet
