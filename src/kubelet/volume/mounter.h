// SPDX-License-Identifier: Apache-2.0
// The system calls of volumes that need privileges, behind an interface, so that tests of
// everything above need no root.
//
// Plain file work (mkdir, write, rename) is done directly: a test runs it in a temporary folder.
// Calls block and may come from any thread (the volume manager runs them on the blocking pool);
// implementations keep no state that is not locked.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace knarr::kubelet {

class Mounter {
 public:
  virtual ~Mounter() = default;
  // size_bytes 0 leaves the kernel's default (half of memory).
  virtual Status mount_tmpfs(const std::string& target, int64_t size_bytes) = 0;
  // Bind-mounts what `source_fd` (O_PATH) refers to, whatever its path has become meanwhile, on
  // `target`.
  virtual Status bind_mount_fd(int source_fd, const std::string& target) = 0;
  // A lazy detach when the mount is busy; OK when nothing is mounted there. Never follows a symlink
  // at `target`.
  virtual Status unmount(const std::string& target) = 0;
  virtual Result<bool> is_mount_point(const std::string& path) = 0;
  // Every mount point at or below `path`, deepest first.
  virtual Result<std::vector<std::string>> mounts_below(const std::string& path) = 0;
  // lchown; (uid_t)-1 or (gid_t)-1 keeps that half.
  virtual Status change_owner(const std::string& path, uid_t uid, gid_t gid) = 0;
};

// The Linux one.
std::shared_ptr<Mounter> make_mounter();

}  // namespace knarr::kubelet
