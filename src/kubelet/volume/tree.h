// SPDX-License-Identifier: Apache-2.0
// Files and folders whose content a container may have written: nothing here follows a symlink out
// of the folder it was given, and nothing crosses into another mount. Blocking calls; any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace knarr::kubelet {

// An owned file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// Go's filepath.Clean: no "//", "." or resolvable "..", no slash at the end; "" becomes ".".
std::string clean_path(std::string_view path);
// The elements between slashes, empty ones left out.
std::vector<std::string_view> split_path(std::string_view path);
// Upstream's ValidatePathNoBacksteps: "must not contain '..'".
Status check_no_backsteps(std::string_view path);

// mkdir -p with this mode whatever the umask, for the folders that are made.
Status make_folders(const std::string& path, mode_t mode);
// Written in place with this mode whatever the umask, and not synced.
Status write_plain(const std::string& path, std::string_view content, mode_t mode);

// Removes `path` and all below it. OK when absent; fails rather than enter a mount. A constant
// number of descriptors, whatever the depth.
Status remove_tree(const std::string& path);
// Bytes allocated below `path` on its own file system, as du -x.
Result<int64_t> disk_usage(const std::string& path);

// The kernel's openat2: `relative` below `base_fd` with RESOLVE_* flags; errno is left in *error
// when the Fd is not valid.
Fd open_beneath(int base_fd, const std::string& relative, int flags, uint64_t resolve, int* error);

}  // namespace knarr::kubelet
