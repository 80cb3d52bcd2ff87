// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/host_path.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "kubelet/volume/tree.h"

namespace knarr::kubelet {
namespace {

struct TypeCheck {
  std::string_view type;
  mode_t format;
  std::string_view complaint;
};
constexpr TypeCheck kChecks[] = {
    {"DirectoryOrCreate", S_IFDIR, "a directory"}, {"Directory", S_IFDIR, "a directory"},
    {"FileOrCreate", S_IFREG, "a file"},           {"File", S_IFREG, "a file"},
    {"Socket", S_IFSOCK, "a socket file"},         {"CharDevice", S_IFCHR, "a character device"},
    {"BlockDevice", S_IFBLK, "a block device"},
};

}  // namespace

Status set_up_host_path(const api::core_v1::HostPathVolumeSource& source) {
  std::string path = source.path.str();
  Status steps = check_no_backsteps(path);
  if (!steps.ok())
    return Status::error("invalid HostPath `" + path + "`: " + std::string(steps.message()));
  std::string_view type = source.type.value_or("");
  if (type.empty()) return {};
  for (const TypeCheck& check : kChecks) {
    if (check.type != type) continue;
    struct stat info {};
    // Symlinks are followed, as upstream's stat does; a dangling one does not exist.
    bool exists = ::stat(path.c_str(), &info) == 0;
    if (!exists && type == "DirectoryOrCreate") return make_folders(path, 0755);
    if (!exists && type == "FileOrCreate") {
      Fd fd(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644));
      if (!fd.valid()) return Status::from_errno("open " + path, errno);
      return {};
    }
    if (exists && (info.st_mode & S_IFMT) == check.format) return {};
    return Status::error("hostPath type check failed: " + path + " is not " +
                         std::string(check.complaint));
  }
  return Status::error(std::string(type) + " is an invalid volume type");
}

}  // namespace knarr::kubelet
