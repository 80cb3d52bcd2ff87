// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace knarr::kubelet {
namespace {

// Folders nested deeper than this are moved up to the root of the removal and emptied from there.
constexpr size_t kMaxOpenFolders = 64;

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using DirHandle = std::unique_ptr<DIR, DirCloser>;

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

DirHandle to_dir(Fd fd) {
  DIR* dir = ::fdopendir(fd.get());
  if (dir != nullptr) fd.release();
  return DirHandle(dir);
}

bool is_dots(const char* name) {
  return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

// Empties the folder that `root` refers to. Depth-first with an explicit stack.
Status empty_folder(Fd root, const std::string& what) {
  std::vector<std::pair<DirHandle, std::string>> stack;  // with its name in its parent
  Fd base(::fcntl(root.get(), F_DUPFD_CLOEXEC, 0));
  if (!base.valid()) return Status::from_errno("dup " + what, errno);
  stack.emplace_back(to_dir(std::move(root)), "");
  if (stack.back().first == nullptr) return Status::from_errno("open " + what, errno);
  bool moved = false;
  size_t parked_count = 0;
  while (!stack.empty()) {
    DIR* dir = stack.back().first.get();
    int dir_fd = ::dirfd(dir);
    errno = 0;
    dirent* entry = ::readdir(dir);
    if (entry == nullptr) {
      if (errno != 0) return Status::from_errno("read " + what, errno);
      std::string name = std::move(stack.back().second);
      stack.pop_back();
      if (stack.empty()) {
        // What was moved up while it was being read may have been passed over: look again until
        // nothing is left.
        if (!moved) return {};
        moved = false;
        Fd again(::openat(base.get(), ".", kFolderFlags));
        if (!again.valid()) return Status::from_errno("open " + what, errno);
        stack.emplace_back(to_dir(std::move(again)), "");
        if (stack.back().first == nullptr) return Status::from_errno("open " + what, errno);
        continue;
      }
      if (::unlinkat(::dirfd(stack.back().first.get()), name.c_str(), AT_REMOVEDIR) != 0 &&
          errno != ENOENT)
        return Status::from_errno("unlinkat " + what + "/.../" + name, errno);
      continue;
    }
    if (is_dots(entry->d_name)) continue;
    std::string name = entry->d_name;
    if (::unlinkat(dir_fd, name.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM)
      return Status::from_errno("unlinkat " + what + "/.../" + name, errno);
    if (stack.size() >= kMaxOpenFolders) {
      int error = EEXIST;
      // Names that a container took before us are passed over.
      for (int tries = 0; tries < 1000 && (error == EEXIST || error == ENOTEMPTY); ++tries) {
        std::string parked = "..knarr-removed-" + std::to_string(parked_count++);
        error = ::renameat(dir_fd, name.c_str(), base.get(), parked.c_str()) == 0 ? 0 : errno;
      }
      if (error != 0) return Status::from_errno("renameat " + what + "/.../" + name, error);
      moved = true;
      continue;
    }
    int error = 0;
    Fd child = open_beneath(dir_fd, name, kFolderFlags,
                            RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH, &error);
    if (!child.valid()) return Status::from_errno("open " + what + "/.../" + name, error);
    stack.emplace_back(to_dir(std::move(child)), std::move(name));
    if (stack.back().first == nullptr) return Status::from_errno("open " + what, errno);
  }
  return {};
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> parts;
  size_t at = 0;
  while (at <= path.size()) {
    size_t slash = path.find('/', at);
    if (slash == std::string_view::npos) slash = path.size();
    if (slash > at) parts.push_back(path.substr(at, slash - at));
    at = slash + 1;
  }
  return parts;
}

std::string clean_path(std::string_view path) {
  bool rooted = !path.empty() && path[0] == '/';
  std::vector<std::string_view> kept;
  for (std::string_view part : split_path(path)) {
    if (part == ".") continue;
    if (part != "..") {
      kept.push_back(part);
    } else if (!kept.empty() && kept.back() != "..") {
      kept.pop_back();
    } else if (!rooted) {
      kept.push_back(part);
    }
  }
  std::string out = rooted ? "/" : "";
  for (size_t i = 0; i < kept.size(); ++i) {
    if (i > 0) out += '/';
    out += kept[i];
  }
  return out.empty() ? "." : out;
}

Status check_no_backsteps(std::string_view path) {
  for (std::string_view part : split_path(path))
    if (part == "..") return Status::make(400, "BadRequest", "must not contain '..'");
  return {};
}

Status make_folders(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) {
    if (::chmod(path.c_str(), mode) != 0) return Status::from_errno("chmod " + path, errno);
    return {};
  }
  if (errno == EEXIST) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return Status::from_errno("mkdir " + path, ENOTDIR);
  }
  if (errno != ENOENT) return Status::from_errno("mkdir " + path, errno);
  size_t slash = path.find_last_of('/');
  if (slash == std::string::npos || slash == 0) return Status::from_errno("mkdir " + path, ENOENT);
  TRY(make_folders(path.substr(0, slash), mode));  // depth bounded by the length of a path
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return Status::from_errno("mkdir " + path, errno);
  if (::chmod(path.c_str(), mode) != 0) return Status::from_errno("chmod " + path, errno);
  return {};
}

Status write_plain(const std::string& path, std::string_view content, mode_t mode) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd.valid()) return Status::from_errno("open " + path, errno);
  while (!content.empty()) {
    ssize_t n = ::write(fd.get(), content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Status::from_errno("write " + path, errno);
    content.remove_prefix(static_cast<size_t>(n));
  }
  if (::fchmod(fd.get(), mode) != 0) return Status::from_errno("chmod " + path, errno);
  return {};
}

