// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/ownership.h"

#include <dirent.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/log.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace {

void change_one(Mounter& mounter, const std::string& path, mode_t mode, int64_t group,
                bool read_only) {
  Status status = mounter.change_owner(path, static_cast<uid_t>(-1), static_cast<gid_t>(group));
  if (!status.ok()) log_error("Lchown failed", {{"path", path}, {"err", status.message()}});
  if (S_ISLNK(mode)) return;  // chmod would go through to the target
  mode_t mask = read_only ? 0440 : 0660;
  if (S_ISDIR(mode)) mask |= S_ISGID | 0110;
  if (::chmod(path.c_str(), (mode & 07777) | mask) != 0)
    log_error("chmod failed", {{"path", path}, {"err", std::strerror(errno)}});
}

Status walk(Mounter& mounter, const std::string& path, int64_t group, bool read_only) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return Status::from_errno("lstat " + path, errno);
  if (S_ISDIR(info.st_mode)) {
    std::vector<std::string> names;
    DIR* dir = ::opendir(path.c_str());
    if (dir == nullptr) return Status::from_errno("open " + path, errno);
    while (dirent* entry = ::readdir(dir)) {
      std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(std::move(name));
    }
    ::closedir(dir);
    // Depth is bounded by the longest path that lstat takes.
    for (const std::string& name : names) TRY(walk(mounter, path + "/" + name, group, read_only));
  }
  change_one(mounter, path, info.st_mode, group, read_only);
  return {};
}

}  // namespace

Status set_volume_ownership(Mounter& mounter, const std::string& path, int64_t group,
                            bool read_only) {
  return walk(mounter, path, group, read_only);
}

std::optional<int64_t> common_user(const core::Pod& pod) {
  schema::Opt<int64_t> pod_user;
  if (pod.spec.security_context) pod_user = pod.spec.security_context->run_as_user;
  std::optional<int64_t> common;
  for (const auto* list : {&pod.spec.init_containers, &pod.spec.containers}) {
    for (const core::Container& container : *list) {
      schema::Opt<int64_t> user = pod_user;
      if (container.security_context && container.security_context->run_as_user)
        user = container.security_context->run_as_user;
      if (!user.has_value() || (common && *common != *user)) return std::nullopt;
      common = *user;
    }
  }
  return common;
}

}  // namespace knarr::kubelet
