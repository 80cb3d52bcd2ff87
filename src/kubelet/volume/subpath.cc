// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/subpath.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/files.h"

namespace knarr::kubelet {
namespace {

constexpr uint64_t kInside = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;

Result<std::string> real_path(const std::string& path) {
  char buffer[PATH_MAX];
  if (::realpath(path.c_str(), buffer) == nullptr)
    return Status::from_errno("resolve " + path, errno);
  return std::string(buffer);
}

// An absolute symlink leaves RESOLVE_BENEATH even when its target lies inside; upstream takes
// those. Resolve by name, then open what was resolved without following anything, so that a swap in
// between cannot lead out.
Result<Fd> open_resolved(int volume_fd, const std::string& volume, const std::string& sub_path) {
  TRY_ASSIGN(std::string base, real_path(volume));
  TRY_ASSIGN(std::string full, real_path(volume + "/" + sub_path));
  if (full == base) full += "/.";
  if (!full.starts_with(base + "/"))
    return Status::error("subpath \"" + full + "\" not within volume path \"" + base + "\"");
  int error = 0;
  Fd fd = open_beneath(volume_fd, full.substr(base.size() + 1), O_PATH | O_CLOEXEC,
                       kInside | RESOLVE_NO_SYMLINKS, &error);
  if (!fd.valid()) return Status::from_errno("open " + full, error);
  return fd;
}

// Makes the missing end of `sub_path` one folder at a time, each below the one before.
Status make_sub_folders(int volume_fd, const std::string& sub_path) {
  struct stat info {};
  if (::fstat(volume_fd, &info) != 0) return Status::from_errno("stat volume", errno);
  mode_t mode = info.st_mode & 07777;
  Fd parent(::fcntl(volume_fd, F_DUPFD_CLOEXEC, 0));
  std::string so_far;
  for (std::string_view part : split_path(sub_path)) {
    if (part == ".") continue;
    so_far += (so_far.empty() ? "" : "/") + std::string(part);
    int error = 0;
    Fd next = open_beneath(volume_fd, so_far, O_RDONLY | O_DIRECTORY | O_CLOEXEC, kInside, &error);
    if (!next.valid() && error == ENOENT) {
      std::string name(part);
      if (::mkdirat(parent.get(), name.c_str(), mode) != 0 && errno != EEXIST)
        return Status::from_errno("mkdir " + so_far, errno);
      next = open_beneath(parent.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                          kInside, &error);
      // mkdir was subject to our umask.
      if (next.valid() && ::fchmod(next.get(), mode) != 0)
        return Status::from_errno("chmod " + so_far, errno);
    }
    if (!next.valid()) return Status::from_errno("open " + so_far, error);
    parent = std::move(next);
  }
  return {};
}

Status make_target(const std::string& target, bool folder) {
  TRY(make_folders(dir_name(target), 0750));
  if (folder) {
    if (::mkdir(target.c_str(), 0750) != 0 && errno != EEXIST)
      return Status::from_errno("mkdir " + target, errno);
    return {};
  }
  return write_plain(target, "", 0640);
}

}  // namespace

Result<Fd> open_sub_path(const std::string& volume, const std::string& sub_path,
                         bool make_missing) {
  if (!sub_path.empty() && sub_path[0] == '/') return Status::error("subPath must not be absolute");
  TRY(check_no_backsteps(sub_path));
  Fd base(::open(volume.c_str(), O_RDONLY | O_CLOEXEC));
  if (!base.valid()) return Status::from_errno("open " + volume, errno);
  std::string relative = clean_path(sub_path);
  for (int attempt = 0;; ++attempt) {
    int error = 0;
    Fd fd = open_beneath(base.get(), relative, O_PATH | O_CLOEXEC, kInside, &error);
    if (fd.valid()) return fd;
    if (error == EXDEV) return open_resolved(base.get(), volume, relative);
    if (error != ENOENT || !make_missing || attempt > 0)
      return Status::from_errno("open subpath " + relative, error);
    TRY(make_sub_folders(base.get(), relative));
  }
}

Status bind_sub_path(Mounter& mounter, const std::string& volume, const std::string& sub_path,
                     const std::string& target) {
  TRY_ASSIGN(Fd source, open_sub_path(volume, sub_path, true));
  struct stat wanted {
  }, present{};
  if (::fstat(source.get(), &wanted) != 0) return Status::from_errno("stat subpath", errno);
  if (S_ISLNK(wanted.st_mode)) return Status::error("unexpected symlink found");
  if (::lstat(target.c_str(), &present) == 0) {
    TRY_ASSIGN(bool mounted, mounter.is_mount_point(target));
    if (mounted && present.st_dev == wanted.st_dev && present.st_ino == wanted.st_ino) return {};
    if (mounted) TRY(mounter.unmount(target));
    // What an earlier binding of the other kind left.
    if (::lstat(target.c_str(), &present) == 0 &&
        S_ISDIR(present.st_mode) != S_ISDIR(wanted.st_mode))
      TRY(remove_tree(target));
  }
  TRY(make_target(target, S_ISDIR(wanted.st_mode)));
  return mounter.bind_mount_fd(source.get(), target);
}

}  // namespace knarr::kubelet
