// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/mounter.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/files.h"
#include "kubelet/volume/mount_table.h"

namespace knarr::kubelet {
namespace {

class LinuxMounter final : public Mounter {
 public:
  Status mount_tmpfs(const std::string& target, int64_t size_bytes) override {
    std::string options = size_bytes > 0 ? "size=" + std::to_string(size_bytes) : "";
    if (::mount("tmpfs", target.c_str(), "tmpfs", 0, options.c_str()) != 0)
      return Status::from_errno("mount tmpfs on " + target, errno);
    return {};
  }

  Status bind_mount_fd(int source_fd, const std::string& target) override {
    std::string source = "/proc/self/fd/" + std::to_string(source_fd);
    if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0)
      return Status::from_errno("bind mount on " + target, errno);
    return {};
  }

  Status unmount(const std::string& target) override {
    if (::umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0) return {};
    if (errno == EINVAL || errno == ENOENT) return {};  // nothing mounted there
    if (errno == EBUSY && ::umount2(target.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) == 0) return {};
    return Status::from_errno("unmount " + target, errno);
  }

  Result<bool> is_mount_point(const std::string& path) override {
    TRY_ASSIGN(std::vector<std::string> mounts, mounts_below(path));
    return !mounts.empty() && mounts.back() == path;
  }

  Result<std::vector<std::string>> mounts_below(const std::string& path) override {
    TRY_ASSIGN(std::string table, read_file("/proc/self/mountinfo"));
    return mount_points_below(table, path);
  }

  Status change_owner(const std::string& path, uid_t uid, gid_t gid) override {
    if (::lchown(path.c_str(), uid, gid) != 0) return Status::from_errno("lchown " + path, errno);
    return {};
  }
};

}  // namespace

std::shared_ptr<Mounter> make_mounter() { return std::make_shared<LinuxMounter>(); }

std::vector<std::string> mount_points_below(std::string_view table, std::string_view path) {
  std::vector<std::string> found;
  while (!table.empty()) {
    size_t end = table.find('\n');
    std::string_view line = table.substr(0, end);
    table.remove_prefix(end == std::string_view::npos ? table.size() : end + 1);
    // "36 35 98:0 /root /mount/point options...": the fifth field, with blanks and backslashes as
    // \ooo.
    for (int i = 0; i < 4; ++i) {
      size_t blank = line.find(' ');
      line = blank == std::string_view::npos ? std::string_view() : line.substr(blank + 1);
    }
    line = line.substr(0, line.find(' '));
    std::string point;
    for (size_t i = 0; i < line.size(); ++i) {
      auto octal = [&](size_t at) { return line[at] >= '0' && line[at] <= '7'; };
      if (line[i] == '\\' && i + 3 < line.size() && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
        point += static_cast<char>((line[i + 1] - '0') * 64 + (line[i + 2] - '0') * 8 +
                                   (line[i + 3] - '0'));
        i += 3;
      } else {
        point += line[i];
      }
    }
    bool below =
        point == path || (point.size() > path.size() && point.compare(0, path.size(), path) == 0 &&
                          point[path.size()] == '/');
    if (below) found.push_back(std::move(point));
  }
  // Longest first: whatever is nested comes before what it lies in; the same point mounted over
  // itself is listed as often.
  std::stable_sort(found.begin(), found.end(),
                   [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  return found;
}

}  // namespace knarr::kubelet