Status remove_tree(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return Status::from_errno("unlink " + path, errno);
  Fd root(::open(path.c_str(), kFolderFlags));
  if (!root.valid()) return Status::from_errno("open " + path, errno);
  TRY(empty_folder(std::move(root), path));
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT)
    return Status::from_errno("rmdir " + path, errno);
  return {};
}

Result<int64_t> disk_usage(const std::string& path) {
  Fd root(::open(path.c_str(), kFolderFlags));
  if (!root.valid()) return Status::from_errno("open " + path, errno);
  struct stat info {};
  if (::fstat(root.get(), &info) != 0) return Status::from_errno("stat " + path, errno);
  dev_t device = info.st_dev;
  int64_t blocks = info.st_blocks;
  std::vector<DirHandle> stack;
  stack.push_back(to_dir(std::move(root)));
  if (stack.back() == nullptr) return Status::from_errno("open " + path, errno);
  while (!stack.empty()) {
    DIR* dir = stack.back().get();
    dirent* entry = ::readdir(dir);
    if (entry == nullptr) {
      stack.pop_back();
      continue;
    }
    if (is_dots(entry->d_name)) continue;
    // Files come and go while we look: what cannot be read is not counted.
    if (::fstatat(::dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (info.st_dev != device) continue;
    blocks += info.st_blocks;
    if (!S_ISDIR(info.st_mode) || stack.size() >= 256) continue;
    int error = 0;
    Fd child = open_beneath(::dirfd(dir), entry->d_name, kFolderFlags,
                            RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH, &error);
    if (!child.valid()) continue;
    DirHandle handle = to_dir(std::move(child));
    if (handle != nullptr) stack.push_back(std::move(handle));
  }
  return blocks * 512;
}

Fd open_beneath(int base_fd, const std::string& relative, int flags, uint64_t resolve, int* error) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags);
  how.resolve = resolve;
  long fd = -1;
  do {
    fd = ::syscall(SYS_openat2, base_fd, relative.c_str(), &how, sizeof(how));
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  *error = fd < 0 ? errno : 0;
  return Fd(static_cast<int>(fd));
}

}  // namespace knarr::kubelet
